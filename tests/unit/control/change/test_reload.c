/* SPDX-License-Identifier: MIT */
/* reload.c: the outcome of a reload, for the caller, the status and the journal. */
#include "change_stage.h"

#include "control/change/reload.h"

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

static void ask(struct answers *answers)
{
    stage_ask(&stage, answers, "POST", "/api/v1/config/reload", "", "");
    stage_settle(&stage);
    ck_assert_uint_eq(stage.reloads, 1);
    ck_assert_ptr_nonnull(stage.reload);
    ck_assert_uint_eq(answers->count, 0);
}

static const cJSON *entry(uint64_t id)
{
    return journal_find(stage.changes.journal, id);
}

UNIT_TEST(one_that_is_in_force)
{
    struct answers answer = {0};

    overlay_set(stage.changes.overlay, "web/a", cJSON_Parse("{\"weight\":1}")); /* as the files */
    overlay_set(stage.changes.overlay, "web/b", cJSON_Parse("{\"weight\":5}"));
    ask(&answer);
    changes_reloaded(&stage.changes, stage.reload, NULL, NULL);
    ck_assert_uint_eq(answer.count, 0);
    stage_settle(&stage);
    ck_assert_uint_eq(answer.count, 1);
    ck_assert_uint_eq(answer.status, 200);
    ck_assert_ptr_nonnull(strstr(answer.body, "\"settled\":[\"web/a\"]"));
    ck_assert_ptr_nonnull(strstr(answer.body, "\"contradictions\":[{"));
    ck_assert(stage_entry_is(&stage, "web/a", NULL));
    ck_assert_str_eq(json_text(entry(1), "state"), "done");
    ck_assert_uint_eq(stage.runtime.reloads.done, 1);
}

UNIT_TEST(one_with_mistakes)
{
    struct answers answer = {0};
    struct mistakes mistakes = {0};

    mistakes_add(&mistakes, (struct place){"weir.conf", 3}, "no such thing");
    ask(&answer);
    changes_reloaded(&stage.changes, stage.reload, &mistakes, NULL);
    mistakes_free(&mistakes);
    stage_settle(&stage);
    ck_assert_uint_eq(answer.status, 422);
    ck_assert_ptr_nonnull(strstr(answer.body, "no such thing"));
    ck_assert_str_eq(json_text(entry(1), "state"), "refused");
    ck_assert_str_eq(json_text(stage.changes.last_reload, "result"), "refused");
    ck_assert(stage.runtime.reloads.last_refused);
}

UNIT_TEST(one_that_a_loop_could_not_take)
{
    struct answers answer = {0};

    ask(&answer);
    changes_reloaded(&stage.changes, stage.reload, NULL, "loop 1: no memory");
    stage_settle(&stage);
    ck_assert_uint_eq(answer.status, 503);
    ck_assert_ptr_nonnull(strstr(answer.body, "loop 1: no memory"));
}

UNIT_TEST(a_signals_goes_into_the_journal_too)
{
    changes_reload(&stage.changes);
    ck_assert_uint_eq(stage.reloads, 1);
    ck_assert_ptr_null(stage.reload);
    changes_reload(&stage.changes); /* another one, which waits */
    ck_assert_uint_eq(stage.reloads, 1);
    changes_reloaded(&stage.changes, NULL, NULL, NULL);
    stage_settle(&stage);
    ck_assert_uint_eq(stage.reloads, 2);
    ck_assert_str_eq(json_text(entry(1), "author"), "weir");
    changes_reloaded(&stage.changes, NULL, NULL, "the program stops");
    stage_settle(&stage);
    ck_assert_str_eq(json_text(entry(2), "state"), "refused");
    ck_assert(!stage.changes.busy);
}

UNIT_FIXTURE(begin, end);
