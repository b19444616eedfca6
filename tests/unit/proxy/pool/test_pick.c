/* SPDX-License-Identifier: MIT */
/* pick.c, pool.c: candidates, choices, and a balancer's faults. */
#include "pool_stage.h"
#include "runner.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

static struct stage stage;
static struct stage_request request, other;

static void set_up(void)
{
    stage_begin(&stage);
    stage_request(&request);
    stage_request(&other);
}

static void tear_down(void)
{
    stage_end(&stage);
}

static void expect_pick(const char *wanted)
{
    ck_assert_str_eq(stage_pick(&stage, &request, false), wanted);
}

static void expect_candidates(const char *wanted)
{
    stage_refresh(&stage);
    ck_assert_str_eq(stage_candidates(&stage), wanted);
    ck_assert_uint_eq(stage.fake.members, stage.local->own.candidates.list.count);
    /* Each server knows its place among them. */
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        uint32_t at = stage.servers[i]->locals[0].candidate;
        if (at != UINT32_MAX) {
            ck_assert_uint_lt(at, stage.local->own.candidates.list.count);
            ck_assert_ptr_eq(stage.local->own.candidates.servers[at]->server, stage.servers[i]);
            ck_assert_uint_eq(stage.local->own.candidates.items[at].id, stage.servers[i]->id);
        }
    }
}

/* ---- candidates ---- */

UNIT_TEST(candidates_in_order)
{
    expect_candidates("s0 s1 s2 s3 s4");
    stage.servers[1]->effective = 3 * WEIR_WEIGHT_ONE;
    expect_candidates("s0 s1 s2 s3 s4");
    ck_assert_uint_eq(stage.local->own.candidates.items[1].weight, 3 * WEIR_WEIGHT_ONE);
}

UNIT_TEST(candidates_have_limits_and_whole_weights)
{
    server_set_weight(stage.servers[1], 4);
    server_set_share(stage.servers[1], SERVER_SHARE_ONE / 4);
    stage.servers[2]->max_connections = 7;
    stage_refresh(&stage);
    const struct weir_candidate *items = stage.local->own.candidates.items;
    ck_assert(items[1].weight == WEIR_WEIGHT_ONE && items[1].full_weight == 4 * WEIR_WEIGHT_ONE);
    ck_assert(items[1].limit == 0 && items[2].limit == 7);
    ck_assert(items[2].full_weight == items[2].weight);
}

UNIT_TEST(who_is_no_candidate)
{
    server_set_health(stage.servers[0], HEALTH_DOWN, "probe: refused");
    expect_candidates("s1 s2 s3 s4");
    server_set_admin(stage.servers[1], ADMIN_DRAIN);
    expect_candidates("s2 s3 s4");
    server_set_admin(stage.servers[2], ADMIN_MAINTENANCE);
    expect_candidates("s3 s4");
    stage.servers[3]->effective = 0;
    expect_candidates("s4");
    server_set_health(stage.servers[4], HEALTH_UNKNOWN, "not probed yet");
    expect_candidates("s4");
    server_set_health(stage.servers[4], HEALTH_DOWN, "probe: refused");
    expect_candidates("");
    expect_pick("none");
    server_set_health(stage.servers[0], HEALTH_UP, "back");
    expect_candidates("s0");
    expect_pick("s0");
}

UNIT_TEST(backups_serve_when_no_other_can)
{
    stage.servers[0]->backup = 1;
    stage.servers[1]->backup = 1;
    expect_candidates("s2 s3 s4");
    for (int i = 2; i < 5; i++) {
        server_set_health(stage.servers[i], HEALTH_DOWN, "down");
    }
    expect_candidates("s0 s1");
    server_set_health(stage.servers[3], HEALTH_UP, "back");
    expect_candidates("s3");
}

/* ---- choosing ---- */

UNIT_TEST(the_balancer_ranks)
{
    stage.fake.asks_usable = false;
    for (uint32_t i = 0; i < STAGE_SERVERS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", i);
        stage.fake.answer = i;
        expect_pick(name);
        ck_assert_uint_eq(stage.fake.assigned, i);
    }
    ck_assert_uint_eq(metered_strikes(&stage.metered), 0);
}

/* An index that is none, a server that was tried, a full one: the host chooses, and the request
 * does not notice. The last is no fault of the balancer's: another loop may have been faster. */
