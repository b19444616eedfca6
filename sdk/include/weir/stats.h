/* SPDX-License-Identifier: MIT */
/*
 * Statistics: the numbers of the process, listeners, routes, pools and servers, summed over all
 * workers. For handlers that export them. Since ABI 1.2.
 *
 * Thread: the control thread's loop. Reading costs some microseconds a row; workers are not
 * disturbed.
 */
#ifndef WEIR_STATS_H
#define WEIR_STATS_H

#include <weir/metric.h>

WEIR_BEGIN_DECLS

/** Times in buckets. Counts are of each bucket, not cumulative, and only grow. */
struct weir_histogram {
    uint32_t size;
    uint32_t bound_count;
    const double *bounds; /**< upper bounds, seconds, ascending; each bucket ends below its bound */
    const uint64_t *counts; /**< bound_count + 1: the last is what is at or above the last bound */
    uint64_t count;         /**< of all */
    double sum;             /**< seconds */
};

/** Versions of HTTP: `weir_traffic.protocols` has a count of each. */
enum weir_protocol {
    WEIR_PROTOCOL_NONE = 0, /**< a head that was refused or cut before its version */
    WEIR_PROTOCOL_HTTP_1_0 = 1,
    WEIR_PROTOCOL_HTTP_1_1 = 2,
    WEIR_PROTOCOL_HTTP_2 = 3,
};
#define WEIR_PROTOCOLS 4

/** How gRPC calls end: with a status, 0 to 16, or (17) without any. */
#define WEIR_GRPC_ENDS 18

/** Counters since the start of the program (or of what is counted). */
struct weir_traffic {
    uint32_t size;
    uint32_t reason_count; /**< entries of `errors` */
    uint64_t requests;     /**< finished */
    uint64_t status[6];    /**< [1]..[5]: by class of the answer's status; [0]: ended without any */
    uint64_t bytes_in;     /**< from clients (of servers: to them) */
    uint64_t bytes_out;    /**< to clients (of servers: from them) */
    uint64_t retries;
    uint64_t connections;                 /**< accepted, or opened to servers */
    const uint64_t *errors;               /**< by reason, see weir_reason_name; [0] is no reason */
    const struct weir_histogram *connect; /**< new connections to servers */
    const struct weir_histogram *first_byte; /**< from assignment to the response's first byte */
    const struct weir_histogram *total;      /**< from the request's first byte to the end */
    uint64_t abusive;    /**< listeners, servers: connections ended for abuse. Since 1.4 */
    uint64_t odd_points; /**< listeners, servers: what counts towards it. Since 1.4 */
    /** By enum weir_protocol: requests by what the client spoke; of servers: requests that began
     * there, by what was spoken to them. Since 1.4. */
    uint64_t protocols[WEIR_PROTOCOLS];
    uint64_t grpc[WEIR_GRPC_ENDS]; /**< gRPC calls by their end; not of servers. Since 1.4 */
    uint64_t
        h2_connections;  /**< of `connections`, those of HTTP/2; listeners, servers. Since 1.4 */
    uint64_t h2_open;    /**< how many of these are open now. Since 1.4 */
    uint64_t h2_streams; /**< requests that run on them now. Since 1.4 */
};

/** `HTTP/2`, as WEIR_REQUEST_PROTOCOL has it; WEIR_PROTOCOL_NONE, or out of range: `none`.
 * Static. */
static inline struct weir_str weir_protocol_name(uint32_t protocol)
{
    static const struct weir_str names[WEIR_PROTOCOLS] = {
        WEIR_STR_INIT("none"), WEIR_STR_INIT("HTTP/1.0"), WEIR_STR_INIT("HTTP/1.1"),
        WEIR_STR_INIT("HTTP/2")};
    return names[protocol < WEIR_PROTOCOLS ? protocol : 0];
}

/** The word of a gRPC status, such as `UNAVAILABLE`; out of range: `none`. Static. */
static inline struct weir_str weir_grpc_name(uint32_t status)
{
    static const struct weir_str names[WEIR_GRPC_ENDS] = {
        WEIR_STR_INIT("OK"),
        WEIR_STR_INIT("CANCELLED"),
        WEIR_STR_INIT("UNKNOWN"),
        WEIR_STR_INIT("INVALID_ARGUMENT"),
        WEIR_STR_INIT("DEADLINE_EXCEEDED"),
        WEIR_STR_INIT("NOT_FOUND"),
        WEIR_STR_INIT("ALREADY_EXISTS"),
        WEIR_STR_INIT("PERMISSION_DENIED"),
        WEIR_STR_INIT("RESOURCE_EXHAUSTED"),
        WEIR_STR_INIT("FAILED_PRECONDITION"),
        WEIR_STR_INIT("ABORTED"),
        WEIR_STR_INIT("OUT_OF_RANGE"),
        WEIR_STR_INIT("UNIMPLEMENTED"),
        WEIR_STR_INIT("INTERNAL"),
        WEIR_STR_INIT("UNAVAILABLE"),
        WEIR_STR_INIT("DATA_LOSS"),
        WEIR_STR_INIT("UNAUTHENTICATED"),
        WEIR_STR_INIT("none"),
    };
    return names[status < WEIR_GRPC_ENDS ? status : WEIR_GRPC_ENDS - 1];
}

enum weir_stats_kind {
    WEIR_STATS_PROCESS = 0, /**< one row, the first; its traffic is the sum of the listeners' */
    WEIR_STATS_LISTENER = 1,
    WEIR_STATS_ROUTE = 2,
    WEIR_STATS_POOL = 3,
    WEIR_STATS_SERVER = 4, /**< follows its pool's row */
};

