/* SPDX-License-Identifier: MIT */
/* Metrics of modules: found again by module, name and type, and added to by several threads. */
#include <check.h>
#include <pthread.h>

#include "base/base.h"
#include "module/metrics.h"
#include "runner.h"

static const struct weir_metric kept = {"kept", WEIR_COUNTER, "Kept."};
static const struct weir_metric kept_now = {"kept", WEIR_GAUGE, "Kept now."};

UNIT_TEST(a_metric_is_found_as_long_as_somebody_has_it)
{
    struct list all;
    list_init(&all);
    struct metric *one = metric_get(&all, 2, "sticky", &kept);
    struct metric *again = metric_get(&all, 2, "sticky", &kept);
    struct metric *other_module = metric_get(&all, 2, "stick", &kept);
    struct metric *other_type = metric_get(&all, 2, "sticky", &kept_now);

    ck_assert_ptr_eq(one, again);
    ck_assert(one != other_module && one != other_type && other_module != other_type);
    ck_assert_uint_eq((uintptr_t)one->cells % 64, 0);
    metric_add(one, 0, 7);
    metric_unref(one);
    ck_assert_int_eq(metric_value(again), 7);
    ck_assert_int_eq(metric_value(other_type), 0);
    metric_unref(again);
    again = metric_get(&all, 2, "sticky", &kept);
    ck_assert_int_eq(metric_value(again), 0);
    metric_unref(again);
    metric_unref(other_module);
    metric_unref(other_type);
    metric_unref(NULL);
    ck_assert(list_empty(&all));
}

UNIT_TEST(a_gauge_goes_down_elsewhere)
{
    struct list all;
    list_init(&all);
    struct metric *gauge = metric_get(&all, 3, "sticky", &kept_now);

    metric_add(gauge, 0, 3);
    metric_add(gauge, 2, -2);
    ck_assert_int_eq(metric_value(gauge), 1);
    metric_add(gauge, 1, -4);
    ck_assert_int_eq(metric_value(gauge), -3);
    metric_unref(gauge);
}

static void *add_many(void *metric)
{
    for (unsigned i = 0; i < 20000; i++) {
        metric_add(metric, i % 2, 1);
    }
    return NULL;
}

UNIT_TEST(no_thread_loses_any)
{
    struct list all;
    pthread_t threads[3];
    list_init(&all);
    struct metric *counter = metric_get(&all, 2, "sticky", &kept);

    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, counter), 0);
    }
    int64_t last = 0;
    for (unsigned i = 0; i < 1000; i++) {
        int64_t now = metric_value(counter);
        ck_assert_int_ge(now, last);
        last = now;
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_int_eq(metric_value(counter), 60000);
    metric_unref(counter);
}
