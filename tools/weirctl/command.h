/* SPDX-License-Identifier: MIT */
/*
 * The command table: one row a command, from which dispatch, usage and completion are made.
 */
#ifndef WEIRCTL_COMMAND_H
#define WEIRCTL_COMMAND_H

#include "api.h"
#include "print.h"

/** What a word or an option's value is: completion offers such. */
enum word_kind {
    WORD_NONE = 0, /**< an option without value; a word beyond the last */
    WORD_ANY,
    WORD_FILE,
    WORD_POOL,
    WORD_SERVER, /**< POOL/SERVER */
    WORD_MODULE,
    WORD_USER,
    WORD_ROLE,
    WORD_STATE,
    WORD_KIND,     /**< of modules that there are templates of */
    WORD_LANGUAGE, /**< likewise */
    WORD_COMMAND,
};

/** One option. `value` names its value in the usage; NULL: it has none. */
struct option_row {
    const char *name;
    char letter; /**< 0: none */
    const char *value;
    enum word_kind kind;
    const char *document;
};

struct call;

#define COMMAND_WORDS 3

struct command {
    const char *name;      /**< one or two words: `server add` */
    const char *arguments; /**< for the usage */
    const char *summary;   /**< one line */
    enum outcome (*run)(struct call *call);
    int minimum; /**< number of words after the name */
    int maximum;
    enum word_kind words[COMMAND_WORDS];
    bool writes;                      /**< may be given --confirm */
    const struct option_row *options; /**< ended by a row without name; NULL: none */
};

extern const struct command commands[];
extern const size_t command_count;

/** Options that every command takes; ended by a row without name. */
extern const struct option_row global_options[];

#define CALL_OPTIONS 64
#define CALL_WORDS   15

/** One call: a command with its words and options. */
struct call {
    const struct command *command;
    struct api api;
    const char *words[CALL_WORDS];
    int count;
    struct given {
        const struct option_row *row;
        const char *value;
    } given[CALL_OPTIONS];
    size_t given_count;
};

/** The option's value, the last one given; "" for one without value; NULL: not given. */
const char *call_option(const struct call *call, const char *name);

/** Says what is wrong with the command line, and how the command is used. */
enum outcome call_misused(const struct call *call, const char *format, ...) WEIRCTL_PRINTF(2, 3);

/** For programs prints the answer as it came, and says true. */
bool call_printed(const struct call *call, const struct answer *answer);

/** Calls GET `path`, which the caller renders where `*answer` has JSON: for programs it is printed
 * here. The outcome; `*answer` is to be cleared in any case. */
enum outcome call_get(struct call *call, const char *path, struct answer *answer);

/** Calls GET `path`, and prints its entries as a table. */
enum outcome call_list(struct call *call, const char *path, const struct column *columns,
                       size_t count);
#define CALL_LIST(call, path, columns) call_list(call, path, columns, COUNT(columns))

/** Sends a change to a path (see api_path), and has what came of it told by `tell`; for programs it
 * is printed. Takes over `body`, which may be NULL. */
enum outcome call_send(struct call *call, const char *method, cJSON *body,
                       void (*tell)(const struct call *call, const struct answer *answer),
                       const char *pattern, ...);

/** Adds the options of those names that were given to `body`, as texts; the names end with NULL. */
void call_add_texts(const struct call *call, cJSON *body, const char *const *names);

/** Finds command by its first one or two words. `*used`: how many. NULL: no such. */
const struct command *find_command(const char *const *words, size_t count, size_t *used);

/** The option of that name, or of that letter where `len` is 1; NULL: none. `rows` may be NULL. */
const struct option_row *find_option(const struct option_row *rows, const char *name, size_t len);

/** Prints all commands, or one in detail. */
void print_usage(FILE *to);
void print_command_usage(FILE *to, const struct command *command);

/** Prints what could stand at the end of `words` (the last of which may be unfinished), one a line;
 * `:files` alone: a file's name. */
void complete_words(struct call *call, const char *const *words, size_t count);

/* The commands' functions, by file. */
/** How a change can be taken back, or kept. */
void tell_journal(const struct call *call, const struct answer *answer); /* server.c */

enum outcome run_status(struct call *call); /* look.c */
enum outcome run_routes(struct call *call);
enum outcome run_listeners(struct call *call);
enum outcome run_certificates(struct call *call);
enum outcome run_modules(struct call *call);
enum outcome run_module_show(struct call *call);
enum outcome run_module_retry(struct call *call);
enum outcome run_module_release(struct call *call);
enum outcome run_pools(struct call *call); /* pools.c */
enum outcome run_servers(struct call *call);
enum outcome run_server_add(struct call *call); /* server.c */
enum outcome run_server_remove(struct call *call);
enum outcome run_server_state(struct call *call);
enum outcome run_server_number(struct call *call);
enum outcome run_reload(struct call *call); /* config.c */
/** What the answer of a check or reload, or the status, says that only a restart brings. */
void print_restart(const cJSON *answer);
enum outcome run_check(struct call *call);
enum outcome run_export(struct call *call);
enum outcome run_module_enable(struct call *call); /* module.c */
enum outcome run_module_disable(struct call *call);
enum outcome run_module_check(struct call *call); /* check.c */
enum outcome run_module_new(struct call *call);   /* new.c */
/** Calls `visit` for each template of a module, the first of a kind before others of it. */
void each_template(void (*visit)(void *arg, const char *kind, const char *language), void *arg);
enum outcome run_module_swap(struct call *call); /* swap.c */
enum outcome run_module_promote(struct call *call);
enum outcome run_module_rollback(struct call *call);
enum outcome run_pool_balance(struct call *call);
enum outcome run_pool_promote(struct call *call);
enum outcome run_pool_rollback(struct call *call);
/** Prints the last swap of a module or pool, if there was one. */
void tell_swap(const cJSON *subject);
enum outcome run_journal(struct call *call); /* journal.c */
enum outcome run_undo(struct call *call);
enum outcome run_confirm(struct call *call);
enum outcome run_explain(struct call *call);   /* explain.c */
enum outcome run_events(struct call *call);    /* events.c */
enum outcome run_user_list(struct call *call); /* user.c */
enum outcome run_user_add(struct call *call);
enum outcome run_user_remove(struct call *call);
enum outcome run_user_role(struct call *call);
enum outcome run_user_password(struct call *call);
enum outcome run_user_token(struct call *call);
enum outcome run_user_revoke(struct call *call);
enum outcome run_admin_token_renew(struct call *call);
enum outcome run_admin_token_revoke(struct call *call);
enum outcome run_call(struct call *call); /* call.c */
enum outcome run_top(struct call *call);  /* top.c */
enum outcome run_help(struct call *call); /* command.c */

#endif
