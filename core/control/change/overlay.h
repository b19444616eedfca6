/* SPDX-License-Identifier: MIT */
/*
 * What operators have changed of pools: laid over the files at start, at reload, and when servers come or
 * go. One entry a server, a JSON object: `hidden` (the files' server of that id is taken away), `url` and
 * `backup` (added at run time), `weight`, `max_connections`, `state`, `drain_deadline` (ms since 1970),
 * `leaving` (to be removed once it is drained). Entries are kept in the store as they are. Control thread.
 */
#ifndef CONTROL_CHANGE_OVERLAY_H
#define CONTROL_CHANGE_OVERLAY_H

#include <cjson/cJSON.h>

#include "base/table.h"
#include "control/api/json.h"
#include "proxy/generation.h"

struct overlay {
    cJSON *entries;               /* by "pool/id" */
    struct table by_key, by_pool; /* of their items */
};

struct overlay *overlay_new(void);
void overlay_free(struct overlay **overlay);

/* The name of an entry; the caller frees it. */
char *overlay_key(const char *pool, const char *id);

/* NULL: nothing was changed of that server. Valid until the next overlay_set. */
const cJSON *overlay_entry(const struct overlay *overlay, const char *pool, const char *id);
const cJSON *overlay_at(const struct overlay *overlay, const char *key);

/* A copy to be changed, empty where there is none. */
cJSON *overlay_copy(const struct overlay *overlay, const char *key);
/* What stays of an entry when the server goes: that it is hidden. NULL: nothing, it was added at run time, and
 * the files have none of its name. */
cJSON *overlay_without(const struct overlay *overlay, const char *key,
                       const struct server_settings *settings);

/* Replaces an entry; takes it over. NULL, or an empty object: there is none any more. */
void overlay_set(struct overlay *overlay, const char *key, cJSON *entry);

static inline bool overlay_is_hidden(const cJSON *entry)
{
    return json_is_true(entry, "hidden");
}

static inline bool overlay_is_leaving(const cJSON *entry)
{
    return json_is_true(entry, "leaving");
}

/* Whether the entry makes the pool's members others than the files say. */
bool overlay_changes_members(const cJSON *entry);

/* runtime.adjust: arg is the overlay. */
void overlay_adjust(void *arg, struct arena *arena, struct pool_settings *settings);

/* Administrative states of the generation's servers, as the overlay or else the files say. */
void overlay_set_states(const struct overlay *overlay, const struct generation *generation);

/* Whether the generation's files have the server of that key, or perhaps have, since DNS names some. */
bool overlay_in_files(const struct generation *generation, const char *key);

/* What the generation's files say of the server of that key; NULL: nothing, or it was taken away. */
const struct server_settings *overlay_file_server(const struct generation *generation,
                                                  const char *key);

/*
 * What is left of an entry where the files say the same, as after an export that was put in their place: it is
 * theirs from then on. `file`: see overlay_file_server; `in_files`: see overlay_in_files. NULL: all of it
 * stays. Empty: nothing does. The caller's.
 */
cJSON *overlay_settle_entry(const cJSON *entry, const struct server_settings *file, bool in_files);
/* The same for all entries: an object of those that change, by their keys. NULL: none does. The caller's. */
cJSON *overlay_settle(const struct overlay *overlay, const struct generation *generation);

/* Entries that the generation's files contradict: [{pool, server, field, file, runtime}]. */
cJSON *overlay_contradictions(const struct overlay *overlay, const struct generation *generation);

/* The administrative state: the entry's (which may be NULL), else the files'. */
enum server_admin overlay_state(const cJSON *entry, const struct server_settings *settings);

#endif
