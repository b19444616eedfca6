/* SPDX-License-Identifier: MIT */
/* changes.c and change.c: one at a time; each is answered once, and none before it is durable. */
#include "change_stage.h"

#include <stdlib.h>

#define SERVERS "/api/v1/pools/web/servers"
#define ADD     "{\"url\":\"http://127.0.0.1:9\"}"

static struct stage stage;

static void begin(void)
{
    static const struct change_part *const parts[] = {&journal_part, &server_part, &reload_part,
                                                      NULL};
    stage_init(&stage, parts);
}

static void end(void)
{
    stage_end(&stage);
}

UNIT_TEST(what_changes_no_member_needs_no_generation)
{
    struct answers answer = stage_do(&stage, "PATCH", SERVERS "/a", "", "{\"weight\":5}");
    ck_assert_uint_eq(answer.status, 200);
    ck_assert_uint_eq(answer.journal, 1);
    ck_assert_uint_eq(stage.derived, 0);
    ck_assert_uint_eq(stage.refreshed, 1);
    ck_assert_uint_eq(stage_server(&stage, "a")->weight, 5);
    ck_assert(stage_entry_is(&stage, "web/a", "{\"weight\":5}"));
}

UNIT_TEST(members_come_with_a_generation)
{
    struct answers answer = {0};

    stage.hold = true;
    stage_ask(&stage, &answer, "POST", SERVERS, "", ADD);
    ck_assert_uint_eq(answer.count, 0);
    stage_settle(&stage);
    ck_assert_uint_eq(stage.applied, 1); /* loops prepare it */
    ck_assert_uint_eq(answer.count, 0);
    ck_assert_ptr_null(stage.changes.overlay->entries->child);
    stage.hold = false;
    stage_settle(&stage);
    ck_assert_uint_eq(answer.count, 1);
    ck_assert_uint_eq(answer.status, 201);
    ck_assert_ptr_nonnull(stage_server(&stage, "127.0.0.1-9"));
    ck_assert_uint_eq(stage_last_entry(&stage), 1);
}

UNIT_TEST(what_cannot_be_built_is_answered_once)
{
    struct answers first = {0}, second = {0};

    stage.derive_error = "no such file: /nowhere/ca.pem";
    stage_ask(&stage, &first, "POST", SERVERS, "", ADD);
    stage_ask(&stage, &second, "POST", SERVERS, "", ADD);
    ck_assert_uint_eq(first.count, 0);
    stage_settle(&stage);
    ck_assert_uint_eq(first.count, 1);
    ck_assert_uint_eq(second.count, 1);
    ck_assert_uint_eq(first.status, 503);
    ck_assert_ptr_nonnull(strstr(first.body, "/nowhere/ca.pem"));
    ck_assert_ptr_null(stage.changes.overlay->entries->child);
    ck_assert_uint_eq(stage_last_entry(&stage), 0);
}

UNIT_TEST(a_loop_that_cannot_leaves_all_as_it_was)
{
    stage.apply_error = "loop 1: no memory";
    struct answers answer = stage_do(&stage, "POST", SERVERS, "", ADD);
    ck_assert_uint_eq(answer.status, 503);
    ck_assert_ptr_nonnull(strstr(answer.body, "loop 1: no memory"));
    ck_assert_ptr_null(stage.changes.overlay->entries->child);
    ck_assert_uint_eq(stage_last_entry(&stage), 0);
    stage.apply_error = NULL;
    ck_assert_uint_eq(stage_do(&stage, "POST", SERVERS, "", ADD).status, 201);
}

UNIT_TEST(they_come_one_after_the_other)
{
    struct answers first = {0}, second = {0};

    stage.hold = true;
    stage_ask(&stage, &first, "POST", SERVERS, "", ADD);
    stage_ask(&stage, &second, "PATCH", SERVERS "/a", "", "{\"weight\":5}");
    stage_settle(&stage);
    changes_reload(&stage.changes);
    changes_rebuild(&stage.changes);
    ck_assert_uint_eq(second.count + stage.reloads + stage.rebuilds, 0);
    stage.hold = false;
    stage_settle(&stage);
    ck_assert_uint_eq(first.count, 1);
    ck_assert_uint_eq(stage.reloads, 1); /* a signal's goes first, and is at it */
    ck_assert_uint_eq(second.count + stage.rebuilds, 0);
    changes_finish(&stage.changes, NULL);
    stage_settle(&stage);
    ck_assert_uint_eq(stage.rebuilds, 1);
    ck_assert_uint_eq(second.count, 1);
}

UNIT_TEST(too_many_are_refused)
{
    struct answers answers = {0}, last = {0};

    stage.changes.busy = true; /* something goes on */
    for (unsigned i = 0; i < 1000; i++) {
        stage_ask(&stage, &answers, "PATCH", SERVERS "/a", "", "{\"weight\":5}");
    }
    stage_ask(&stage, &last, "PATCH", SERVERS "/a", "", "{\"weight\":5}");
    stage_settle(&stage);
    ck_assert_uint_eq(answers.count, 0);
    ck_assert_uint_eq(last.status, 429);
    changes_rebuilt(&stage.changes);
    stage_settle(&stage);
    ck_assert_uint_eq(answers.count, 1000);
    ck_assert_uint_eq(answers.status, 200);
}

UNIT_TEST(who_waits_when_it_ends_is_answered_once)
{
    struct answers waits[3] = {{0}}, late = {0};

    stage.changes.busy = true; /* something goes on */
    for (size_t i = 0; i < ARRAY_COUNT(waits); i++) {
        stage_ask(&stage, &waits[i], "POST", SERVERS, "", ADD);
    }
    stage_settle(&stage);
    ck_assert_uint_eq(waits[0].count, 0);
    changes_stop(&stage.changes);
    stage_ask(&stage, &late, "POST", SERVERS, "", ADD);
    stage_settle(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(waits); i++) {
        ck_assert_uint_eq(waits[i].count, 1);
        ck_assert_uint_eq(waits[i].status, 503);
    }
    ck_assert_uint_eq(late.count, 1);
}

UNIT_TEST(what_is_prepared_when_it_ends_is_given_up)
{
    struct answers answer = {0};

    stage.hold = true;
    stage_ask(&stage, &answer, "POST", SERVERS, "", ADD);
    stage_settle(&stage);
    changes_stop(&stage.changes);
    stage.hold = false;
    stage_settle(&stage);
    ck_assert_uint_eq(answer.count, 1);
    ck_assert_uint_eq(answer.status, 503);
    ck_assert_ptr_null(stage_server(&stage, "127.0.0.1-9"));
    ck_assert_ptr_null(stage.changes.overlay->entries->child);
}

UNIT_FIXTURE(begin, end);
