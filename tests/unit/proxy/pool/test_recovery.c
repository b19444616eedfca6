/* SPDX-License-Identifier: MIT */
/* recovery.c: slow starts, ejections and their limit, and reports of outcomes. */
#include "pool_stage.h"
#include "runner.h"

#include <stdio.h>

#include "proxy/pool/outcomes.h"
#include "proxy/pool/recovery.h"

static struct stage stage;
static struct recovery *recovery;
static unsigned refreshed, changed;

/* What the observer was told: "s0:2x3 0x1 " is three failures of s0, then a success. */
static char heard[256];

static void on_refresh(void *arg, struct pool *pool)
{
    (void)arg;
    ck_assert_ptr_eq(pool, stage.pool);
    refreshed++;
}

static void on_changed(void *arg, struct server *server)
{
    (void)arg;
    changed++;
    recovery_look(recovery, &stage.plan, server);
}

static void on_outcomes(struct weir_context *ctx, void *instance,
                        const struct weir_outcomes *outcomes)
{
    size_t len = strlen(heard);
    (void)ctx;
    (void)instance;
    len += (size_t)snprintf(heard + len, sizeof(heard) - len, "%.*s:", STR_ARGS(outcomes->name));
    for (uint32_t i = 0; i < outcomes->run_count; i++) {
        len += (size_t)snprintf(heard + len, sizeof(heard) - len, "%ux%u ",
                                outcomes->runs[i].outcome, outcomes->runs[i].count);
    }
}

static const struct weir_health health = {.size = sizeof(health), .on_outcomes = on_outcomes};
static struct module observer;
static struct instance instances[2];
static struct use use = {.module = &observer, .instances = instances}, *uses[] = {&use};

static void take_report(const struct outcome_sink *sink, const struct outcome_report *report)
{
    (void)sink;
    recovery_report(recovery, report);
}

static struct outcome_sink sink = {.report = take_report};

static void set_up(void)
{
    static const struct recovery_owner owner = {.refresh = on_refresh, .changed = on_changed};
    stage_begin(&stage);
    refreshed = changed = 0;
    heard[0] = '\0';
    observer.descriptor.health = &health;
    stage.plan.observers = (struct use_list){.items = uses, .count = 1};
    stage.plan.max_ejected = 0.5;
    stage.whole.pools = &stage.plan;
    stage.whole.pool_count = 1;
    sink.loop = stage.loop;
    stage.home.outcomes = &sink;
    recovery = recovery_new(stage.loop, 0, &owner);
    recovery_adopt(recovery, &stage.whole);
    ck_assert_uint_eq(stage.life.locals[0].refs, 2);
}

static void tear_down(void)
{
    recovery_free(&recovery);
    ck_assert_uint_eq(stage.life.locals[0].refs, 1);
    stage_end(&stage);
}

static enum weir_status eject(unsigned server, uint64_t ms)
{
    return recovery_eject(recovery, &stage.plan, stage.servers[server]->id, ms * NS_PER_MS,
                          "3 failures in a row");
}

static void come_back(struct server *server)
{
    server_set_health(server, HEALTH_DOWN, "down");
    server_set_health(server, HEALTH_UP, "up");
    recovery_look(recovery, &stage.plan, server);
}

UNIT_TEST(a_server_that_comes_back_begins_slowly)
{
    struct server *server = stage.servers[2];
    stage.settings.slow_start = 200 * NS_PER_MS;
    server_set_weight(server, 2);
    come_back(server);
    ck_assert_uint_eq(server->share, SERVER_SHARE_ONE / 20);
    ck_assert_uint_eq(server->effective, 2 * WEIR_WEIGHT_ONE / 20);
    uint32_t last = server->share;
    while (server->share < SERVER_SHARE_ONE) {
        stage_turn(stage.loop);
        ck_assert_uint_ge(server->share, last);
        last = server->share;
    }
    ck_assert_uint_ge(refreshed, 1); /* of a machine that stands still, once */
    ck_assert_uint_eq(server->slow_since_ns, 0);
    ck_assert_uint_eq(server->effective, 2 * WEIR_WEIGHT_ONE);
}

UNIT_TEST(without_slow_start_it_is_back_whole)
{
    come_back(stage.servers[2]);
    ck_assert_uint_eq(stage.servers[2]->share, SERVER_SHARE_ONE);
    ck_assert(!stage.servers[2]->back);
}

