/* SPDX-License-Identifier: MIT */
/* write_journal.c and undo_server.c: what is undone, by whom, and what blocks it. */
#include "change_stage.h"

#include "control/change/change.h"

#define SERVERS "/api/v1/pools/web/servers"

static struct stage stage;

/* A part of the test's own: its entries say whether they can be taken back. */

static const char *take_back(struct change *change, const cJSON *entry)
{
    const char *refusal = json_text(entry, "refusal");

    if (refusal == NULL) {
        change_note(change, "journal.undo", json_text(entry, "target"), NULL, NULL);
        json_set(change->journal, "other_key", json_text(entry, "other_key"));
    }
    return refusal;
}

static bool waits(const struct changes *changes, const cJSON *entry)
{
    (void)changes;
    return json_is_true(entry, "waits");
}

static const struct change_part other_part = {
    .mark = "other_key", .take_back = take_back, .waits = waits};

static void begin(void)
{
    static const struct change_part *const parts[] = {&journal_part, &server_part, &other_part,
                                                      NULL};
    stage_init(&stage, parts);
}

static void end(void)
{
    stage_end(&stage);
}

static struct answers undo(const char *id)
{
    char path[64];
    snprintf(path, sizeof(path), "/api/v1/journal/%s/undo", id);
    return stage_do(&stage, "POST", path, "", "");
}

static struct answers patch(const char *query, const char *body)
{
    return stage_do(&stage, "PATCH", SERVERS "/a", query, body);
}

static const char *state_of(uint64_t id)
{
    return json_text(journal_find(stage.changes.journal, id), "state");
}

UNIT_TEST(a_patch_takes_its_own_fields_back)
{
    patch("", "{\"weight\":5}");
    patch("", "{\"max_connections\":7}");
    ck_assert_uint_eq(undo("1").status, 200);
    ck_assert(stage_entry_is(&stage, "web/a", "{\"max_connections\":7}"));
    ck_assert_uint_eq(stage_server(&stage, "a")->weight, 1);
    ck_assert_str_eq(state_of(1), "undone");
    ck_assert_uint_eq(undo("1").status, 409);
    /* And again: the undo is a change too. */
    ck_assert_uint_eq(undo("3").status, 200);
    ck_assert_uint_eq(stage_server(&stage, "a")->weight, 5);
}

UNIT_TEST(members_come_back)
{
    stage_do(&stage, "DELETE", SERVERS "/a", "now=1", "");
    ck_assert_ptr_null(stage_server(&stage, "a"));
    stage_do(&stage, "POST", SERVERS, "", "{\"url\":\"http://c:1\",\"id\":\"c\"}");
    struct answers answer = undo("2");
    ck_assert_uint_eq(answer.status, 200);
    ck_assert_uint_eq(answer.journal, 3);
    ck_assert_ptr_null(stage_server(&stage, "c"));
    ck_assert_uint_eq(undo("1").status, 200);
    ck_assert_ptr_nonnull(stage_server(&stage, "a"));
}

UNIT_TEST(what_the_files_lack_by_now_is_not_brought_back)
{
    stage_do(&stage, "DELETE", SERVERS "/a", "now=1", "");
    stage.settings.configured.count = 0;
    struct answers answer = undo("1");
    ck_assert_uint_eq(answer.status, 409);
    ck_assert_ptr_nonnull(strstr(answer.body, "the files do not have that server any more"));
}

UNIT_TEST(a_later_change_of_the_same_stands_in_the_way)
{
    patch("", "{\"weight\":5}");
    patch("", "{\"weight\":6}");
    struct answers answer = undo("1");
    ck_assert_uint_eq(answer.status, 409);
    ck_assert_ptr_nonnull(strstr(answer.body, "depends on it"));
    ck_assert_uint_eq(undo("2").status, 200);
    ck_assert_uint_eq(stage_server(&stage, "a")->weight, 5);
    ck_assert_uint_eq(undo("1").status, 200);
    ck_assert(stage_entry_is(&stage, "web/a", NULL));
}

UNIT_TEST(what_the_files_have_changed_since_stays)
{
    patch("", "{\"weight\":5}");
    server_set_weight(stage_server(&stage, "a"), 8); /* as a reload does */
    ck_assert_uint_eq(undo("1").status, 409);
}

UNIT_TEST(the_last_one_that_can_be)
{
    patch("", "{\"weight\":5}");
    stage_do(&stage, "DELETE", SERVERS "/b", "now=1", "");
    stage.settings.configured.count = 1; /* the files do not have it any more */
    struct answers answer = undo("last");
    ck_assert_uint_eq(answer.status, 200);
    ck_assert_ptr_nonnull(strstr(answer.body, "\"skipped\":[{\"id\":2"));
    ck_assert_uint_eq(stage_server(&stage, "a")->weight, 1);
    ck_assert_uint_eq(undo("last").status, 409);
    ck_assert_uint_eq(undo("99").status, 404);
    ck_assert_uint_eq(undo("x").status, 404);
}

/* ---- changes that are to be confirmed ---- */

static void overdue(uint64_t id)
{
    json_put(journal_find(stage.changes.journal, id), "confirm_until", cJSON_CreateNumber(1));
    changes_upkeep(&stage.changes);
    stage_settle(&stage);
}

