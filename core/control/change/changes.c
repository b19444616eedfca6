/* SPDX-License-Identifier: MIT */
/*
 * One change after the other. See changes.h.
 */
#include "control/change/changes.h"

#include <stdlib.h>

#include "base/log.h"

static void queue_write(struct operation *operation);

/* ---- the life of it ---- */

static struct server_note note_of(const struct plane *plane, const struct server *server)
{
    const struct changes *changes = container_of(plane, struct changes, plane);
    const cJSON *entry = overlay_entry(changes->overlay, server->pool_name, server->name);
    return (struct server_note){overlay_is_leaving(entry),
                                (uint64_t)json_integer(entry, "drain_deadline", 0)};
}

#define STANDS_S 10u

/* A module's operation may never end; nobody should have to guess why no reload begins. */
static void watch_write(struct changes *changes)
{
    if (changes->writing != NULL && ++changes->writing_s % STANDS_S == 0) {
        log_write(WEIR_LOG_WARNING, "weir",
                  "the operation %s has not ended for %u s; other changes and reloads wait for it",
                  changes->writing->command->row.name, changes->writing_s);
    }
}

static void on_tick(struct plane *plane)
{
    struct changes *changes = container_of(plane, struct changes, plane);
    watch_write(changes);
    store_tick(changes->store);
    changes_upkeep(changes);
}

static void space_is_read(void *arg, const char *space)
{
    struct changes *changes = arg;
    providers_ready(&changes->plane.providers, space);
}

/* What a module needs: at the start it comes with the rest. */
static void load_space(struct plane *plane, const char *space)
{
    struct changes *changes = container_of(plane, struct changes, plane);
    if (!store_add_space(changes->store, space, space_is_read)) {
        providers_ready(&plane->providers, space);
    }
}

void changes_init(struct changes *changes, struct runtime *runtime, const char *path)
{
    *changes = (struct changes){.overlay = overlay_new(), .journal = journal_new()};
    plane_init(&changes->plane, runtime, path);
    changes->plane.write = queue_write;
    changes->plane.note = note_of;
    changes->plane.on_tick = on_tick;
    changes->plane.providers.load = load_space;
    list_init(&changes->writes);
    runtime->adjust = overlay_adjust;
    runtime->adjust_arg = changes->overlay;
}

void changes_add_part(struct changes *changes, const struct change_part *part)
{
    ASSERT(changes->part_count < CHANGE_PARTS_MAX);
    changes->parts[changes->part_count++] = part;
    if (part->commands != NULL) {
        commands_add(&changes->plane.commands, part->commands);
    }
    if (part->begin != NULL) {
        part->begin(changes);
    }
}

void changes_start(struct changes *changes, struct worker *self, const struct changes_owner *owner)
{
    changes->owner = *owner;
    changes->busy = true; /* the start, until changes_rebuilt */
    plane_start(&changes->plane, self);
    changes->store = store_new(self->loop);
}

void changes_stop(struct changes *changes)
{
    struct list *link;

    plane_stop(&changes->plane);
    while ((link = list_pop_front(&changes->writes)) != NULL) {
        struct operation *operation = container_of(link, struct operation, link);
        operation_problem(operation, 503, PLANE_STOPS);
        operation_answer(operation);
    }
    if (changes->store != NULL) {
        store_stop(changes->store);
    }
}

void changes_end(struct changes *changes)
{
    changes_stop(changes);
    if (changes->store != NULL) {
        store_free(&changes->store);
    }
    for (size_t i = 0; i < changes->part_count; i++) {
        if (changes->parts[i]->end != NULL) {
            changes->parts[i]->end(changes);
        }
    }
    plane_end(&changes->plane);
    overlay_free(&changes->overlay);
    journal_free(&changes->journal);
    cJSON_Delete(changes->last_reload);
}

/* ---- what is kept ---- */

static void load(void *arg, const char *space, const char *key, const char *value)
{
    struct changes *changes = arg;

    for (size_t i = 0; i < changes->part_count; i++) {
        const struct change_part *part = changes->parts[i];
        if (part->space != NULL && strcmp(part->space, space) == 0) {
            part->load(changes, key, value);
            return;
        }
    }
    providers_keep(&changes->plane.providers, space, key, value);
}

