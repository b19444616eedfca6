/* SPDX-License-Identifier: MIT */
/* traffic.c: histograms and sums. */
#include "runner.h"

#include <pthread.h>
#include <stdlib.h>

#include "proxy/plan/traffic.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

UNIT_TEST(every_reason_has_its_word)
{
    for (unsigned a = 1; a < REASON_COUNT; a++) {
        struct weir_str word = reason_word((enum reason)a);
        ck_assert_msg(word.len > 0, "reason %u has no word", a);
        for (size_t i = 0; i < word.len; i++) {
            char c = word.ptr[i];
            ck_assert((c >= 'a' && c <= 'z') || c == '_' || (i > 0 && c >= '0' && c <= '9'));
        }
        for (unsigned b = 1; b < a; b++) {
            ck_assert_msg(!str_equal(word, reason_word((enum reason)b)), "%u and %u", a, b);
        }
    }
    ck_assert_uint_eq(reason_word(REASON_NONE).len, 0);
}

/* The only bucket that has something. */
static unsigned bucket_of(uint64_t ns)
{
    struct histogram histogram = {0};
    unsigned found = HISTOGRAM_BUCKETS;
    histogram_add(&histogram, ns);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (histogram.buckets[i] > 0) {
            ck_assert_uint_eq(histogram.buckets[i], 1);
            ck_assert_uint_eq(found, HISTOGRAM_BUCKETS);
            found = i;
        }
    }
    ck_assert_uint_lt(found, HISTOGRAM_BUCKETS);
    return found;
}

UNIT_TEST(bounds_rise_without_gaps)
{
    ck_assert_uint_eq(histogram_bound_us(0), 0);
    for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t bound = histogram_bound_us(i);
        ck_assert_uint_gt(bound, histogram_bound_us(i - 1));
        ck_assert_uint_eq(bucket_of(bound * US), i);
        ck_assert_uint_eq(bucket_of(bound * US - 1), i - 1);
        /* No bucket is wider than a quarter of its bound: quantiles are that exact. */
        if (i > 1) {
            ck_assert_uint_le(4 * (bound - histogram_bound_us(i - 1)), histogram_bound_us(i - 1));
        }
    }
    ck_assert_uint_eq(bucket_of(0), 0);
    ck_assert_uint_eq(bucket_of(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
    /* 16 us to 70 s. */
    ck_assert_uint_eq(histogram_bound_us(1), 16);
    ck_assert_uint_ge(histogram_bound_us(HISTOGRAM_BUCKETS - 1), 60 * S / US);
}

static void expect_quantile(const struct histogram *histogram, double share, double ms)
{
    double got = histogram_quantile_ms(histogram, share);
    ck_assert_msg(got >= ms / 1.25 && got <= ms * 1.25, "%g: got %g ms, wanted %g", share, got, ms);
}

UNIT_TEST(quantiles)
{
    struct histogram histogram = {0};
    ck_assert(histogram_quantile_ms(&histogram, 0.5) == 0);
    for (uint64_t ms = 1; ms <= 1000; ms++) {
        histogram_add(&histogram, ms * MS);
    }
    ck_assert_uint_eq(histogram.count, 1000);
    ck_assert_uint_eq(histogram.sum_us, 500500 * MS / US);
    expect_quantile(&histogram, 0.5, 500);
    expect_quantile(&histogram, 0.95, 950);
    expect_quantile(&histogram, 0.99, 990);
    expect_quantile(&histogram, 1, 1000);
    double last = 0;
    for (double share = 0; share <= 1; share += 0.01) {
        double ms = histogram_quantile_ms(&histogram, share);
        ck_assert(ms >= last);
        last = ms;
    }
}

UNIT_TEST(one_slow_one_among_many)
{
    struct histogram histogram = {0};
    for (int i = 0; i < 999; i++) {
        histogram_add(&histogram, 2 * MS);
    }
    histogram_add(&histogram, 30 * S);
    expect_quantile(&histogram, 0.5, 2);
    expect_quantile(&histogram, 0.99, 2);
    expect_quantile(&histogram, 1, 30000);
}

UNIT_TEST(sums_over_loops)
{
    struct traffic *all = traffic_new(3);
    for (unsigned i = 0; i < 3; i++) {
        struct traffic *mine = &all[i];
        ck_assert_uint_eq((uintptr_t)mine % 64, 0); /* lines of its own */
        stat_add(&mine->requests, i + 1);
        stat_add(&mine->status[5], 10 * i);
        stat_add(&mine->bytes_in, 1);
        stat_add(&mine->bytes_out, 2);
        stat_add(&mine->retries, 3);
        stat_add(&mine->connections, 4);
        stat_add(&mine->errors[REASON_NO_ROUTE], 5);
        histogram_add(&mine->connect, 1 * MS);
        histogram_add(&mine->first_byte, 2 * MS);
        histogram_add(&mine->total, 3 * MS);
    }
    struct traffic total = traffic_total(all, 3);
    ck_assert_uint_eq(total.requests, 6);
    ck_assert_uint_eq(total.status[5], 30);
    ck_assert_uint_eq(total.bytes_in, 3);
    ck_assert_uint_eq(total.bytes_out, 6);
    ck_assert_uint_eq(total.retries, 9);
    ck_assert_uint_eq(total.connections, 12);
    ck_assert_uint_eq(total.errors[REASON_NO_ROUTE], 15);
    ck_assert_uint_eq(total.connect.count, 3);
    expect_quantile(&total.first_byte, 0.5, 2);
    ck_assert_uint_eq(total.total.sum_us, 9000);
    free(all);
}

/* A reader sees numbers that only grow, whatever the writer is at. */
static void *write_numbers(void *arg)
{
    struct traffic *mine = arg;
    for (int i = 0; i < 100000; i++) {
        stat_add(&mine->requests, 1);
        histogram_add(&mine->total, (uint64_t)i * US);
    }
    return NULL;
}

UNIT_TEST(reading_while_another_writes)
{
    struct traffic *all = traffic_new(1);
    pthread_t writer;
    uint64_t last = 0;
    ck_assert_int_eq(pthread_create(&writer, NULL, write_numbers, all), 0);
    while (last < 100000) {
        struct traffic total = traffic_total(all, 1);
        ck_assert_uint_ge(total.requests, last);
        last = total.requests;
    }
    pthread_join(writer, NULL);
    struct traffic total = traffic_total(all, 1);
    ck_assert_uint_eq(total.total.count, 100000);
    free(all);
}
