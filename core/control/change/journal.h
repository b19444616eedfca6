/* SPDX-License-Identifier: MIT */
/*
 * The journal: every runtime change, with who made it, what was before and after, and how to take it back.
 * The last JOURNAL_KEPT entries are kept, in memory and in the store; older ones go. Control thread.
 *
 * An entry is a JSON object as the API shows it, and beside what it shows `overlay_key`, `overlay_before`
 * and `overlay_after` (the overlay's entry of the target), by which it is undone; or, about what
 * a module keeps, `kept_key` (SPACE/KEY), `kept_part` (of it; `all`: its being there) and `kept_gone` (what was
 * there, where it went). What it shows holds no secret.
 */
#ifndef CONTROL_CHANGE_JOURNAL_H
#define CONTROL_CHANGE_JOURNAL_H

#include <cjson/cJSON.h>

#include "control/change/store.h"

#define JOURNAL_KEPT 10000u

struct journal;

struct journal *journal_new(void);
void journal_free(struct journal **journal);

/* From the store, in the order of ids. */
void journal_load(struct journal *journal, const char *value);

/* A new entry, not yet in the journal; the caller adds `before`, `after` and the rest. */
cJSON *journal_entry_new(const struct journal *journal, const char *author, const char *command,
                         const char *target, uint64_t confirm_ms);

/* What the store is to keep of it, and (with `store` changes of older entries) of those that go. */
void journal_prepare(const struct journal *journal, const cJSON *entry, struct store_batch *batch);
/* It is durable: takes the entry over. */
void journal_add(struct journal *journal, cJSON *entry);

/* The kept form of an entry's present state, after a change of `state`. */
void journal_put(const cJSON *entry, struct store_batch *batch);

cJSON *journal_find(const struct journal *journal, uint64_t id);
/* The newest entry's; 0: there is none. */
uint64_t journal_last(const struct journal *journal);
/* It stands: done, or waiting for its confirmation. */
bool journal_is_live(const cJSON *entry);
static inline uint64_t journal_id(const cJSON *entry)
{
    return (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(entry, "id"));
}

/* A later entry that stands in the way of undoing this one; NULL: none. */
const cJSON *journal_conflict(const struct journal *journal, const cJSON *entry);

/* One that waited for its confirmation in vain; NULL: none. */
cJSON *journal_overdue(const struct journal *journal, uint64_t now_ms);

/* A copy without what is only ours. */
cJSON *journal_show(const cJSON *entry);
/* {"entries": [...], "cursor": id or null}, newest first, of those below `before` (0: from the newest). */
cJSON *journal_list(const struct journal *journal, size_t limit, uint64_t before);
cJSON *journal_pending_json(const struct journal *journal);

#endif
