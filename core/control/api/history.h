/* SPDX-License-Identifier: MIT */
/*
 * Recent statistics: rates, percentiles, and the last hour. Sampled once a second by the control
 * thread, which only reads the workers' counters.
 *
 * Memory is fixed. The total and each pool keep 900 samples of a second and 720 of five seconds (38
 * KiB); each server keeps 720 of five seconds (17 KiB); each of these, listeners and routes also
 * keeps 13 marks of its histogram (6 KiB) for the percentiles of the last minute. At most
 * HISTORY_POOLS_MAX pools and HISTORY_SERVERS_MAX servers have a history: 1,000 servers take 23
 * MiB. Those beyond have rates alone.
 */
#ifndef CONTROL_API_HISTORY_H
#define CONTROL_API_HISTORY_H

#include <cjson/cJSON.h>

#include "proxy/runtime.h"

#define HISTORY_SECONDS     900u
#define HISTORY_COARSE      720u /* of HISTORY_STEP seconds */
#define HISTORY_STEP        5u
#define HISTORY_MARKS       13u
#define HISTORY_POOLS_MAX   256u
#define HISTORY_SERVERS_MAX 1024u
#define HISTORY_SERIES_MAX  16384u

struct history;

/* One second, or HISTORY_STEP of them. NaN: no data. */
struct sample {
    float rate, errors_rate, in_flight, p50, p95, p99;
};

struct rates {
    double requests, errors, bytes_in, bytes_out; /* per second, over about the last five */
};

struct latency {
    double p50, p95, p99; /* milliseconds; NaN: nothing was measured */
};

struct history *history_new(void);
void history_free(struct history **history);

/* Once a second. `second` is a monotonic clock's. */
void history_sample(struct history *history, const struct generation *generation, uint64_t second,
                    uint64_t wall_ms);

/* Keys of series: an object has the same key as long as it keeps its name. */
#define HISTORY_TOTAL UINT64_C(1)
uint64_t history_key_pool(const char *pool);
uint64_t history_key_listener(const char *name);
uint64_t history_key_route(const char *name);
/* Servers: their id. */

/* Zeros and NaNs if the key is unknown. */
struct rates history_rates(const struct history *history, uint64_t key);
struct latency history_minute(const struct history *history, uint64_t key);
/* Of the last five seconds or so. */
struct latency history_recent(const struct history *history, uint64_t key);
/* Errors as a share of the last minute's requests; NaN: there were none. */
double history_error_share(const struct history *history, uint64_t key);

/* Whether no request has ended there in the last minute. */
bool history_quiet(const struct history *history, uint64_t key);

/* The answer of /stats/history; NULL: `error` says which series is wrong. */
cJSON *history_json(const struct history *history, const char *series, unsigned seconds,
                    char *error, size_t error_size);

#endif
