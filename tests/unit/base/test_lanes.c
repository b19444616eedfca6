/* SPDX-License-Identifier: MIT */
/* Lanes: order over threads, the bound, drops, memory that is used again. */
#include "runner.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/lanes.h"

static struct lanes *lanes;

static void set_up(void)
{
    lanes = lanes_new((size_t)1 << 20);
    ck_assert_ptr_nonnull(lanes);
}

static void tear_down(void)
{
    lanes_free(&lanes);
    ck_assert_ptr_null(lanes);
}

/* Puts from a thread that has the lane. */
struct put {
    unsigned lane;
    const void *data;
    size_t len;
    enum lanes_put result;
};

static void *put_there(void *arg)
{
    struct put *put = arg;
    lanes_join(put->lane, NULL, NULL);
    put->result = lanes_put(lanes, put->data, put->len);
    return NULL;
}

static enum lanes_put put(unsigned lane, const void *data, size_t len)
{
    struct put one = {.lane = lane, .data = data, .len = len};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, put_there, &one), 0);
    pthread_join(thread, NULL);
    return one.result;
}

static void expect_first(const char *text)
{
    const struct lanes_record *record = lanes_first(lanes, lanes_now_ns());
    ck_assert_ptr_nonnull(record);
    ck_assert_uint_eq(record->len, strlen(text));
    ck_assert_mem_eq(record->data, text, record->len);
    lanes_remove_first(lanes);
}

UNIT_TEST(records_come_in_the_order_of_time)
{
    static const unsigned order[] = {3, 0, 1, 3, 2, 0, 0, 259, 1, 2};
    char text[16];

    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        int len = snprintf(text, sizeof(text), "record %zu", i);
        ck_assert_int_eq(put(order[i], text, (size_t)len), LANES_KEPT);
    }
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        snprintf(text, sizeof(text), "record %zu", i);
        expect_first(text);
    }
    ck_assert_ptr_null(lanes_first(lanes, lanes_now_ns()));
}

UNIT_TEST(what_comes_later_waits)
{
    put(1, "before", 6);
    uint64_t until_ns = lanes_now_ns();
    put(1, "after", 5);
    put(2, "after", 5);
    ck_assert_ptr_nonnull(lanes_first(lanes, until_ns));
    lanes_remove_first(lanes);
    ck_assert_ptr_null(lanes_first(lanes, until_ns));
    expect_first("after");
    expect_first("after");
}

static uint64_t told_ns;

static uint64_t clock_that_is_told(void *arg)
{
    ck_assert_ptr_eq(arg, &told_ns);
    return told_ns;
}

UNIT_TEST(a_loop_says_what_time_it_is)
{
    told_ns = lanes_now_ns();
    lanes_put(lanes, "second", 6);
    lanes_join(7, clock_that_is_told, &told_ns);
    lanes_put(lanes, "first", 5);
    lanes_put(lanes, "first", 5);
    lanes_join(0, NULL, NULL);
    ck_assert_uint_eq(lanes_first(lanes, lanes_now_ns())->stamp_ns, told_ns);
    expect_first("first");
    expect_first("first");
    expect_first("second");
}

UNIT_TEST(the_bound_holds_and_drops_are_counted)
{
    static char block[1000];
    size_t kept = 0;

    memset(block, 'x', sizeof(block));
    block[10] = block[20] = block[999] = '\n'; /* three lines */
    for (int i = 0; i < 3000; i++) {
        kept += lanes_put(lanes, block, sizeof(block)) != LANES_DROPPED;
    }
    ck_assert_uint_le(lanes_held(lanes), (size_t)1 << 20);
    ck_assert_uint_gt(kept * sizeof(block), (size_t)1 << 20);
    ck_assert_uint_lt(kept * sizeof(block), ((size_t)1 << 20) + LANES_CHUNK);
    ck_assert_uint_eq(lanes_dropped(lanes), 3 * (3000 - kept));
    /* Another thread has its own beginning, whatever one has filled. */
    ck_assert_int_eq(put(5, "mine", 4), LANES_KEPT);
    while (lanes_first(lanes, lanes_now_ns()) != NULL) {
        lanes_remove_first(lanes);
    }
    ck_assert_uint_eq(lanes_dropped(lanes), 3 * (3000 - kept));
    /* A spare chunk may be kept. */
    ck_assert_uint_le(lanes_held(lanes), LANES_CHUNK);
    ck_assert_int_ne(lanes_put(lanes, block, sizeof(block)), LANES_DROPPED);
}

