/* SPDX-License-Identifier: MIT */
/*
 * Taking back changes to servers.
 */
#include "control/api/find.h"
#include "control/change/change.h"
#include "control/change/server_part.h"

/* Whether the files have the earlier value, so that the overlay need not. A value that the files
 * cannot have came with the overlay and is dropped with it. */
static bool is_of_files(const cJSON *was, const char *name, const struct server_settings *file)
{
    if (file != NULL && strcmp(name, "weight") == 0) {
        return (int64_t)cJSON_GetNumberValue(was) == file->file_weight;
    }
    if (file != NULL && strcmp(name, "max_connections") == 0) {
        return (int64_t)cJSON_GetNumberValue(was) == file->file_max_connections;
    }
    if (file != NULL && strcmp(name, "state") == 0 && cJSON_IsString(was)) {
        return strcmp(was->valuestring, server_admin_word((enum server_admin)file->state)) == 0;
    }
    return true;
}

/* Sets a member to a copy; NULL: removes it. */
static void revert(cJSON *entry, const char *name, const cJSON *value)
{
    json_put(entry, name, value != NULL ? cJSON_Duplicate(value, true) : NULL);
}

/* The overlay's entry without the change; of a patch, only its own fields are reverted. */
static cJSON *entry_before(const struct changes *changes, const cJSON *done)
{
    const char *key = json_text(done, "overlay_key");
    const char *command = json_text(done, "command");
    const cJSON *old = json_get(done, "overlay_before");
    const cJSON *was = NULL;

    if (command == NULL || strcmp(command, "server.patch") != 0) {
        return cJSON_IsObject(old) ? cJSON_Duplicate(old, true) : NULL;
    }
    cJSON *entry = overlay_copy(changes->overlay, key);
    const struct server_settings *file = overlay_file_server(changes->plane.runtime->current, key);
    cJSON_ArrayForEach(was, json_get(done, "before"))
    {
        const char *name = was->string;
        const cJSON *value = json_get(old, name);
        revert(entry, name, value != NULL || is_of_files(was, name, file) ? value : was);
        if (strcmp(name, "state") == 0) {
            revert(entry, "leaving", json_get(old, "leaving"));
            revert(entry, "drain_deadline", json_get(old, "drain_deadline"));
        }
    }
    return entry;
}

/* Whether a number set by a patch has a different value now. No later entry changed it, so the
 * files did. */
static bool number_has_moved(const struct server *server, const cJSON *entry, const char *name)
{
    const cJSON *after = json_get(json_get(entry, "after"), name);
    uint32_t now = strcmp(name, "weight") == 0 ? server->weight : server->max_connections;
    return cJSON_IsNumber(after) &&
           ((double)now < after->valuedouble || (double)now > after->valuedouble);
}

static const char *refusal(const struct changes *changes, const cJSON *entry)
{
    const struct generation *current = changes->plane.runtime->current;
    struct found found = find_by_key(current, json_text(entry, "overlay_key"));
    const cJSON *old = json_get(entry, "overlay_before");
    bool was = cJSON_IsObject(json_get(entry, "before"));
    bool is = cJSON_IsObject(json_get(entry, "after"));
    bool added = cJSON_HasObjectItem(old, "url");
    bool hidden = json_is_true(old, "hidden");
    bool in_files = overlay_in_files(current, json_text(entry, "overlay_key"));

    if (found.plan == NULL) {
        return "its pool is not there any more";
    }
    if (was && !is && !added && !in_files) {
        return "the files do not have that server any more; add it with its URL";
    }
    if (!was && is && !hidden && in_files) {
        return "the files have that server by now; remove it instead";
    }
    if (found.server != NULL && strcmp(json_text(entry, "command"), "server.patch") == 0 &&
        (number_has_moved(found.server, entry, "weight") ||
         number_has_moved(found.server, entry, "max_connections"))) {
        return "the files have changed it since; change it anew";
    }
    return NULL;
}

const char *server_take_back(struct change *change, const cJSON *entry)
{
    const cJSON *before = json_get(entry, "before");
    const cJSON *after = json_get(entry, "after");
    const char *target = json_text(entry, "target");
    const char *why = refusal(change->changes, entry);

    if (why != NULL) {
        return why;
    }
    change->key = base_strdup(json_text(entry, "overlay_key"));
    change->entry = entry_before(change->changes, entry);
    change_note(change, "journal.undo", target != NULL ? target : "", cJSON_Duplicate(after, true),
                cJSON_Duplicate(before, true));
    return NULL;
}

/* For its pool, which a reload may bring back with the change. */
bool server_waits(const struct changes *changes, const cJSON *entry)
{
    const char *key = json_text(entry, "overlay_key");
    return find_by_key(changes->plane.runtime->current, key).plan == NULL;
}