UNIT_TEST(bad_picks_are_mended)
{
    stage.fake.asks_usable = false;
    stage.fake.answer = STAGE_SERVERS;
    expect_pick("s0");
    stage.fake.answer = UINT32_MAX - 1;
    expect_pick("s1");
    ck_assert_uint_eq(metered_strikes(&stage.metered), 2);
    stage.fake.answer = 1;
    stage.servers[1]->max_connections = 1;
    ck_assert(server_acquire(stage.servers[1]));
    expect_pick("s2");
    server_release(stage.servers[1]);
    ck_assert_uint_eq(metered_strikes(&stage.metered), 2);
    tried_add(&request.attempt.tried, stage.servers[1]->id);
    expect_pick("s3");
    ck_assert_uint_eq(metered_strikes(&stage.metered), 3);
    /* Nobody, where there are some, is one as well. */
    stage.fake.answer = WEIR_PICK_NONE;
    expect_pick("s4");
    ck_assert_uint_eq(metered_strikes(&stage.metered), 4);
}

/* Each server takes 8; nobody knows whether one gave a place back while the balancer looked. */
UNIT_TEST(nobody_is_a_fault_where_some_are_surely_usable)
{
    stage.fake.asks_usable = false;
    stage.fake.answer = WEIR_PICK_NONE;
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        stage.servers[i]->max_connections = 8;
    }
    for (unsigned k = 0; k < 7; k++) {
        for (unsigned i = 0; i < STAGE_SERVERS; i++) {
            ck_assert(server_acquire(stage.servers[i]));
        }
        uint64_t before = metered_strikes(&stage.metered);
        ck_assert_str_ne(stage_pick(&stage, &request, false), "none");
        ck_assert_uint_eq(metered_strikes(&stage.metered) - before, k < 4);
    }
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        ck_assert(server_acquire(stage.servers[i]));
    }
    uint64_t before = metered_strikes(&stage.metered);
    expect_pick("busy");
    ck_assert_uint_eq(metered_strikes(&stage.metered), before);
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        for (unsigned k = 0; k < 8; k++) {
            server_release(stage.servers[i]);
        }
    }
}

UNIT_TEST(the_hosts_choice_is_the_least_loaded)
{
    stage.fake.asks_usable = false;
    stage.fake.answer = WEIR_PICK_NONE;
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(server_acquire(stage.servers[i]));
    }
    expect_pick("s3");
    for (unsigned i = 0; i < 3; i++) {
        server_release(stage.servers[i]);
    }
}

static void set_weights(uint32_t first, uint32_t rest)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        server_set_weight(stage.servers[i], i == 0 ? first : rest);
    }
    stage_refresh(&stage);
}

/* Picks so often, and keeps what it gets or gives it back: so often it is s0, or one more or
 * less. */
static void expect_of_first(unsigned times, bool keep, unsigned wanted)
{
    struct stage_request requests[80];
    unsigned first = 0;
    ck_assert_uint_le(times, ARRAY_COUNT(requests));
    for (unsigned i = 0; i < times; i++) {
        stage_request(&requests[i]);
        first += strcmp(stage_pick(&stage, &requests[i], keep), "s0") == 0;
    }
    for (unsigned i = 0; keep && i < times; i++) {
        stage_give_back(&stage, &requests[i]);
    }
    ck_assert_uint_ge(first + 1, wanted);
    ck_assert_uint_le(first, wanted + 1);
}

/* Whether requests come one after the other or stay: of a balancer that fails, that is wrong, that
 * has no answer; and of backups, which no balancer ranks. */
UNIT_LOOP_TEST(the_hosts_choice_goes_by_weight, 3)
{
    stage.fake.asks_usable = false;
    stage.fake.answer = _i == 0 ? WEIR_PICK_NONE : STAGE_SERVERS;
    stage.fake.takes = _i == 1 ? WEIR_NO_MEMORY : WEIR_OK;
    set_weights(4, 1);
    expect_of_first(80, false, 40);
    expect_of_first(80, true, 40);
    /* Slow start: a quarter of its weight, then all of it. */
    server_set_share(stage.servers[0], SERVER_SHARE_ONE / 4);
    stage_refresh(&stage);
    expect_of_first(80, false, 16);
    expect_of_first(80, true, 16);
}

UNIT_TEST(backups_serve_by_weight)
{
    for (unsigned i = 0; i < 4; i++) {
        stage.servers[i]->backup = 1;
    }
    stage.servers[4]->max_connections = 1;
    ck_assert(server_acquire(stage.servers[4]));
    set_weights(5, 1);
    expect_candidates("s4");
    expect_of_first(80, false, 50);
    expect_of_first(80, true, 50);
    server_release(stage.servers[4]);
}

