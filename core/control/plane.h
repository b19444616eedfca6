/* SPDX-License-Identifier: MIT */
/*
 * The control plane: what operators see and change. Everything here is the control thread's; workers see
 * generations and the atomics of servers, as with any other change.
 */
#ifndef CONTROL_PLANE_H
#define CONTROL_PLANE_H

#include <cjson/cJSON.h>

#include "base/mistakes.h"
#include "control/api/events.h"
#include "control/api/history.h"
#include "control/api/operation.h"
#include "proxy/worker.h"

struct journal;
struct overlay;
struct store;
struct users;

/* What a change to the membership of pools, or a reload, needs of control.c. */
struct plane_owner {
    /* The server has changed: loops build their candidates anew. */
    void (*refresh)(void *arg, struct server *server);
    /* Takes a built generation into force. `gate` is called when all loops have prepared it (NULL: goes on
     * at once), and answers by plane_gate; `done` when it is in force (error NULL) or given up. */
    void (*apply)(void *arg, struct generation *generation, void (*gate)(void *gate_arg),
                  void (*done)(void *gate_arg, const char *error), void *gate_arg);
    /* The gate's answer. error NULL: commit. */
    void (*pass)(void *arg, const char *error);
    /* Builds the running files' generation again: names have other servers. Ends with plane_rebuilt. */
    void (*rebuild)(void *arg, struct plane *plane);
    /* Reads the files again. `operation` NULL: on a signal. Ends with plane_reloaded. */
    void (*reload)(void *arg, struct operation *operation, struct plane *plane);
    void *arg;
};

struct plane {
    struct runtime *runtime;
    struct worker *self;
    const char *path;
    struct plane_owner owner;
    uint64_t started_ms;
    uint64_t started_ns;
    struct events events;
    struct history *history;
    struct overlay *overlay;
    struct journal *journal;
    struct users *users;
    struct store *store;
    struct list writes;        /* struct operation.link: those that wait, in order */
    struct operation *writing; /* NULL: none runs */
    bool busy;                 /* a change runs that no operation asked for, or the start does */
    bool reload_wanted;        /* by a signal */
    bool rebuild_wanted;       /* by DNS, or since the overlay came late */
    bool overlay_late;         /* from the store: not in force yet */
    /* The last reload, as the status shows it; NULL: there was none. */
    cJSON *last_reload;
    bool continuing; /* plane_continue runs */
    bool ended;
    struct timer tick;
    char *openapi;
};

/* Before the first generation is built. `host` gets the services of control.h and stats.h. */
struct plane *plane_new(struct runtime *runtime, const char *path);
/* With the control loop, before the first apply. */
void plane_start(struct plane *plane, struct worker *self, const struct plane_owner *owner);
/* The store is opened, what is kept is read. false: the generation must be built again, with what was
 * changed. Before the loop runs. */
bool plane_restore(struct plane *plane, const struct generation *generation);
/* The loops end: no more changes, no more ticks. */
void plane_stop(struct plane *plane);
void plane_free(struct plane **plane);

/* The services that modules call. */
void control_services_fill(struct weir_host *host);

/* Begins an operation: the answer comes on a later turn. */
struct operation *plane_call(struct plane *plane, const struct weir_control_request *call,
                             weir_control_fn fn, void *arg);

/* A write has ended: its answer goes out, it is freed, the next one begins. Not from within the write's own
 * function: that says WRITE_ANSWERED. */
void plane_finish(struct operation *operation);
/* Begins the next write, if none runs. */
void plane_continue(struct plane *plane);

/* Reads the files again, once no write runs. */
void plane_reload(struct plane *plane);
/* A reload has ended: mistakes (NULL or none: it is in force), or an error of a loop (NULL: none). */
void plane_reloaded(struct plane *plane, struct operation *operation,
                    const struct mistakes *mistakes, const char *error);

/* Builds the running generation again, once no write runs. */
void plane_rebuild(struct plane *plane);
/* That has ended; or the start has, before which nothing begins. */
void plane_rebuilt(struct plane *plane);

/* A server's health or state is another one, for events. */
void plane_server_changed(struct plane *plane, struct server *server);
/* The first generation is in force. */
void plane_started(struct plane *plane);
/* A generation is in force. */
void plane_adopt(struct plane *plane, const struct generation *generation);

/* The pool or server of the running generation; NULL: none. */
struct pool_plan *plane_pool(const struct plane *plane, const char *name);
struct server *plan_server(const struct pool_plan *plan, const char *id, size_t *index);

/* ---- show.c: what runs, as JSON ---- */
cJSON *show_server(const struct plane *plane, const struct pool_plan *plan, size_t index);
cJSON *show_pool(const struct plane *plane, const struct pool_plan *plan);
/* Of what an operator may change. The caller frees it. */
char *show_server_tag(const struct plane *plane, const struct pool_plan *plan, size_t index);
char *show_pool_tag(const struct plane *plane, const struct pool_plan *plan);
cJSON *show_stats(const struct plane *plane);
/* A list of what the files say and only a restart brings, in words. */
cJSON *restart_json(const struct generation *g);

/* The commands, one function a row of the table. */
void run_pools(struct operation *operation);
void run_pool(struct operation *operation);
void run_servers(struct operation *operation);
void run_pool_servers(struct operation *operation);
void run_server(struct operation *operation);
void run_routes(struct operation *operation);
void run_listeners(struct operation *operation);
void run_modules(struct operation *operation);
void run_certificates(struct operation *operation);
void run_status(struct operation *operation);
void run_stats(struct operation *operation);
void run_history(struct operation *operation);
enum written run_server_add(struct operation *operation);
enum written run_server_patch(struct operation *operation);
enum written run_server_remove(struct operation *operation);
void run_journal(struct operation *operation);
enum written run_undo(struct operation *operation);
enum written run_confirm(struct operation *operation);
void run_explain(struct operation *operation);
void run_config(struct operation *operation);
void run_check(struct operation *operation);
enum written run_reload(struct operation *operation);
void run_export(struct operation *operation);
void run_users(struct operation *operation);
enum written run_user_add(struct operation *operation);
enum written run_user_patch(struct operation *operation);
enum written run_user_remove(struct operation *operation);
enum written run_token_add(struct operation *operation);
enum written run_token_remove(struct operation *operation);
enum written run_admin_token_renew(struct operation *operation);
enum written run_admin_token_revoke(struct operation *operation);
void run_openapi(struct operation *operation);

#endif
