/* SPDX-License-Identifier: MIT */
/*
 * The control thread: start, signals, reload, stop. See control.h.
 */
#include "control/control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/logfile.h"
#include "control/apply.h"
#include "control/overlay.h"
#include "control/plane.h"
#include "control/privileges.h"
#include "control/report.h"
#include "control/sdk_stats.h"
#include "module/host.h"
#include "proxy/discovery.h"
#include "proxy/names.h"
#include "proxy/probe.h"
#include "proxy/recovery.h"
#include "proxy/stream.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

struct control {
    const char *path;
    struct runtime runtime;
    struct weir_host host;
    struct worker *self; /* the control thread's loop */
    struct prober *prober;
    struct names *names;
    struct generation *starting; /* waits for names; NULL: none does */
    struct list generations;
    struct event *signals[8];
    size_t signal_count;
    struct plane *plane;
    bool applying;
    /* what is being applied: a change (its gate and end), or a reload (the operation, or NULL) */
    struct apply *gate;
    void (*change_gate)(void *arg);
    void (*change_done)(void *arg, const char *error);
    void *change_arg;
    struct operation *reload_operation;
    bool rebuilding; /* since names have other servers */
    bool first;      /* the start's generation */
    bool started;    /* the first generation is in force */
    bool stopping;
    bool clearing;
    unsigned accepting; /* loops that accept connections, once it stops */
    unsigned left;      /* loops that have not drained */
    int exit_code;
};

static struct control *control_of(const struct generation *generation)
{
    return container_of(generation->runtime, struct control, runtime);
}

static void notify_systemd(const char *state)
{
#ifdef HAVE_SYSTEMD
    sd_notify(0, state);
#else
    (void)state;
#endif
}

/* ---- messages to loops and back ---- */

struct note {
    struct message message;
    struct control *control;
    struct worker *worker;
    struct pool *pool;
    uint64_t patience_ns;
};

static struct note *note_new(struct control *control, struct worker *worker, message_fn fn)
{
    struct note *note = base_zalloc(sizeof(*note));
    note->message.fn = fn;
    note->control = control;
    note->worker = worker;
    return note;
}

/* ---- generations ---- */

static void free_left_generations(struct control *control)
{
    list_each(link, &control->generations)
    {
        struct generation *generation = container_of(link, struct generation, link);
        if (atomic_load(&generation->loops_left) == 0) {
            list_remove(link);
            generation_free(&generation);
        }
    }
}

static void on_generation_left(struct message *message)
{
    struct note *note = container_of(message, struct note, message);
    free_left_generations(note->control);
    free(note);
}

/* Any loop: the last one has left. */
static void generation_left(struct generation *generation)
{
    struct control *control = control_of(generation);
    struct note *note = note_new(control, control->self, on_generation_left);
    loop_post(control->self->loop, &note->message);
}

static void on_loop_refresh(struct message *message)
{
    struct note *note = container_of(message, struct note, message);
    pool_local_refresh(&note->pool->locals[note->worker->index]);
    batch_flush(&note->worker->batch);
    free(note);
}

static void refresh_pool(void *arg, struct pool *pool)
{
    struct control *control = arg;

    if (control->runtime.recovery != NULL) {
        recovery_look(control->runtime.recovery, pool);
    }
    for (unsigned i = 0; i <= control->runtime.workers; i++) {
        struct worker *worker = control->runtime.loops[i];
        struct note *note = note_new(control, worker, on_loop_refresh);
        note->pool = pool;
        loop_post(worker->loop, &note->message);
    }
}

static void server_changed(void *arg, struct server *server)
{
    struct control *control = arg;

    if (control->runtime.current != NULL) {
        plane_server_changed(control->plane, server);
    }
    const struct generation *current = control->runtime.current;
    for (size_t i = 0; current != NULL && i < current->pool_count; i++) {
        if (strcmp(current->pools[i].pool->name, server->pool_name) == 0) {
            refresh_pool(control, current->pools[i].pool);
        }
    }
}