UNIT_TEST(a_balancer_that_fails_is_not_asked)
{
    stage.fake.takes = WEIR_NO_MEMORY;
    stage_refresh(&stage);
    ck_assert(stage.balancer.failed);
    expect_pick("s0");
    ck_assert_uint_eq(stage.fake.picks, 0);
    ck_assert_uint_eq(stage.fake.assigned, UINT32_MAX);
    stage.fake.takes = WEIR_OK;
    stage_refresh(&stage);
    expect_pick("s0");
    ck_assert_uint_eq(stage.fake.picks, 1);
}

UNIT_TEST(no_server_is_tried_twice)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        const char *name = stage_pick(&stage, &request, false);
        ck_assert_str_eq(name, stage.servers[i]->name);
        tried_add(&request.attempt.tried, request.attempt.served_by);
    }
    expect_pick("none");
}

UNIT_TEST(full_servers_are_waited_for)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        stage.servers[i]->max_connections = 1;
        if (i < STAGE_SERVERS - 1) {
            ck_assert(server_acquire(stage.servers[i]));
        }
    }
    stage_refresh(&stage);
    ck_assert_str_eq(stage_pick(&stage, &other, true), "s4");
    expect_pick("busy");
    stage_give_back(&stage, &other);
    expect_pick("s4");
    /* Not for those that were tried. */
    ck_assert_str_eq(stage_pick(&stage, &other, true), "s4");
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        tried_add(&request.attempt.tried, stage.servers[i]->id);
    }
    expect_pick("none");
    stage_give_back(&stage, &other);
    for (unsigned i = 0; i < STAGE_SERVERS - 1; i++) {
        server_release(stage.servers[i]);
    }
}

UNIT_TEST(backups_serve_when_all_others_are_full)
{
    stage.servers[4]->backup = 1;
    for (unsigned i = 0; i < 4; i++) {
        stage.servers[i]->max_connections = 1;
        ck_assert(server_acquire(stage.servers[i]));
    }
    expect_candidates("s0 s1 s2 s3");
    expect_pick("s4");
    ck_assert_uint_eq(stage.fake.assigned, UINT32_MAX); /* none of the balancer's */
    for (unsigned i = 0; i < 4; i++) {
        server_release(stage.servers[i]);
    }
    expect_pick("s0");
}

/* ---- waiting ---- */

static void fill_all(void)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        stage.servers[i]->max_connections = 1;
        ck_assert(server_acquire(stage.servers[i]));
    }
    stage_refresh(&stage);
}

static void empty_all(void)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        server_release(stage.servers[i]);
    }
}

UNIT_TEST(the_queue_has_a_limit)
{
    struct stage_request third;
    stage_request(&third);
    fill_all();
    ck_assert(queue_join(stage.local, &request.wait, NULL));
    ck_assert(queue_join(stage.local, &other.wait, stage.servers[2]));
    ck_assert(
        !queue_join(stage.local, &third.wait, NULL)); /* queue_limit = 2, whoever is waited for */
    ck_assert(queue_waits(&request.wait) && queue_waits(&other.wait));
    ck_assert(!queue_waits(&third.wait));
    queue_leave(&other.wait);
    queue_leave(&other.wait); /* nothing */
    ck_assert(queue_join(stage.local, &third.wait, NULL));
    queue_leave(&request.wait);
    queue_leave(&third.wait);
    ck_assert_uint_eq(stage.pool->queue.waiting, 0);
    empty_all();
}

/* A new request does not overtake a waiting one. */
UNIT_TEST(nobody_overtakes)
{
    fill_all();
    ck_assert(queue_join(stage.local, &other.wait, NULL));
    empty_all();
    expect_pick("busy");
    queue_leave(&other.wait);
    expect_pick("s0");
}

/* A loop that has left the pool may still get the message that a server changed, after the pool is
 * freed: the pointer is only compared. */
UNIT_TEST(candidates_have_scores)
{
    struct weir_score told;
    stage.fake.score = 1.5;
    stage.fake.endless = true;
    server_set_health(stage.servers[0], HEALTH_DOWN, "down");
    stage_refresh(&stage);
    ck_assert(pool_score(stage.local, &request.attempt, stage.servers[2], &told));
    ck_assert_double_eq(told.value, 2.5); /* candidate 1 */
    ck_assert_uint_eq(strlen(told.text), sizeof(told.text) - 1);
    ck_assert(!pool_score(stage.local, &request.attempt, stage.servers[0], &told));
    stage.servers[2]->max_connections = 1;
    stage.servers[2]->in_flight = 1; /* not usable: this balancer has no number for it */
    ck_assert(!pool_score(stage.local, &request.attempt, stage.servers[2], &told));
    stage.servers[2]->in_flight = 0;
    stage.fake.score = (double)INFINITY;
    ck_assert(!pool_score(stage.local, &request.attempt, stage.servers[2], &told));
    stage.fake.score = 0;
    stage.balancer.failed = true;
    ck_assert(pool_score(stage.local, &request.attempt, stage.servers[2], &told));
    ck_assert_double_eq(told.value, 0); /* by the host's own ranking: none is in flight */
    ck_assert_uint_eq(stage.fake.picks, 0);
}

