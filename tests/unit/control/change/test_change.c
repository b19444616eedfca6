/* SPDX-License-Identifier: MIT */
/* plane.c, change.c: writes of which nothing can come are answered once, and later than their function returns. */
#include "runner.h"

#include <stdlib.h>

#include "control/change/journal.h"
#include "control/change/overlay.h"
#include "control/plane.h"

/* A running generation with one pool, from which none can be derived: its TLS wants a file, which is not there.
 * (As if the running one had needed no context until now.) */
struct stage {
    struct runtime runtime;
    struct generation generation;
    struct pool_settings settings;
    struct tls_server_conf tls;
    struct pool_plan plan;
    struct pool pool;
    struct server *no_server;
    uint32_t no_place;
    struct worker worker;
    struct plane *plane;
};

struct answers {
    unsigned count, status;
    char body[512];
};

static void answered(void *arg, const struct weir_control_answer *answer)
{
    struct answers *answers = arg;
    answers->count++;
    answers->status = answer->status;
    snprintf(answers->body, sizeof(answers->body), "%.*s", STR_ARGS(answer->body));
}

static void stage_init(struct stage *stage)
{
    static const struct plane_owner owner;

    *stage = (struct stage){.tls = {.ca = STR("/nowhere/ca.pem"), .verify = true},
                            .settings = {.name = STR("web"), .tls = {NULL, 1}}};
    stage->settings.tls.items = &stage->tls;
    stage->pool.name = (char *)(uintptr_t) "web";
    stage->plan = (struct pool_plan){.settings = &stage->settings,
                                     .pool = &stage->pool,
                                     .by_id = &stage->no_server,
                                     .places = &stage->no_place};
    stage->generation.base = &stage->generation;
    stage->generation.held = 1;
    stage->generation.pools = &stage->plan;
    stage->generation.pool_count = 1;
    stage->generation.runtime = &stage->runtime;
    table_add(&stage->generation.pools_by_name, &stage->plan.by_name, table_hash(STR("web")));
    stage->runtime.current = &stage->generation;
    stage->worker.loop = loop_new(0);
    stage->plane = plane_new(&stage->runtime, "weir.conf");
    plane_start(stage->plane, &stage->worker, &owner);
    plane_rebuilt(stage->plane); /* the start is over */
}

static void settle(struct stage *stage)
{
    while (loop_settle(stage->worker.loop)) {}
}

static void stage_end(struct stage *stage)
{
    plane_free(&stage->plane);
    settle(stage);
    loop_free(&stage->worker.loop);
    table_end(&stage->generation.pools_by_name);
}

static void add(struct stage *stage, struct answers *answers)
{
    struct weir_control_request call = {.size = sizeof(call),
                                        .method = STR("POST"),
                                        .path = STR("/api/v1/pools/web/servers"),
                                        .body = STR("{\"url\":\"http://127.0.0.1:9\"}"),
                                        .caller = {.size = sizeof(struct weir_caller),
                                                   .role = WEIR_ROLE_OPERATOR,
                                                   .author = STR("ann")}};
    plane_call(stage->plane, &call, answered, answers);
}

START_TEST(what_cannot_be_built_is_answered_once)
{
    struct stage stage;
    struct answers first = {0}, second = {0};

    stage_init(&stage);
    add(&stage, &first);
    add(&stage, &second);
    ck_assert_uint_eq(first.count, 0);
    settle(&stage);
    ck_assert_uint_eq(first.count, 1);
    ck_assert_uint_eq(second.count, 1);
    ck_assert_uint_eq(first.status, 503);
    ck_assert_ptr_nonnull(strstr(first.body, "/nowhere/ca.pem"));
    ck_assert_ptr_null(stage.plane->overlay->entries->child);
    ck_assert_uint_eq(journal_last(stage.plane->journal), 0);
    ck_assert_uint_eq(stage.generation.held, 1);
    stage_end(&stage);
}
END_TEST

START_TEST(who_waits_when_it_ends_is_answered_once)
{
    struct stage stage;
    struct answers waits[3] = {{0}}, late = {0};

    stage_init(&stage);
    stage.plane->busy = true; /* something goes on */
    for (size_t i = 0; i < ARRAY_COUNT(waits); i++) {
        add(&stage, &waits[i]);
    }
    settle(&stage);
    ck_assert_uint_eq(waits[0].count, 0);
    plane_stop(stage.plane);
    add(&stage, &late);
    settle(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(waits); i++) {
        ck_assert_uint_eq(waits[i].count, 1);
        ck_assert_uint_eq(waits[i].status, 503);
    }
    ck_assert_uint_eq(late.count, 1);
    stage_end(&stage);
}
END_TEST

static Suite *change_suite(void)
{
    Suite *suite = suite_create("change");
    TCase *tcase = tcase_create("change");
    tcase_add_test(tcase, what_cannot_be_built_is_answered_once);
    tcase_add_test(tcase, who_waits_when_it_ends_is_answered_once);
    suite_add_tcase(suite, tcase);
    return suite;
}
UNIT_SUITE(change_suite);
