/* SPDX-License-Identifier: MIT */
/*
 * The rows of the command table, and what is printed from them.
 */
#include "command.h"

#include <stdlib.h>
#include <string.h>

#define END                            \
    {                                  \
        NULL, 0, NULL, WORD_NONE, NULL \
    }

const struct option_row global_options[] = {
    {"socket", 0, "PATH", WORD_FILE, "the Unix socket of Weir's admin listener"},
    {"url", 0, "URL", WORD_ANY, "http://HOST:PORT or https://HOST:PORT of an admin listener"},
    {"token-file", 0, "FILE", WORD_FILE, "a file with the token to show; - is standard input"},
    {"ca", 0, "FILE", WORD_FILE, "trust this authority's certificate (PEM) for https"},
    {"timeout", 0, "SECONDS", WORD_ANY, "how long to wait for an answer (default: 30)"},
    {"confirm", 0, "TIME", WORD_ANY, "take the change back after TIME (60s) unless confirmed"},
    {"json", 0, NULL, WORD_NONE, "print JSON, for programs"},
    {"help", 'h', NULL, WORD_NONE, "print how weirctl, or a command, is used"},
    {"version", 'V', NULL, WORD_NONE, "print the version"},
    END,
};

static const struct option_row servers_options[] = {
    {"unhealthy", 0, NULL, WORD_NONE, "only servers that are not both up and ready"},
    END,
};

static const struct option_row add_options[] = {
    {"id", 0, "ID", WORD_ANY, "the server's name in its pool (default: from the URL)"},
    {"weight", 0, "N", WORD_ANY, "0 to 1000 (default: 1)"},
    {"max-requests", 0, "N", WORD_ANY, "limit of requests in flight; 0: none"},
    {"max-connections", 0, "N", WORD_ANY, "the earlier name of --max-requests"},
    {"state", 0, "STATE", WORD_STATE, "ready, drain or maintenance (default: ready)"},
    {"backup", 0, NULL, WORD_NONE, "only used when no other server of the pool is eligible"},
    END,
};

static const struct option_row drain_options[] = {
    {"timeout", 0, "TIME", WORD_ANY, "give sessions and requests so long (30s)"},
    END,
};

static const struct option_row remove_options[] = {
    {"timeout", 0, "TIME", WORD_ANY, "give sessions and requests so long (30s)"},
    {"now", 0, NULL, WORD_NONE, "do not wait for sessions and requests"},
    {"force", 0, NULL, WORD_NONE, "also the last server of the pool that serves"},
    END,
};

static const struct option_row export_options[] = {
    {"force", 0, NULL, WORD_NONE, "replace files that are there"},
    END,
};

static const struct option_row modules_options[] = {
    {"metrics", 0, NULL, WORD_NONE, "the counters and gauges that they have of their own"},
    END,
};

static const struct option_row module_options[] = {
    {"conf-dir", 0, "FOLDER", WORD_FILE, "the folder conf.d (default: the running Weir's)"},
    {"no-reload", 0, NULL, WORD_NONE, "change the files, and leave Weir as it runs"},
    END,
};

static const struct option_row journal_options[] = {
    {"limit", 0, "N", WORD_ANY, "how many entries (default: 20)"},
    {"before", 0, "ID", WORD_ANY, "entries older than this one"},
    END,
};

static const struct option_row explain_options[] = {
    {"header", 'H', "FIELD", WORD_ANY, "\"Name: value\"; may be repeated"},
    {"client", 0, "ADDRESS", WORD_ANY, "as if from this client"},
    {"listener", 0, "NAME", WORD_ANY, "as if it came in by this listener"},
    END,
};

static const struct option_row events_options[] = {
    {"statistics", 0, NULL, WORD_NONE, "also the numbers of each second"},
    {"count", 0, "N", WORD_ANY, "end after so many events"},
    END,
};

