/* SPDX-License-Identifier: MIT */
/*
 * Generations come into force and are freed: at start, on a reload, on a runtime change, and when
 * DNS changes members. See control_state.h.
 */
#include "control/api/modules.h"
#include "control/control_state.h"

#include <stdio.h>

#include <weir/json.h>

#include "base/log.h"
#include "control/change/reload.h"
#include "control/loops.h"
#include "module/blame.h"
#include "proxy/plan/descriptors.h"
#include "proxy/upstream/names.h"
#include "proxy/pool/recovery.h"
#include "proxy/stream/stream.h"

/* ---- generations ---- */

/* The loops may all have gone on from it before the control thread hears that they have: until then
 * it is what reads show, with its modules. */
static bool is_shown(const struct control *control, const struct generation *generation)
{
    return control->done != NULL && generation == control->runtime.current;
}

void control_free_left(struct control *control)
{
    list_each(link, &control->generations)
    {
        struct generation *generation = container_of(link, struct generation, link);
        if (is_shown(control, generation)) {
            continue;
        }
        if (atomic_load(&generation->life.loops_kept) == 0) {
            list_remove(link);
            generation_free(&generation);
        } else {
            generation_let_go(generation);
        }
    }
}

static void on_generation_left(struct message *message)
{
    struct control *control = container_of(message, struct control, left);
    atomic_store(&control->left_posted, false); /* from here on it is posted anew */
    control_free_left(control);
}

static void on_alarm(struct message *message)
{
    struct control *control = container_of(message, struct control, alarm);
    atomic_store(&control->alarm_posted, false);
    modules_tell_alarms(&control->changes.plane);
}

/* On any loop: a block of a module is out. */
void control_module_alarm(void *arg)
{
    struct control *control = arg;

    if (!atomic_exchange(&control->alarm_posted, true)) {
        control->alarm.fn = on_alarm;
        loop_post(control->self->loop, &control->alarm);
    }
}

/* On any loop, the last one to leave. */
void control_generation_left(struct runtime *runtime)
{
    struct control *control = container_of(runtime, struct control, runtime);

    if (!atomic_exchange(&control->left_posted, true)) {
        control->left.fn = on_generation_left;
        loop_post(control->self->loop, &control->left);
    }
}

/* At the end of a turn that touched pools: wakes each loop once, however many servers changed. */
static void wake_workers(struct task *task)
{
    struct control *control = container_of(task, struct control, refresh);
    for (unsigned i = 0; i <= control->runtime.workers; i++) {
        pool_home_wake(&control->runtime.loops[i]->pool_home);
    }
}

void control_refresh_pool(void *arg, struct pool *pool)
{
    struct control *control = arg;

    pool_touch(pool);
    control->refresh.fn = wake_workers;
    task_queue(control->self->loop, &control->refresh);
}

/* Updates recovery after a change of the server. The server's pool; NULL: none. */
static struct pool *look_at_server(struct control *control, struct server *server)
{
    const struct generation *current = control->runtime.current;
    const struct pool_plan *plan =
        current != NULL ? plan_pool(current->plan, str_from(server->pool_name)) : NULL;

    if (plan == NULL) {
        return NULL;
    }
    recovery_look(control->runtime.recovery, plan, server);
    return plan->pool;
}

static void refresh_server(void *arg, struct server *server)
{
    struct control *control = arg;
    struct pool *pool = look_at_server(control, server);

    if (pool != NULL) {
        /* Workers hear of it before the operator's answer is sent. */
        pool_touch_now(pool);
        wake_workers(&control->refresh);
    }
}

void control_server_changed(void *arg, struct server *server)
{
    struct control *control = arg;

    if (control->runtime.current != NULL) {
        plane_server_changed(&control->changes.plane, server);
    }
    struct pool *pool = look_at_server(control, server);
    if (pool != NULL) {
        control_refresh_pool(control, pool);
    }
}

/* Copies the settings of files and overlay to the live servers. Before the commit, when workers
 * read them. */
