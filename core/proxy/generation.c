/* SPDX-License-Identifier: MIT */
/*
 * Generations: how they begin, their instances on loops, and their end. See generation.h.
 */
#include "proxy/generation.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/logfile.h"
#include "proxy/pool/balancer.h"
#include "proxy/pool/pool.h"
#include "proxy/runtime.h"
#include "proxy/upstream/names.h"
#include "proxy/worker.h"

/* ---- instances on a loop ---- */

typedef enum weir_status (*create_fn)(struct weir_context *, const void *, void *, void **);
typedef void (*destroy_fn)(struct weir_context *, void *);

struct kind_hooks {
    create_fn create;
    destroy_fn destroy;
};

/* The hooks of the use's kind; balancers are handled in pool.c. */
static struct kind_hooks use_hooks(const struct use *use)
{
    const struct weir_module *module = &use->module->descriptor;
    switch (use->kind) {
    case MODULE_STICKY: return (struct kind_hooks){module->sticky->create, module->sticky->destroy};
    case MODULE_HEALTH: return (struct kind_hooks){module->health->create, module->health->destroy};
    case MODULE_FILTER: return (struct kind_hooks){module->filter->create, module->filter->destroy};
    case MODULE_HANDLER:
        return (struct kind_hooks){module->handler->create, module->handler->destroy};
    case MODULE_ROUTER: return (struct kind_hooks){module->router->create, module->router->destroy};
    case MODULE_LOGGER: return (struct kind_hooks){module->logger->create, module->logger->destroy};
    default: return (struct kind_hooks){NULL, NULL};
    }
}

static bool use_lives_on(const struct use *use, unsigned loop)
{
    bool control = loop == use->plan->workers;
    return control || (use->kind != MODULE_HEALTH && use->kind != MODULE_HANDLER);
}

static bool instance_create(struct use *use, struct worker *worker, char *error, size_t error_size)
{
    struct instance *instance = &use->instances[worker->index];
    const struct weir_module *module = &use->module->descriptor;

    if (!use_lives_on(use, worker->index)) {
        return true;
    }
    instance->use = use;
    use_context_init(&instance->context, use, worker->loop, worker->index);
    instance->created = true;
    instance->data = use->prepared;
    if (use->base == use && module->worker_start != NULL) {
        struct call *call = call_begin(&instance->context, HOOK_WORKER_START);
        enum weir_status status =
            module->worker_start(&instance->context.base, use->conf, use->prepared);
        call_end(call);
        if (status != WEIR_OK) {
            snprintf(error, error_size, "module \"%s\": worker_start failed", use->module->name);
            return false;
        }
        instance->started = true;
    }
    struct kind_hooks hooks = use_hooks(use);
    if (hooks.create != NULL) {
        struct call *call = call_begin(&instance->context, HOOK_CREATE);
        enum weir_status status =
            hooks.create(&instance->context.base, use->conf, use->prepared, &instance->data);
        call_end(call);
        if (status != WEIR_OK) {
            snprintf(error, error_size, "module \"%s\": create failed", use->module->name);
            return false;
        }
    }
    instance->alive = true;
    return true;
}

static void instance_destroy(struct use *use, unsigned loop)
{
    struct instance *instance = &use->instances[loop];
    if (!instance->created) {
        return;
    }
    struct kind_hooks hooks = use_hooks(use);
    if (instance->alive && hooks.destroy != NULL) {
        struct call *call = call_begin(&instance->context, HOOK_DESTROY);
        hooks.destroy(&instance->context.base, instance->data);
        call_end(call);
    }
    if (instance->started && use->module->descriptor.worker_stop != NULL) {
        struct call *call = call_begin(&instance->context, HOOK_WORKER_STOP);
        use->module->descriptor.worker_stop(&instance->context.base);
        call_end(call);
    }
    module_context_end(&instance->context);
    instance->created = instance->alive = instance->started = false;
}

/* The instance that can serve the use: one that runs in either arm, or a new one. NULL: its create
 * failed. */
static struct balancer *balancer_for(const struct use *use, struct pool_home *home,
                                     const struct arm *first, const struct arm *second)
{
    const struct arm *arms[] = {first, second};

    for (size_t i = 0; i < ARRAY_COUNT(arms); i++) {
        struct balancer *running = arms[i] != NULL ? arms[i]->balancer : NULL;
        if (running != NULL && use_equal(running->use, use)) {
            running->refs++; /* the pool may leave the loop before the commit */
            return running;
        }
    }
    return balancer_new(use, home);
}

