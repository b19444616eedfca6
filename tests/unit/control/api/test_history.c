/* SPDX-License-Identifier: MIT */
/* history.c: rates, percentiles and the last hour, from counters that a test moves. */
#include "runner.h"

#include <math.h>
#include <stdlib.h>

#include "control/api/history.h"
#include "proxy/downstream/downstream.h"
#include "proxy/runtime.h"

#define SERVERS 600u
#define START   UINT64_C(100000) /* seconds: a machine that has run for long */

struct stage {
    struct plan whole;
    struct generation generation;
    struct pool_plan plan;
    struct server *servers[SERVERS];
    struct history *history;
    uint64_t second;
};

static void stage_init(struct stage *stage)
{
    memset(stage, 0, sizeof(*stage));
    struct weir_url url = {.text = STR("http://127.0.0.1:1"), .port = 1};
    url.scheme = (struct weir_str){url.text.ptr, 4};
    url.host = (struct weir_str){url.text.ptr + 7, 9};
    for (unsigned i = 0; i < SERVERS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", i);
        stage->servers[i] = server_new(STR("web"), str_from(name), &url, 1);
    }
    stage->plan.pool = pool_new(STR("web"), 1);
    stage->plan.servers = stage->servers;
    stage->plan.server_count = SERVERS;
    stage->generation.plan = &stage->whole;
    stage->whole.pools = &stage->plan;
    stage->whole.pool_count = 1;
    stage->history = history_new();
    stage->second = START;
}

static void stage_end(struct stage *stage)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        server_unref(&stage->servers[i]);
    }
    pool_unref(&stage->plan.pool);
    history_free(&stage->history);
}

/* One second, in which each server and the pool got so many requests of so many milliseconds. */
static void second(struct stage *stage, unsigned requests, unsigned ms)
{
    struct traffic *pool = &stage->plan.pool->locals[0].traffic;
    for (unsigned r = 0; r < requests; r++) {
        stat_add(&pool->requests, 1);
        histogram_add(&pool->total, ms * NS_PER_MS);
        for (unsigned i = 0; i < SERVERS; i++) {
            stat_add(&stage->servers[i]->locals[0].traffic.requests, 1);
            stat_add(&stage->servers[i]->locals[0].traffic.status[5], 1);
            histogram_add(&stage->servers[i]->locals[0].traffic.total, ms * NS_PER_MS);
        }
    }
    stage->second++;
    history_sample(stage->history, &stage->generation, stage->second, stage->second * 1000);
}

UNIT_TEST(many_series_have_their_rates)
{
    struct stage stage;
    stage_init(&stage);
    for (unsigned i = 0; i < 20; i++) {
        second(&stage, 10, 20);
    }
    for (unsigned i = 0; i < SERVERS; i++) {
        uint64_t id = stage.servers[i]->id;
        ck_assert_double_eq_tol(history_rates(stage.history, id).requests, 10, 0.001);
        ck_assert_double_eq_tol(history_rates(stage.history, id).errors, 10, 0.001);
        ck_assert_double_eq_tol(history_error_share(stage.history, id), 1, 0.001);
        struct latency latency = history_minute(stage.history, id);
        ck_assert(latency.p50 > 15 && latency.p50 < 25);
        ck_assert(!history_quiet(stage.history, id));
    }
    stage_end(&stage);
}

UNIT_TEST(first_second_counts)
{
    struct stage stage;
    stage_init(&stage);
    second(&stage, 10, 20);
    uint64_t pool = history_key_pool("web");
    ck_assert_double_eq_tol(history_rates(stage.history, pool).requests, 2, 0.001);
    for (unsigned i = 0; i < 5; i++) {
        second(&stage, 0, 0);
    }
    ck_assert_double_eq_tol(history_rates(stage.history, pool).requests, 0, 0.001);
    ck_assert(!history_quiet(stage.history, pool));
    for (unsigned i = 0; i < 65; i++) {
        second(&stage, 0, 0);
    }
    ck_assert(history_quiet(stage.history, pool));
    ck_assert(isnan(history_minute(stage.history, pool).p50));
    ck_assert(isnan(history_rates(stage.history, 12345).requests) == 0);
    stage_end(&stage);
}

static double value(struct stage *stage, const char *series, unsigned seconds, int index)
{
    char error[256];
    cJSON *answer = history_json(stage->history, series, seconds, error, sizeof(error));
    ck_assert_msg(answer != NULL, "%s", error);
    const cJSON *values = cJSON_GetObjectItem(cJSON_GetObjectItem(answer, "series"), series);
    int count = cJSON_GetArraySize(values);
    ck_assert_int_eq(count, (int)(seconds <= HISTORY_SECONDS ? seconds : seconds / HISTORY_STEP));
    const cJSON *item = cJSON_GetArrayItem(values, count - 1 - index);
    double found = cJSON_IsNumber(item) ? item->valuedouble : NAN;
    cJSON_Delete(answer);
    return found;
}

