/* SPDX-License-Identifier: MIT */
/*
 * Start: settings, loops, the first generation; and the modes that do not run. See control.h.
 */
#include "control/control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/lanes.h"
#include "base/log.h"
#include "base/logfile.h"
#include "control/control_state.h"
#include "control/api/sdk_stats.h"
#include "control/api/services.h"
#include "control/change/module_part.h"
#include "control/parts.h"
#include "control/try_start.h"
#include "module/blame.h"
#include "module/guard.h"
#include "module/call.h"
#include "module/host.h"
#include "module/module.h"
#include "net/conn.h"
#include "proxy/plan/descriptors.h"
#include "proxy/upstream/names.h"
#include "proxy/pool/recovery.h"
#include "proxy/stream/stream.h"

/* Adds a folder that root creates for `user`, once. */
static void want_folder(struct control *control, struct weir_str path)
{
    struct privileges_folders *folders = &control->folders;

    for (size_t i = 0; i < folders->count; i++) {
        if (str_equal(str_from(folders->paths[i]), path)) {
            return;
        }
    }
    folders->paths = base_realloc(folders->paths, (folders->count + 1) * sizeof(*folders->paths));
    folders->paths[folders->count++] = arena_copy(&control->arena, path).ptr;
}

/* Adds the folder in /run that contains the path, if any. */
static void want_run_folder(struct control *control, const char *path)
{
    char folder[108];
    if (listen_run_folder(path, folder, sizeof(folder))) {
        want_folder(control, str_from(folder));
    }
}

/* Adds the folders of the listeners' Unix sockets. */
static void want_socket_folders(struct control *control, const struct conf_node *root)
{
    for (const struct conf_node *node = root->children; node != NULL; node = node->next) {
        const struct conf_node *child =
            str_equal(node->name, STR("listener")) ? node->children : NULL;
        for (; child != NULL; child = child->next) {
            for (size_t i = 0; str_equal(child->name, STR("bind")) && i < child->value_count; i++) {
                if (strncmp(child->values[i].text.ptr, "unix:", 5) == 0) {
                    want_run_folder(control, child->values[i].text.ptr + 5);
                }
            }
        }
    }
}

/* Reads the global settings, which are needed before loops exist. The build reports mistakes. */
static void peek_globals(struct control *control)
{
    struct mistakes ignored = {0};
    struct conf_tree tree = {0};
    static const char *const known[] = {"module", "pool", "listener", NULL};
    struct global_settings *global = &control->at_start;
    struct conf_fill filling = {.arena = &control->arena,
                                .places = conf_places_new(&control->arena),
                                .mistakes = &ignored,
                                .context = WEIR_CONTEXT_GLOBAL};
    struct conf_target target = {&global_options, global};

    conf_read(&tree, &control->arena, control->path, &ignored);
    conf_fill_block(&filling, &tree.root, &target, 1, known, true);
    mistakes_free(&ignored);
    if (global->state_dir.len > 0) {
        want_folder(control, global->state_dir);
    }
    if (global->pid_file.len > 0) {
        want_run_folder(control, global->pid_file.ptr);
    }
    want_socket_folders(control, &tree.root);
}

static unsigned count_workers(const struct global_settings *global)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return global->workers > 0 ? (unsigned)global->workers : cpus > 0 ? (unsigned)cpus : 1;
}

static void print_mistakes(const struct mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes->count; i++) {
        fprintf(stderr, "weir: %s\n", mistakes->texts[i]);
    }
}

static void runtime_init(struct control *control, const char *path)
{
    arena_init(&control->arena, NULL, 0);
    control->path = path;
    peek_globals(control);
    const struct global_settings *global = &control->at_start;
    module_host_fill(&control->host);
    sdk_request_fill(&control->host);
    sdk_stats_fill(&control->host);
    control->runtime.start_wall_ms = control->runtime.reloads.done_wall_ms = loop_wall_ms();
    sdk_health_fill(&control->host);
    control_services_fill(&control->host);
    provider_services_fill(&control->host);
    module_part_fill(&control->host);
    control->runtime.host = &control->host;
    control->runtime.workers = count_workers(global);
    control->runtime.modules = module_registry_new(control->runtime.workers + 1);
    module_registry_on_alarm(control->runtime.modules, control_module_alarm, control);
    control->runtime.on_left = control_generation_left;
    control->runtime.try_start = try_start;
    list_init(&control->runtime.listeners);
    list_init(&control->generations);
    list_init(&control->leaving);
    control->runtime.names = names_new();
}

static void runtime_end(struct control *control)
{
    names_free(&control->runtime.names);
    module_registry_free(&control->runtime.modules);
    blame_book_free(&control->runtime.blame);
    free(control->folders.paths);
    arena_reset(&control->arena);
}