UNIT_TEST(what_nobody_confirms_is_taken_back)
{
    patch("confirm=60s", "{\"weight\":5}");
    changes_upkeep(&stage.changes); /* its time is not over */
    stage_settle(&stage);
    ck_assert_str_eq(state_of(1), "pending");
    overdue(1);
    ck_assert_str_eq(state_of(1), "expired");
    ck_assert_uint_eq(stage_server(&stage, "a")->weight, 1);
    ck_assert_str_eq(json_text(journal_find(stage.changes.journal, 2), "author"), "weir");
}

UNIT_TEST(what_is_confirmed_stays)
{
    patch("confirm=60s", "{\"weight\":5}");
    ck_assert_uint_eq(stage_do(&stage, "POST", "/api/v1/journal/1/confirm", "", "").status, 200);
    ck_assert_str_eq(state_of(1), "done");
    ck_assert_uint_eq(stage_do(&stage, "POST", "/api/v1/journal/1/confirm", "", "").status, 409);
    overdue(1);
    ck_assert_uint_eq(stage_server(&stage, "a")->weight, 5);
}

UNIT_TEST(what_others_depend_on_stays)
{
    patch("confirm=60s", "{\"weight\":5}");
    patch("", "{\"weight\":6}");
    overdue(1);
    ck_assert_str_eq(state_of(1), "done");
    ck_assert_uint_eq(stage_server(&stage, "a")->weight, 6);
}

/* Or the first would stay, though nobody has confirmed either. */
UNIT_TEST(what_an_unconfirmed_one_depends_on_waits_for_it)
{
    patch("confirm=60s", "{\"weight\":5}");
    patch("confirm=120s", "{\"weight\":6}");
    overdue(1);
    ck_assert_str_eq(state_of(1), "pending");
    ck_assert_uint_eq(stage_server(&stage, "a")->weight, 6);
    overdue(2);
    changes_upkeep(&stage.changes);
    stage_settle(&stage);
    ck_assert_str_eq(state_of(2), "expired");
    ck_assert_str_eq(state_of(1), "expired");
    ck_assert_uint_eq(stage_server(&stage, "a")->weight, 1);
}

UNIT_TEST(what_a_confirmed_one_depends_on_stays_then)
{
    patch("confirm=60s", "{\"weight\":5}");
    patch("confirm=120s", "{\"weight\":6}");
    overdue(1);
    ck_assert_uint_eq(stage_do(&stage, "POST", "/api/v1/journal/2/confirm", "", "").status, 200);
    overdue(1);
    ck_assert_str_eq(state_of(1), "done");
    ck_assert_uint_eq(stage_server(&stage, "a")->weight, 6);
}

UNIT_TEST(what_has_no_pool_waits_for_it)
{
    struct table pools = stage.whole.pools_by_name;

    patch("confirm=60s", "{\"weight\":5}");
    stage.whole.pools_by_name = (struct table){0}; /* as a reload does that lacks it */
    overdue(1);
    ck_assert_str_eq(state_of(1), "pending");
    stage.whole.pools_by_name = pools;
    overdue(1);
    ck_assert_str_eq(state_of(1), "expired");
    ck_assert_uint_eq(stage_server(&stage, "a")->weight, 1);
}

/* ---- other parts ---- */

static cJSON *other(const char *key, const char *why)
{
    cJSON *entry = journal_entry_new(stage.changes.journal, "ann", "server.patch", key, 60000);
    json_set(entry, "other_key", key);
    if (why != NULL) {
        json_set(entry, "refusal", why);
    }
    journal_add(stage.changes.journal, entry);
    return entry;
}

UNIT_TEST(an_entry_is_its_parts)
{
    other("one", NULL);
    other("two", "it is gone");
    struct answers answer = undo("2");
    ck_assert_uint_eq(answer.status, 409);
    ck_assert_ptr_nonnull(strstr(answer.body, "it is gone"));
    ck_assert_uint_eq(undo("1").status, 200);
    ck_assert_str_eq(state_of(1), "undone");
    const cJSON *entry = journal_find(stage.changes.journal, 3);
    ck_assert_str_eq(json_text(entry, "other_key"), "one");
    ck_assert_int_eq(json_integer(entry, "undo_of", 0), 1);
}

UNIT_TEST(what_cannot_be_taken_back_stays)
{
    other("one", "it is gone");
    overdue(1);
    ck_assert_str_eq(state_of(1), "done");
    ck_assert_uint_eq(stage_last_entry(&stage), 1);
}

UNIT_TEST(what_waits_is_taken_back_later)
{
    json_put(other("one", NULL), "waits", cJSON_CreateTrue());
    other("two", NULL);
    other("three", NULL);
    overdue(3);
    overdue(1);
    overdue(2); /* not held up by the one that waits */
    ck_assert_str_eq(state_of(3), "expired");
    ck_assert_str_eq(state_of(2), "expired");
    ck_assert_str_eq(state_of(1), "pending");
    json_put(journal_find(stage.changes.journal, 1), "waits", NULL);
    overdue(1);
    ck_assert_str_eq(state_of(1), "expired");
}

UNIT_TEST(what_is_no_parts_cannot_be_undone)
{
    journal_add(stage.changes.journal,
                journal_entry_new(stage.changes.journal, "ann", "config.reload", "weir.conf", 0));
    struct answers answer = undo("1");
    ck_assert_uint_eq(answer.status, 409);
    ck_assert_ptr_nonnull(strstr(answer.body, "(config.reload) cannot be undone"));
}

UNIT_FIXTURE(begin, end);
