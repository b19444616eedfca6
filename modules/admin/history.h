/* SPDX-License-Identifier: MIT */
/*
 * What the counters did lately: rates, percentiles, and the last hour, sampled once a second.
 * Control thread.
 *
 * Memory is fixed. The total and each pool keep 900 samples of a second and 720 of five seconds (38
 * KiB); each server keeps 720 of five seconds (17 KiB); each of these, listeners and routes also
 * keeps 13 marks of its histogram (6 KiB) for the percentiles of the last minute. At most
 * HISTORY_POOLS_MAX pools and HISTORY_SERVERS_MAX servers have a history: 1,000 servers take 23
 * MiB. Those beyond have rates alone.
 */
#ifndef ADMIN_HISTORY_H
#define ADMIN_HISTORY_H

#include <weir/control.h>
#include <weir/json.h>

#define HISTORY_SECONDS     900u
#define HISTORY_COARSE      720u /* of HISTORY_STEP seconds */
#define HISTORY_STEP        5u
#define HISTORY_MARKS       13u
#define HISTORY_POOLS_MAX   256u
#define HISTORY_SERVERS_MAX 1024u
#define HISTORY_SERIES_MAX  16384u

struct history;

/* NULL: no memory. */
struct history *history_new(void);
void history_free(struct history *history);

/* Once a second. `second` is a monotonic clock's. */
void history_sample(struct history *history, struct weir_context *ctx, uint64_t second,
                    uint64_t wall_ms);

/* Of a listener, route, pool, or server (of `pool`), or of the process; zeros and NaNs where it is
 * not known (yet). */
void history_rates(const struct history *history, enum weir_stats_kind kind, struct weir_str pool,
                   struct weir_str name, struct weir_rates *out);

/* The answer of /stats/history: the last `seconds` of comma-separated series. false: `error` says
 * which one is wrong. */
bool history_json(const struct history *history, struct weir_str series, unsigned seconds,
                  struct weir_buffer *out, char *error, size_t error_size);

#endif
