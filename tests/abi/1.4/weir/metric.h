/* SPDX-License-Identifier: MIT */
/*
 * Metrics: counters and gauges of a module's own, declared in its descriptor. The host keeps them,
 * and shows them under the module's name: metrics_prometheus as
 * `weir_module_<module>_<name>` (of counters with `_total`), the API and the control panel with the
 * module. Since ABI 1.4.
 *
 *     enum { KEPT, WAITING };
 *     static const struct weir_metric rows[] = {
 *         [KEPT] = {"kept", WEIR_COUNTER, "Requests that were kept."},
 *         [WAITING] = {"waiting", WEIR_GAUGE, "Requests that wait now."},
 *     };
 *     static const struct weir_metrics metrics = WEIR_METRICS(rows);
 *     ...
 *     weir_count(ctx, KEPT, 1);
 *
 * A metric belongs to the module, not to an instance: all instances on all loops add to the same
 * number. It begins at zero and lives as long as a loaded copy of the module has a row of its name
 * and type: over reloads, and over the exchange of the module's file, when two copies add to it.
 */
#ifndef WEIR_METRIC_H
#define WEIR_METRIC_H

#include <weir/host.h>

WEIR_BEGIN_DECLS

enum weir_metric_type {
    WEIR_COUNTER = 0, /**< only grows */
    WEIR_GAUGE = 1,   /**< how many there are now: what is added has to be taken back */
};

/** A row. Its layout does not change. */
struct weir_metric {
    /** Lower-case letters, digits and `_`; begins with a letter; at most 63; unique in the module.
     * Ends with the unit where there is one: `input_bytes`. Endings that exporters add are refused:
     * _total, _info, _created, _bucket, _count, _sum. */
    const char *name;
    enum weir_metric_type type;
    const char *help; /**< one sentence, in one line */
};

/** A module has at most so many. */
#define WEIR_METRICS_MAX 64u

/** The table. A metric's number is its row's index. */
struct weir_metrics {
    uint32_t size;  /**< sizeof(struct weir_metrics) */
    uint32_t count; /**< number of rows */
    const struct weir_metric *rows;
};

/** The table of `rows_`, an array. */
#define WEIR_METRICS(rows_)                                                       \
    {                                                                             \
        sizeof(struct weir_metrics), sizeof(rows_) / sizeof((rows_)[0]), (rows_), \
    }

/** Adds to a counter. In any hook, on the hook's thread; costs some nanoseconds, since each loop
 * has a cell of its own. Hooks of a dry run do not count. A number without a row is a fault. */
static inline void weir_count(struct weir_context *ctx, uint32_t metric, uint64_t n)
{
    ctx->host->metric_add(ctx, metric, (int64_t)n);
}

/** Adds to a gauge, or takes away from it (on any loop); else as weir_count. An instance takes back
 * all that it has added before it is destroyed. */
static inline void weir_gauge_add(struct weir_context *ctx, uint32_t metric, int64_t n)
{
    ctx->host->metric_add(ctx, metric, n);
}

WEIR_END_DECLS

#endif