/* What the files (and runtime changes) say of servers, laid over their live state. Before the commit:
 * workers read it then. */
static void set_servers(const struct control *control, const struct generation *generation)
{
    for (size_t i = 0; i < generation->pool_count; i++) {
        const struct pool_plan *plan = &generation->pools[i];
        const struct server_settings *settings = plan->settings->servers.items;
        for (size_t k = 0; k < plan->server_count; k++) {
            struct server *server = plan->servers[k];
            server_set_weight(server, (uint32_t)settings[k].weight);
            server->max_connections = (uint32_t)settings[k].max_connections;
            server->backup = settings[k].backup;
        }
    }
    overlay_set_states(control->plane->overlay, generation);
}

static void log_ready(const struct generation *generation)
{
    char text[1024];
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < generation->listener_count; i++) {
        const struct listener_plan *plan = &generation->listeners[i];
        for (size_t k = 0; k < plan->socket_count && at < sizeof(text) - 1; k++) {
            int n = snprintf(text + at, sizeof(text) - at, "%s %s=%s", at > 0 ? "," : "",
                             plan->listener->name, plan->sockets[k]->text);
            at += n > 0 ? (size_t)n : 0;
        }
    }
    log_write(WEIR_LOG_INFO, "weir", "ready:%s", text);
}

static bool has_socket(const struct generation *generation, const struct listen_socket *socket)
{
    for (size_t i = 0; generation != NULL && i < generation->listener_count; i++) {
        const struct listener_plan *plan = &generation->listeners[i];
        for (size_t k = 0; k < plan->socket_count; k++) {
            if (plan->sockets[k] == socket) {
                return true;
            }
        }
    }
    return false;
}

/* Closes the sockets on which no loop accepts any more, though streams may hold the old generation for
 * long: a new connection is refused there, and finds another instance if there is one. */
static void shut_sockets(const struct generation *old, const struct generation *now)
{
    for (size_t i = 0; i < old->listener_count; i++) {
        const struct listener_plan *plan = &old->listeners[i];
        for (size_t k = 0; k < plan->socket_count; k++) {
            if (!has_socket(now, plan->sockets[k])) {
                listen_socket_shut(plan->sockets[k]);
            }
        }
    }
}

static unsigned count_workers(const struct global_settings *global);

/* Tells who waits for the end: a change, or the plane's reload. */
static void tell_applied(struct control *control, const char *error)
{
    void (*done)(void *arg, const char *error) = control->change_done;
    struct operation *operation = control->reload_operation;
    bool first = control->first;
    bool rebuilding = control->rebuilding;

    control->change_done = NULL;
    control->change_gate = NULL;
    control->reload_operation = NULL;
    control->first = control->rebuilding = false;
    if (done != NULL) {
        done(control->change_arg, error);
    } else if (rebuilding) {
        plane_rebuilt(control->plane);
    } else if (!first) {
        plane_reloaded(control->plane, operation, NULL, error);
    }
}

static void not_applied(struct control *control, const char *error)
{
    if (control->change_done == NULL) {
        log_write(WEIR_LOG_ERROR, "weir", "%s: the configuration is not taken over: %s",
                  control->started ? "reload" : "start", error);
    }
    free_left_generations(control);
    if (!control->started) {
        control->exit_code = 1;
        loop_stop(control->self->loop);
        return;
    }
    notify_systemd("READY=1");
    tell_applied(control, error);
}