/* Where the secret is kept. With `try`, a folder that a start would create is not looked at. */
static void set_state_dir(struct control *control, bool try)
{
    const char *path = control->at_start.state_dir.ptr;

    for (size_t i = 0; try && i < control->folders.count; i++) {
        path = path != NULL && strcmp(control->folders.paths[i], path) == 0 ? NULL : path;
    }
    module_host_set_state_dir(path, try);
}

/* Writes to standard error why there is no start, without blocking. */
static void complain(const char *why)
{
    char *text = base_printf("weir: %s", why);
    log_last_words(text);
    free(text);
}

/* Before any module's code runs. The folder is there, so that a start that dies of a module leaves
 * its record, and whoever starts it again and again ends in quarantine. */
static void read_blame(struct control *control, bool try)
{
    const char *folder = control->at_start.state_dir.ptr;

    if (!try && folder != NULL) {
        mkdir(folder, 0750); /* whoever needs it reports a failure */
    }
    control->runtime.blame = blame_book_new(folder);
    blame_begin(control->runtime.blame, !try);
    module_registry_set_blame(control->runtime.modules, control->runtime.blame);
}

/* Builds with the rights that the process keeps, or would keep (`try`). NULL: mistakes were
 * printed. */
static struct generation *build_first(struct control *control, bool try)
{
    struct mistakes mistakes = {0};
    struct generation *generation = NULL;
    char error[512];

    if (privileges_assume(&control->at_start, &control->folders, try, error, sizeof(error))) {
        set_state_dir(control, try);
        read_blame(control, try);
        control->runtime.given = control->folders.paths;
        control->runtime.given_count = control->folders.count;
        generation = generation_build(&control->runtime, control->path, !try, &mistakes);
        if (try) {
            print_mistakes(&mistakes);
        }
        for (size_t i = 0; !try && i < mistakes.count; i++) {
            complain(mistakes.texts[i]);
        }
        mistakes_free(&mistakes);
    } else {
        complain(error);
    }
    return generation;
}

static bool make_loops(struct control *control)
{
    unsigned count = control->runtime.workers + 1;
    control->runtime.loops = base_zalloc(sizeof(struct worker *) * count);
    for (; control->loop_count < count; control->loop_count++) {
        struct worker *worker = worker_new(control->loop_count);
        if (worker == NULL) {
            fprintf(stderr,
                    "weir: cannot make loop %u of %u: %s; raise the limit of open files, or set "
                    "fewer workers\n",
                    control->loop_count + 1, count, strerror(errno));
            return false;
        }
        worker->calls = module_calls(control->runtime.modules, control->loop_count);
        control->runtime.loops[control->loop_count] = worker;
    }
    control->self = control->runtime.loops[control->runtime.workers];
    runtime_begin(&control->runtime);
    lanes_join(control->runtime.workers + 1, NULL, NULL); /* exact: it orders log lines */
    return true;
}

static bool start_workers(struct control *control)
{
    const struct descriptors_kept kept = descriptors_keep_back();

    for (unsigned i = 0; i < control->runtime.workers; i++) {
        control->runtime.loops[i]->down.keep_reserve = kept.from_clients;
        control->runtime.loops[i]->pool_home.keep_reserve = kept.from_clients;
        if (!conn_set_reserve(control->runtime.loops[i]->loop, kept.from_servers) ||
            !worker_start(control->runtime.loops[i])) {
            log_write(WEIR_LOG_ERROR, "weir", "cannot start worker %u: %s", i, strerror(errno));
            return false;
        }
    }
    return true;
}

/* All threads have ended: handles their last messages, so that everyone gets an answer. */
static void settle(struct control *control)
{
    bool any;

    do {
        any = false;
        for (unsigned i = 0; i < control->loop_count; i++) {
            any = loop_settle(control->runtime.loops[i]->loop) || any;
        }
    } while (any);
}

static void tear_down(struct control *control)
{
    if (control->sentry != NULL) {
        sentry_deafen(control->sentry);
    }
    for (unsigned i = 0; i < control->loop_count; i++) {
        worker_join(control->runtime.loops[i]);
    }
    changes_stop(&control->changes);
    settle(control);
    control_release(control);
    settle(control);
    control_free_left(control);
    changes_end(&control->changes);
    control_services_set_plane(NULL);
    watch_free(&control->watch);
    if (control->sentry != NULL) {
        sentry_free(&control->sentry);
    }
    for (unsigned i = 0; i < control->loop_count; i++) {
        worker_free(&control->runtime.loops[i]);
    }
    free(control->runtime.loops);
    runtime_end(control);
    logfile_stop();
}