static const struct option_row user_add_options[] = {
    {"role", 0, "ROLE", WORD_ROLE, "viewer, operator or admin (default: viewer)"},
    {"password", 0, NULL, WORD_NONE, "ask for a password (or read it from standard input)"},
    END,
};

static const struct option_row token_options[] = {
    {"ttl", 0, "TIME", WORD_ANY, "how long the token is good for (30d)"},
    END,
};

static const struct option_row check_options[] = {
    {"conf", 0, "TEXT", WORD_ANY, "the inside of its block; found out by default"},
    {"seeds", 0, "N", WORD_ANY, "how many lives the contract test has (default: 100)"},
    {"seed", 0, "N", WORD_ANY, "the first of them (default: 1)"},
    {"timeout", 0, "SECONDS", WORD_ANY, "what one of them may take (default: 30)"},
    {"sanitize", 0, "SOURCE", WORD_FILE, "build this C source with sanitizers, and check that"},
    END,
};

static const struct option_row new_options[] = {
    {"kind", 0, "KIND", WORD_KIND, "what it is (default: as its name begins)"},
    {"language", 0, "LANGUAGE", WORD_LANGUAGE, "what it is written in (default: c)"},
    END,
};

#define TRIAL_OPTIONS                                                                           \
    {"canary", 0, "SHARE", WORD_ANY, "try it first with that share of the picks (5%)"},         \
        {"for", 0, "TIME", WORD_ANY, "how long it is tried, then it is promoted (60s)"},        \
        {"max-error-ratio", 0, "N", WORD_ANY, "go back if N times as many requests fail (2)"},  \
    {                                                                                           \
        "max-latency-ratio", 0, "N", WORD_ANY, "go back if p50 or p99 is N times as long (1.5)" \
    }

static const struct option_row swap_options[] = {
    {"file", 0, "FILE", WORD_FILE,
     "its file, in Weir's folder of modules (default: NAME.so there)"},
    TRIAL_OPTIONS,
    END,
};

static const struct option_row balance_options[] = {
    TRIAL_OPTIONS,
    END,
};

static const struct option_row top_options[] = {
    {"interval", 0, "SECONDS", WORD_ANY, "time between two looks (default: 1)"},
    {"count", 0, "N", WORD_ANY, "end after so many looks"},
    END,
};

/* A row, and what a command without words leaves out: how many words, of what kinds; whether it may
 * be given --confirm; options. */
#define ROW(name_, arguments_, summary_, run_, ...)                                       \
    {                                                                                     \
        .name = (name_), .arguments = (arguments_), .summary = (summary_), .run = (run_), \
        __VA_ARGS__                                                                       \
    }
#define WORDS(least, most, ...) .minimum = (least), .maximum = (most), .words = {__VA_ARGS__}