UNIT_TEST(seconds_and_steps)
{
    struct stage stage;
    char error[256];
    stage_init(&stage);
    for (unsigned i = 1; i <= 40; i++) {
        second(&stage, i, 5);
    }
    ck_assert_double_eq_tol(value(&stage, "pool:web.rate", 60, 0), 40, 0.001);
    ck_assert_double_eq_tol(value(&stage, "pool:web.rate", 60, 39), 1, 0.001);
    ck_assert(isnan(value(&stage, "pool:web.rate", 60, 45)));
    ck_assert(isnan(value(&stage, "server:web/none.rate", 60, 0)));
    /* Second 40 begins a step: the five before it. */
    ck_assert_double_eq_tol(value(&stage, "server:web/s7.rate", 3600, 0), 38, 0.001);
    ck_assert_double_eq_tol(value(&stage, "server:web/s7.requests", 3600, 0), 190, 0.001);
    ck_assert_ptr_null(history_json(stage.history, "pool:web", 60, error, sizeof(error)));
    ck_assert_ptr_null(history_json(stage.history, "x.rate", 60, error, sizeof(error)));
    stage_end(&stage);
}

UNIT_TEST(missed_seconds_are_not_known)
{
    struct stage stage;
    stage_init(&stage);
    second(&stage, 10, 5);
    stage.second += 9; /* the machine slept */
    second(&stage, 20, 5);
    ck_assert_double_eq_tol(value(&stage, "pool:web.rate", 60, 0), 2, 0.001);
    ck_assert(isnan(value(&stage, "pool:web.rate", 60, 5)));
    ck_assert_double_eq_tol(value(&stage, "pool:web.rate", 60, 10), 10, 0.001);
    stage_end(&stage);
}

/* The clock of the seconds begins when the machine is started: an hour back lies before it. */
UNIT_TEST(a_machine_that_was_just_started)
{
    struct stage stage;
    char error[256];
    stage_init(&stage);
    stage.second = 20;
    second(&stage, 10, 5);
    second(&stage, 20, 5);
    ck_assert_double_eq_tol(value(&stage, "pool:web.rate", 60, 0), 20, 0.001);
    ck_assert_double_eq_tol(value(&stage, "pool:web.rate", 60, 1), 10, 0.001);
    for (int i = 2; i < 60; i++) {
        ck_assert(isnan(value(&stage, "pool:web.rate", 60, i)));
    }
    ck_assert(isnan(value(&stage, "pool:web.rate", 3600, 719)));
    cJSON *answer = history_json(stage.history, "pool:web.rate", 60, error, sizeof(error));
    ck_assert_double_eq_tol(cJSON_GetNumberValue(cJSON_GetObjectItem(answer, "start")),
                            (22.0 - 59) * 1000, 0.001);
    cJSON_Delete(answer);
    stage_end(&stage);
}

/* A server that was removed and added again, while none of its name lived, counts from zero. */
UNIT_TEST(a_successor_begins_at_zero)
{
    struct stage stage;
    stage_init(&stage);
    for (unsigned i = 0; i < 20; i++) {
        second(&stage, 10, 20);
    }
    uint64_t id = stage.servers[7]->id;
    struct weir_url url = stage.servers[6]->url;
    server_unref(&stage.servers[7]);
    stage.servers[7] = server_new(STR("web"), STR("s7"), &url, 1);
    ck_assert_uint_eq(stage.servers[7]->id, id);
    for (unsigned i = 0; i < 10; i++) {
        second(&stage, 3, 20);
        double rate = history_rates(stage.history, id).requests;
        ck_assert(rate >= 0 && rate <= 10);
        struct latency latency = history_minute(stage.history, id);
        ck_assert(isnan(latency.p50) || (latency.p50 > 15 && latency.p50 < 25));
        double now = value(&stage, "server:web/s7.rate", 3600, 0);
        ck_assert(now >= 0 && now <= 10);
    }
    ck_assert_double_eq_tol(history_rates(stage.history, id).requests, 3, 0.001);
    /* The hour before is still known. */
    ck_assert_double_eq_tol(value(&stage, "server:web/s7.rate", 3600, 3), 10, 0.001);
    stage_end(&stage);
}

/* Listeners that go, and come back, make neither holes nor heaps in the total. */
UNIT_TEST(the_total_outlives_listeners)
{
    struct stage stage;
    struct listener *listeners[2] = {listener_new(STR("a"), 1), listener_new(STR("b"), 1)};
    struct listener_plan plans[2] = {{.listener = listeners[0]}, {.listener = listeners[1]}};
    stage_init(&stage);
    stage.whole.listeners = plans;
    for (unsigned i = 0; i < 40; i++) {
        stage.whole.listener_count = i >= 10 && i < 20 ? 1 : 2;
        for (unsigned k = 0; k < 2; k++) {
            stat_add(&listeners[k]->locals[0].traffic.requests, 100);
            histogram_add(&listeners[k]->locals[0].traffic.total, 20 * NS_PER_MS);
        }
        second(&stage, 0, 1);
        double rate = value(&stage, "total.rate", 60, 0);
        ck_assert_double_eq_tol(rate, i >= 10 && i < 20 ? 100 : i == 20 ? 1200 : 200, 0.001);
        double late = value(&stage, "total.p99", 60, 0);
        ck_assert(late > 15 && late < 25);
    }
    listener_unref(&listeners[0]);
    listener_unref(&listeners[1]);
    stage_end(&stage);
}