UNIT_TEST(large_records)
{
    size_t len = 3 * LANES_CHUNK + 1;
    char *large = malloc(len);

    memset(large, 'l', len);
    lanes_put(lanes, "small", 5);
    ck_assert_int_eq(lanes_put(lanes, large, len), LANES_FILLING);
    lanes_put(lanes, "small", 5);
    expect_first("small");
    const struct lanes_record *record = lanes_first(lanes, lanes_now_ns());
    ck_assert_uint_eq(record->len, len);
    ck_assert_mem_eq(record->data, large, len);
    lanes_remove_first(lanes);
    expect_first("small");
    ck_assert_ptr_null(lanes_first(lanes, lanes_now_ns()));
    free(large);

    large = calloc(1, (size_t)2 << 20);
    ck_assert_int_eq(lanes_put(lanes, large, (size_t)2 << 20), LANES_DROPPED);
    ck_assert_uint_eq(lanes_dropped(lanes), 1);
    free(large);
}

/* ---- at the same time ---- */

#define THREADS 4u
#define RECORDS 20000u

static _Atomic unsigned turn;

/* Every record says its number in the whole; a thread puts the next when it is its turn. */
static void *put_in_turn(void *arg)
{
    unsigned thread = (unsigned)(uintptr_t)arg;
    char text[32];

    lanes_join(thread, NULL, NULL); /* the first shares lane 0 */
    for (unsigned i = thread; i < 2000; i += THREADS) {
        while (atomic_load(&turn) != i) {
            sched_yield();
        }
        int len = snprintf(text, sizeof(text), "%u", i);
        lanes_put(lanes, text, (size_t)len);
        atomic_store(&turn, i + 1);
    }
    return NULL;
}

UNIT_TEST(what_happens_before_comes_first)
{
    pthread_t threads[THREADS];
    unsigned next = 0;

    for (size_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, put_in_turn, (void *)i);
    }
    while (next < 2000) {
        uint64_t until_ns = lanes_now_ns();
        const struct lanes_record *record;
        while ((record = lanes_first(lanes, until_ns)) != NULL) {
            ck_assert_uint_eq(strtoul(record->data, NULL, 10), next);
            next++;
            lanes_remove_first(lanes);
        }
        sched_yield();
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void *put_fast(void *arg)
{
    unsigned thread = (unsigned)(uintptr_t)arg;
    char text[80] = "";

    lanes_join(thread, NULL, NULL);
    for (unsigned i = 0; i < RECORDS; i++) {
        snprintf(text, sizeof(text), "%u %u", thread, i);
        lanes_put(lanes, text, sizeof(text) - i % 8);
    }
    return NULL;
}

UNIT_TEST(nothing_is_lost_unseen_at_full_speed)
{
    pthread_t threads[THREADS];
    unsigned next[THREADS] = {0};
    uint64_t seen = 0;
    bool running = true;

    for (size_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, put_fast, (void *)i);
    }
    while (running) {
        running = seen + lanes_dropped(lanes) < THREADS * (uint64_t)RECORDS;
        uint64_t until_ns = lanes_now_ns();
        const struct lanes_record *record;
        while ((record = lanes_first(lanes, until_ns)) != NULL) {
            unsigned thread, number;
            ck_assert_int_eq(sscanf(record->data, "%u %u", &thread, &number), 2);
            ck_assert_uint_lt(thread, THREADS);
            ck_assert_uint_ge(number, next[thread]);
            next[thread] = number + 1;
            ck_assert_uint_eq(record->len, 80 - number % 8);
            seen++;
            lanes_remove_first(lanes);
        }
        sched_yield();
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(seen + lanes_dropped(lanes), THREADS * (uint64_t)RECORDS);
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(60);