static void set_servers(const struct control *control, const struct generation *generation)
{
    for (size_t i = 0; i < generation->plan->pool_count; i++) {
        const struct pool_plan *plan = &generation->plan->pools[i];
        const struct server_settings *settings = plan->settings->servers.items;
        for (size_t k = 0; k < plan->server_count; k++) {
            struct server *server = plan->servers[k];
            server_set_weight(server, (uint32_t)settings[k].weight);
            server->max_connections = (uint32_t)settings[k].max_connections;
            server->backup = settings[k].backup;
        }
    }
    overlay_set_states(control->changes.overlay, generation);
    for (size_t i = 0; i < generation->plan->pool_count; i++) {
        const struct pool_plan *plan = &generation->plan->pools[i];
        for (size_t k = 0; k < plan->server_count; k++) {
            recovery_look(control->runtime.recovery, plan, plan->servers[k]);
        }
    }
}

static void log_ready(const struct generation *generation)
{
    struct weir_buffer text = {NULL, 0, 0, false, false};

    for (size_t i = 0; i < generation->plan->listener_count; i++) {
        const struct listener_plan *plan = &generation->plan->listeners[i];
        for (size_t k = 0; k < plan->socket_count; k++) {
            weir_buffer_text(&text, text.len > 0 ? ", " : " ");
            weir_buffer_text(&text, plan->listener->name);
            weir_buffer_byte(&text, '=');
            weir_buffer_text(&text, plan->sockets[k]->text);
        }
    }
    log_write(WEIR_LOG_INFO, "weir", "ready:%.*s", (int)text.len, text.len > 0 ? text.data : "");
    weir_buffer_free(&text);
}

/* Switches to the generation's nameservers. */
static void set_nameservers(struct control *control, const struct generation *generation)
{
    char error[256];
    if (generation != NULL &&
        !names_set_servers(control->runtime.names, generation->plan->global.nameservers, error,
                           sizeof(error))) {
        log_write(WEIR_LOG_ERROR, "names", "the nameservers stay as they were: %s", error);
    }
}

/* ---- into force: all loops prepare it, and if all could, all commit it ---- */

/* On any loop: the first failure counts. */
static void fail(struct control *control, const char *error)
{
    if (!atomic_flag_test_and_set(&control->failed)) {
        snprintf(control->error, sizeof(control->error), "%s", error);
    }
}

/* Calls whoever waits for the outcome. */
static void tell_applied(struct control *control)
{
    void (*done)(void *arg, const char *error) = control->done;
    char error[sizeof(control->error)];

    memcpy(error, control->error, sizeof(error)); /* `done` may begin the next one */
    control->done = NULL;
    control_notify("READY=1");
    done(control->done_arg, error[0] != '\0' ? error : NULL);
    control_settled(control);
}

static void not_applied(struct control *control)
{
    control_free_left(control);
    if (control->started || control->clearing) {
        set_nameservers(control, control->runtime.current);
        tell_applied(control);
        return;
    }
    log_write(WEIR_LOG_ERROR, "weir", "start: the configuration is not taken over: %s",
              control->error);
    control->exit_code = 1;
    loop_stop(control->self->loop);
}

static void tickets_timer(struct timer *timer)
{
    struct control *control = container_of(timer, struct control, tickets);
    tls_tickets_rotate();
    timer_set(control->self->loop, timer, control->tickets_ns);
}

/* A reload does not delay the next key; a shorter lifetime takes effect at once. */
static void set_tickets_timer(struct control *control, uint64_t lifetime_ns)
{
    control->tickets_ns = lifetime_ns;
    control->tickets.fn = tickets_timer;
    if (!timer_is_set(&control->tickets) ||
        control->tickets.deadline_ns > loop_now_ns(control->self->loop) + lifetime_ns) {
        timer_set(control->self->loop, &control->tickets, lifetime_ns);
    }
}

/* All loops have committed or abandoned it. */
static void applied(void *arg)
{
    struct control *control = arg;
    struct generation *generation = control->next;

    if (control->error[0] != '\0') {
        not_applied(control);
        return;
    }
    if (control->runtime.current != NULL) {
        control_leave_sockets(control, control->runtime.current, generation);
    }
    control->runtime.current = generation;
    control_generation_left(&control->runtime); /* the one before, which was shown until now */
    generation->in_force = true;
    control_take_log(generation);
    if (control->stopping) {
        control_leave_sockets(control, generation,
                              NULL); /* SIGTERM came meanwhile: nobody accepts there */
    }
    /* Also while it stops: these hold the generation that `current` points to. */
    set_tickets_timer(control, generation->plan->global.ticket_key_lifetime);
    watch_set_limit(control->watch, generation->plan->global.stall_limit);
    sentry_set_limits(control->sentry, generation->plan->global.stall_limit,
                      generation->plan->global.shutdown_timeout);
    names_adopt(control->runtime.names, generation->plan);
    prober_adopt(control->prober, generation->plan);
    recovery_adopt(control->runtime.recovery, generation->plan);
    changes_adopt(&control->changes, generation);
    for (size_t i = 0; i < generation->plan->modules.count; i++) {
        generation->plan->modules.items[i]->module->generation = generation->id;
    }
    if (!control->started) {
        control->started = true;
        log_ready(generation);
        modules_tell_death(&control->changes.plane);
    }
    modules_tell_alarms(&control->changes.plane); /* of what is in quarantine */
    tell_applied(control);
    if (control->stop_wanted && !control->stopping) {
        control_stop_gently(control);
    }
}

