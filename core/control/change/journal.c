/* SPDX-License-Identifier: MIT */
/*
 * The journal. See journal.h. Entries are in a ring, by id: ids follow one another.
 */
#include "control/change/journal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/api/json.h"
#include "net/loop.h"

struct journal {
    cJSON *ring[JOURNAL_KEPT]; /* by id */
    uint64_t last_id;
};

struct journal *journal_new(void)
{
    return base_zalloc(sizeof(struct journal));
}

void journal_free(struct journal **journal)
{
    for (size_t i = 0; i < JOURNAL_KEPT; i++) {
        cJSON_Delete((*journal)->ring[i]);
    }
    free(*journal);
    *journal = NULL;
}

static const char *text_of(const cJSON *entry, const char *name)
{
    const char *text = json_text(entry, name);
    return text != NULL ? text : "";
}

static cJSON *at(const struct journal *journal, uint64_t id)
{
    cJSON *entry = journal->ring[id % JOURNAL_KEPT];
    return entry != NULL && journal_id(entry) == id ? entry : NULL;
}

cJSON *journal_find(const struct journal *journal, uint64_t id)
{
    return id > 0 ? at(journal, id) : NULL;
}

cJSON *journal_older(const struct journal *journal, uint64_t id)
{
    uint64_t first = journal->last_id > JOURNAL_KEPT ? journal->last_id - JOURNAL_KEPT : 0;

    id = id == 0 || id > journal->last_id ? journal->last_id + 1 : id;
    while (--id > first) {
        cJSON *entry = at(journal, id);
        if (entry != NULL) {
            return entry;
        }
    }
    return NULL;
}

void journal_add(struct journal *journal, cJSON *entry)
{
    uint64_t id = journal_id(entry);
    cJSON_Delete(journal->ring[id % JOURNAL_KEPT]);
    journal->ring[id % JOURNAL_KEPT] = entry;
    journal->last_id = id > journal->last_id ? id : journal->last_id;
}

/* Earlier versions wrote `user_key` and `user_part` for users, which a module keeps now. */
static void take_older_names(cJSON *entry)
{
    cJSON *name = cJSON_DetachItemFromObjectCaseSensitive(entry, "user_key");
    cJSON *part = cJSON_DetachItemFromObjectCaseSensitive(entry, "user_part");

    if (cJSON_IsString(name)) {
        char *key = base_printf("users/%s", name->valuestring);
        cJSON_AddStringToObject(entry, "kept_key", key);
        cJSON_AddStringToObject(entry, "kept_part", part != NULL ? part->valuestring : "password");
        free(key);
    }
    cJSON_Delete(name);
    cJSON_Delete(part);
}

void journal_load(struct journal *journal, const char *value)
{
    cJSON *entry = cJSON_Parse(value);
    if (!cJSON_IsObject(entry) || json_integer(entry, "id", 0) < 1) {
        log_write(WEIR_LOG_WARNING, "weir", "an entry of the journal cannot be read; left out");
        cJSON_Delete(entry);
        return;
    }
    take_older_names(entry);
    journal_add(journal, entry);
}

cJSON *journal_entry_new(const struct journal *journal, const char *author, const char *command,
                         const char *target, uint64_t confirm_ms)
{
    cJSON *entry = cJSON_CreateObject();
    uint64_t now = loop_wall_ms();

    cJSON_AddNumberToObject(entry, "id", (double)(journal->last_id + 1));
    cJSON_AddNumberToObject(entry, "time", (double)now);
    cJSON_AddStringToObject(entry, "author", author);
    cJSON_AddStringToObject(entry, "command", command);
    cJSON_AddStringToObject(entry, "target", target);
    cJSON_AddStringToObject(entry, "state", confirm_ms > 0 ? "pending" : "done");
    json_set_number(entry, "confirm_until", confirm_ms > 0 ? (double)(now + confirm_ms) : NAN);
    cJSON_AddNullToObject(entry, "undo_of");
    return entry;
}

static void key_of(uint64_t id, char key[24])
{
    snprintf(key, 24, "%020llu", (unsigned long long)id);
}

void journal_put(const cJSON *entry, struct store_batch *batch)
{
    char key[24];
    key_of(journal_id(entry), key);
    store_put_json(batch, "journal", key, entry);
}

void journal_prepare(const struct journal *journal, const cJSON *entry, struct store_batch *batch)
{
    uint64_t id = journal_id(entry);
    char key[24];

    journal_put(entry, batch);
    if (id > JOURNAL_KEPT && at(journal, id - JOURNAL_KEPT) != NULL) {
        key_of(id - JOURNAL_KEPT, key);
        store_put(batch, "journal", key, NULL);
    }
}

/* ---- undoing ---- */

