/* SPDX-License-Identifier: MIT */
/* lately.c: what copies of modules did lately, from counters that go on. */
#include "runner.h"

#include "control/api/json.h"
#include "control/api/lately.h"

#define WALL_MS UINT64_C(1700000000000)
#define COPY    7u

static struct lately lately;
static uint64_t now_ns, requests;
static double cpu_ns;

static void set_up(void)
{
    lately_init(&lately);
    now_ns = 1000 * NS_PER_SECOND;
    requests = 0;
    cpu_ns = 0;
}

/* `seconds` in which there were so many requests, and a half of the CPU was used. */
static void step(double seconds, uint64_t more)
{
    now_ns += (uint64_t)(seconds * 1e9);
    requests += more;
    cpu_ns += seconds * 1e9 / 2;
    lately_begin(&lately, now_ns, WALL_MS, requests, cpu_ns);
}

static cJSON *show(uint64_t copy)
{
    cJSON *object = cJSON_CreateObject();
    lately_show_rates(&lately, copy, object);
    lately_show_recent(&lately, copy, object);
    return object;
}

static double number(const cJSON *object, const char *of, const char *name)
{
    const cJSON *item = json_get(json_get(object, of), name);
    return cJSON_IsNumber(item) ? item->valuedouble : -1;
}

/* Of the series, `back` steps before the last; -1: null. */
static double at(const cJSON *object, const char *name, unsigned back)
{
    const cJSON *series = json_get(json_get(object, "recent"), name);
    ck_assert_int_eq(cJSON_GetArraySize(series), LATELY_STEPS);
    const cJSON *item = cJSON_GetArrayItem(series, (int)(LATELY_STEPS - 1 - back));
    return cJSON_IsNumber(item) ? item->valuedouble : -1;
}

UNIT_TEST(rates_are_of_the_last_ten_seconds)
{
    set_up();
    for (unsigned i = 0; i <= 20; i++) {
        step(2, i > 15 ? 100 : 0);
        /* 3 calls and 5 us for each request; what was before the first step counts for nothing. */
        lately_take(&lately, COPY, 1000 + 3 * requests, 1e12 + 5000.0 * (double)requests);
    }
    cJSON *shown = show(COPY);
    ck_assert_double_eq_tol(number(shown, "rates", "calls"), 150, 0.01);
    ck_assert_double_eq_tol(number(shown, "rates", "request_us"), 5, 0.01);
    ck_assert_double_eq_tol(number(shown, "rates", "cpu_share"), 5 * 500e3 / 5e9, 1e-6);
    ck_assert_double_eq_tol(at(shown, "calls", 0), 150, 0.01);
    ck_assert_double_eq_tol(at(shown, "calls", 5), 0, 0.01);
    ck_assert_double_eq_tol(at(shown, "request_us", 5), -1, 0.01); /* no request */
    ck_assert_double_eq_tol(at(shown, "calls", 20), -1, 0.01);     /* the first: since when? */
    ck_assert_double_eq_tol(at(shown, "calls", 21), -1, 0.01);
    ck_assert_double_eq_tol(number(shown, "recent", "start"),
                            (double)WALL_MS - 2000.0 * (LATELY_STEPS - 1), 0.5);
    cJSON_Delete(shown);
    lately_end(&lately);
}

UNIT_TEST(steps_that_were_missed_are_gaps)
{
    set_up();
    step(2, 0);
    lately_take(&lately, COPY, 10, 0);
    step(2, 10);
    lately_take(&lately, COPY, 30, 1000);
    step(6.2, 10);
    lately_take(&lately, COPY, 92, 2000);
    cJSON *shown = show(COPY);
    ck_assert_double_eq_tol(at(shown, "calls", 0), 10, 0.01); /* of all that time */
    ck_assert_double_eq_tol(at(shown, "calls", 1), -1, 0.01);
    ck_assert_double_eq_tol(at(shown, "calls", 2), -1, 0.01);
    ck_assert_double_eq_tol(at(shown, "calls", 3), 10, 0.01);
    cJSON_Delete(shown);
    lately_end(&lately);
}

UNIT_TEST(copies_come_and_go)
{
    set_up();
    for (unsigned i = 0; i < 2 * LATELY_STEPS; i++) {
        step(2, 1);
        if (i < 4) {
            lately_take(&lately, COPY, i, 0);
        }
        lately_take(&lately, COPY + 1, 4 * i, 0);
    }
    cJSON *gone = show(COPY), *there = show(COPY + 1), *never = show(COPY + 2);
    ck_assert_double_eq_tol(number(gone, "rates", "calls"), -1, 0.01);
    ck_assert_double_eq_tol(at(gone, "calls", 0), -1, 0.01);
    ck_assert_double_eq_tol(number(there, "rates", "calls"), 2, 0.01);
    ck_assert_double_eq_tol(at(there, "calls", LATELY_STEPS - 1), 2, 0.01);
    ck_assert_double_eq_tol(number(never, "rates", "calls"), -1, 0.01);
    ck_assert(lately.copies.next == lately.copies.prev); /* one is kept */
    cJSON_Delete(gone);
    cJSON_Delete(there);
    cJSON_Delete(never);
    lately_end(&lately);
    ck_assert(list_empty(&lately.copies));
}

UNIT_TEST(a_step_is_due_every_two_seconds_whatever_the_tick_does)
{
    set_up();
    ck_assert(lately_is_due(&lately, now_ns));
    step(0, 0);
    ck_assert(!lately_is_due(&lately, now_ns + NS_PER_SECOND));
    ck_assert(lately_is_due(&lately, now_ns + LATELY_STEP_NS - NS_PER_MS));
    lately_end(&lately);
}
