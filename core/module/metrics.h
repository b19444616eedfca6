/* SPDX-License-Identifier: MIT */
/*
 * Counters and gauges of modules. One is found by its module's name, its own and its type, as long
 * as a loaded copy of the module has it: copies that follow each other go on with its value.
 *
 * Thread: control thread; adding: any.
 */
#ifndef MODULE_METRICS_H
#define MODULE_METRICS_H

#include <weir/metric.h>

#include "base/list.h"

/* On a cache line of its own: its loop writes it. */
struct metric_cell {
    uint64_t value; /* wraps: a gauge may be added to on one loop and taken from on another */
} __attribute__((aligned(64)));

struct metric {
    struct list link;
    unsigned refs; /* copies of the module */
    unsigned loops;
    enum weir_metric_type type;
    char *module, *name;
    struct metric_cell *cells; /* one a loop */
};

/* The metric, from the list `all` or new there, with a reference for the caller. */
struct metric *metric_get(struct list *all, unsigned loops, const char *module,
                          const struct weir_metric *row);
/* Drops the reference; NULL is legal. */
void metric_unref(struct metric *metric);

static inline void metric_add(struct metric *metric, unsigned loop, int64_t n)
{
    __atomic_fetch_add(&metric->cells[loop].value, (uint64_t)n, __ATOMIC_RELAXED);
}

/* The sum of all loops. */
int64_t metric_value(const struct metric *metric);

#endif