static bool is_pending(const cJSON *entry)
{
    return strcmp(text_of(entry, "state"), "pending") == 0;
}

bool journal_is_live(const cJSON *entry)
{
    return is_pending(entry) || strcmp(text_of(entry, "state"), "done") == 0;
}

/* Both change the same server or user, and one of them adds or removes it, or both change the same
 * setting. */
static bool interferes(const cJSON *entry, const cJSON *later)
{
    const cJSON *item = NULL;
    const cJSON *fields = json_get(later, "before");

    if (json_get(entry, "overlay_key") == NULL && json_get(entry, "kept_key") == NULL &&
        json_get(entry, "pool_key") == NULL) {
        return false; /* its part itself looks at what has changed since */
    }
    if (strcmp(text_of(entry, "overlay_key"), text_of(later, "overlay_key")) != 0 ||
        strcmp(text_of(entry, "kept_key"), text_of(later, "kept_key")) != 0 ||
        strcmp(text_of(entry, "pool_key"), text_of(later, "pool_key")) != 0) {
        return false;
    }
    if (text_of(entry, "kept_key")[0] != '\0') {
        const char *a = text_of(entry, "kept_part"), *b = text_of(later, "kept_part");
        return strcmp(a, b) == 0 || strcmp(a, "all") == 0 || strcmp(b, "all") == 0;
    }
    if (strcmp(text_of(entry, "command"), "server.patch") != 0 ||
        strcmp(text_of(later, "command"), "server.patch") != 0) {
        return true;
    }
    cJSON_ArrayForEach(item, json_get(entry, "before"))
    {
        if (json_get(fields, item->string) != NULL) {
            return true;
        }
    }
    return false;
}

/* Whether it takes back an entry later than `id`, so that both cancel out: an undo, or the undo of
 * an undo of an undo. */
static bool cancels_out(const struct journal *journal, const cJSON *entry, uint64_t id)
{
    bool back = false;
    uint64_t root = journal_id(entry);

    for (const cJSON *at_entry = entry; at_entry != NULL; at_entry = journal_find(journal, root)) {
        int64_t before = json_integer(at_entry, "undo_of", 0);
        if (before < 1) {
            break;
        }
        root = (uint64_t)before;
        back = !back;
    }
    return back && root > id;
}

const cJSON *journal_conflict(const struct journal *journal, const cJSON *entry)
{
    uint64_t id = journal_id(entry);

    for (uint64_t i = id + 1; i <= journal->last_id; i++) {
        const cJSON *later = at(journal, i);
        if (later == NULL || !journal_is_live(later)) {
            continue;
        }
        if (!cancels_out(journal, later, id) && interferes(entry, later)) {
            return later;
        }
    }
    return NULL;
}

cJSON *journal_overdue(const struct journal *journal, uint64_t id, uint64_t now_ms)
{
    cJSON *entry = journal_older(journal, id);

    /* The newest first: changes that depend on an overdue one are undone before it. */
    while (entry != NULL &&
           !(is_pending(entry) && (uint64_t)json_integer(entry, "confirm_until", 0) <= now_ms)) {
        entry = journal_older(journal, journal_id(entry));
    }
    return entry;
}

/* ---- showing ---- */

cJSON *journal_show(const cJSON *entry)
{
    static const char *const ours[] = {"overlay_key", "overlay_before", "overlay_after",
                                       "kept_key",    "kept_part",      "kept_gone",
                                       "pool_key",    "pool_before",    "swap_key"};
    cJSON *copy = cJSON_Duplicate(entry, true);
    for (size_t i = 0; i < ARRAY_COUNT(ours); i++) {
        cJSON_DeleteItemFromObjectCaseSensitive(copy, ours[i]);
    }
    return copy;
}

cJSON *journal_list(const struct journal *journal, size_t limit, uint64_t before)
{
    cJSON *answer = cJSON_CreateObject();
    cJSON *entries = cJSON_AddArrayToObject(answer, "entries");
    const cJSON *entry = journal_older(journal, before);

    for (size_t count = 0; entry != NULL && count < limit; count++) {
        cJSON_AddItemToArray(entries, journal_show(entry));
        before = journal_id(entry);
        entry = journal_older(journal, before);
    }
    json_set_number(answer, "cursor", entry != NULL ? (double)before : NAN);
    return answer;
}

cJSON *journal_pending_json(const struct journal *journal)
{
    cJSON *list = cJSON_CreateArray();

    for (const cJSON *entry = journal_older(journal, 0); entry != NULL;
         entry = journal_older(journal, journal_id(entry))) {
        if (is_pending(entry)) {
            cJSON *item = json_append(list);
            json_set_number(item, "id", (double)journal_id(entry));
            json_set_copy(item, "until", json_get(entry, "confirm_until"));
        }
    }
    return list;
}