UNIT_TEST(a_plan_without_slow_start_ends_it)
{
    stage.settings.slow_start = NS_PER_SECOND;
    come_back(stage.servers[2]);
    stage.settings.slow_start = 0;
    recovery_adopt(recovery, &stage.whole);
    ck_assert_uint_eq(stage.servers[2]->share, SERVER_SHARE_ONE);
    ck_assert_uint_eq(refreshed, 1);
}

UNIT_TEST(an_ejection_ends)
{
    char reason[160];
    ck_assert_int_eq(eject(1, 50), WEIR_OK);
    ck_assert_uint_eq(changed, 1);
    ck_assert(!server_is_well(stage.servers[1]));
    server_reason(stage.servers[1], reason, sizeof(reason));
    ck_assert_str_eq(reason, "ejected for 0.05 s: 3 failures in a row");
    while (stage.servers[1]->ejected) {
        stage_turn(stage.loop);
    }
    ck_assert_uint_eq(changed, 2);
    ck_assert(server_is_well(stage.servers[1]));
}

UNIT_TEST(an_ejection_is_taken_back)
{
    ck_assert_int_eq(eject(1, 60000), WEIR_OK);
    ck_assert_int_eq(eject(1, 0), WEIR_OK);
    ck_assert(!stage.servers[1]->ejected);
    ck_assert_int_eq(eject(1, 0), WEIR_OK); /* nothing */
    ck_assert_uint_eq(changed, 2);
}

/* Half of five is two; those that probes have found down count; those that an operator took out do
 * not. */
UNIT_TEST(not_too_many_are_out)
{
    ck_assert_int_eq(eject(0, 60000), WEIR_OK);
    ck_assert_int_eq(eject(1, 60000), WEIR_OK);
    ck_assert_int_eq(eject(2, 60000), WEIR_DECLINED);
    ck_assert_int_eq(eject(1, 90000), WEIR_OK); /* is out already */
    ck_assert_int_eq(eject(1, 0), WEIR_OK);
    server_set_health(stage.servers[4], HEALTH_DOWN, "probe");
    ck_assert_int_eq(eject(2, 60000), WEIR_DECLINED);
    ck_assert_int_eq(eject(4, 60000), WEIR_OK); /* no more are out by that */
    server_set_health(stage.servers[4], HEALTH_UP, "probe");
    ck_assert_int_eq(eject(4, 0), WEIR_OK);
    server_set_admin(stage.servers[3], ADMIN_MAINTENANCE); /* half of four */
    ck_assert_int_eq(eject(2, 60000), WEIR_OK);
    ck_assert_int_eq(eject(4, 60000), WEIR_DECLINED);
}

UNIT_TEST(who_is_not_there_is_not_ejected)
{
    struct plan whole = stage.whole;
    struct pool_plan plan = stage.plan;
    ck_assert_int_eq(recovery_eject(recovery, &stage.plan, 1, NS_PER_SECOND, "x"), WEIR_INVALID);
    plan.owner = &whole; /* not in force */
    ck_assert_int_eq(recovery_eject(recovery, &plan, stage.servers[0]->id, NS_PER_SECOND, "x"),
                     WEIR_INVALID);
}

UNIT_TEST(ejections_end_where_nobody_ejects)
{
    ck_assert_int_eq(eject(0, 60000), WEIR_OK);
    stage.plan.observers.count = 0;
    recovery_adopt(recovery, &stage.whole);
    ck_assert(!stage.servers[0]->ejected);
    ck_assert_uint_eq(refreshed, 1);
}

/* Notes of a loop become a report, which arrives at the observers. */
UNIT_TEST(observers_hear_of_outcomes)
{
    pool_local_adopt(stage.local, &stage.plan); /* begins to note */
    for (unsigned i = 0; i < 3; i++) {
        outcomes_note(stage.local, &stage.servers[0]->locals[0], WEIR_OUTCOME_FAILED);
    }
    outcomes_note(stage.local, &stage.servers[0]->locals[0], WEIR_OUTCOME_CANCELED);
    outcomes_note(stage.local, &stage.servers[0]->locals[0], WEIR_OUTCOME_SUCCESS);
    outcomes_note(stage.local, &stage.servers[3]->locals[0], WEIR_OUTCOME_TIMEOUT);
    while (heard[0] == '\0') {
        stage_turn(stage.loop);
    }
    ck_assert_str_eq(heard, "s0:2x3 0x1 s3:3x1 ");
    stage.plan.observers.count = 0;
    pool_local_adopt(stage.local, &stage.plan); /* ends */
    ck_assert_ptr_null(stage.servers[0]->locals[0].notes);
}

UNIT_FIXTURE(set_up, tear_down);