const struct command commands[] = {
    ROW("status", "", "Version, load, and how Weir is", run_status, .maximum = 0),
    ROW("pools", "[POOL]", "Pools with their totals, rates and latency", run_pools,
        WORDS(0, 1, WORD_POOL)),
    ROW("servers", "[POOL | POOL/SERVER]", "Servers with state, health and load", run_servers,
        WORDS(0, 2, WORD_SERVER), .options = servers_options),
    ROW("server add", "POOL URL", "Add a server to a pool", run_server_add,
        WORDS(2, 2, WORD_POOL, WORD_ANY), .writes = true, .options = add_options),
    ROW("server remove", "POOL/SERVER", "Drain a server, then remove it", run_server_remove,
        WORDS(1, 2, WORD_SERVER), .writes = true, .options = remove_options),
    ROW("server drain", "POOL/SERVER", "Give it no new sessions", run_server_state,
        WORDS(1, 2, WORD_SERVER), .writes = true, .options = drain_options),
    ROW("server ready", "POOL/SERVER", "Let it have requests", run_server_state,
        WORDS(1, 2, WORD_SERVER), .writes = true),
    ROW("server maintenance", "POOL/SERVER", "Give it no requests at all", run_server_state,
        WORDS(1, 2, WORD_SERVER), .writes = true),
    ROW("server weight", "POOL/SERVER N", "Set its weight, 0 to 1000", run_server_number,
        WORDS(2, 3, WORD_SERVER, WORD_ANY), .writes = true),
    ROW("server limit", "POOL/SERVER N", "Limit its requests in flight; 0: no limit",
        run_server_number, WORDS(2, 3, WORD_SERVER, WORD_ANY), .writes = true),
    ROW("pool balance", "POOL BALANCER [OPTION=VALUE ...]",
        "Give a pool another balancer, at once or after a trial", run_pool_balance,
        WORDS(2, CALL_WORDS, WORD_POOL, WORD_ANY), .writes = true, .options = balance_options),
    ROW("pool promote", "POOL", "End the trial of a balancer: it takes the other one's place",
        run_pool_promote, WORDS(1, 1, WORD_POOL)),
    ROW("pool rollback", "POOL", "Give a pool the balancer back that it had before the last trial",
        run_pool_rollback, WORDS(1, 1, WORD_POOL)),
    ROW("reload", "", "Take over the configuration files", run_reload, .maximum = 0),
    ROW("check", "", "Check the configuration files, and change nothing", run_check, .maximum = 0),
    ROW("export", "[FOLDER]", "Write files that equal what runs", run_export,
        WORDS(0, 1, WORD_FILE), .options = export_options),
    ROW("journal", "", "Who changed what, the newest first", run_journal,
        .options = journal_options),
    ROW("undo", "ID | last", "Take a change back", run_undo, WORDS(1, 1, WORD_ANY), .writes = true),
    ROW("confirm", "ID", "Keep a change that was made with --confirm", run_confirm,
        WORDS(1, 1, WORD_ANY)),
    ROW("modules", "", "Modules that run", run_modules, .options = modules_options),
    ROW("module enable", "NAME", "Put its file into conf.d, and reload", run_module_enable,
        WORDS(1, 1, WORD_MODULE), .options = module_options),
    ROW("module disable", "NAME", "Take its file out of conf.d, and reload", run_module_disable,
        WORDS(1, 1, WORD_MODULE), .options = module_options),
    ROW("module show", "NAME", "What a module's hooks cost, and how they fail", run_module_show,
        WORDS(1, 1, WORD_MODULE)),
    ROW("module retry", "NAME", "Use a module again that is out for too many strikes",
        run_module_retry, WORDS(1, 1, WORD_MODULE), .writes = true),
    ROW("module release", "NAME",
        "End the quarantine of a module that Weir has died in, and reload", run_module_release,
        WORDS(1, 1, WORD_MODULE)),
    ROW("module new", "NAME", "Make a folder with a module of your own, from a template",
        run_module_new, WORDS(1, 1, WORD_ANY), .options = new_options),
    ROW("module swap", "NAME", "Put another copy of a module in force, at once or after a trial",
        run_module_swap, WORDS(1, 1, WORD_MODULE), .options = swap_options),
    ROW("module promote", "NAME", "End the trial of a copy: it takes the other one's place",
        run_module_promote, WORDS(1, 1, WORD_MODULE)),
    ROW("module rollback", "NAME", "Put the copy before the last swap in force again",
        run_module_rollback, WORDS(1, 1, WORD_MODULE)),
    ROW("module check", "FILE", "Hold a module's file to its contract, without a running Weir",
        run_module_check, WORDS(0, 1, WORD_FILE), .options = check_options),
    ROW("routes", "", "Routes with their pools and rates", run_routes, .maximum = 0),
    ROW("listeners", "", "Listeners with addresses and rates", run_listeners, .maximum = 0),
    ROW("certificates", "", "Certificates and when they end", run_certificates, .maximum = 0),
    ROW("explain", "[METHOD] URL", "Where a request would go, and why", run_explain,
        WORDS(1, 2, WORD_ANY, WORD_ANY), .options = explain_options),
    ROW("events", "", "Follow changes as they happen", run_events, .options = events_options),
    ROW("user list", "", "Users with their roles", run_user_list, .maximum = 0),
    ROW("user add", "NAME", "Add a user", run_user_add, WORDS(1, 1, WORD_ANY), .writes = true,
        .options = user_add_options),
    ROW("user remove", "NAME", "Remove a user, with all tokens", run_user_remove,
        WORDS(1, 1, WORD_USER), .writes = true),
    ROW("user role", "NAME ROLE", "Give a user another role", run_user_role,
        WORDS(2, 2, WORD_USER, WORD_ROLE), .writes = true),
    ROW("user password", "NAME", "Ask for a user's new password", run_user_password,
        WORDS(1, 1, WORD_USER)),
    ROW("user token", "NAME", "Make a token, which is shown once", run_user_token,
        WORDS(1, 1, WORD_USER), .options = token_options),
    ROW("user revoke", "NAME ID", "Take a token back", run_user_revoke,
        WORDS(2, 2, WORD_USER, WORD_ANY)),
    ROW("admin-token renew", "", "Make another administrator's token, which is shown once",
        run_admin_token_renew, .maximum = 0),
    ROW("admin-token revoke", "", "Revoke the administrator's token", run_admin_token_revoke,
        .maximum = 0),
    ROW("call", "[OPERATION [NAME=VALUE ...]]", "Any operation of the API, a module's too",
        run_call, WORDS(0, CALL_WORDS, WORD_ANY, WORD_ANY), .writes = true),
    ROW("top", "", "Watch pools and servers live", run_top, .options = top_options),
    ROW("help", "[COMMAND]", "How a command is used", run_help,
        WORDS(0, 2, WORD_COMMAND, WORD_COMMAND)),
};