/* Lays the stored runtime changes over the files. The generation to begin with. */
static struct generation *restore(struct control *control, struct generation *generation)
{
    bool changed = changes_restore(&control->changes, generation);
    struct generation *restored = changed ? control_begin_again(control, generation, NULL) : NULL;
    if (changed && restored == NULL) {
        log_write(WEIR_LOG_ERROR, "weir",
                  "the runtime changes that are kept do not fit the files; the files alone hold");
    }
    generation = restored != NULL ? restored : generation;
    return control_restore(control, generation);
}

/* Names that expand to servers are resolved. */
static void start_named(void *arg, struct plan *plan)
{
    struct control *control = arg;
    (void)plan;
    struct generation *changed =
        control->clearing ? NULL : control_begin_again(control, control->starting, NULL);

    control->starting = changed != NULL ? changed : control->starting;
    control_begin(control);
}

/* For WatchdogSec of systemd. */
static void feed_watchdog(void)
{
    control_notify("WATCHDOG=1");
}

static void start(struct control *control, struct generation *generation)
{
    struct changes_owner owner = control_owner;
    const struct recovery_owner recovery = {
        .refresh = control_refresh_pool, .changed = control_server_changed, .arg = control};
    const struct names_owner names = {.server_changed = control_server_changed,
                                      .blocks_changed = control_names_changed,
                                      .arg = control};
    char error[256];

    owner.arg = control;
    changes_start(&control->changes, control->self, &owner);
    control->starting = generation = restore(control, generation);
    control->prober =
        prober_new(control->self->loop, control->self->index, control_server_changed, control);
    control->runtime.recovery = recovery_new(control->self->loop, control->self->index, &recovery);
    if (!names_start(control->runtime.names, control->self->loop,
                     generation->plan->global.nameservers, &names, error, sizeof(error))) {
        log_write(WEIR_LOG_ERROR, "weir", "%s", error);
        control->exit_code = 1;
    } else if (!start_workers(control)) {
        control->exit_code = 1;
    } else {
        control->watch = watch_new(control->self, control->runtime.loops, control->runtime.workers,
                                   getenv("WATCHDOG_USEC") != NULL ? feed_watchdog : NULL);
        watch_set_limit(control->watch, generation->plan->global.stall_limit);
        if (names_is_wanting(control->runtime.names)) {
            names_await(control->runtime.names, generation->plan, start_named, control);
        } else {
            control_begin(control);
        }
        sentry_listen(control->sentry);
        loop_run(control->self->loop);
    }
    if (control->starting != NULL) { /* it has not begun */
        generation_free(&control->starting);
    }
}

/* Applies what cannot be changed while the program runs. */
static bool begin_for_good(struct control *control, struct generation *generation)
{
    struct runtime *runtime = &control->runtime;
    char error[512];

    global_settings_copy(&control->at_start, &control->arena, &generation->plan->global);
    runtime->started = &control->at_start;
    if (!privileges_drop(&control->at_start, &runtime->from_root, error, sizeof(error))) {
        complain(error);
        return false;
    }
    control_take_log(generation); /* a start that fails from here on is logged there */
    return true;
}

/* How the run before ended, once. */
static void tell_death(const struct control *control)
{
    const struct blame_death *death = blame_death(control->runtime.blame);
    const char *trouble = blame_trouble(control->runtime.blame);
    char fault[320];

    if (death != NULL) {
        blame_tell_fault(&death->fault, fault, sizeof(fault));
        log_write(WEIR_LOG_ERROR, "weir", "the run before ended by %s%s%s, thread %s: %s/%s", fault,
                  death->module[0] != '\0' ? ", of module " : "", death->module, death->thread,
                  control->at_start.state_dir.ptr, CRASH_FILE);
    }
    if (trouble != NULL) {
        log_write(WEIR_LOG_WARNING, "weir", "%s", trouble);
    }
}

int control_run(const char *path)
{
    struct control control = {0};

    signal(SIGPIPE, SIG_IGN);
    /* A file size limit shows as an error code, like a full disk. */
    signal(SIGXFSZ, SIG_IGN);
    control_hold_signals();
    descriptors_raise_limit();
    descriptors_widen_table();
    runtime_init(&control, path);
    changes_init(&control.changes, &control.runtime, path);
    parts_add(&control.changes);
    control_services_set_plane(&control.changes.plane);
    if (!make_loops(&control)) {
        tear_down(&control);
        return 1;
    }
    crash_begin(control.at_start.state_dir.ptr, PACKAGE_VERSION);
    crash_add(call_tell_file);
    crash_thread_begins(call_tell, control.self->calls);
    struct generation *generation =
        control_watch_signals(&control) ? build_first(&control, false) : NULL;
    if (generation == NULL) {
        control.exit_code = 1;
    } else if (!begin_for_good(&control, generation)) {
        generation_free(&generation);
        control.exit_code = 1;
    } else {
        tell_death(&control);
        control_warn(generation);
        start(&control, generation);
    }
    tear_down(&control);
    crash_thread_ends();
    return control.exit_code;
}