/* Applies socket options of the files to sockets that stay. false: see `error`. */
static bool tune_sockets(const struct generation *generation, char *error, size_t error_size)
{
    for (size_t i = 0; i < generation->plan->listener_count; i++) {
        const struct listener_plan *plan = &generation->plan->listeners[i];
        for (size_t k = 0; k < plan->socket_count; k++) {
            if (!listen_socket_tune(plan->sockets[k], (int)plan->settings->backlog,
                                    plan->socket_mode, error, error_size)) {
                return false;
            }
            listen_socket_watch(plan->sockets[k], &plan->watch);
        }
    }
    return true;
}

static void commit(struct worker *worker, void *arg)
{
    const struct control *control = arg;
    worker_commit(worker, control->next->plan);
}

static void abandon(struct worker *worker, void *arg)
{
    const struct control *control = arg;
    generation_abandon(control->next, worker);
}

/* The gate's answer: the change is durable, or could not be kept. */
static void pass(void *arg, const char *error)
{
    struct control *control = arg;

    if (error != NULL) {
        fail(control, error);
    }
    if (control->error[0] == '\0') {
        set_servers(control, control->next);
    }
    loops_do(&control->runtime, control->runtime.workers + 1,
             control->error[0] == '\0' ? commit : abandon, applied, control);
}

static void prepare(struct worker *worker, void *arg)
{
    struct control *control = arg;
    char error[256];

    if (!generation_prepare(control->next, worker, error, sizeof(error))) {
        fail(control, error);
    }
}

/* Settings of sockets and servers are applied last. */
static void prepared(void *arg)
{
    struct control *control = arg;
    char error[256];

    if (control->error[0] != '\0') {
        pass(control, NULL); /* to abandon it */
    } else if (control->gate != NULL) {
        control->gate(control->done_arg);
    } else {
        pass(control, tune_sockets(control->next, error, sizeof(error)) ? NULL : error);
    }
}

/* Its names are resolved, as far as possible. */
static void named(void *arg, struct plan *plan)
{
    struct control *control = arg;
    (void)plan;

    if (control->clearing) { /* no loop has prepared it */
        list_remove(&control->next->link);
        generation_free(&control->next);
        fail(control, PLANE_STOPS);
        applied(control);
        return;
    }
    loops_do(&control->runtime, control->runtime.workers + 1, prepare, prepared, control);
}

/* Brings a generation into force. */
static void apply(void *arg, struct generation *generation, void (*gate)(void *gate_arg),
                  void (*done)(void *gate_arg, const char *error), void *gate_arg)
{
    struct control *control = arg;

    ASSERT(control->done == NULL);
    control->next = generation;
    control->gate = gate;
    control->done = done;
    control->done_arg = gate_arg;
    control->error[0] = '\0';
    atomic_flag_clear(&control->failed);
    list_push_back(&control->generations, &generation->link);
    names_await(control->runtime.names, generation->plan, named, control);
}

/* ---- warnings, the log ---- */

void control_warn(const struct generation *generation)
{
    char warning[512];

    if (descriptors_are_short(generation->plan, warning, sizeof(warning))) {
        log_write(WEIR_LOG_WARNING, "weir", "%s", warning);
    }
}

void control_take_log(struct generation *generation)
{
    log_switch(&generation->log, (enum weir_log_level)generation->plan->global.log_level);
}

/* ---- the start ---- */

static struct generation *derive(void *arg, const struct plan_swap *swap, struct mistakes *mistakes)
{
    struct control *control = arg;
    return generation_derive(&control->runtime, control->runtime.current, swap, mistakes);
}

