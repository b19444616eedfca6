/* SPDX-License-Identifier: MIT */
/*
 * The control plane's life: operations come and go, writes one after the other, the second's tick. See
 * plane.h.
 */
#include "control/plane.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "control/change/change.h"
#include "control/change/drain.h"
#include "control/api/services.h"
#include "control/change/undo.h"
#include "control/users.h"

static void tick(struct timer *timer);

struct plane *plane_new(struct runtime *runtime, const char *path)
{
    struct plane *plane = base_zalloc(sizeof(*plane));

    plane->runtime = runtime;
    plane->path = path;
    plane->overlay = overlay_new();
    plane->journal = journal_new();
    plane->users = users_new();
    plane->history = history_new();
    plane->openapi = openapi_text();
    list_init(&plane->writes);
    runtime->adjust = overlay_adjust;
    runtime->adjust_arg = plane->overlay;
    control_services_set_plane(plane);
    return plane;
}

void plane_start(struct plane *plane, struct worker *self, const struct plane_owner *owner)
{
    plane->self = self;
    plane->owner = *owner;
    plane->busy = true; /* with the start, until plane_rebuilt */
    plane->started_ms = loop_wall_ms();
    plane->started_ns = loop_now_ns(self->loop);
    events_init(&plane->events, self->loop);
    plane->store = store_new(self->loop);
    plane->tick.fn = tick;
    timer_set(self->loop, &plane->tick, NS_PER_SECOND);
}

/* Who waits is told; what runs is ended by its change. */
static void refuse_waiting(struct plane *plane)
{
    struct list *link;
    while ((link = list_pop_front(&plane->writes)) != NULL) {
        struct operation *operation = container_of(link, struct operation, link);
        operation_problem(operation, 503, "the program stops");
        operation_answer(operation);
    }
}

void plane_stop(struct plane *plane)
{
    plane->ended = true;
    refuse_waiting(plane);
    if (plane->self != NULL) {
        timer_cancel(plane->self->loop, &plane->tick);
        store_stop(plane->store);
    }
}

void plane_free(struct plane **plane)
{
    struct plane *p = *plane;
    *plane = NULL;
    plane_stop(p);
    if (p->self != NULL) {
        events_end(&p->events);
        store_free(&p->store);
    }
    overlay_free(&p->overlay);
    journal_free(&p->journal);
    users_free(&p->users);
    cJSON_Delete(p->last_reload);
    history_free(&p->history);
    free(p->openapi);
    control_services_set_plane(NULL);
    free(p);
}

/* ---- what is kept ---- */

static void load(void *arg, const char *space, const char *key, const char *value)
{
    struct plane *plane = arg;

    if (strcmp(space, "users") == 0) {
        users_load(plane->users, key, value);
    } else if (strcmp(space, "journal") == 0) {
        journal_load(plane->journal, value);
    } else if (strrchr(key, '/') != NULL) {
        cJSON *entry = cJSON_Parse(value);
        if (entry == NULL) {
            log_write(WEIR_LOG_ERROR, "weir",
                      "what is kept of the server \"%s\" cannot be read; left out", key);
        }
        overlay_set(plane->overlay, key, entry);
    }
}

/* The store could not be opened at the start, and now it can: what it keeps is laid over the files. */
static void late(void *arg)
{
    struct plane *plane = arg;
    log_write(WEIR_LOG_NOTICE, "weir", "the store is back: what it keeps is taken over");
    plane->overlay_late = true;
    plane_rebuild(plane); /* no reload, which would take new files into force */
}

bool plane_restore(struct plane *plane, const struct generation *generation)
{
    mkdir(generation->global.state_dir.ptr, 0750); /* what fails is told by who needs it */
    store_open(plane->store, generation, load, late, plane);
    admin_token_start(users_admin_token(plane->users), generation->global.state_dir.ptr,
                      generation);
    cJSON *contradictions = overlay_contradictions(plane->overlay, generation);
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, contradictions)
    {
        char *text = json_print(item);
        log_write(WEIR_LOG_NOTICE, "weir", "a runtime change differs from the files: %s", text);
        free(text);
    }
    cJSON_Delete(contradictions);
    return plane->overlay->entries->child == NULL;
}

/* ---- operations ---- */

static bool is_open(const struct plane *plane)
{
    return plane->runtime->current != NULL && !plane->ended;
}

static void run_read(struct message *message)
{
    struct operation *operation = container_of(message, struct operation, message);

    if (operation->command != NULL && operation->fn != NULL && is_open(operation->plane)) {
        operation->command->read(operation);
    } else if (operation->command != NULL) {
        operation_problem(operation, 503, "the program starts or ends just now");
    }
    operation_answer(operation);
}