enum weir_stats_health {
    WEIR_STATS_HEALTH_UNKNOWN = 0,
    WEIR_STATS_HEALTH_UP = 1,
    WEIR_STATS_HEALTH_DOWN = 2,
};

enum weir_stats_state {
    WEIR_STATS_READY = 0,
    WEIR_STATS_DRAIN = 1,
    WEIR_STATS_MAINTENANCE = 2,
};

/** What is counted of a shadow: a balancer of a pool that is asked and not obeyed. Since 1.5. */
struct weir_shadow_stats {
    uint32_t size;
    bool out; /**< pool: it is not asked for now */
    /* pools */
    uint64_t asked;  /**< picks of the pool's balancer for which it was asked as well */
    uint64_t agreed; /**< it chose the same server */
    uint64_t none;   /**< it chose nobody, or its answer was none */
    uint64_t waits;  /**< of the picks, those that the two sums below are of */
    /* servers */
    uint64_t picked;    /**< by the pool's balancer, when the shadow was asked as well */
    uint64_t chosen;    /**< by the shadow */
    uint64_t in_flight; /**< requests that would be there now if it were obeyed */
    /** Seconds to the first byte. Of a pool: added up over picks, at the servers that were picked,
     * and at those that the shadow chose. Of a server: now, and if it were obeyed; NAN: not
     * known. */
    double wait, predicted_wait;
};

/** One row. Everything is valid for the visit. What does not belong to the kind is zero. */
struct weir_stats_row {
    uint32_t size;
    enum weir_stats_kind kind;
    struct weir_str
        name; /**< of the listener, route, pool; a server's id. The process: Weir's version */
    struct weir_str pool; /**< of a server */
    const struct weir_traffic *traffic;
    uint64_t in_flight; /**< requests that run now: process, pool, server */
    uint64_t queued;    /**< requests that wait for a server now: process, pool */
    uint64_t open;      /**< connections that are open now: process, listener */
    /* servers */
    struct weir_str url;
    enum weir_stats_health health;
    enum weir_stats_state state;
    double weight;            /**< as configured or changed */
    double effective_weight;  /**< slow start scales it */
    uint64_t max_connections; /**< 0: no limit */
    bool backup;
    /* pools */
    uint32_t servers;
    uint32_t servers_up; /**< not down, and ready */
    /* process */
    uint64_t start_wall_ms; /**< since 1970 */
    uint64_t generation;
    uint32_t workers;
    /* listeners */
    bool tls;
    bool handler; /**< answered by a module, not routed: an admin or metrics listener */
    /* servers */
    bool sticky;       /**< its pool keeps users on their servers */
    uint64_t sessions; /**< about how many of these had a response within the last five minutes */
    /* process; since 1.4 */
    uint64_t log_dropped; /**< lines of all logs that were dropped: nobody took them in time */
    uint64_t reloads, reloads_refused; /**< since the start: that came into force, that did not */
    uint64_t reloaded_wall_ms;         /**< when the last one did; the start: there was none */
    bool reload_refused;               /**< the last one was */
    /* pools and servers; since 1.5 */
    const struct weir_shadow_stats *shadow; /**< NULL: the pool has no shadow */
};

/** false: enough. */
typedef bool (*weir_stats_fn)(void *arg, const struct weir_stats_row *row);

/** Visits all rows that the running configuration has: process, listeners, routes, then each pool
 * with its servers. WEIR_NO_MEMORY: none was visited. */
static inline enum weir_status weir_stats_visit(struct weir_context *ctx, weir_stats_fn fn,
                                                void *arg)
{
    return ctx->host->stats_visit(ctx, fn, arg);
}

/** The same, cheaper, for frequent reading: `connect` and `first_byte` are NULL, and so is `total`
 * except in rows of the kinds whose bits are set in `times` (1 << kind); `sessions` is 0. Since
 * 1.4. */
static inline enum weir_status weir_stats_counters(struct weir_context *ctx, uint32_t times,
                                                   weir_stats_fn fn, void *arg)
{
    return ctx->host->stats_counters(ctx, times, fn, arg);
}

/** A counter or gauge of a module (see metric.h), summed over all loops. Valid for the visit. Since
 * 1.4. */
struct weir_metric_row {
    uint32_t size;
    enum weir_metric_type type;
    struct weir_str module, name, help;
    int64_t value; /**< of a counter never negative */
};

/** false: enough. */
typedef bool (*weir_metric_fn)(void *arg, const struct weir_metric_row *row);

/** Visits the metrics of all modules that the running configuration has. Since 1.4. */
static inline void weir_stats_metrics(struct weir_context *ctx, weir_metric_fn fn, void *arg)
{
    ctx->host->stats_metrics(ctx, fn, arg);
}

/** What the host has counted or measured of a module: one sample. Valid for the visit. Since
 * 1.5. */
struct weir_module_row {
    uint32_t size;
    enum weir_metric_type type;
    struct weir_str name,
        help;               /**< such as `calls`, of all modules; rows of one name come together */
    struct weir_str labels; /**< such as `module="balance_mine",hook="pick"` */
    double value;           /**< times in seconds */
};

/** false: enough. */
typedef bool (*weir_module_fn)(void *arg, const struct weir_module_row *row);

/** Visits what is known of all modules that the running configuration has: calls of their hooks,
 * their times, breaches of contract. Since 1.5. */
static inline void weir_stats_modules(struct weir_context *ctx, weir_module_fn fn, void *arg)
{
    ctx->host->stats_modules(ctx, fn, arg);
}

/** The word of a reason (`connect_refused`); empty: [0], or out of range. Static. */
static inline struct weir_str weir_reason_name(struct weir_context *ctx, uint32_t reason)
{
    return ctx->host->reason_name(ctx, reason);
}

WEIR_END_DECLS

#endif
