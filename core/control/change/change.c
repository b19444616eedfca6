/* SPDX-License-Identifier: MIT */
/*
 * Changes in progress. See change.h.
 */
#include "control/change/change.h"

#include <stdlib.h>

#include "base/log.h"
#include "control/api/find.h"

struct change *change_new(struct changes *changes, struct operation *operation)
{
    struct change *change = base_zalloc(sizeof(*change));
    change->changes = changes;
    change->operation = operation;
    return change;
}

void change_drop(struct change *change)
{
    if (change->arg_free != NULL) {
        change->arg_free(change->arg);
    }
    free(change->key);
    cJSON_Delete(change->entry);
    cJSON_Delete(change->journal);
    cJSON_Delete(change->settled);
    store_batch_free(&change->batch);
    cJSON_Delete(change->older_shown);
    free(change->confirmed_by);
    free(change->failed);
    free(change);
}

static cJSON *or_null(cJSON *value)
{
    return value != NULL ? value : cJSON_CreateNull();
}

void change_note(struct change *change, const char *command, const char *target, cJSON *before,
                 cJSON *after)
{
    const struct operation *operation = change->operation;
    change->journal =
        journal_entry_new(change->changes->journal, operation != NULL ? operation->author : "weir",
                          command, target, operation != NULL ? operation->confirm_ms : 0);
    cJSON_AddItemToObject(change->journal, "before", or_null(before));
    cJSON_AddItemToObject(change->journal, "after", or_null(after));
}

/* ---- the end ---- */

static void tell(struct change *change)
{
    struct changes *changes = change->changes;

    if (change->older != NULL) {
        change->older_shown = journal_show(change->older);
        events_tell(&changes->plane.events, "change", journal_show(change->older));
    }
    if (change->journal != NULL) {
        events_tell(&changes->plane.events, "change", journal_show(change->journal));
        if (change->operation != NULL) {
            change->operation->journal = journal_id(change->journal);
        }
        journal_add(changes->journal, change->journal);
        change->journal = NULL;
    }
}

static void finish(struct change *change, const char *error)
{
    struct changes *changes = change->changes;
    struct operation *operation = change->operation;
    bool good = error == NULL;

    if (!good && operation != NULL) {
        operation_problem(operation, change->refused ? 422 : 503, "nothing has changed: %s", error);
    }
    if (good && change->enforce != NULL) {
        change->enforce(change);
    }
    if (good) {
        tell(change);
    }
    if (change->done != NULL) {
        change->done(change, error);
    }
    change_drop(change);
    changes_finish(changes, operation);
    if (good && operation == NULL) {
        changes_upkeep(changes); /* another may be due */
    }
}

static void on_failed(struct message *message)
{
    struct change *change = container_of(message, struct change, message);
    finish(change, change->failed);
}

/* Ends the change on the next turn; takes ownership of `error`. */
static void fail(struct change *change, char *error)
{
    change->failed = error;
    change->message.fn = on_failed;
    loop_post(change->changes->plane.self->loop, &change->message);
}

/* ---- keeping ---- */

/* Updates the older entry: first a copy for the store, then the entry itself. */
static void set_older(const struct change *change, cJSON *entry)
{
    json_put(entry, "state", cJSON_CreateString(change->older_state));
    if (change->confirmed_by != NULL) {
        cJSON_DeleteItemFromObjectCaseSensitive(entry, "confirmed_by");
        cJSON_AddStringToObject(entry, "confirmed_by", change->confirmed_by);
    }
}

static void put_entry(struct change *change, const char *key, const cJSON *entry)
{
    bool empty = entry == NULL || entry->child == NULL;
    store_put_json(&change->batch, "overlay", key, empty ? NULL : entry);
}

static void prepare_batch(struct change *change)
{
    struct changes *changes = change->changes;
    cJSON *journal = change->journal;
    const cJSON *settled = NULL;

    if (change->key != NULL) {
        put_entry(change, change->key, change->entry);
    }
    cJSON_ArrayForEach(settled, change->settled)
    {
        put_entry(change, settled->string, settled);
    }
    if (journal != NULL && change->key != NULL) {
        cJSON_AddStringToObject(journal, "overlay_key", change->key);
        json_set_copy(journal, "overlay_before", overlay_at(changes->overlay, change->key));
        json_set_copy(journal, "overlay_after", change->entry);
    }
    if (journal != NULL) {
        journal_prepare(changes->journal, journal, &change->batch);
    }
    if (change->older != NULL) {
        cJSON *copy = cJSON_Duplicate(change->older, true);
        set_older(change, copy);
        journal_put(copy, &change->batch);
        cJSON_Delete(copy);
    }
}