static void applied(void *arg, struct generation *generation, const char *error)
{
    struct control *control = arg;

    control->applying = false;
    if (error != NULL) {
        not_applied(control, error);
        return;
    }
    if (control->runtime.current != NULL) {
        shut_sockets(control->runtime.current, generation);
    }
    control->runtime.current = generation;
    if (!control->stopping) {
        names_adopt(control->names, generation);
        discovery_adopt(control->runtime.discovery, generation);
        prober_adopt(control->prober, generation);
        recovery_adopt(control->runtime.recovery, generation);
        plane_adopt(control->plane, generation);
    }
    if (!control->started) {
        control->started = true;
        log_ready(generation);
    } else if (control->change_done == NULL && !control->rebuilding) {
        log_write(WEIR_LOG_INFO, "weir", "reload done: generation %llu is in force",
                  (unsigned long long)generation->id);
    }
    notify_systemd("READY=1");
    tell_applied(control, NULL);
}

/* All loops are ready: settings of servers are laid over their live state as the last thing before. */
static void at_gate(void *arg, struct apply *apply)
{
    struct control *control = arg;

    control->gate = apply;
    if (control->change_gate != NULL) {
        control->change_gate(control->change_arg);
    } else {
        set_servers(control, apply_generation(apply));
        apply_pass(apply, NULL);
    }
}

/* From the plane: what is changed has been made durable, or could not be. */
static void gate_passed(void *arg, const char *error)
{
    struct control *control = arg;

    if (error == NULL) {
        set_servers(control, apply_generation(control->gate));
    }
    apply_pass(control->gate, error);
}

/* Its servers have addresses, as far as they can be had. */
static void named(void *arg, struct generation *generation)
{
    struct control *control = arg;
    apply_begin(&control->runtime, generation, at_gate, applied, control);
}

static void log_mistakes(const struct mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes->count; i++) {
        log_write(WEIR_LOG_ERROR, "weir", "%s", mistakes->texts[i]);
    }
}

static void print_mistakes(const struct mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes->count; i++) {
        fprintf(stderr, "weir: %s\n", mistakes->texts[i]);
    }
}

static bool open_log(const struct global_settings *global)
{
    char error[256];
    if (!log_open(global->log_target.ptr, (enum weir_log_level)global->log_level, error,
                  sizeof(error))) {
        log_write(WEIR_LOG_ERROR, "weir", "%s", error);
        return false;
    }
    return true;
}

/* Takes a generation into force that was built. */
static void apply(struct control *control, struct generation *generation)
{
    list_push_back(&control->generations, &generation->link);
    control->applying = true;
    names_prepare(control->names, generation, named, control);
}

/* From the plane: a change with a generation of its own. */
static void apply_change(void *arg, struct generation *generation, void (*gate)(void *gate_arg),
                         void (*done)(void *gate_arg, const char *error), void *gate_arg)
{
    struct control *control = arg;

    ASSERT(!control->applying);
    control->change_gate = gate;
    control->change_done = done;
    control->change_arg = gate_arg;
    apply(control, generation);
}

static void reload(void *arg, struct operation *operation, struct plane *plane);

static void reload_named(void *arg)
{
    struct control *control = arg;
    struct operation *operation = control->reload_operation;

    control->reload_operation = NULL;
    reload(control, operation, control->plane);
}

/* From the plane: names have other servers than in the running generation. */
static void rebuild(void *arg, struct plane *plane)
{
    struct control *control = arg;
    struct mistakes mistakes = {0};

    ASSERT(!control->applying);
    if (control->stopping) {
        plane_rebuilt(plane);
        return;
    }
    struct generation *generation =
        generation_rebuild(&control->runtime, control->runtime.current, &mistakes);
    if (generation == NULL) {
        log_mistakes(&mistakes);
        mistakes_free(&mistakes);
        plane_rebuilt(plane);
        return;
    }
    mistakes_free(&mistakes);
    control->rebuilding = true;
    apply(control, generation);
}

static void names_changed(void *arg)
{
    struct control *control = arg;
    plane_rebuild(control->plane);
}

