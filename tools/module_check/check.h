/* SPDX-License-Identifier: MIT */
/*
 * weir-module-check: holds a module to its contract. Nothing of the module runs in the program
 * itself: each test is a child process (child.c), which writes what it finds into a file that the
 * parent reads when the child has ended, crashed or been stopped.
 */
#ifndef MODULE_CHECK_H
#define MODULE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include <weir/testing.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what is asked for: main.c ---- */

struct command {
    const char *file;
    const char *name;   /* what the report calls it */
    const char *source; /* --sanitize; NULL: none */
    const char *conf;   /* the inside of the kind's block; NULL: found out */
    uint64_t seeds, seed;
    uint64_t timeout_ms; /* of one life of the module */
    bool json;
    char folder[64]; /* for the module's files */
};

/* ---- elf.c: symbols, without running anything ---- */

struct elf_symbol {
    const char *name;
    uintptr_t from, to;
    bool exported, undefined, weak, function;
};

struct elf_file {
    char *bytes;
    size_t size;
    struct elf_symbol *symbols; /* of the dynamic table, then of the full one, if it is there */
    size_t dynamic_count, count;
    const char *needed[64];
    size_t needed_count;
};

/* NULL: read; else what is wrong with the file. */
const char *elf_read(struct elf_file *elf, const char *path);
void elf_free(struct elf_file *elf);
/* The function in which an offset lies; NULL: not known. */
const struct elf_symbol *elf_function(const struct elf_file *elf, uintptr_t offset);

/* ---- child.c ---- */

enum child_end { CHILD_DONE, CHILD_CRASHED, CHILD_HUNG };

/* What became of a test. */
struct child {
    enum child_end end;
    int signal;          /* CRASHED: the signal; 0: it ended by itself */
    uint64_t seed;       /* it was at */
    const char *hook;    /* that ran, or had run last; NULL: none */
    bool in_hook;        /* it ran */
    uintptr_t offset;    /* in the module, of the innermost call there; 0: not known */
    const void *address; /* of a fault */
    const char *lent;    /* what was there, if it was lent */
    cJSON *lines;        /* an array: what the child told */
    char *errors;        /* what it wrote to standard error */
};

/* What a test gets. */
struct job {
    const struct command *command;
    const char *path; /* of the module */
    int kind;         /* enum weir_test_kind */
    const char *conf; /* a configuration that the module takes */
};

/* Runs `test` in a child, for as long as it goes on within the command's timeout. */
void child_run(struct child *child, const struct job *job, void (*test)(const struct job *job));
void child_clear(struct child *child);

/* In the child: */
/* The module, loaded; a failure is told and ends the child. */
const struct weir_module *child_load(const struct job *job);
void child_at_seed(uint64_t seed);
/* The test has come further: the timeout begins anew. */
void child_beats(void);
/* Whether calls that wait or take long are told, which ends the test. */
void child_watch_calls(bool on);
/* Tells of a mistake: what it is, where (NULL: the hook that ran last), and what would be right. */
void tell(const char *where, const char *right, const char *format, ...) WEIR_PRINTF(3, 4);
void tell_fact(const char *name, cJSON *value);

/* ---- conf.c: configurations ---- */

uint64_t random_next(uint64_t *state);
static inline uint32_t random_below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)((random_next(state) >> 32) * limit >> 32);
}
static inline bool chance(uint64_t *state, uint32_t percent)
{
    return random_below(state, 100) < percent;
}

/* Where a block of that kind stands. */
enum weir_option_context context_of(const struct weir_module *module, int kind);
/* Options of the table, at random; those that are required are always there. `part`: of the others,
 * how many of 100. Text in `out`. */
void random_conf(const struct weir_options *table, uint32_t context, uint32_t part,
                 const char *folder, uint64_t *random, char *out, size_t size);
/* What a host knows that modules ask for in conf_create. */
void furnish(struct weir_test *host, const struct command *command);
/* Makes the module's own block, where the kind's is another, with what is required. */
bool module_block(struct weir_test *host, const struct weir_module *module, int kind,
                  const struct command *command);

/* ---- tests, each run by child_run ---- */

void test_symbols(const struct job *job);  /* symbols.c: what nobody can give */
void test_describe(const struct job *job); /* describe.c: descriptor and options; facts */
void test_conf(const struct job *job);     /* conf.c: a configuration to go on with: fact `conf` */
void test_options(const struct job *job);  /* conf.c: mistakes in options */
void test_contract(const struct job *job); /* contract.c */
void test_leaks(const struct job *job);    /* leaks.c */
void test_timing(const struct job *job);   /* timing.c: fact `calls` */

/* One life of a host: block, instances, and `steps` calls. */
struct life {
    const struct job *job;
    const struct weir_module *module;
    struct weir_test *host;
    struct weir_test_block *block;
    uint64_t random;
    uint32_t steps;
    bool failures; /* memory and files are not always there */
};

/* How far a life goes. */
enum depth { DEPTH_LOAD, DEPTH_CONF, DEPTH_INSTANCE, DEPTH_CALLS };
void live(const struct job *job, const struct weir_module *module, uint64_t seed, uint32_t steps,
          enum depth depth);
extern const char *const kind_names[];

/* An instance; NULL where memory was to be short. A failure without a cause is told. */
struct weir_test_instance *make_instance(struct life *life, struct weir_test_block *block);
/* Sometimes, where failures are wanted, lets one of the next allocations fail. */
void maybe_fail(struct life *life);
void live_balancer(struct life *life); /* balancers.c */
void live_router(struct life *life);   /* messages.c */
void live_filter(struct life *life);
void live_sticky(struct life *life);
void live_handler(struct life *life);
void live_logger(struct life *life);
void live_health(struct life *life); /* services.c */
void live_store(struct life *life);
void live_control(struct life *life);
struct weir_request *random_request(struct life *life);

/* Growth by life of memory, files and threads. */
struct growth {
    double bytes, files, threads;
};
struct growth measure_growth(void (*once)(void *arg), void *arg);
/* Tells what grows more than `before` did. */
void tell_growth(const struct growth *before, const struct growth *now, const char *where,
                 const char *right);

/* ---- sanitize.c ---- */

/* Builds the source with sanitizers into the folder, and runs this program on it: the exit
 * status. */
int sanitize(struct command *command);
/* In the environment of such a run: the source. */
#define SANITIZED "WEIR_MODULE_CHECK_SANITIZED"
/* Whether this is such a run, or the program itself is built so. */
bool sanitized(void);

/* ---- report.c ---- */

struct report {
    const struct command *command;
    const struct elf_file *elf;
    cJSON *facts, *checks, *findings;
};

void report_begin(struct report *report, const struct command *command, const struct elf_file *elf);
/* Takes over what a test found; `name` is the test's. Whether it is good. */
bool report_take(struct report *report, const char *name, struct child *child);
void report_add(struct report *report, const char *check, const char *what, const char *where,
                const char *right);
/* Prints it; the exit status. */
int report_end(struct report *report);

#endif