static bool create_failed(const struct use *use, char *error, size_t error_size)
{
    snprintf(error, error_size, "pool \"%.*s\": %s \"%s\": create failed", STR_ARGS(use->pool),
             use_is_shadow(use) ? "shadow" : "balancer", use->module->name);
    return false;
}

static bool pool_prepare(struct pool_plan *plan, struct worker *worker, char *error,
                         size_t error_size)
{
    unsigned loop = worker->index;
    const struct pool_local *local = &plan->pool->locals[loop];
    struct pool_home *home = &worker->pool_home;

    plan->balancers[loop] = balancer_for(plan->balance, home, &local->own, local->canary);
    if (plan->balancers[loop] == NULL) {
        return create_failed(plan->balance, error, error_size);
    }
    if (plan->canary != NULL) {
        plan->canaries[loop] = balancer_for(plan->canary, home, &local->own, local->canary);
        if (plan->canaries[loop] == NULL) {
            return create_failed(plan->canary, error, error_size);
        }
    }
    if (plan->shadow != NULL) { /* never an instance that is obeyed: it would hear all twice */
        plan->shadows[loop] = balancer_for(plan->shadow, home, local->shadow, NULL);
        if (plan->shadows[loop] == NULL) {
            return create_failed(plan->shadow, error, error_size);
        }
    }
    return true;
}

bool generation_prepare(struct generation *generation, struct worker *worker, char *error,
                        size_t error_size)
{
    const struct plan *plan = generation->plan;

    lifetime_ref(&generation->life, worker->index);
    for (size_t i = 0; i < plan->uses.count; i++) {
        if (!instance_create(plan->uses.items[i], worker, error, error_size)) {
            return false;
        }
    }
    for (size_t i = 0; i < plan->pool_count; i++) {
        if (!pool_prepare(&plan->pools[i], worker, error, error_size)) {
            return false;
        }
    }
    return true;
}

void generation_abandon(struct generation *generation, struct worker *worker)
{
    const struct plan *plan = generation->plan;

    for (size_t i = 0; i < plan->pool_count; i++) { /* made for a commit that will not come */
        const struct pool_plan *pool = &plan->pools[i];
        struct balancer **made[] = {pool->balancers, pool->canaries, pool->shadows};
        for (size_t k = 0; k < ARRAY_COUNT(made); k++) {
            struct balancer *balancer = made[k][worker->index];
            made[k][worker->index] = NULL;
            balancer_unref(balancer, &worker->pool_home);
        }
    }
    lifetime_unref(&generation->life, worker->index);
}

/* ---- the beginning ---- */

static void module_left(void *arg, size_t module, unsigned loop)
{
    const struct plan *plan = ((struct generation *)arg)->plan;

    for (size_t i = plan->uses.count; i > 0; i--) {
        if (plan->uses.items[i - 1]->module_number == module) {
            instance_destroy(plan->uses.items[i - 1], loop);
        }
    }
}

/* Probes hold references, and use modules of health. */
static bool module_lasts(void *arg, size_t module, unsigned loop)
{
    const struct plan *plan = ((struct generation *)arg)->plan;
    return loop == plan->workers &&
           module_has_kind(plan->modules.items[module]->module, MODULE_HEALTH);
}

static void lifetime_changed(void *arg)
{
    struct runtime *runtime = arg;
    runtime->on_left(runtime);
}

static void open_logs(struct generation *g, struct mistakes *mistakes)
{
    const struct weir_str *target = &g->plan->global.log_target;
    size_t count = 0;
    char error[512];

    for (const struct wanted_file *file = g->plan->log_files; file != NULL; file = file->next) {
        count++;
    }
    g->log_files = base_zalloc((count + 1) * sizeof(struct logfile *));
    for (const struct wanted_file *file = g->plan->log_files; file != NULL; file = file->next) {
        struct logfile *opened = logfile_open(file->path, error, sizeof(error));
        if (opened == NULL) {
            mistakes_add(mistakes, file->place, "%s", error);
        } else {
            g->log_files[g->log_file_count++] = opened;
        }
    }
    if (target->len > 0) {
        g->log = log_prepare(target->ptr, error, sizeof(error));
        if (g->log == NULL) {
            mistakes_add(mistakes, conf_place_of(g->plan->places, target), "%s", error);
        }
    }
}

