/* SPDX-License-Identifier: MIT */
/*
 * Changes on their way. See change.h.
 */
#include "control/change/change.h"

#include <stdlib.h>

#include "base/log.h"
#include "control/change/drain.h"
#include "control/users.h"

#define STOPS "the program stops"

struct change *change_new(struct plane *plane, struct operation *operation)
{
    struct change *change = base_zalloc(sizeof(*change));
    change->plane = plane;
    change->operation = operation;
    if (operation == NULL) {
        plane->busy = true;
    }
    return change;
}

static void change_free(struct change *change)
{
    free(change->key);
    cJSON_Delete(change->entry);
    cJSON_Delete(change->journal);
    cJSON_Delete(change->restore);
    cJSON_Delete(change->arg_json);
    cJSON_Delete(change->settled);
    store_batch_free(&change->batch);
    cJSON_Delete(change->older_shown);
    free(change->confirmed_by);
    free(change->failed);
    free(change);
}

void change_note(struct change *change, const char *command, const char *target, cJSON *before,
                 cJSON *after)
{
    const struct operation *operation = change->operation;
    change->journal =
        journal_entry_new(change->plane->journal, operation != NULL ? operation->author : "weir",
                          command, target, operation != NULL ? operation->confirm_ms : 0);
    cJSON_AddItemToObject(change->journal, "before", before != NULL ? before : cJSON_CreateNull());
    cJSON_AddItemToObject(change->journal, "after", after != NULL ? after : cJSON_CreateNull());
}

/* ---- the end ---- */

static void tell(struct change *change)
{
    struct plane *plane = change->plane;

    if (change->older != NULL) {
        change->older_shown = journal_show(change->older);
        events_tell(&plane->events, "change", journal_show(change->older));
    }
    if (change->journal != NULL) {
        events_tell(&plane->events, "change", journal_show(change->journal));
        if (change->operation != NULL) {
            change->operation->journal = journal_id(change->journal);
        }
        journal_add(plane->journal, change->journal);
        change->journal = NULL;
    }
}

static void finish(struct change *change, const char *error)
{
    struct plane *plane = change->plane;
    struct operation *operation = change->operation;

    if (error != NULL && operation != NULL) {
        operation_problem(operation, 503, "nothing has changed: %s", error);
    }
    if (error == NULL && change->enforce != NULL) {
        change->enforce(change);
    }
    if (error == NULL) {
        tell(change);
    }
    if (change->done != NULL) {
        change->done(change, error);
    }
    bool good = error == NULL;
    change_free(change);
    if (operation != NULL) {
        plane_finish(operation);
        return;
    }
    plane->busy = false;
    plane_continue(plane);
    if (good) {
        drain_tick(plane); /* others may be drained as well */
    }
}

static void on_failed(struct message *message)
{
    struct change *change = container_of(message, struct change, message);
    finish(change, change->failed);
}

/* Nothing comes of it; takes `error` over. */
static void fail(struct change *change, char *error)
{
    change->failed = error;
    change->message.fn = on_failed;
    loop_post(change->plane->self->loop, &change->message);
}

/* What becomes of the older entry: of a copy for the store, and of itself once that is kept. */
static void set_older(const struct change *change, cJSON *entry)
{
    cJSON_ReplaceItemInObjectCaseSensitive(entry, "state", cJSON_CreateString(change->older_state));
    if (change->confirmed_by != NULL) {
        cJSON_DeleteItemFromObjectCaseSensitive(entry, "confirmed_by");
        cJSON_AddStringToObject(entry, "confirmed_by", change->confirmed_by);
    }
}

/* ---- keeping ---- */

/* The last entry of the journal that the change's own pushes out, and with it who was removed by it; 0: none. */
static uint64_t gone_with(const struct change *change)
{
    uint64_t id = journal_id(change->journal);
    return id > JOURNAL_KEPT ? id - JOURNAL_KEPT : 0;
}

static void put_entry(struct change *change, const char *key, const cJSON *entry)
{
    bool empty = entry == NULL || entry->child == NULL;
    store_put_json(&change->batch, "overlay", key, empty ? NULL : entry);
}

static void prepare_batch(struct change *change)
{
    struct plane *plane = change->plane;
    const cJSON *settled = NULL;

    if (change->key != NULL) {
        put_entry(change, change->key, change->entry);
    }
    cJSON_ArrayForEach(settled, change->settled)
    {
        put_entry(change, settled->string, settled);
    }
    if (change->journal != NULL) {
        if (change->key != NULL) {
            const cJSON *before = overlay_at(plane->overlay, change->key);
            cJSON_AddStringToObject(change->journal, "overlay_key", change->key);
            cJSON_AddItemToObject(change->journal, "overlay_before",
                                  before != NULL ? cJSON_Duplicate(before, true)
                                                 : cJSON_CreateNull());
            cJSON_AddItemToObject(change->journal, "overlay_after",
                                  change->entry != NULL ? cJSON_Duplicate(change->entry, true)
                                                        : cJSON_CreateNull());
        }
        journal_prepare(plane->journal, change->journal, &change->batch);
        users_forget_kept(plane->users, gone_with(change),
                          operation_text(change->journal, "user_key"), &change->batch);
    }
    if (change->older != NULL) {
        cJSON *copy = cJSON_Duplicate(change->older, true);
        set_older(change, copy);
        journal_put(copy, &change->batch);
        cJSON_Delete(copy);
    }
}