int control_check(const char *path)
{
    struct control control = {0};
    char warning[512];

    descriptors_raise_limit();
    runtime_init(&control, path);
    struct generation *generation = build_first(&control, true);
    int code = generation != NULL ? 0 : 1;
    if (generation != NULL && descriptors_are_short(generation->plan, warning, sizeof(warning))) {
        fprintf(stderr, "weir: warning: %s\n", warning);
    }
    for (size_t i = 0; generation != NULL && i < generation->plan->modules.count; i++) {
        const struct module *module = generation->plan->modules.items[i]->module;
        if (module->quarantine != NULL) {
            fprintf(stderr, "weir: warning: module \"%s\" is in quarantine\n", module->name);
        }
    }
    if (generation != NULL) {
        printf("weir: %s: configuration OK\n", path);
        generation_free(&generation);
    }
    runtime_end(&control);
    return code;
}

/* In the file alone: a Weir that runs reads it at its next reload. */
static bool release(struct blame_book *book, const char *name)
{
    char error[512];
    bool held = blame_held(book, name) != NULL;

    if (blame_trouble(book) != NULL) {
        fprintf(stderr, "weir: %s\n", blame_trouble(book));
    }
    if (!held) {
        fprintf(stderr, "weir: module \"%s\" is not in quarantine\n", name);
        return false;
    }
    blame_pardon(book, name);
    if (!blame_settle(book, true, error, sizeof(error))) {
        fprintf(stderr, "weir: %s\n", error);
        return false;
    }
    printf("weir: module \"%s\" is released, from the next start or reload on\n", name);
    return true;
}

int control_release_module(const char *path, const char *name)
{
    struct control control = {0};
    char error[512];
    bool done = false;

    runtime_init(&control, path);
    if (privileges_assume(&control.at_start, &control.folders, true, error, sizeof(error))) {
        control.runtime.blame = blame_book_new(control.at_start.state_dir.ptr);
        blame_read_again(control.runtime.blame);
        done = release(control.runtime.blame, name);
    } else {
        complain(error);
    }
    runtime_end(&control);
    return done ? 0 : 1;
}

int control_print_options(const char *path, const char *name)
{
    static const struct {
        const struct weir_options *options;
        const char *title;
    } blocks[] = {
        {&global_options, "weir.conf"},
        {&listener_options, "listener \"NAME\" { }"},
        {&handler_options, "handler \"NAME\" { } of a listener, beside the module's own"},
        {&pool_options, "pool \"NAME\" { }"},
        {&probe_options, "health \"NAME\" { } of a pool that probes, beside the module's own"},
        {&passive_options, "health \"NAME\" { } of a pool that listens, beside the module's own"},
        {&guard_options, "module \"NAME\" { } and each of its blocks, beside the module's own"},
        {&guard_balancer_options, "the same, of balancers"},
        {&guard_fault_options, "the same, of filters, routers and stickiness"},
    };
    struct control control = {0};
    struct mistakes mistakes = {0};
    int code = 0;

    runtime_init(&control, path);
    if (name == NULL) {
        for (size_t i = 0; i < ARRAY_COUNT(blocks); i++) {
            conf_print_options(blocks[i].options, blocks[i].title, 0);
        }
    } else {
        const char *dir = control.at_start.module_dir.ptr;
        struct module *module =
            module_load(control.runtime.modules, dir != NULL ? dir : WEIR_MODULEDIR, name,
                        &control.host, (struct place){NULL, 0}, &mistakes);
        print_mistakes(&mistakes);
        code = module == NULL;
        if (module != NULL) {
            printf("%s %s: %s\n\n", module->name, module->descriptor.version,
                   module->descriptor.summary);
            if (module->descriptor.options != NULL) {
                conf_print_options(module->descriptor.options, "options", 0);
            }
            const struct weir_options *tables[GUARD_TABLES];
            size_t count = guard_tables(module, tables);
            for (size_t i = 0; i < count; i++) {
                conf_print_options(tables[i], "supervision", 0);
            }
            module_unref(&module);
        }
    }
    mistakes_free(&mistakes);
    runtime_end(&control);
    return code;
}
