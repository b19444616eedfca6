/* SPDX-License-Identifier: MIT */
/*
 * Takes its time to stop on the first worker: as long as the file is there, for some seconds at
 * most. What the loops do one after the other when a generation goes can be looked at meanwhile.
 */
#include <weir/weir.h>

#include <stdio.h>
#include <time.h>
#include <unistd.h>

struct conf {
    struct weir_str file;
};

static const struct weir_option rows[] = {
    WEIR_OPTION(struct conf, file, STRING, NULL, WEIR_CONTEXT_MODULE, WEIR_OPTION_RELOADABLE,
                "It stops once this is gone."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

static char path[256]; /* worker_stop has no configuration any more */

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *data, void **prepared)
{
    const struct conf *conf = data;
    (void)ctx;
    (void)check;
    (void)prepared;
    snprintf(path, sizeof(path), "%.*s", (int)conf->file.len, conf->file.ptr);
    return WEIR_OK;
}

/* Without it there is nothing to stop. */
static enum weir_status worker_start(struct weir_context *ctx, const void *conf, void *prepared)
{
    (void)ctx;
    (void)conf;
    (void)prepared;
    return WEIR_OK;
}

static void worker_stop(struct weir_context *ctx)
{
    const struct timespec pause = {.tv_nsec = 10000000};

    if (weir_worker_index(ctx) != 0) {
        return;
    }
    weir_log(ctx, WEIR_LOG_NOTICE, "lingers");
    for (int i = 0; i < 300 && access(path, F_OK) == 0; i++) {
        nanosleep(&pause, NULL);
    }
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .flags = WEIR_BALANCER_TURNS, /* a module is of some kind; it is used for none */
};

WEIR_DEFINE_MODULE("lingers", "1.0", "MIT", "Takes its time to stop", .options = &options,
                   .conf_create = conf_create, .worker_start = worker_start,
                   .worker_stop = worker_stop, .balancer = &balancer);
