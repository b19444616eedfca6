/* SPDX-License-Identifier: MIT */
/*
 * The journal: every runtime change, with its author, the state before and after, and how to undo
 * it. Keeps the last JOURNAL_KEPT entries, in memory and in the store. Control thread. An entry is
 * a JSON object as the API shows it, with members that are not shown: `overlay_key`,
 * `overlay_before` and `overlay_after` (the overlay's entry of the target) for undo; or, about what
 * a module keeps, `kept_key` (SPACE/KEY), `kept_part` (a part of it; `all`: its existence) and
 * `kept_gone` (the value that was removed); or, about a pool's balancer, `pool_key` (the pool) and
 * `pool_before` (what was kept of it); or, where a swap began, `swap_key`. What is shown holds no
 * secret.
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

/* A new entry, not yet in the journal. The caller adds `before`, `after` and the rest. */
cJSON *journal_entry_new(const struct journal *journal, const char *author, const char *command,
                         const char *target, uint64_t confirm_ms);

/* Adds the entry to the batch, and the removal of the one that it pushes out. */
void journal_prepare(const struct journal *journal, const cJSON *entry, struct store_batch *batch);
/* Adds a durable entry; takes ownership. */
void journal_add(struct journal *journal, cJSON *entry);

/* Adds an entry to the batch after a change of its state. */
void journal_put(const cJSON *entry, struct store_batch *batch);

cJSON *journal_find(const struct journal *journal, uint64_t id);
/* The newest entry with a smaller id than `id`, 0: of all; NULL: none. */
cJSON *journal_older(const struct journal *journal, uint64_t id);
/* Done, or waiting for confirmation. */
bool journal_is_live(const cJSON *entry);
static inline uint64_t journal_id(const cJSON *entry)
{
    return (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(entry, "id"));
}

/* A later entry that must be undone first; NULL: none. */
const cJSON *journal_conflict(const struct journal *journal, const cJSON *entry);

/* The newest entry with a smaller id than `id` (0: of all) whose confirmation is overdue; NULL:
 * none. */
cJSON *journal_overdue(const struct journal *journal, uint64_t id, uint64_t now_ms);

/* A copy without the members that are not shown. */
cJSON *journal_show(const cJSON *entry);
/* {"entries": [...], "cursor": id or null}: entries below `before` (0: all), newest first. */
cJSON *journal_list(const struct journal *journal, size_t limit, uint64_t before);
cJSON *journal_pending_json(const struct journal *journal);

#endif
