/* SPDX-License-Identifier: MIT */
/*
 * Counters of listeners, routes, pools and servers. Each worker writes its own; the reader sums
 * them. They live as long as what they count, over generations.
 *
 * Thread: one loop writes a `struct traffic`; any thread may read it (relaxed atomics: a plain add
 * and store on common machines).
 */
#ifndef PROXY_PLAN_TRAFFIC_H
#define PROXY_PLAN_TRAFFIC_H

#include "http/message.h"

/* Why Weir answered itself or aborted a response. The words are in reason_words (traffic.c). */
enum reason {
    REASON_NONE = 0,
    REASON_BAD_REQUEST,
    REASON_HEADER_TIMEOUT,
    REASON_BODY_TIMEOUT,
    REASON_REQUEST_TIMEOUT,
    REASON_TOO_LARGE,
    REASON_NO_ROUTE,
    REASON_MISDIRECTED,
    REASON_REFUSED_BY_RULE, /* a router or filter answered */
    REASON_NO_SERVER,
    REASON_QUEUE_FULL,
    REASON_QUEUE_TIMEOUT,
    REASON_CONNECT_REFUSED,
    REASON_CONNECT_TIMEOUT,
    REASON_CONNECT_FAILED,
    REASON_NO_RESOURCES, /* Weir had no descriptor, local port or memory for a connection */
    REASON_UPSTREAM_TLS,
    REASON_NOT_HTTP2,
    REASON_UPSTREAM_RESET,
    REASON_UPSTREAM_MALFORMED,
    REASON_UPSTREAM_TRUNCATED,
    REASON_RESPONSE_TIMEOUT,
    REASON_IDLE_TIMEOUT,
    REASON_CLIENT_GONE,
    REASON_MODULE_FAILED,
    REASON_MODULE_OUT, /* too many strikes, and its on_fault is closed */
    REASON_NO_MEMORY,
    REASON_SHUTDOWN,
    REASON_COUNT,
};
struct weir_str reason_word(enum reason reason);

/* Histogram: four buckets per power of two, from 16 us to 70 s; the last takes all above. */
#define HISTOGRAM_BUCKETS 90
struct histogram {
    uint32_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t sum_us;
};

/* Statuses of gRPC, 0 to 16, and one more for calls that ended without any. */
#define GRPC_ENDS 18u

/* On cache lines of its own, so that arrays of them have one a loop. */
struct traffic {
    union {
        struct {
            /* what each request writes, on two cache lines */
            uint64_t requests;  /* finished */
            uint64_t status[6]; /* [1]..[5]: by class; [0]: ended without a status */
            uint64_t bytes_in, bytes_out;
            /* Requests by enum http_version: what the client spoke; of servers: what was spoken to
             * them, counted as a request begins there. */
            uint64_t protocols[HTTP_VERSIONS];
            /* the rest */
            uint64_t retries;
            uint64_t connections; /* accepted, or opened to the server */
            uint64_t refused; /* accepted and closed at once: above a limit, or no PROXY header */
            uint64_t odd_points;      /* what the peer did that counts towards the limit of abuse */
            uint64_t abusive;         /* connections that ended for that */
            uint64_t grpc[GRPC_ENDS]; /* gRPC calls by their status; the last: without one */
            uint64_t h2_connections;  /* of `connections`: those of HTTP/2 */
            /* Now, and so they go down as well. Of what one loop counts, the sum is right. */
            uint64_t h2_open;    /* connections of HTTP/2 */
            uint64_t h2_streams; /* requests on them */
            uint64_t errors[REASON_COUNT];
        };
        uint64_t counters[17 + HTTP_VERSIONS + GRPC_ENDS + REASON_COUNT]; /* all of these */
    };
    struct histogram connect;    /* new upstream connections */
    struct histogram first_byte; /* from assignment to the first byte of the response */
    struct histogram total;
} __attribute__((aligned(64)));

static inline void stat_add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline void stat_remove(uint64_t *gauge, uint64_t n)
{
    __atomic_store_n(gauge, *gauge - n, __ATOMIC_RELAXED);
}

void histogram_add(struct histogram *histogram, uint64_t ns);
/* Adds `from`, which another thread may be writing, to `to`. */
void histogram_sum(struct histogram *to, const struct histogram *from);
/* The quantile `share` (0..1) in milliseconds; 0: empty. */
double histogram_quantile_ms(const struct histogram *histogram, double share);
/* Lower bound of a bucket, microseconds. */
uint64_t histogram_bound_us(unsigned bucket);

/* Adds `from`, which another thread may be writing, to `to`. */
void traffic_sum(struct traffic *to, const struct traffic *from);
/* Its counters alone; its histogram `total` alone. */
void traffic_sum_counters(struct traffic *to, const struct traffic *from);
void traffic_sum_times(struct traffic *to, const struct traffic *from);

/* One zeroed `struct traffic` per loop. Freed by free(). */
struct traffic *traffic_new(unsigned loops);
struct traffic traffic_total(const struct traffic *all, unsigned loops);

#endif