/* From the plane, which lets one change after the other happen. */
static void reload(void *arg, struct operation *operation, struct plane *plane)
{
    struct control *control = arg;
    struct mistakes mistakes = {0};

    ASSERT(!control->applying);
    if (control->stopping) {
        plane_reloaded(plane, operation, NULL, "the program stops");
        return;
    }
    log_write(WEIR_LOG_INFO, "weir", "reload: reading %s", control->path);
    notify_systemd("RELOADING=1");
    struct generation *generation =
        generation_build(&control->runtime, control->path, true, &mistakes);
    if (generation == NULL) {
        log_mistakes(&mistakes);
        log_write(WEIR_LOG_ERROR, "weir",
                  "reload refused: %zu mistakes; the running configuration stays", mistakes.count);
        notify_systemd("READY=1");
        plane_reloaded(plane, operation, &mistakes, NULL);
        mistakes_free(&mistakes);
        return;
    }
    mistakes_free(&mistakes);
    if (discovery_is_wanting(control->runtime.discovery)) {
        generation_free(&generation); /* built anew once its names have been answered */
        control->reload_operation = operation;
        discovery_await(control->runtime.discovery, reload_named, control);
        return;
    }
    unsigned wanted = count_workers(&generation->global);
    if (wanted != control->runtime.workers) {
        log_write(WEIR_LOG_WARNING, "weir",
                  "workers = %u takes effect at the next start; %u go on now", wanted,
                  control->runtime.workers);
    }
    open_log(&generation->global);
    control->reload_operation = operation;
    apply(control, generation);
}

/* ---- stopping ---- */

/* What the loops have posted before, of generations that were left, has been dealt with. */
static void on_last(struct message *message)
{
    struct note *note = container_of(message, struct note, message);
    struct control *control = note->control;

    free(note);
    loop_stop(control->self->loop);
}

static void on_cleared(struct message *message)
{
    struct note *note = container_of(message, struct note, message);
    struct control *control = note->control;

    free(note);
    if (--control->left == 0) {
        prober_free(&control->prober);
        discovery_free(&control->runtime.discovery);
        names_free(&control->names);
        recovery_free(&control->runtime.recovery);
        worker_clear(control->self);
        struct note *last = note_new(control, control->self, on_last);
        loop_post(control->self->loop, &last->message);
    }
}

static void on_loop_clear(struct message *message)
{
    struct note *note = container_of(message, struct note, message);
    worker_clear(note->worker);
    note->message.fn = on_cleared;
    loop_post(note->control->self->loop, &note->message);
}

static void clear_all(struct control *control)
{
    if (control->clearing) {
        return;
    }
    control->clearing = true;
    plane_stop(control->plane);
    control->left = control->runtime.workers;
    for (unsigned i = 0; i < control->runtime.workers; i++) {
        struct note *note = note_new(control, control->runtime.loops[i], on_loop_clear);
        loop_post(note->worker->loop, &note->message);
    }
}

static void on_drained(struct message *message)
{
    struct note *note = container_of(message, struct note, message);
    struct control *control = note->control;

    free(note);
    if (!control->clearing && --control->left == 0) {
        clear_all(control);
    }
}

/* On a loop, once. */
static void loop_drained(struct worker *worker)
{
    worker->on_drained = NULL;
    struct control *control = control_of(worker->generation);
    struct note *note = note_new(control, worker, on_drained);
    loop_post(control->self->loop, &note->message);
}

static void on_loop_closed(struct message *message)
{
    struct note *note = container_of(message, struct note, message);
    struct control *control = note->control;
    const struct generation *current = control->runtime.current;

    free(note);
    if (--control->accepting > 0) {
        return;
    }
    shut_sockets(current, NULL);
}

static void on_loop_drain(struct message *message)
{
    struct note *note = container_of(message, struct note, message);

    worker_drain(note->worker, note->patience_ns, loop_drained);
    note->message.fn = on_loop_closed;
    loop_post(note->control->self->loop, &note->message);
}

