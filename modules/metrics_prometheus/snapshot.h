/* SPDX-License-Identifier: MIT */
/*
 * The numbers of one scrape, copied at one moment, so that they stay together while a slow client
 * reads them. What is above the limit of a kind is summed into one more object of that kind.
 */
#ifndef METRICS_SNAPSHOT_H
#define METRICS_SNAPSHOT_H

#include <weir/weir.h>

#define KIND_COUNT   (WEIR_STATS_SERVER + 1)
#define BUCKET_LIMIT 24
#define REASON_LIMIT 64

/** A histogram with fewer buckets than the host's, cumulative, as Prometheus has them. */
struct buckets {
    uint64_t below[BUCKET_LIMIT]; /**< by snapshot.bounds */
    uint64_t count;
    double sum; /**< seconds */
};

/** One listener, route, pool or server; or the process. */
struct object {
    enum weir_stats_kind kind;
    bool other; /**< the sum of what is above the limit: only counters and sums mean anything */
    size_t label_at; /**< its labels, `pool="a",server="b"`, in snapshot.labels */
    size_t label_len;
    uint64_t requests;
    uint64_t status[6];
    uint64_t errors[REASON_LIMIT];
    uint64_t bytes_in, bytes_out, retries, connections, abusive, odd_points;
    uint64_t protocols[WEIR_PROTOCOLS];
    uint64_t grpc[WEIR_GRPC_ENDS];
    uint64_t h2_connections, h2_open, h2_streams;
    uint64_t in_flight, queued, open;
    struct buckets total, first_byte, connect;
    enum weir_stats_health health;
    enum weir_stats_state state;
    double weight, effective_weight;
    uint64_t max_connections;
    uint64_t servers, servers_up;
    bool sticky;
    uint64_t sessions;
    bool has_shadow;                 /**< the pool, or that of the server */
    struct weir_shadow_stats shadow; /**< but for `out` */
    uint64_t shadow_out;
};

/** Of a module: its own, or what the host has counted of it. */
struct metric {
    size_t name_at, help_at; /**< in snapshot.labels, ended by NUL; the name is the family's */
    size_t label_at, label_len;
    bool follows; /**< in the family of the one before */
    enum weir_metric_type type;
    int64_t value; /**< its own */
    double number; /**< the host's */
    bool own;
};

struct snapshot {
    struct weir_buffer labels; /**< and other texts */
    struct object *objects;
    size_t count;
    size_t room;
    size_t first[KIND_COUNT + 1]; /**< objects of kind k: first[k] .. first[k + 1] - 1 */
    double bounds[BUCKET_LIMIT];  /**< seconds, ascending */
    size_t bound_count;
    struct weir_str reasons[REASON_LIMIT]; /**< static strings; [0] is no reason */
    size_t reason_count;
    uint64_t summed[KIND_COUNT];    /**< objects that are under "other" */
    size_t version_at, version_len; /**< Weir's version, escaped, in `labels` */
    uint64_t start_wall_ms, generation, log_dropped;
    uint64_t reloads, reloads_refused, reloaded_wall_ms;
    bool reload_refused;
    uint32_t workers;
    struct metric *metrics;
    size_t metric_count;
};

/** Copies what runs; at most `limit` objects a kind have a name of their own. NULL: no memory.
 * Owner: the caller. */
struct snapshot *snapshot_take(struct weir_context *ctx, uint64_t limit);

void snapshot_free(struct snapshot **snapshot);

#endif