/* ---- servers change ---- */

static void turn(void)
{
    stage_turn(stage.loop);
}

static void turn_pool_in(void)
{
    stage.fake.told = 0;
}

static void change(enum server_health health)
{
    server_set_health(stage.servers[1], health, "changed");
    pool_touch(stage.pool);
    pool_home_wake(&stage.home);
}

UNIT_TEST(many_changes_of_a_turn_are_one)
{
    turn_pool_in();
    for (unsigned i = 0; i < 10000; i++) {
        change(i % 2 == 0 ? HEALTH_UP : HEALTH_DOWN);
    }
    turn();
    ck_assert_uint_eq(stage.fake.told, 1);
    ck_assert_str_eq(stage_candidates(&stage), "s0 s2 s3 s4");
    turn();
    ck_assert_uint_eq(stage.fake.told, 1);
    change(HEALTH_UP);
    do { /* it may rest, where the first took long */
        turn();
    } while (stage.local->stale);
    ck_assert_uint_eq(stage.fake.told, 2);
    ck_assert_str_eq(stage_candidates(&stage), "s0 s1 s2 s3 s4");
}

/* Slow rebuilds are rare, and the result is still correct in the end. */
UNIT_TEST(a_pool_that_takes_long_rests)
{
    turn_pool_in();
    stage.fake.slow_ns = 5 * NS_PER_MS;
    uint64_t began_ns = loop_now_refresh(stage.loop);
    unsigned turns = 0;
    while (loop_now_refresh(stage.loop) - began_ns < 200 * NS_PER_MS) {
        change(turns++ % 2 == 0 ? HEALTH_UP : HEALTH_DOWN);
        turn();
    }
    ck_assert_uint_ge(stage.fake.told, 1);
    ck_assert_uint_le(stage.fake.told, 4); /* 80 ms apart, or farther */
    change(HEALTH_DOWN);
    while (stage.local->stale) {
        turn();
    }
    ck_assert_str_eq(stage_candidates(&stage), "s0 s2 s3 s4");
    timer_cancel(stage.loop, &stage.home.refresh_timer);
}

UNIT_TEST(a_pool_that_was_left_is_not_refreshed)
{
    turn_pool_in();
    change(HEALTH_DOWN);
    pool_local_adopt(stage.local, NULL);
    turn();
    ck_assert_uint_eq(stage.fake.told, 0);
    /* Who takes it in again builds from what is so then. */
    stage.next[0] = &stage.balancer;
    stage.balancer.refs++;
    pool_local_adopt(stage.local, &stage.plan);
    ck_assert_str_eq(stage_candidates(&stage), "s0 s2 s3 s4");
    ck_assert(!stage.local->stale);
}

/* ---- what other threads read ---- */

static _Atomic bool done;

/* As operators do (explain, statistics). */
static void *read_numbers(void *arg)
{
    const struct server_local *mine = arg;
    uint64_t sum = 0;

    do {
        struct traffic seen = {0};
        traffic_sum(&seen, &mine->traffic);
        sum += seen.requests + __atomic_load_n(&mine->latency_us, __ATOMIC_RELAXED);
    } while (!done);
    return (void *)(uintptr_t)sum;
}

UNIT_TEST(numbers_are_read_while_requests_end)
{
    pthread_t thread;
    struct server_local *mine = &stage.servers[0]->locals[0];

    stage.fake.answer = 0;
    done = false;
    ck_assert_int_eq(pthread_create(&thread, NULL, read_numbers, mine), 0);
    for (unsigned i = 0; i < 1000; i++) {
        struct attempt_end end = {.outcome = WEIR_OUTCOME_SUCCESS, .status = 200};
        ck_assert_str_eq(stage_pick(&stage, &request, true), "s0");
        stage.loop->now_ns_ = request.attempt.assigned.ns + 8000;
        pool_leave(stage.local, &request.attempt, &end);
    }
    done = true;
    pthread_join(thread, NULL);
    ck_assert_uint_eq(mine->latency_us, 8);
    ck_assert_uint_eq(mine->traffic.requests, 1000);
}

UNIT_FIXTURE(set_up, tear_down);