static void begun(void *arg, const char *error)
{
    struct control *control = arg;
    if (error == NULL) {
        changes_started(&control->changes);
        changes_upkeep(&control->changes); /* a trial that the last end has cut short */
    } else {
        changes_rebuilt(&control->changes);
    }
}

void control_begin(struct control *control)
{
    struct generation *generation = control->starting;

    control->starting = NULL;
    apply(control, generation, NULL, begun, control);
    if (control->stop_wanted) {
        names_hurry(control->runtime.names);
    }
}

/* ---- rebuilding: names have other servers, or the overlay has ---- */

static void not_taken_over(const struct control *control, const char *error)
{
    if (!control->clearing) {
        log_write(WEIR_LOG_ERROR, "weir", "reload: the configuration is not taken over: %s", error);
    }
}

static void rebuilt(void *arg, const char *error)
{
    struct control *control = arg;
    if (error != NULL) {
        not_taken_over(control, error);
    }
    changes_rebuilt(&control->changes);
}

static void rebuild(void *arg, bool overlay)
{
    struct control *control = arg;
    struct mistakes mistakes = {0};
    bool wanted = !control->stopping && (overlay || names_is_stale(control->runtime.names));
    struct generation *generation = wanted ? derive(control, NULL, &mistakes) : NULL;

    control_log_mistakes(&mistakes);
    mistakes_free(&mistakes);
    if (generation != NULL && overlay) { /* the store has come late, with all that it keeps */
        generation = control_restore(control, generation);
    }
    if (generation != NULL) {
        apply(control, generation, NULL, rebuilt, control);
    } else {
        changes_rebuilt(&control->changes);
    }
}

void control_names_changed(void *arg)
{
    struct control *control = arg;
    changes_rebuild(&control->changes);
}

/* ---- reloading ---- */

static void reload(void *arg, struct operation *operation);

static void reloaded(void *arg, const char *error)
{
    struct control *control = arg;
    struct operation *operation = control->reload_operation;
    const struct generation *current = control->runtime.current;

    control->reload_operation = NULL;
    if (error != NULL) {
        not_taken_over(control, error);
    } else {
        for (size_t i = 0; i < current->plan->restart_count; i++) {
            log_write(WEIR_LOG_WARNING, "weir", "%s", current->plan->restart[i]);
        }
        log_write(WEIR_LOG_INFO, "weir", "reload done: generation %llu is in force",
                  (unsigned long long)current->id);
        providers_reloaded(&control->changes.plane.providers);
    }
    changes_reloaded(&control->changes, operation, NULL, error);
}

static void reload_named(void *arg, struct plan *gone)
{
    struct control *control = arg;
    struct operation *operation = control->reload_operation;
    (void)gone;

    control->reload_operation = NULL;
    control->naming = false;
    reload(control, operation);
    control_settled(control);
}

static void reload(void *arg, struct operation *operation)
{
    struct control *control = arg;
    struct mistakes mistakes = {0};

    if (control->stopping) {
        changes_reloaded(&control->changes, operation, NULL, PLANE_STOPS);
        return;
    }
    log_write(WEIR_LOG_INFO, "weir", "reload: reading %s", control->path);
    control_notify("RELOADING=1");
    blame_read_again(control->runtime.blame);
    struct generation *generation =
        generation_build(&control->runtime, control->path, true, &mistakes);
    if (generation == NULL) {
        control_log_mistakes(&mistakes);
        log_write(WEIR_LOG_ERROR, "weir",
                  "reload refused: %zu mistakes; the running configuration stays", mistakes.count);
        set_nameservers(control, control->runtime.current);
        control_notify("READY=1");
        changes_reloaded(&control->changes, operation, &mistakes, NULL);
        mistakes_free(&mistakes);
        return;
    }
    mistakes_free(&mistakes);
    set_nameservers(control, generation);
    names_ask_again(control->runtime.names);
    control->reload_operation = operation;
    if (names_is_wanting(control->runtime.names)) {
        control->naming = true;
        names_await(control->runtime.names, generation->plan, reload_named, control);
        generation_free(&generation); /* built again once its names are resolved */
        return;
    }
    control_warn(generation);
    apply(control, generation, NULL, reloaded, control);
}

const struct changes_owner control_owner = {
    .refresh = refresh_server,
    .refresh_pool = control_refresh_pool,
    .derive = derive,
    .apply = apply,
    .pass = pass,
    .rebuild = rebuild,
    .reload = reload,
};