/* Takes over the plan. NULL: mistakes were added. `logs`: opens the log files. */
static struct generation *generation_new(struct runtime *runtime, struct plan *plan, bool sockets,
                                         bool logs, struct mistakes *mistakes)
{
    struct generation *g = base_zalloc(sizeof(*g));
    const struct lifetime_owner owner = {.module_left = module_left,
                                         .module_lasts = module_lasts,
                                         .changed = lifetime_changed,
                                         .arg = g,
                                         .changed_arg = runtime};

    g->id = runtime->last_id;
    g->plan = plan;
    g->runtime = runtime;
    lifetime_init(&g->life, plan->loops, plan->modules.count, &owner);
    plan->life = &g->life;
    runtime_attach(runtime, plan, sockets, mistakes);
    if (mistakes->count == 0 && logs) {
        open_logs(g, mistakes);
    }
    if (mistakes->count > 0) {
        generation_free(&g);
    }
    return g;
}

/* Names are replaced by what DNS says, and operators' changes are applied over that. */
static void expand_checked(void *arg, struct arena *arena, struct pool_settings *settings)
{
    const struct runtime *runtime = arg;

    if (runtime->adjust != NULL) {
        runtime->adjust(runtime->adjust_arg, arena, settings);
    }
}

static void expand(void *arg, struct arena *arena, struct pool_settings *settings)
{
    const struct runtime *runtime = arg;

    names_expand(runtime->names, arena, settings);
    if (runtime->adjust != NULL) {
        runtime->adjust(runtime->adjust_arg, arena, settings);
    }
}

static const struct conf_node *balance_of(void *arg, struct arena *arena, struct weir_str pool)
{
    const struct runtime *runtime = arg;
    return runtime->balance != NULL ? runtime->balance(runtime->balance_arg, arena, pool) : NULL;
}

static struct plan_input input_of(struct runtime *runtime, bool check_only)
{
    return (struct plan_input){
        .modules = runtime->modules,
        .last = runtime->current != NULL ? runtime->current->plan : NULL,
        .host = runtime->host,
        .workers = runtime->workers,
        .check_only = check_only,
        .running = runtime->current != NULL,
        .started = runtime->started,
        .from_root = runtime->from_root,
        .given = runtime->given,
        .given_count = runtime->given_count,
        .expand = check_only ? expand_checked : expand,
        .balance = balance_of,
        .listens = runtime_listens,
        .try_start = runtime->try_start,
        .arg = runtime,
    };
}

struct generation *generation_build(struct runtime *runtime, const char *path, bool open_sockets,
                                    struct mistakes *mistakes)
{
    struct plan_input input = input_of(runtime, !open_sockets);

    runtime->last_id++;
    struct plan *plan = plan_build(&input, path, mistakes);
    return plan != NULL ? generation_new(runtime, plan, open_sockets, open_sockets, mistakes)
                        : NULL;
}

struct generation *generation_derive(struct runtime *runtime, const struct generation *from,
                                     const struct plan_swap *swap, struct mistakes *mistakes)
{
    struct plan_input input = input_of(runtime, false);

    input.swap = swap;
    runtime->last_id++;
    struct plan *plan = plan_derive(&input, from->plan, mistakes);
    return plan != NULL ? generation_new(runtime, plan, true, false, mistakes) : NULL;
}

/* ---- the end ---- */

/* Of all modules, or of those that no loop uses any more. */
static void leave_modules(struct generation *g, bool all)
{
    for (size_t i = g->plan->modules.count; i > 0; i--) {
        if (all || atomic_load(&g->life.module_loops[i - 1]) == 0) {
            plan_leave_module(g->plan, i - 1);
        }
    }
}

static void retire(struct generation *g)
{
    if (g->retired) {
        return;
    }
    g->retired = true;
    for (size_t i = 0; i < g->log_file_count; i++) {
        logfile_close(g->log_files[i]);
    }
    runtime_detach(g->plan);
}

void generation_let_go(struct generation *g)
{
    leave_modules(g, false);
    if (atomic_load(&g->life.loops_left) == 0) {
        retire(g);
    }
}

void generation_free(struct generation **generation)
{
    struct generation *g = *generation;
    *generation = NULL;

    leave_modules(g, true);
    retire(g);
    log_forget(&g->log);
    runtime_detach_listeners(g->plan);
    g->plan->life = NULL;
    plan_unref(&g->plan);
    lifetime_end(&g->life);
    free(g->log_files);
    free(g);
}
