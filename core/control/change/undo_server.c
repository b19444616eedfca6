/* SPDX-License-Identifier: MIT */
/*
 * Taking back changes to servers.
 */
#include "control/api/find.h"
#include "control/change/change.h"
#include "control/change/server_part.h"

/* The earlier value where the overlay had none: it came from the files, which may have changed
 * since. NULL: the files still say it. */
static cJSON *from_files(const cJSON *was, const char *name, const struct server_settings *file)
{
    bool same = true;

    if (file != NULL && strcmp(name, "weight") == 0) {
        same = (int64_t)cJSON_GetNumberValue(was) == file->file_weight;
    } else if (file != NULL && strcmp(name, "max_connections") == 0) {
        same = (int64_t)cJSON_GetNumberValue(was) == file->file_max_connections;
    } else if (file != NULL && strcmp(name, "state") == 0 && cJSON_IsString(was)) {
        same = strcmp(cJSON_GetStringValue(was),
                      server_admin_word((enum server_admin)file->state)) == 0;
    }
    return same ? NULL : cJSON_Duplicate(was, true);
}

/* The overlay's entry without the change; of a patch, only its own fields are reverted. */
static cJSON *entry_before(const struct changes *changes, const cJSON *done)
{
    static const char *const state_fields[] = {"leaving", "drain_deadline", NULL};
    const char *key = operation_text(done, "overlay_key");
    const cJSON *old = json_get(done, "overlay_before");
    const cJSON *item = NULL;
    const char *command = operation_text(done, "command");

    if (command == NULL || strcmp(command, "server.patch") != 0) {
        return cJSON_IsObject(old) ? cJSON_Duplicate(old, true) : NULL;
    }
    cJSON *entry = overlay_copy(changes->overlay, key);
    const struct server_settings *file = overlay_file_server(changes->plane.runtime->current, key);
    cJSON_ArrayForEach(item, json_get(done, "before"))
    {
        const char *const own[] = {item->string, NULL};
        for (unsigned pass = 0; pass < 2; pass++) {
            const char *const *names = pass == 0 ? own : state_fields;
            for (; *names != NULL && (pass == 0 || strcmp(item->string, "state") == 0); names++) {
                const cJSON *value = json_get(old, *names);
                cJSON *back = value != NULL ? cJSON_Duplicate(value, true)
                              : pass == 0   ? from_files(item, *names, file)
                                            : NULL;
                json_put(entry, *names, back);
            }
        }
    }
    return entry;
}

void server_take_back(struct change *change, const cJSON *entry)
{
    const cJSON *before = json_get(entry, "before");
    const cJSON *after = json_get(entry, "after");
    const char *target = operation_text(entry, "target");

    change->key = base_strdup(operation_text(entry, "overlay_key"));
    change->entry = entry_before(change->changes, entry);
    change_note(change, "journal.undo", target != NULL ? target : "", cJSON_Duplicate(after, true),
                cJSON_Duplicate(before, true));
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

const char *server_undo_refusal(const struct changes *changes, const cJSON *entry)
{
    const struct generation *current = changes->plane.runtime->current;
    struct found found = find_by_key(current, operation_text(entry, "overlay_key"));
    const cJSON *old = json_get(entry, "overlay_before");
    bool was = cJSON_IsObject(json_get(entry, "before"));
    bool is = cJSON_IsObject(json_get(entry, "after"));
    bool added = cJSON_HasObjectItem(old, "url");
    bool hidden = json_is_true(old, "hidden");
    bool in_files = overlay_in_files(current, operation_text(entry, "overlay_key"));

    if (found.plan == NULL) {
        return "its pool is not there any more";
    }
    if (was && !is && !added && !in_files) {
        return "the files do not have that server any more; add it with its URL";
    }
    if (!was && is && !hidden && in_files) {
        return "the files have that server by now; remove it instead";
    }
    if (found.server != NULL && strcmp(operation_text(entry, "command"), "server.patch") == 0 &&
        (number_has_moved(found.server, entry, "weight") ||
         number_has_moved(found.server, entry, "max_connections"))) {
        return "the files have changed it since; change it anew";
    }
    return NULL;
}