/* SIGTERM: no new connections, running requests end. */
static void stop_gently(struct control *control)
{
    if (control->stopping || !control->started) {
        control->stopping = true;
        clear_all(control);
        return;
    }
    control->stopping = true;
    uint64_t patience_ns = control->runtime.current->global.shutdown_timeout;
    log_write(WEIR_LOG_INFO, "weir", "stopping: running requests have %llu s to end",
              (unsigned long long)(patience_ns / NS_PER_SECOND));
    notify_systemd("STOPPING=1");
    control->left = control->accepting = control->runtime.workers + 1;
    for (unsigned i = 0; i <= control->runtime.workers; i++) {
        struct note *note = note_new(control, control->runtime.loops[i], on_loop_drain);
        note->patience_ns = patience_ns;
        loop_post(note->worker->loop, &note->message);
    }
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    struct control *control = arg;
    (void)what;

    switch (number) {
    case SIGHUP: plane_reload(control->plane); break;
    case SIGTERM: stop_gently(control); break;
    case SIGINT:
        log_write(WEIR_LOG_INFO, "weir", "stopping at once");
        control->stopping = true;
        clear_all(control);
        break;
    case SIGUSR1:
        log_reopen();
        logfile_reopen_all();
        log_write(WEIR_LOG_INFO, "weir", "log files are opened again");
        break;
    case SIGUSR2: report_statistics(control->runtime.current); break;
    default: break;
    }
}

/* ---- starting ---- */

static unsigned count_workers(const struct global_settings *global)
{
    if (global->workers > 0) {
        return (unsigned)global->workers;
    }
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus > 0 ? (unsigned)cpus : 1;
}

/* The global settings, read before there are loops to build a whole generation for. Mistakes are told by
 * the build. */
static void peek_globals(const char *path, struct global_settings *global, struct arena *arena)
{
    struct mistakes ignored = {0};
    struct conf_tree tree = {0};
    static const char *const known[] = {"module", "pool", "listener", NULL};
    struct conf_fill filling = {.arena = arena,
                                .places = conf_places_new(arena),
                                .mistakes = &ignored,
                                .context = WEIR_CONTEXT_GLOBAL};
    struct conf_target target = {&global_options, global};

    conf_read(&tree, arena, path, &ignored);
    conf_fill_block(&filling, &tree.root, &target, 1, known, true);
    mistakes_free(&ignored);
}

static void runtime_init(struct control *control, const char *path)
{
    struct arena arena;
    struct global_settings global = {0};

    arena_init(&arena, NULL, 0);
    peek_globals(path, &global, &arena);
    control->path = path;
    module_host_fill(&control->host);
    sdk_request_fill(&control->host);
    sdk_stats_fill(&control->host);
    control->runtime.start_wall_ms = loop_wall_ms();
    sdk_health_fill(&control->host);
    control_services_fill(&control->host);
    control->runtime.host = &control->host;
    control->runtime.workers = count_workers(&global);
    control->runtime.modules =
        module_registry_new(global.module_dir.len > 0 ? global.module_dir.ptr : WEIR_MODULEDIR);
    control->runtime.on_left = generation_left;
    list_init(&control->runtime.pools);
    list_init(&control->runtime.listeners);
    list_init(&control->runtime.routes);
    list_init(&control->generations);
    control->runtime.discovery = discovery_new();
    arena_reset(&arena);
}