const size_t command_count = COUNT(commands);

/* ---- calls ---- */

const char *call_option(const struct call *call, const char *name)
{
    for (size_t i = call->given_count; i-- > 0;) {
        if (strcmp(call->given[i].row->name, name) == 0) {
            return call->given[i].value;
        }
    }
    return NULL;
}

static void print_synopsis(FILE *to, const struct command *command)
{
    fprintf(to, "usage: weirctl %s%s%s\n", command->name, *command->arguments != '\0' ? " " : "",
            command->arguments);
}

enum outcome call_misused(const struct call *call, const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    complain("%s", len >= 0 ? text : format);
    free(len >= 0 ? text : NULL);
    if (call->command != NULL) {
        print_synopsis(stderr, call->command);
    }
    return MISUSED;
}

bool call_printed(const struct call *call, const struct answer *answer)
{
    if (call->api.json) {
        answer_print(answer);
    }
    return call->api.json;
}

enum outcome call_get(struct call *call, const char *path, struct answer *answer)
{
    enum outcome outcome = api_call(&call->api, "GET", path, NULL, answer);

    if (outcome == DONE && call_printed(call, answer)) {
        cJSON_Delete(answer->json);
        answer->json = NULL;
    }
    return outcome;
}

enum outcome call_list(struct call *call, const char *path, const struct column *columns,
                       size_t count)
{
    struct answer answer;
    enum outcome outcome = call_get(call, path, &answer);

    if (outcome == DONE && answer.json != NULL) {
        print_list(columns, count, json_at(answer.json, "entries"));
    }
    answer_clear(&answer);
    return outcome;
}

enum outcome call_send(struct call *call, const char *method, cJSON *body,
                       void (*tell)(const struct call *call, const struct answer *answer),
                       const char *pattern, ...)
{
    struct answer answer;
    struct text path = {0};
    va_list args;

    va_start(args, pattern);
    api_vpath(&path, pattern, args);
    va_end(args);
    enum outcome outcome = api_call(&call->api, method, text_get(&path), body, &answer);
    if (outcome == DONE && !call_printed(call, &answer)) {
        tell(call, &answer);
    }
    cJSON_Delete(body);
    text_clear(&path);
    answer_clear(&answer);
    return outcome;
}

