/* SPDX-License-Identifier: MIT */
/*
 * The overlay: runtime changes to pools, laid over the files at start, at reload and when members
 * change. One entry per server, a JSON object: `hidden` (removes the files' server of that id),
 * `url` and `backup` (added at run time), `weight`, `max_connections`, `state`, `drain_deadline`
 * (ms since 1970), `leaving` (removed once drained). The store keeps entries as they are. Control
 * thread.
 */
#ifndef CONTROL_CHANGE_OVERLAY_H
#define CONTROL_CHANGE_OVERLAY_H

#include <cjson/cJSON.h>

#include "base/table.h"
#include "control/api/json.h"
#include "proxy/runtime.h"

struct overlay {
    cJSON *entries;               /* by "pool/id" */
    struct table by_key, by_pool; /* of their items */
};

struct overlay *overlay_new(void);
void overlay_free(struct overlay **overlay);

/* The name of an entry; the caller frees it. */
char *overlay_key(const char *pool, const char *id);

/* NULL: no runtime change to that server. Valid until the next overlay_set. */
const cJSON *overlay_entry(const struct overlay *overlay, const char *pool, const char *id);
const cJSON *overlay_at(const struct overlay *overlay, const char *key);

/* A copy of the entry to edit; an empty object if there is none. The caller frees it. */
cJSON *overlay_copy(const struct overlay *overlay, const char *key);
/* The entry that removes the server: `hidden`. NULL: none needed, because it was added at run
 * time and the files have no server of that id. */
cJSON *overlay_without(const struct overlay *overlay, const char *key,
                       const struct server_settings *settings);

/* Replaces an entry and takes ownership. NULL or an empty object removes it. */
void overlay_set(struct overlay *overlay, const char *key, cJSON *entry);

static inline bool overlay_is_hidden(const cJSON *entry)
{
    return json_is_true(entry, "hidden");
}

static inline bool overlay_is_leaving(const cJSON *entry)
{
    return json_is_true(entry, "leaving");
}

/* runtime.adjust: arg is the overlay. */
void overlay_adjust(void *arg, struct arena *arena, struct pool_settings *settings);

/* Sets the administrative state of each server, from the overlay or else from the files. */
void overlay_set_states(const struct overlay *overlay, const struct generation *generation);

/* Whether the generation's files define the server of that key, or may define it through DNS. */
bool overlay_in_files(const struct generation *generation, const char *key);

/* The files' settings of the server of that key; NULL: the files do not define it. */
const struct server_settings *overlay_file_server(const struct generation *generation,
                                                  const char *key);

/* What remains of an entry after dropping what the files say too (as after an export replaced
 * them). `file`: see overlay_file_server; `in_files`: see overlay_in_files. NULL: the entry
 * stays as it is. Empty: nothing remains. The caller frees it. */
cJSON *overlay_settle_entry(const cJSON *entry, const struct server_settings *file, bool in_files);
/* The same for all entries: an object of those that change, by key. NULL: none. The caller frees
 * it. */
cJSON *overlay_settle(const struct overlay *overlay, const struct generation *generation);

/* Entries that the generation's files contradict: [{pool, server, field, file, runtime}]. */
cJSON *overlay_contradictions(const struct overlay *overlay, const struct generation *generation);

/* The administrative state from the entry (may be NULL), else from the files. */
enum server_admin overlay_state(const cJSON *entry, const struct server_settings *settings);

#endif
