/* SPDX-License-Identifier: MIT */
/*
 * Two rounds over all loops. See apply.h.
 */
#include "control/apply.h"

#include <stdio.h>
#include <stdlib.h>

#include "control/loops.h"

struct apply {
    struct runtime *runtime;
    struct generation *generation;
    apply_gate_fn gate; /* NULL: none */
    apply_fn fn;
    void *arg;
    atomic_flag failed; /* whoever sets it writes `error` */
    char error[512];    /* empty: no failure */
};

static void fail(struct apply *apply, const char *error)
{
    if (!atomic_flag_test_and_set(&apply->failed)) {
        snprintf(apply->error, sizeof(apply->error), "%s", error);
    }
}

static void commit(struct worker *worker, void *arg)
{
    const struct apply *apply = arg;
    worker_commit(worker, apply->generation->plan);
}

static void abandon(struct worker *worker, void *arg)
{
    const struct apply *apply = arg;
    generation_abandon(apply->generation, worker);
}

static void finished(void *arg)
{
    struct apply *apply = arg;
    apply->fn(apply->arg, apply->generation, apply->error[0] != '\0' ? apply->error : NULL);
    free(apply);
}

void apply_pass(struct apply *apply, const char *error)
{
    if (error != NULL) {
        fail(apply, error);
    }
    loops_do(apply->runtime, apply->runtime->workers + 1,
             apply->error[0] != '\0' ? abandon : commit, finished, apply);
}

static void prepare(struct worker *worker, void *arg)
{
    struct apply *apply = arg;
    char error[256];

    if (!generation_prepare(apply->generation, worker, error, sizeof(error))) {
        fail(apply, error);
    }
}

static void prepared(void *arg)
{
    struct apply *apply = arg;

    if (apply->error[0] == '\0' && apply->gate != NULL) {
        apply->gate(apply->arg, apply);
    } else {
        apply_pass(apply, NULL);
    }
}

struct generation *apply_generation(const struct apply *apply)
{
    return apply->generation;
}

void apply_begin(struct runtime *runtime, struct generation *generation, apply_gate_fn gate,
                 apply_fn fn, void *arg)
{
    struct apply *apply = base_zalloc(sizeof(*apply));

    *apply = (struct apply){runtime, generation, gate, fn, arg, ATOMIC_FLAG_INIT, ""};
    loops_do(runtime, runtime->workers + 1, prepare, prepared, apply);
}