/* The store failed at the start and works now: lays what it keeps over the files. */
static void late(void *arg)
{
    struct changes *changes = arg;
    log_write(WEIR_LOG_NOTICE, "weir", "the store is back: what it keeps is taken over");
    changes->overlay_late = true;
    changes_rebuild(changes); /* not a reload, which would bring new files into force */
}

bool changes_restore(struct changes *changes, const struct generation *generation)
{
    for (size_t i = 0; i < changes->part_count; i++) {
        if (changes->parts[i]->space != NULL) {
            store_add_space(changes->store, changes->parts[i]->space, NULL);
        }
    }
    providers_adopt(&changes->plane.providers, generation);
    store_open(changes->store, generation, load, late, changes);
    cJSON *contradictions = overlay_contradictions(changes->overlay, generation);
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, contradictions)
    {
        char *text = json_print(item);
        log_write(WEIR_LOG_NOTICE, "weir", "a runtime change differs from the files: %s", text);
        free(text);
    }
    cJSON_Delete(contradictions);
    return changes->overlay->entries->child != NULL;
}

void changes_adopt(struct changes *changes, const struct generation *generation)
{
    store_adopt(changes->store, generation);
    providers_adopt(&changes->plane.providers, generation);
}

/* ---- the queue ---- */

#define WRITES_MAX 1000u

/* Begins what waits, the most urgent first. false: nothing waits. */
static bool begin_next(struct changes *changes)
{
    struct list *link = NULL;

    if (changes->reload_wanted) {
        changes->reload_wanted = false;
        changes->busy = true;
        changes->owner.reload(changes->owner.arg, NULL);
    } else if (changes->rebuild_wanted) {
        bool overlay = changes->overlay_late;
        changes->rebuild_wanted = changes->overlay_late = false;
        changes->busy = true;
        changes->owner.rebuild(changes->owner.arg, overlay);
    } else if ((link = list_pop_front(&changes->writes)) != NULL) {
        struct operation *operation = container_of(link, struct operation, link);
        changes->writing = operation;
        changes->writing_s = 0;
        if (operation->command->write(operation) == WRITE_ANSWERED) {
            changes_finish(changes, operation);
        }
    } else {
        return false;
    }
    return true;
}

static bool is_idle(const struct changes *changes)
{
    return changes->writing == NULL && !changes->busy && !changes->plane.ended;
}

/* Begins what waits, until something runs. */
static void go_on(struct changes *changes)
{
    if (changes->continuing) {
        return; /* the outer call loops: refused writes do not pile up on the stack */
    }
    changes->continuing = true;
    while (is_idle(changes) && begin_next(changes)) {}
    changes->continuing = false;
}

static void queue_write(struct operation *operation)
{
    struct changes *changes = changes_of(operation);
    size_t waiting = 0;

    list_each(link, &changes->writes)
    {
        waiting++;
    }
    if (waiting >= WRITES_MAX) {
        operation_problem(operation, 429, "%u changes wait already; try again later", WRITES_MAX);
        operation_answer(operation);
        return;
    }
    list_push_back(&changes->writes, &operation->link);
    go_on(changes);
}

void changes_finish(struct changes *changes, struct operation *operation)
{
    if (operation != NULL) {
        changes->writing = NULL;
        operation_answer(operation);
    } else {
        changes->busy = false;
    }
    go_on(changes);
}

void changes_upkeep(struct changes *changes)
{
    bool begun = !is_idle(changes) || !store_is_well(changes->store);

    for (size_t i = 0; i < changes->part_count && !begun; i++) {
        begun = changes->parts[i]->upkeep != NULL && changes->parts[i]->upkeep(changes);
    }
}

void changes_reload(struct changes *changes)
{
    changes->reload_wanted = true;
    go_on(changes);
}

void changes_rebuild(struct changes *changes)
{
    changes->rebuild_wanted = true;
    go_on(changes);
}

void changes_rebuilt(struct changes *changes)
{
    changes_finish(changes, NULL);
}
