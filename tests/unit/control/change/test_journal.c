/* SPDX-License-Identifier: MIT */
/* journal.c: ids, pages, what blocks an undo, what is overdue. */
#include "runner.h"

#include <stdlib.h>

#include "control/change/journal.h"
#include "control/api/operation.h"

static void add(struct journal *journal, const char *command, const char *key, const char *field,
                uint64_t confirm_ms, uint64_t undo_of)
{
    cJSON *entry = journal_entry_new(journal, "ann", command, key, confirm_ms);
    cJSON *before = cJSON_AddObjectToObject(entry, "before");
    if (field != NULL) {
        json_set_number(before, field, 1);
    }
    json_set(entry, "overlay_key", key);
    if (undo_of > 0) {
        cJSON_ReplaceItemInObjectCaseSensitive(entry, "undo_of",
                                               cJSON_CreateNumber((double)undo_of));
        cJSON_ReplaceItemInObjectCaseSensitive(journal_find(journal, undo_of), "state",
                                               cJSON_CreateString("undone"));
    }
    journal_add(journal, entry);
}

static uint64_t conflict(const struct journal *journal, uint64_t id)
{
    const cJSON *later = journal_conflict(journal, journal_find(journal, id));
    return later != NULL ? journal_id(later) : 0;
}

UNIT_TEST(numbers_follow_one_another)
{
    struct journal *journal = journal_new();
    struct store_batch batch = {NULL, 0};
    for (unsigned i = 0; i < JOURNAL_KEPT + 5; i++) {
        add(journal, "server.patch", "web/a", "weight", 0, 0);
    }
    ck_assert_ptr_null(journal_find(journal, 5));
    ck_assert_uint_eq(journal_id(journal_find(journal, 6)), 6);
    ck_assert_ptr_null(journal_find(journal, JOURNAL_KEPT + 6));
    cJSON *entry = journal_entry_new(journal, "ann", "server.patch", "web/a", 0);
    ck_assert_uint_eq(journal_id(entry), JOURNAL_KEPT + 6);
    journal_prepare(journal, entry, &batch); /* the oldest is dropped */
    ck_assert_uint_eq(batch.count, 2);
    ck_assert_ptr_nonnull(batch.items[0].value);
    ck_assert_ptr_null(batch.items[1].value);
    ck_assert_str_eq(batch.items[1].key, "00000000000000000006");
    store_batch_free(&batch);
    cJSON_Delete(entry);
    journal_free(&journal);
}

UNIT_TEST(pages_end)
{
    struct journal *journal = journal_new();
    for (unsigned i = 0; i < 7; i++) {
        add(journal, "server.patch", "web/a", "weight", 0, 0);
    }
    uint64_t before = 0, seen = 0;
    for (unsigned page = 0; page < 3; page++) {
        cJSON *list = journal_list(journal, 3, before);
        const cJSON *item = NULL;
        cJSON_ArrayForEach(item, cJSON_GetObjectItem(list, "entries"))
        {
            ck_assert_uint_eq(journal_id(item), 7 - seen++);
            ck_assert_ptr_null(cJSON_GetObjectItem(item, "overlay_key"));
        }
        const cJSON *cursor = cJSON_GetObjectItem(list, "cursor");
        ck_assert_int_eq(cJSON_IsNumber(cursor), page < 2);
        before = (uint64_t)cJSON_GetNumberValue(cursor);
        cJSON_Delete(list);
    }
    ck_assert_uint_eq(seen, 7);
    journal_free(&journal);
}

UNIT_TEST(undo_waits_for_what_depends_on_it)
{
    struct journal *journal = journal_new();
    add(journal, "server.patch", "web/a", "weight", 0, 0);          /* 1 */
    add(journal, "server.patch", "web/a", "max_connections", 0, 0); /* 2: another field */
    add(journal, "server.patch", "web/b", "weight", 0, 0);          /* 3: another server */
    ck_assert_uint_eq(conflict(journal, 1), 0);
    add(journal, "server.patch", "web/a", "weight", 0, 0); /* 4 */
    ck_assert_uint_eq(conflict(journal, 1), 4);
    add(journal, "journal.undo", "web/a", "weight", 0, 4); /* 5: cancels out with 4 */
    ck_assert_uint_eq(conflict(journal, 1), 0);
    add(journal, "journal.undo", "web/a", "weight", 0, 5); /* 6: what 4 did is there again */
    ck_assert_uint_eq(conflict(journal, 1), 6);
    add(journal, "journal.undo", "web/a", "weight", 0, 6); /* 7: and is not */
    ck_assert_uint_eq(conflict(journal, 1), 0);
    add(journal, "server.remove", "web/b", NULL, 0, 0); /* 8: the server itself */
    ck_assert_uint_eq(conflict(journal, 3), 8);
    journal_free(&journal);
}

static void add_user(struct journal *journal, const char *name, const char *part)
{
    cJSON *entry = journal_entry_new(journal, "ann", "user.patch", name, 0);
    json_set(entry, "user_key", name); /* as earlier versions wrote it */
    json_set(entry, "user_part", part);
    char *text = json_print(entry);
    journal_load(journal, text);
    free(text);
    cJSON_Delete(entry);
}

UNIT_TEST(users_depend_on_their_being_there)
{
    struct journal *journal = journal_new();
    add_user(journal, "bob", "all");      /* 1 */
    add_user(journal, "eve", "all");      /* 2 */
    add_user(journal, "eve", "role");     /* 3 */
    add_user(journal, "eve", "token:1f"); /* 4 */
    add_user(journal, "eve", "role");     /* 5 */
    add(journal, "server.patch", "web/a", "weight", 0, 0);
    ck_assert_uint_eq(conflict(journal, 1), 0);
    ck_assert_uint_eq(conflict(journal, 2), 3);
    ck_assert_uint_eq(conflict(journal, 3), 5);
    ck_assert_uint_eq(conflict(journal, 4), 0);
    cJSON *shown = journal_show(journal_find(journal, 4));
    ck_assert(!cJSON_HasObjectItem(shown, "kept_key") && !cJSON_HasObjectItem(shown, "kept_part"));
    ck_assert(!cJSON_HasObjectItem(shown, "user_key") && !cJSON_HasObjectItem(shown, "user_part"));
    ck_assert_str_eq(json_text(journal_find(journal, 4), "kept_key"), "users/eve");
    cJSON_Delete(shown);
    journal_free(&journal);
}

UNIT_TEST(newest_overdue_first)
{
    struct journal *journal = journal_new();
    add(journal, "server.patch", "web/a", "weight", 1000, 0);
    add(journal, "server.patch", "web/a", "weight", 1000, 0);
    add(journal, "server.patch", "web/a", "weight", 0, 0);
    ck_assert_ptr_null(journal_overdue(journal, 0, 0));
    ck_assert_uint_eq(journal_id(journal_overdue(journal, 0, UINT64_MAX)), 2);
    journal_free(&journal);
}

UNIT_TEST(nonsense_from_the_store_is_left_out)
{
    struct journal *journal = journal_new();
    journal_load(journal, "{");
    journal_load(journal, "[]");
    journal_load(journal, "{\"id\":0}");
    journal_load(journal, "{\"id\":12,\"state\":\"done\"}");
    ck_assert_ptr_nonnull(journal_find(journal, 12));
    cJSON *entry = journal_entry_new(journal, "ann", "x", "y", 0);
    ck_assert_uint_eq(journal_id(entry), 13);
    cJSON_Delete(entry);
    journal_free(&journal);
}