#define WRITES_MAX 1000u

static size_t writes_waiting(const struct plane *plane)
{
    size_t count = 0;
    list_each(link, (struct list *)(uintptr_t)&plane->writes)
    {
        count++;
    }
    return count;
}

static void start_write(struct message *message)
{
    struct operation *operation = container_of(message, struct operation, message);
    struct plane *plane = operation->plane;

    if (!is_open(plane)) {
        operation_problem(operation, 503, "the program starts or ends just now");
        operation_answer(operation);
    } else if (writes_waiting(plane) >= WRITES_MAX) {
        operation_problem(operation, 429, "%u changes wait already; try again later", WRITES_MAX);
        operation_answer(operation);
    } else {
        list_push_back(&plane->writes, &operation->link);
        plane_continue(plane);
    }
}

struct operation *plane_call(struct plane *plane, const struct weir_control_request *call,
                             weir_control_fn fn, void *arg)
{
    struct operation *operation = operation_new(plane, call, fn, arg);
    bool write = operation->command != NULL && operation->command->write != NULL;
    operation->message.fn = write ? start_write : run_read;
    loop_post(plane->self->loop, &operation->message);
    return operation;
}

void plane_finish(struct operation *operation)
{
    struct plane *plane = operation->plane;
    plane->writing = NULL;
    operation_answer(operation);
    plane_continue(plane);
}

void plane_rebuild(struct plane *plane)
{
    plane->rebuild_wanted = true;
    plane_continue(plane);
}

void plane_rebuilt(struct plane *plane)
{
    plane->busy = false;
    plane_continue(plane);
}

static void begin_write(struct plane *plane, struct operation *operation)
{
    plane->writing = operation;
    if (operation->command->write(operation) == WRITE_ANSWERED) {
        plane_finish(operation);
    }
}

/* What waits, the most urgent first. false: nothing does. */
static bool begin_next(struct plane *plane)
{
    struct list *link = NULL;

    if (plane->reload_wanted) {
        plane->reload_wanted = false;
        plane->busy = true;
        plane->owner.reload(plane->owner.arg, NULL, plane);
    } else if (plane->rebuild_wanted) {
        plane->rebuild_wanted = false;
        plane->busy = true;
        plane->owner.rebuild(plane->owner.arg, plane);
    } else if ((link = list_pop_front(&plane->writes)) != NULL) {
        begin_write(plane, container_of(link, struct operation, link));
    } else {
        return false;
    }
    return true;
}

void plane_continue(struct plane *plane)
{
    if (plane->continuing) {
        return; /* who is at it looks again: writes that are refused at once do not pile up on the stack */
    }
    plane->continuing = true;
    while (plane->writing == NULL && !plane->busy && !plane->ended && begin_next(plane)) {}
    plane->continuing = false;
}

void plane_reload(struct plane *plane)
{
    plane->reload_wanted = true;
    plane_continue(plane);
}

/* ---- what happens ---- */

void plane_server_changed(struct plane *plane, struct server *server)
{
    char reason[sizeof(server->reason)];
    cJSON *data = cJSON_CreateObject();
    bool down = !server_is_well(server);

    server_reason(server, reason, sizeof(reason));
    json_set(data, "pool", server->pool_name);
    json_set(data, "server", server->name);
    json_set(data, "health",
             down ? "down" : server_health_word((enum server_health)server->health));
    json_set(data, "state", server_admin_word((enum server_admin)server->admin));
    json_set(data, "reason", reason);
    json_set_number(data, "time", (double)loop_wall_ms());
    events_tell(&plane->events, "server", data);
}

void plane_adopt(struct plane *plane, const struct generation *generation)
{
    for (size_t i = 0; i < generation->modules.count; i++) {
        generation->modules.items[i]->module->generation = generation->id;
    }
    store_adopt(plane->store, generation);
}

static void tell_statistics(struct plane *plane)
{
    cJSON *stats = show_stats(plane);
    char *text = json_print(stats);
    events_tell_statistics(&plane->events, text);
    free(text);
    cJSON_Delete(stats);
}

static void tick(struct timer *timer)
{
    struct plane *plane = container_of(timer, struct plane, tick);
    uint64_t now_ns = loop_now_ns(plane->self->loop);

    timer_set(plane->self->loop, timer, NS_PER_SECOND - now_ns % NS_PER_SECOND + NS_PER_MS);
    if (plane->runtime->current == NULL) {
        return;
    }
    history_sample(plane->history, plane->runtime->current, now_ns / NS_PER_SECOND, loop_wall_ms());
    if (events_heard(&plane->events)) {
        tell_statistics(plane);
    }
    store_tick(plane->store);
    undo_tick(plane);
    drain_tick(plane);
}