/* Each connection costs two descriptors: as many as the system lets us have. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool make_loops(struct control *control)
{
    unsigned count = control->runtime.workers + 1;
    control->runtime.loops = base_zalloc(sizeof(struct worker *) * count);
    for (unsigned i = 0; i < count; i++) {
        control->runtime.loops[i] = worker_new(i);
        if (control->runtime.loops[i] == NULL) {
            fprintf(stderr,
                    "weir: cannot make loop %u of %u: %s; raise the limit of open files, or set "
                    "fewer workers\n",
                    i + 1, count, strerror(errno));
            return false;
        }
    }
    control->self = control->runtime.loops[control->runtime.workers];
    return true;
}

static void watch_signals(struct control *control)
{
    static const int numbers[] = {SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        struct event *event =
            evsignal_new(control->self->loop->base, numbers[i], on_signal, control);
        ASSERT(event != NULL && event_add(event, NULL) == 0);
        control->signals[control->signal_count++] = event;
    }
}

static bool start_workers(struct control *control)
{
    for (unsigned i = 0; i < control->runtime.workers; i++) {
        if (!worker_start(control->runtime.loops[i])) {
            log_write(WEIR_LOG_ERROR, "weir", "cannot start worker %u: %s", i, strerror(errno));
            return false;
        }
    }
    return true;
}

static void tear_down(struct control *control)
{
    for (size_t i = 0; i < control->signal_count; i++) {
        event_free(control->signals[i]);
    }
    for (unsigned i = 0; control->runtime.loops != NULL && i < control->runtime.workers; i++) {
        if (control->runtime.loops[i] != NULL) {
            worker_join(control->runtime.loops[i]);
        }
    }
    if (control->prober != NULL) {
        prober_free(&control->prober);
    }
    discovery_free(&control->runtime.discovery);
    names_free(&control->names);
    free_left_generations(control);
    plane_free(&control->plane);
    for (unsigned i = 0; control->runtime.loops != NULL && i <= control->runtime.workers; i++) {
        if (control->runtime.loops[i] != NULL) {
            worker_free(&control->runtime.loops[i]);
        }
    }
    free(control->runtime.loops);
    module_registry_free(&control->runtime.modules);
    logfile_stop();
}

/* The generation that begins, once more: as if it ran, so that its sockets are found again. */
static struct generation *begin_again(struct control *control, struct generation *generation,
                                      struct mistakes *mistakes)
{
    control->runtime.current = generation;
    struct generation *changed = generation_rebuild(&control->runtime, generation, mistakes);
    control->runtime.current = NULL;
    if (changed != NULL) {
        generation_free(&generation);
    }
    return changed;
}

/* What is kept of runtime changes is laid over the files: the generation that begins. */
static struct generation *restore(struct control *control, struct generation *generation)
{
    struct mistakes mistakes = {0};

    if (plane_restore(control->plane, generation)) {
        return generation;
    }
    struct generation *changed = begin_again(control, generation, &mistakes);
    if (changed == NULL) {
        log_mistakes(&mistakes);
        log_write(WEIR_LOG_ERROR, "weir",
                  "the runtime changes that are kept do not fit the files; the files alone hold");
        mistakes_free(&mistakes);
        return generation;
    }
    mistakes_free(&mistakes);
    return changed;
}

static void start_with(struct control *control, struct generation *generation)
{
    list_push_back(&control->generations, &generation->link);
    names_prepare(control->names, generation, named, control);
}

/* Names stand for servers now. */
static void start_named(void *arg)
{
    struct control *control = arg;
    struct mistakes mistakes = {0};
    struct generation *generation = control->starting;
    struct generation *changed = NULL;

    control->starting = NULL;
    if (!control->clearing) {
        changed = begin_again(control, generation, &mistakes);
    }
    if (changed == NULL) {
        log_mistakes(&mistakes);
    }
    mistakes_free(&mistakes);
    start_with(control, changed != NULL ? changed : generation);
}