static void take_entry(struct change *change)
{
    const cJSON *settled = NULL;

    if (change->key != NULL) {
        overlay_set(change->plane->overlay, change->key, change->entry);
        change->entry = NULL;
    }
    cJSON_ArrayForEach(settled, change->settled)
    {
        overlay_set(change->plane->overlay, settled->string, cJSON_Duplicate(settled, true));
    }
    if (change->older != NULL) {
        set_older(change, change->older);
    }
    if (change->journal != NULL) {
        users_forget(change->plane->users, gone_with(change),
                     operation_text(change->journal, "user_key"));
    }
}

/* ---- without a new generation ---- */

/* The server's settings as overlay and files say now. */
static void apply_to_server(struct plane *plane, const char *key)
{
    const char *slash = strrchr(key, '/');
    char *pool = base_strndup(key, (size_t)(slash - key));
    const struct pool_plan *plan = plane_pool(plane, pool);
    const cJSON *entry = overlay_at(plane->overlay, key);
    size_t index = 0;
    struct server *server = plan != NULL ? plan_server(plan, slash + 1, &index) : NULL;

    free(pool);
    if (server == NULL) {
        return;
    }
    const struct server_settings *settings =
        (const struct server_settings *)plan->settings->servers.items + index;
    int64_t weight = settings->runtime ? 1 : settings->file_weight;
    int64_t limit = settings->runtime ? 0 : settings->file_max_connections;
    server_set_weight(server, (uint32_t)operation_integer(entry, "weight", weight));
    server->max_connections = (uint32_t)operation_integer(entry, "max_connections", limit);
    bool changed = server_set_admin(server, overlay_state(entry, settings));
    plane->owner.refresh(plane->owner.arg, server);
    if (changed) {
        plane_server_changed(plane, server);
    }
}

static void kept(void *arg, const char *error)
{
    struct change *change = arg;

    if (error == NULL) {
        take_entry(change);
        if (change->key != NULL) {
            apply_to_server(change->plane, change->key);
        }
    }
    finish(change, error);
}

/* ---- with a new generation ---- */

static void in_force(void *arg, const char *error)
{
    finish(arg, error);
}

static void kept_members(void *arg, const char *error)
{
    struct change *change = arg;
    if (error == NULL) {
        take_entry(change);
    }
    change->plane->owner.pass(change->plane->owner.arg, error);
}

/* All loops are ready for the new generation. */
static void gate(void *arg)
{
    struct change *change = arg;

    if (change->plane->ended) { /* meanwhile */
        change->plane->owner.pass(change->plane->owner.arg, STOPS);
        return;
    }
    prepare_batch(change);
    store_commit(change->plane->store, &change->batch, kept_members, change);
}

/* The running files with the change laid over them; the overlay itself is as before. */
static struct generation *build(struct change *change, struct mistakes *mistakes)
{
    struct plane *plane = change->plane;
    const cJSON *now = overlay_at(plane->overlay, change->key);
    cJSON *before = now != NULL ? cJSON_Duplicate(now, true) : NULL;

    overlay_set(plane->overlay, change->key,
                change->entry != NULL ? cJSON_Duplicate(change->entry, true) : NULL);
    struct generation *generation =
        generation_derive(plane->runtime, plane->runtime->current, mistakes);
    overlay_set(plane->overlay, change->key, before);
    return generation;
}

static bool changes_members(const struct change *change)
{
    static const char *const names[] = {"hidden", "url", "backup"};
    const cJSON *now = change->key != NULL ? overlay_at(change->plane->overlay, change->key) : NULL;

    for (size_t i = 0; change->key != NULL && i < ARRAY_COUNT(names); i++) {
        const cJSON *a = cJSON_GetObjectItemCaseSensitive(now, names[i]);
        const cJSON *b = cJSON_GetObjectItemCaseSensitive(change->entry, names[i]);
        if ((a == NULL) != (b == NULL) || (a != NULL && !cJSON_Compare(a, b, true))) {
            return true;
        }
    }
    return false;
}

void change_begin(struct change *change)
{
    struct plane *plane = change->plane;
    struct mistakes mistakes = {0};

    if (plane->ended) {
        fail(change, base_strdup(STOPS)); /* the store has stopped already */
        return;
    }
    if (!changes_members(change)) {
        prepare_batch(change);
        store_commit(plane->store, &change->batch, kept, change);
        return;
    }
    change->generation = build(change, &mistakes);
    if (change->generation == NULL) {
        char *error = base_printf("the configuration with it is wrong: %s",
                                  mistakes.count > 0 ? mistakes.texts[0] : "no memory");
        mistakes_free(&mistakes);
        log_write(WEIR_LOG_ERROR, "weir", "a change at run time: %s", error);
        fail(change, error);
        return;
    }
    mistakes_free(&mistakes);
    plane->owner.apply(plane->owner.arg, change->generation, gate, in_force, change);
}
