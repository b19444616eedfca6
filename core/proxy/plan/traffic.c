/* SPDX-License-Identifier: MIT */
/*
 * Statistics counters. See traffic.h.
 */
#include "proxy/plan/traffic.h"

static const char *const reason_words[REASON_COUNT] = {
    [REASON_NONE] = "",
    [REASON_BAD_REQUEST] = "bad_request",
    [REASON_HEADER_TIMEOUT] = "header_timeout",
    [REASON_BODY_TIMEOUT] = "body_timeout",
    [REASON_REQUEST_TIMEOUT] = "request_timeout",
    [REASON_TOO_LARGE] = "too_large",
    [REASON_NO_ROUTE] = "no_route",
    [REASON_MISDIRECTED] = "misdirected",
    [REASON_REFUSED_BY_RULE] = "refused_by_rule",
    [REASON_NO_SERVER] = "no_server",
    [REASON_QUEUE_FULL] = "queue_full",
    [REASON_QUEUE_TIMEOUT] = "queue_timeout",
    [REASON_CONNECT_REFUSED] = "connect_refused",
    [REASON_CONNECT_TIMEOUT] = "connect_timeout",
    [REASON_CONNECT_FAILED] = "connect_failed",
    [REASON_NO_RESOURCES] = "no_resources",
    [REASON_UPSTREAM_TLS] = "upstream_tls",
    [REASON_NOT_HTTP2] = "not_http2",
    [REASON_UPSTREAM_RESET] = "upstream_reset",
    [REASON_UPSTREAM_MALFORMED] = "upstream_malformed",
    [REASON_UPSTREAM_TRUNCATED] = "upstream_truncated",
    [REASON_RESPONSE_TIMEOUT] = "response_timeout",
    [REASON_IDLE_TIMEOUT] = "idle_timeout",
    [REASON_CLIENT_GONE] = "client_gone",
    [REASON_MODULE_FAILED] = "module_failed",
    [REASON_MODULE_OUT] = "module_out",
    [REASON_NO_MEMORY] = "no_memory",
    [REASON_SHUTDOWN] = "shutdown",
};

struct weir_str reason_word(enum reason reason)
{
    return str_from(reason_words[reason]);
}

/* Bucket 0 is below 16 us; then four buckets a power of two: the two bits behind the highest. */
static unsigned bucket_of(uint64_t us)
{
    if (us < 16) {
        return 0;
    }
    unsigned top = 63u - (unsigned)__builtin_clzll(us);
    unsigned bucket = 1 + (top - 4) * 4 + (unsigned)((us >> (top - 2)) & 3u);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

uint64_t histogram_bound_us(unsigned bucket)
{
    if (bucket == 0) {
        return 0;
    }
    unsigned top = 4 + (bucket - 1) / 4;
    return (UINT64_C(4) + (bucket - 1) % 4) << (top - 2);
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    uint64_t us = ns / 1000;
    uint32_t *bucket = &histogram->buckets[bucket_of(us)];
    __atomic_store_n(bucket, *bucket + 1, __ATOMIC_RELAXED);
    stat_add(&histogram->count, 1);
    stat_add(&histogram->sum_us, us);
}

double histogram_quantile_ms(const struct histogram *histogram, double share)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        all += histogram->buckets[i];
    }
    if (all == 0) {
        return 0;
    }
    double want = share * (double)all;
    double below = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        double here = histogram->buckets[i];
        if (here > 0 && below + here >= want) {
            double low = (double)histogram_bound_us(i);
            double high = i + 1 < HISTOGRAM_BUCKETS ? (double)histogram_bound_us(i + 1) : low * 2;
            return (low + (high - low) * (want - below) / here) / 1000.0;
        }
        below += here;
    }
    return (double)histogram_bound_us(HISTOGRAM_BUCKETS - 1) / 1000.0;
}

_Static_assert(sizeof(((struct traffic *)0)->counters) == offsetof(struct traffic, connect),
               "counters has all of them");

static void counters_sum(uint64_t *to, const uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    }
}

void histogram_sum(struct histogram *to, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        to->buckets[i] += __atomic_load_n(&from->buckets[i], __ATOMIC_RELAXED);
    }
    counters_sum(&to->count, &from->count, 1);
    counters_sum(&to->sum_us, &from->sum_us, 1);
}

void traffic_sum_counters(struct traffic *to, const struct traffic *from)
{
    counters_sum(to->counters, from->counters, ARRAY_COUNT(to->counters));
}

void traffic_sum_times(struct traffic *to, const struct traffic *from)
{
    histogram_sum(&to->total, &from->total);
}

void traffic_sum(struct traffic *to, const struct traffic *from)
{
    traffic_sum_counters(to, from);
    traffic_sum_times(to, from);
    histogram_sum(&to->connect, &from->connect);
    histogram_sum(&to->first_byte, &from->first_byte);
}

struct traffic *traffic_new(unsigned loops)
{
    return base_zalloc_lines(sizeof(struct traffic) * loops);
}

struct traffic traffic_total(const struct traffic *all, unsigned loops)
{
    struct traffic total = {0};
    for (unsigned i = 0; i < loops; i++) {
        traffic_sum(&total, &all[i]);
    }
    return total;
}
