/* SPDX-License-Identifier: MIT */
/*
 * The control plane: the context of every operation. The running state, events and
 * commands. Rooms above add commands, queue writes and report changes under way. All of it is the
 * control thread's; workers see generations and the atomics of servers.
 */
#ifndef CONTROL_API_PLANE_H
#define CONTROL_API_PLANE_H

#include "base/trim.h"
#include "control/api/events.h"
#include "control/api/jobs.h"
#include "control/api/lately.h"
#include "control/api/operation.h"
#include "control/api/provider.h"
#include "proxy/runtime.h"
#include "proxy/worker.h"

/* A server's state by a change under way. */
struct server_note {
    bool leaving;               /* to be removed once it is drained */
    uint64_t drain_deadline_ms; /* since 1970; 0: none */
};

struct plane {
    struct runtime *runtime;
    struct worker *self; /* NULL: not started */
    const char *path;
    uint64_t started_ms;
    uint64_t started_ns;
    bool ended;
    struct events events;
    struct command_table commands;
    struct providers providers;
    struct jobs work; /* slow work of modules, on a thread of its own */
    struct timer tick;
    struct trim trim;
    struct lately lately;
    /* Each is NULL, or set before the start: */
    void (*write)(struct operation *operation); /* queues it */
    struct server_note (*note)(const struct plane *plane, const struct server *server);
    /* The last swap of a module's copy, as it is shown; NULL: there was none. */
    cJSON *(*swap)(const struct plane *plane, const char *module);
    /* Likewise the last trial of another balancer in a pool. */
    cJSON *(*pool_swap)(const struct plane *plane, const char *pool);
    /* The balancer of the pool that was set at run time; NULL: none was. */
    cJSON *(*pool_change)(const struct plane *plane, const char *pool);
    void (*on_tick)(struct plane *plane); /* once a second, while a generation runs */
};

/* Once all commands have been added; with the control loop. */
void plane_start(struct plane *plane, struct worker *self);
/* The loops are ending: no more operations, no more ticks. */
void plane_stop(struct plane *plane);

void plane_init(struct plane *plane, struct runtime *runtime, const char *path);
void plane_end(struct plane *plane);

/* Why nothing begins any more. */
#define PLANE_STOPS "Weir is shutting down"

/* Whether a generation runs and the program is not stopping. */
static inline bool plane_is_open(const struct plane *plane)
{
    return plane->runtime->current != NULL && !plane->ended;
}

/* Begins an operation: the answer follows on a later turn. */
struct operation *plane_call(struct plane *plane, const struct weir_control_request *call,
                             weir_control_fn fn, void *arg);

/* A server's health or state has changed: sends an event. */
void plane_server_changed(struct plane *plane, struct server *server);

/* ---- the commands of this room ---- */

extern const struct command read_commands[], module_commands[], config_commands[],
    explain_commands[];

#endif