static void start(struct control *control, struct generation *generation)
{
    const struct plane_owner owner = {
        .refresh = refresh_pool,
        .apply = apply_change,
        .pass = gate_passed,
        .rebuild = rebuild,
        .reload = reload,
        .arg = control,
    };
    const struct recovery_owner recovery = {
        .refresh = refresh_pool, .changed = server_changed, .arg = control};
    char error[256];

    plane_start(control->plane, control->self, &owner);
    generation = restore(control, generation);
    control->prober = prober_new(control->self, server_changed, control);
    control->names = names_new(control->self, generation->global.nameservers, error, sizeof(error));
    control->runtime.recovery = recovery_new(control->self, &recovery);
    watch_signals(control);
    if (control->names == NULL) {
        log_write(WEIR_LOG_ERROR, "weir", "%s", error);
        control->exit_code = 1;
    } else if (start_workers(control)) {
        control->first = true;
        control->applying = true;
        discovery_start(control->runtime.discovery, control->self->loop,
                        names_resolver(control->names), names_changed, control);
        if (discovery_is_wanting(control->runtime.discovery)) {
            control->starting = generation;
            discovery_await(control->runtime.discovery, start_named, control);
        } else {
            start_with(control, generation);
        }
        generation = NULL;
        loop_run(control->self->loop);
    } else {
        control->exit_code = 1;
    }
    if (control->starting != NULL) {
        generation = control->starting; /* stopped while names were asked for */
    }
    if (generation != NULL) {
        generation_free(&generation);
    }
}

int control_run(const char *path)
{
    struct control control = {0};
    struct mistakes mistakes = {0};

    signal(SIGPIPE, SIG_IGN);
    /* A limit on the size of files is an error code, as a full disk is. */
    signal(SIGXFSZ, SIG_IGN);
    raise_descriptor_limit();
    runtime_init(&control, path);
    control.plane = plane_new(&control.runtime, path);
    if (!logfile_start() || !make_loops(&control)) {
        tear_down(&control);
        return 1;
    }
    struct generation *generation = generation_build(&control.runtime, path, true, &mistakes);
    char error[256];
    if (generation == NULL) {
        print_mistakes(&mistakes);
        control.exit_code = 1;
    } else if (!open_log(&generation->global) ||
               !privileges_drop(&generation->global, error, sizeof(error))) {
        fprintf(stderr, "weir: %s\n", error);
        generation_free(&generation);
        control.exit_code = 1;
    }
    mistakes_free(&mistakes);
    if (generation != NULL) {
        start(&control, generation);
    }
    tear_down(&control);
    return control.exit_code;
}

int control_check(const char *path)
{
    struct control control = {0};
    struct mistakes mistakes = {0};

    runtime_init(&control, path);
    module_host_set_state_dir(NULL);
    struct generation *generation = generation_build(&control.runtime, path, false, &mistakes);
    print_mistakes(&mistakes);
    if (generation != NULL) {
        printf("weir: %s is right\n", path);
        generation_free(&generation);
    }
    int code = mistakes.count > 0 ? 1 : 0;
    mistakes_free(&mistakes);
    discovery_free(&control.runtime.discovery);
    module_registry_free(&control.runtime.modules);
    return code;
}

int control_print_options(const char *path, const char *name)
{
    struct control control = {0};
    struct mistakes mistakes = {0};
    int code = 0;

    runtime_init(&control, path);
    if (name == NULL) {
        conf_print_options(&global_options, "weir.conf", 0);
        conf_print_options(&listener_options, "listener \"NAME\" { }", 0);
        conf_print_options(&handler_options,
                           "handler \"NAME\" { } of a listener, beside the module's own", 0);
        conf_print_options(&pool_options, "pool \"NAME\" { }", 0);
        conf_print_options(&probe_options,
                           "health \"NAME\" { } of a pool that probes, beside the module's own", 0);
        conf_print_options(&passive_options,
                           "health \"NAME\" { } of a pool that listens, beside the module's own",
                           0);
    } else {
        struct module *module = module_load(control.runtime.modules, name, &control.host,
                                            (struct place){NULL, 0}, &mistakes);
        print_mistakes(&mistakes);
        code = module == NULL;
        if (module != NULL) {
            printf("%s %s: %s\n\n", module->name, module->descriptor.version,
                   module->descriptor.summary);
            if (module->descriptor.options != NULL) {
                conf_print_options(module->descriptor.options, "options", 0);
            }
            module_unref(&module);
        }
    }
    mistakes_free(&mistakes);
    discovery_free(&control.runtime.discovery);
    module_registry_free(&control.runtime.modules);
    return code;
}