void call_add_texts(const struct call *call, cJSON *body, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (call_option(call, *names) != NULL) {
            cJSON_AddStringToObject(body, *names, call_option(call, *names));
        }
    }
}

/* ---- finding ---- */

const struct command *find_command(const char *const *words, size_t count, size_t *used)
{
    for (size_t i = 0; i < command_count; i++) {
        const char *name = commands[i].name;
        size_t first = strcspn(name, " ");
        if (count == 0 || strlen(words[0]) != first || strncmp(words[0], name, first) != 0) {
            continue;
        }
        if (name[first] == '\0') {
            *used = 1;
            return &commands[i];
        }
        if (count > 1 && strcmp(words[1], name + first + 1) == 0) {
            *used = 2;
            return &commands[i];
        }
    }
    return NULL;
}

const struct option_row *find_option(const struct option_row *rows, const char *name, size_t len)
{
    for (; rows != NULL && rows->name != NULL; rows++) {
        if ((len == 1 && rows->letter == name[0]) ||
            (len > 1 && strlen(rows->name) == len && strncmp(rows->name, name, len) == 0)) {
            return rows;
        }
    }
    return NULL;
}

/* ---- usage ---- */

static void print_options(FILE *to, const struct option_row *options)
{
    for (; options->name != NULL; options++) {
        char left[64];
        char letter[8] = "";
        if (options->letter != 0) {
            snprintf(letter, sizeof(letter), "-%c, ", options->letter);
        }
        snprintf(left, sizeof(left), "%s--%s%s%s", letter, options->name,
                 options->value != NULL ? " " : "", options->value != NULL ? options->value : "");
        fprintf(to, "  %-24s %s\n", left, options->document);
    }
}

void print_usage(FILE *to)
{
    fputs("usage: weirctl [OPTION ...] COMMAND [ARGUMENT ...]\n"
          "Shows and changes a running Weir.\n\nCommands:\n",
          to);
    for (size_t i = 0; i < command_count; i++) {
        char left[64];
        snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].arguments);
        fprintf(to, "  %-32s %s\n", left, commands[i].summary);
    }
    fputs("\nOptions:\n", to);
    print_options(to, global_options);
    fputs("\nweirctl help COMMAND tells a command's own options; weirctl(1) tells the rest.\n"
          "Exit codes: 0 done; 1 refused or failed; 2 used wrongly; 3 Weir cannot be reached;\n"
          "4 not allowed.\n",
          to);
}

void print_command_usage(FILE *to, const struct command *command)
{
    print_synopsis(to, command);
    fprintf(to, "%s.\n", command->summary);
    if (command->options != NULL) {
        fputs("\nOptions of its own:\n", to);
        print_options(to, command->options);
    }
    fputs("\nOptions of every command:\n", to);
    print_options(to, global_options);
}

enum outcome run_help(struct call *call)
{
    size_t used = 0;

    if (call->count == 0) {
        print_usage(stdout);
        return DONE;
    }
    const struct command *command = find_command(call->words, (size_t)call->count, &used);
    if (command != NULL) {
        print_command_usage(stdout, command);
        return DONE;
    }
    bool found = false;
    size_t len = strlen(call->words[0]);
    for (size_t i = 0; i < command_count && call->count == 1; i++) {
        if (strncmp(commands[i].name, call->words[0], len) == 0 && commands[i].name[len] == ' ') {
            print_command_usage(stdout, &commands[i]);
            putchar('\n');
            found = true;
        }
    }
    return found ? DONE : call_misused(call, "there is no command \"%s\"", call->words[0]);
}