/* The change is durable. */
static void take_entry(struct change *change)
{
    const cJSON *settled = NULL;

    if (change->key != NULL) {
        overlay_set(change->changes->overlay, change->key, change->entry);
        change->entry = NULL;
    }
    cJSON_ArrayForEach(settled, change->settled)
    {
        overlay_set(change->changes->overlay, settled->string, cJSON_Duplicate(settled, true));
    }
    if (change->older != NULL) {
        set_older(change, change->older);
    }
}

/* ---- without a new generation ---- */

/* Applies the settings of overlay and files to the live server. */
static void apply_to_server(struct changes *changes, const char *key)
{
    struct found found = find_by_key(changes->plane.runtime->current, key);
    const cJSON *entry = overlay_at(changes->overlay, key);

    if (found.server == NULL) {
        return;
    }
    const struct server_settings *settings = found.settings;
    int64_t weight = settings->runtime ? 1 : settings->file_weight;
    int64_t limit = settings->runtime ? 0 : settings->file_max_connections;
    server_set_weight(found.server, (uint32_t)json_integer(entry, "weight", weight));
    found.server->max_connections = (uint32_t)json_integer(entry, "max_connections", limit);
    bool changed = server_set_admin(found.server, overlay_state(entry, settings));
    changes->owner.refresh(changes->owner.arg, found.server);
    if (changed) {
        plane_server_changed(&changes->plane, found.server);
    }
}

static void finished(void *arg, const char *error)
{
    finish(arg, error);
}

/* A change of members is in force when its generation is. */
static void kept(void *arg, const char *error)
{
    struct change *change = arg;
    struct changes *changes = change->changes;

    change->unkept = error != NULL;
    if (error == NULL) {
        take_entry(change);
    }
    if (change->members) {
        changes->owner.pass(changes->owner.arg, error);
        return;
    }
    if (error == NULL && change->key != NULL) {
        apply_to_server(changes, change->key);
    }
    finish(change, error);
}

static void keep(struct change *change)
{
    prepare_batch(change);
    store_commit(change->changes->store, &change->batch, kept, change);
}

/* ---- with a new generation ---- */

/* All loops have prepared the generation. */
static void gate(void *arg)
{
    struct change *change = arg;
    struct changes *changes = change->changes;

    if (changes->plane.ended) { /* since change_begin */
        changes->owner.pass(changes->owner.arg, PLANE_STOPS);
        return;
    }
    keep(change);
}

/* The generation with the change; the overlay itself stays as it was. */
static struct generation *derive(const struct change *change, struct mistakes *mistakes)
{
    struct changes *changes = change->changes;
    const struct plan_swap *swap = change->swaps ? &change->swap : NULL;

    if (change->key == NULL) {
        return changes->owner.derive(changes->owner.arg, swap, mistakes);
    }
    cJSON *before = cJSON_Duplicate(overlay_at(changes->overlay, change->key), true);
    overlay_set(changes->overlay, change->key, cJSON_Duplicate(change->entry, true));
    struct generation *generation = changes->owner.derive(changes->owner.arg, swap, mistakes);
    overlay_set(changes->overlay, change->key, before);
    return generation;
}

static bool changes_members(const struct change *change)
{
    static const char *const names[] = {"hidden", "url", "backup"};
    const cJSON *now =
        change->key != NULL ? overlay_at(change->changes->overlay, change->key) : NULL;

    for (size_t i = 0; change->key != NULL && i < ARRAY_COUNT(names); i++) {
        const cJSON *a = json_get(now, names[i]);
        const cJSON *b = json_get(change->entry, names[i]);
        if ((a == NULL) != (b == NULL) || (a != NULL && !cJSON_Compare(a, b, true))) {
            return true;
        }
    }
    return false;
}

void change_begin(struct change *change)
{
    struct changes *changes = change->changes;
    struct mistakes mistakes = {0};

    changes->busy |= change->operation == NULL;
    if (changes->plane.ended) {
        fail(change, base_strdup(PLANE_STOPS)); /* the store has stopped */
        return;
    }
    change->members = change->swaps || changes_members(change);
    if (!change->members) {
        keep(change);
        return;
    }
    struct generation *generation = derive(change, &mistakes);
    if (generation != NULL) {
        changes->owner.apply(changes->owner.arg, generation, gate, finished, change);
    } else {
        char *error = base_printf("the configuration with it is wrong: %s",
                                  mistakes.count > 0 ? mistakes.texts[0] : "no memory");
        log_write(WEIR_LOG_ERROR, "weir", "a change at run time: %s", error);
        change->refused = change->swaps; /* by a module that was asked */
        fail(change, error);
    }
    mistakes_free(&mistakes);
}
