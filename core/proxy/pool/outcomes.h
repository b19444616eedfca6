/* SPDX-License-Identifier: MIT */
/*
 * Reports outcomes of requests to health modules (on_outcomes). Each loop records the outcomes of
 * each server in order, as runs of equal ones, and sends them to the control thread: at once after
 * a failure, else ten times a second. A pool without such a module has no notes; a request there
 * costs one check of a pointer.
 */
#ifndef PROXY_POOL_OUTCOMES_H
#define PROXY_POOL_OUTCOMES_H

#include <weir/health.h>

#include "net/loop.h"

struct pool;
struct pool_local;
struct server;
struct server_local;

/* Runs a report can hold; further outcomes are added to the latest run of their kind. */
#define OUTCOME_RUNS 24

/* One loop's notes on one server since its last report. Thread: that loop. */
struct outcome_notes {
    const struct server *server;
    struct list dirty; /* in pool_local.dirty_notes: there is something to report */
    uint32_t run_count;
    struct weir_outcome_run runs[OUTCOME_RUNS];
};

struct outcome_entry {
    weir_server_id id;
    uint32_t run_count;
    struct weir_outcome_run runs[OUTCOME_RUNS];
};

struct outcome_sink;

/* From a worker to the control thread, which frees it. */
struct outcome_report {
    struct message message;
    const struct outcome_sink *sink;
    const struct pool *pool; /* compared only: it may be freed */
    uint32_t worker;
    size_t count;
    struct outcome_entry entries[];
};

/* The control thread's receiver of reports. */
struct outcome_sink {
    struct loop *loop;
    void (*report)(const struct outcome_sink *sink, const struct outcome_report *report);
};

/* Starts or stops recording for the pool's servers on its loop, as the plan asks. */
void outcomes_adopt(struct pool_local *local);
/* The server leaves this loop's plan. */
void outcomes_forget(struct server_local *server);

/* `server->notes` is not NULL. */
void outcomes_note(struct pool_local *local, struct server_local *server,
                   enum weir_outcome outcome);

void outcomes_init(struct pool_local *local);

#endif
