/* SPDX-License-Identifier: MIT */
/*
 * The control plane's life: operations begin, the second's tick. See plane.h.
 */
#include "control/api/plane.h"

#include <stdlib.h>

#include "control/api/modules.h"
#include "control/api/show.h"

void plane_init(struct plane *plane, struct runtime *runtime, const char *path)
{
    *plane = (struct plane){.runtime = runtime, .path = path};
    providers_init(&plane->providers, plane);
    lately_init(&plane->lately);
}

static void tick(struct timer *timer)
{
    struct plane *plane = container_of(timer, struct plane, tick);
    uint64_t now_ns = loop_now_ns(plane->self->loop);

    timer_set(plane->self->loop, timer, NS_PER_SECOND - now_ns % NS_PER_SECOND + NS_PER_MS);
    trim_second(&plane->trim);
    if (plane->runtime->current == NULL) {
        return;
    }
    providers_second(&plane->providers, now_ns / NS_PER_SECOND, loop_wall_ms());
    modules_second(plane);
    if (events_heard(&plane->events)) {
        cJSON *stats = show_stats(plane);
        char *text = json_print(stats);
        events_tell_statistics(&plane->events, text);
        free(text);
        cJSON_Delete(stats);
    }
    if (plane->on_tick != NULL) {
        plane->on_tick(plane);
    }
}

void plane_start(struct plane *plane, struct worker *self)
{
    plane->self = self;
    plane->started_ms = loop_wall_ms();
    plane->started_ns = loop_now_ns(self->loop);
    plane->commands.core = plane->commands.count;
    events_init(&plane->events, self->loop);
    jobs_init(&plane->work, self->loop);
    plane->tick.fn = tick;
    timer_set(self->loop, &plane->tick, NS_PER_SECOND);
    trim_second(&plane->trim); /* what is resident before the first request */
}

void plane_stop(struct plane *plane)
{
    plane->ended = true;
    if (plane->self != NULL) {
        timer_cancel(plane->self->loop, &plane->tick);
        jobs_stop(&plane->work);
    }
}

void plane_end(struct plane *plane)
{
    providers_end(&plane->providers); /* whose last hooks may tell events */
    if (plane->self != NULL) {
        events_end(&plane->events);
    }
    lately_end(&plane->lately);
}

/* On a turn of its own: the caller has its handle by then. */
static void begin(struct message *message)
{
    struct operation *operation = container_of(message, struct operation, message);
    const struct command *command = operation->command;

    if (command != NULL && !plane_is_open(operation->plane)) {
        operation_problem(operation, 503, "Weir is starting or shutting down");
    } else if (command != NULL && command->write != NULL) {
        operation->plane->write(operation);
        return;
    } else if (command != NULL && operation->fn != NULL) {
        command->read(operation);
        if (operation->later) {
            return; /* a module's: it answers by weir_operation_finish */
        }
    }
    operation_answer(operation);
}

struct operation *plane_call(struct plane *plane, const struct weir_control_request *call,
                             weir_control_fn fn, void *arg)
{
    struct operation *operation = operation_new(plane, call, fn, arg);
    operation->message.fn = begin;
    loop_post(plane->self->loop, &operation->message);
    return operation;
}

void plane_server_changed(struct plane *plane, struct server *server)
{
    char reason[sizeof(server->reason)];
    cJSON *data = cJSON_CreateObject();

    server_reason(server, reason, sizeof(reason));
    json_set(data, "pool", server->pool_name);
    json_set(data, "server", server->name);
    json_set(data, "health", show_health_word(server));
    json_set(data, "state", server_admin_word((enum server_admin)server->admin));
    json_set(data, "reason", reason);
    json_set_number(data, "time", (double)loop_wall_ms());
    events_tell(&plane->events, "server", data);
}
