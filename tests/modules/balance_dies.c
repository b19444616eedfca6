/* SPDX-License-Identifier: MIT */
/*
 * A balancer that, while a file is there, does not come back from a hook, or ends the program.
 */
#include <weir/weir.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct conf {
    int32_t how, at;
    struct weir_str file;
};

enum how { SLEEPS, LOOPS, CRASHES, ABORTS, OVERFLOWS, TRAPS, EXITS, LEAVES };
static const char *const ways[] = {"sleeps", "loops", "crashes", "aborts", "overflows",
                                   "traps",  "exits", "leaves",  NULL};
enum at { PICK, CONF_CREATE, CREATE, CONF_FREE };
static const char *const places[] = {"pick", "conf_create", "create", "conf_free", NULL};

static const struct weir_option rows[] = {
    WEIR_OPTION_ENUM(struct conf, how, ways, "sleeps", WEIR_CONTEXT_POOL, WEIR_OPTION_RELOADABLE,
                     "What happens."),
    WEIR_OPTION_ENUM(struct conf, at, places, "pick", WEIR_CONTEXT_POOL, WEIR_OPTION_RELOADABLE,
                     "In which hook."),
    WEIR_OPTION(struct conf, file, STRING, NULL, WEIR_CONTEXT_POOL, WEIR_OPTION_REQUIRED,
                "Only while it is there."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

static void maybe_die(const struct conf *conf, enum at at);

/* Asked for the pool's block, which has the file. */
static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf, void **prepared)
{
    (void)ctx;
    (void)check;
    *prepared = (void *)(uintptr_t)conf;
    maybe_die(conf, CONF_CREATE);
    return WEIR_OK;
}

static void conf_free(struct weir_context *ctx, void *prepared)
{
    (void)ctx;
    maybe_die(prepared, CONF_FREE);
}

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **out)
{
    (void)ctx;
    (void)prepared;
    maybe_die(conf, CREATE);
    *out = (void *)(uintptr_t)conf;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    (void)ctx;
    (void)instance;
}

static int deeper(int depth)
{
    volatile char room[65536];

    room[depth % 65536] = (char)depth;
    return depth < 0 ? 0 : deeper(depth + 1) + room[depth % 65536];
}

static void die(const struct conf *conf)
{
    volatile int *volatile nowhere = NULL;

    switch ((enum how)conf->how) {
    case SLEEPS:
        for (;;) {
            pause();
        }
    case LOOPS:
        for (volatile unsigned i = 0;; i++) {}
    case CRASHES: *nowhere = 1; return;
    case ABORTS: abort();
    case OVERFLOWS: deeper(0); return;
    case TRAPS: raise(SIGTRAP); return;
    case EXITS: exit(0);
    case LEAVES: pthread_exit(NULL);
    }
}

/* Whoever waits for it finds another file beside the first. */
static void say(const char *file)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s.now", file);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void maybe_die(const struct conf *conf, enum at at)
{
    if ((enum at)conf->at == at && conf->file.len > 0 && access(conf->file.ptr, F_OK) == 0) {
        say(conf->file.ptr);
        die(conf);
    }
}

static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *pick)
{
    (void)ctx;

    maybe_die(instance, PICK);
    for (uint32_t i = 0; i < pick->candidates->count; i++) {
        if (weir_pick_usable(pick, i)) {
            return i;
        }
    }
    return WEIR_PICK_NONE;
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .create = create,
    .destroy = destroy,
    .pick = pick,
};

WEIR_DEFINE_MODULE("balance_dies", "1.0", "MIT", "Does not come back, or ends the program",
                   .options = &options, .conf_create = conf_create, .conf_free = conf_free,
                   .balancer = &balancer);
