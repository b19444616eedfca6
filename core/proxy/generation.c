/* SPDX-License-Identifier: MIT */
/*
 * Generations on loops, and their end: instances are made, kept and destroyed. Building is in
 * generation_build.c.
 */
#include "proxy/generation.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/logfile.h"
#include "net/follow.h"
#include "proxy/downstream/downstream.h"
#include "proxy/pool/balancer.h"
#include "proxy/worker.h"

/* The slot of the id, or the free one where it would be. */
static size_t slot_of(const struct pool_plan *plan, weir_server_id id)
{
    size_t slot = id & plan->by_id_mask;

    while (plan->by_id[slot] != NULL && plan->by_id[slot]->id != id) {
        slot = (slot + 1) & plan->by_id_mask;
    }
    return slot;
}

struct server *pool_plan_server(const struct pool_plan *plan, weir_server_id id)
{
    return plan->by_id[slot_of(plan, id)];
}

struct server *pool_plan_named(const struct pool_plan *plan, struct weir_str name, size_t *index)
{
    size_t slot = slot_of(plan, server_id_of(plan->settings->name, name));
    struct server *server = plan->by_id[slot];

    if (server == NULL || !str_equal(str_from(server->name), name)) {
        return NULL;
    }
    *index = plan->places[slot];
    return server;
}

struct pool_plan *generation_pool(const struct generation *generation, struct weir_str name)
{
    for (struct table_link *link = table_first(&generation->pools_by_name, table_hash(name));
         link != NULL; link = table_next(link)) {
        struct pool_plan *plan = container_of(link, struct pool_plan, by_name);
        if (str_equal(plan->settings->name, name)) {
            return plan;
        }
    }
    return NULL;
}

struct pool_plan *generation_plan_of(const struct generation *generation, const struct pool *pool)
{
    struct pool_plan *plan =
        generation != NULL ? generation_pool(generation, str_from(pool->name)) : NULL;
    return plan != NULL && plan->pool == pool ? plan : NULL;
}

const char *pool_plan_tls_name(const struct pool_plan *plan, const struct server *server)
{
    const struct tls_server_conf *tls =
        plan->settings->tls.count > 0 ? plan->settings->tls.items : NULL;
    return tls != NULL && tls->name.len > 0 ? tls->name.ptr : server->tls_name;
}

struct use *listener_plan_handler(const struct listener_plan *plan, struct weir_str path)
{
    for (size_t i = 0; i < plan->handler_count; i++) {
        struct weir_str prefix = plan->handlers[i].path;
        if (path.len >= prefix.len && memcmp(path.ptr, prefix.ptr, prefix.len) == 0 &&
            (path.len == prefix.len || path.ptr[prefix.len] == '/' || prefix.len == 0)) {
            return plan->handlers[i].use;
        }
    }
    return NULL;
}

void use_context_init(struct module_context *context, const struct use *use, struct worker *worker)
{
    module_context_init(context, use->generation->runtime->host, use->module, worker->loop);
    context->worker_index = worker->index;
    context->worker_count = use->generation->runtime->workers;
    context->pool = use->pool;
    context->block_name = use->context.block_name;
    context->scope = (void *)(uintptr_t)use;
}

bool use_equal(const struct use *a, const struct use *b)
{
    if (a->block == b->block) {
        return true; /* of one base */
    }
    return a->module == b->module && conf_nodes_equal(a->block->children, b->block->children) &&
           conf_nodes_equal(a->base->block->children, b->base->block->children);
}

/* ---- on a loop ---- */

typedef enum weir_status (*create_fn)(struct weir_context *, const void *, void *, void **);
typedef void (*destroy_fn)(struct weir_context *, void *);

struct kind_hooks {
    create_fn create;
    destroy_fn destroy;
};

/* The hooks of the kind that a use is of; balancers are pool.c's. */
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
    bool control = loop == use->generation->runtime->workers;
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
    use_context_init(&instance->context, use, worker);
    instance->created = true;
    instance->data = use->prepared;
    if (use->base == use && module->worker_start != NULL) {
        if (module->worker_start(&instance->context.base, use->conf, use->prepared) != WEIR_OK) {
            snprintf(error, error_size, "module \"%s\": worker_start failed", use->module->name);
            return false;
        }
        instance->started = true;
    }
    struct kind_hooks hooks = use_hooks(use);
    if (hooks.create != NULL) {
        if (hooks.create(&instance->context.base, use->conf, use->prepared, &instance->data) !=
            WEIR_OK) {
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
        hooks.destroy(&instance->context.base, instance->data);
    }
    if (instance->started && use->module->descriptor.worker_stop != NULL) {
        use->module->descriptor.worker_stop(&instance->context.base);
    }
    module_context_end(&instance->context);
    instance->created = instance->alive = instance->started = false;
}

static bool pool_prepare(struct pool_plan *plan, struct worker *worker, char *error,
                         size_t error_size)
{
    struct balancer *running = plan->pool->locals[worker->index].balancer;

    if (running != NULL && use_equal(running->use, plan->balance)) {
        return true;
    }
    plan->balancers[worker->index] = balancer_new(plan, &worker->pool_home);
    if (plan->balancers[worker->index] == NULL) {
        snprintf(error, error_size, "pool \"%s\": balancer \"%s\": create failed", plan->pool->name,
                 plan->balance->module->name);
        return false;
    }
    return true;
}

bool generation_prepare(struct generation *generation, struct worker *worker, char *error,
                        size_t error_size)
{
    generation_ref(generation, worker->index);
    generation->locals[worker->index].prepared = true;
    for (size_t i = 0; i < generation->uses.count; i++) {
        if (!instance_create(generation->uses.items[i], worker, error, error_size)) {
            return false;
        }
    }
    for (size_t i = 0; i < generation->pool_count; i++) {
        if (!pool_prepare(&generation->pools[i], worker, error, error_size)) {
            return false;
        }
    }
    return true;
}

void generation_drain_handlers(const struct generation *generation, struct worker *worker)
{
    for (size_t i = 0; i < generation->uses.count; i++) {
        const struct use *use = generation->uses.items[i];
        struct instance *instance = use_on(use, worker->index);
        if (use->kind == MODULE_HANDLER && instance->alive &&
            use->module->descriptor.handler->on_drain != NULL) {
            use->module->descriptor.handler->on_drain(&instance->context.base, instance->data);
        }
    }
}

/* Balancers that were made for a commit that does not come. */
void generation_abandon(struct generation *generation, struct worker *worker)
{
    for (size_t i = 0; i < generation->pool_count; i++) {
        struct balancer *balancer = generation->pools[i].balancers[worker->index];
        generation->pools[i].balancers[worker->index] = NULL;
        balancer_unref(balancer, &worker->pool_home);
    }
    generation_unref(generation, worker);
}

/* Nothing of it is left on this loop. */
static void generation_gone(struct generation *generation)
{
    struct runtime *runtime = generation->runtime;

    if (atomic_fetch_sub(&generation->loops_kept, 1) == 1) {
        runtime->on_left(runtime);
    }
}

/* The module is used on this loop no more. From here on the control thread may give it back. */
static void module_left(struct use *base, struct worker *worker)
{
    const struct generation *generation = base->generation;
    struct runtime *runtime = generation->runtime;

    for (size_t i = generation->uses.count; i > 0; i--) {
        struct use *use = generation->uses.items[i - 1];
        if (use->base == base) {
            instance_destroy(use, worker->index);
        }
    }
    if (atomic_fetch_sub(&base->loops_kept, 1) == 1) {
        runtime->on_left(runtime);
    }
}

void generation_unref(struct generation *generation, struct worker *worker)
{
    struct generation_local *local = &generation->locals[worker->index];
    struct runtime *runtime = generation->runtime;

    ASSERT(local->refs > 0);
    if (--local->refs > 0) {
        return;
    }
    bool kept = local->kept > 0;
    for (size_t i = generation->modules.count; i > 0; i--) {
        struct use *base = generation->modules.items[i - 1];
        if (use_on(base, worker->index)->balancers == 0) {
            module_left(base, worker);
        }
    }
    if (atomic_fetch_sub(&generation->loops_left, 1) == 1) {
        runtime->on_left(runtime);
    }
    if (!kept) {
        generation_gone(generation);
    }
}

void generation_unkeep(struct generation *generation, struct worker *worker)
{
    struct generation_local *local = &generation->locals[worker->index];

    ASSERT(local->kept > 0);
    if (--local->kept == 0 && local->refs == 0) {
        generation_gone(generation);
    }
}

/* The block of the use's module, which is this loop's to write to. */
static struct use *base_of(const struct use *use)
{
    return (struct use *)(uintptr_t)use->base;
}

void generation_keep_balancer(const struct use *use, struct worker *worker)
{
    use_on(base_of(use), worker->index)->balancers++;
    generation_keep(use->generation, worker->index);
}

void generation_unkeep_balancer(const struct use *use, struct worker *worker)
{
    struct generation *generation = use->generation;
    struct use *base = base_of(use);

    ASSERT(use_on(base, worker->index)->balancers > 0);
    if (--use_on(base, worker->index)->balancers == 0 &&
        generation->locals[worker->index].refs == 0) {
        module_left(base, worker);
    }
    generation_unkeep(generation, worker);
}

/* ---- the end ---- */

static void pool_plan_free(struct pool_plan *plan)
{
    for (size_t i = 0; i < plan->server_count; i++) {
        server_unref(&plan->servers[i]);
    }
    if (plan->pool != NULL) {
        pool_unref(&plan->pool);
    }
    SSL_CTX_free(plan->tls);
    follow_end(&plan->probe_name);
}

/* But for its TLS, which is the base's. */
static void listener_plan_free(struct listener_plan *plan)
{
    for (size_t i = 0; i < plan->socket_count; i++) {
        if (plan->sockets[i] != NULL) {
            listen_socket_unref(&plan->sockets[i]);
        }
    }
    if (plan->listener != NULL) {
        listener_unref(&plan->listener);
    }
}

static void route_unref(struct route *route)
{
    if (--route->refs == 0) {
        table_remove(&route->link);
        free(route->traffic);
        free(route->name);
        free(route);
    }
}

/* conf_free of the uses of a base's module block, and the reference to the module. */
static void module_end(struct generation *base, struct use *block)
{
    const struct weir_module *descriptor = &block->kept->descriptor;

    for (size_t i = base->uses.count; i > 0; i--) {
        struct use *use = base->uses.items[i - 1];
        if (use->base != block) {
            continue;
        }
        if (use->conf_created && descriptor->conf_free != NULL) {
            descriptor->conf_free(&use->context.base, use->prepared);
        }
        module_context_end(&use->context);
    }
    module_unref(&block->kept);
}

/* The generation has no use for a module any more; who is the last of its configuration ends it. */
static void module_give_back(struct generation *g, size_t index)
{
    const struct use *block = g->modules.items[index];
    struct use *shared = g->base->modules.items[index];

    for (size_t i = 0; i < g->uses.count; i++) {
        struct use *use = g->uses.items[i];
        use->module = use->base == block ? NULL : use->module;
    }
    if (--shared->sharers == 0) {
        module_end(g->base, shared);
    }
}

/* Of all modules, or of those that no loop uses any more. */
static void modules_give_back(struct generation *g, bool all)
{
    for (size_t i = g->modules.count; i > 0; i--) {
        const struct use *base = g->modules.items[i - 1];
        if (base->module != NULL && (all || atomic_load(&base->loops_kept) == 0)) {
            module_give_back(g, i - 1);
        }
    }
}

void generation_retire(struct generation *g)
{
    modules_give_back(g, false);
    if (g->retired) {
        return;
    }
    g->retired = true;
    for (size_t i = 0; i < g->log_file_count; i++) {
        logfile_close(g->log_files[i]);
    }
    for (size_t i = 0; i < g->pool_count; i++) {
        pool_plan_free(&g->pools[i]);
    }
    for (size_t i = 0; i < g->route_count; i++) {
        route_unref(g->routes[i]);
    }
}

static void memory_free(struct generation *g)
{
    struct arena arena = g->arena;
    free(g);
    arena_reset(&arena);
}

/* Nobody has the configuration any more. */
static void base_free(struct generation *base)
{
    for (size_t i = 0; i < base->listener_count; i++) {
        if (base->listeners[i].tls != NULL) {
            tls_listener_free(&base->listeners[i].tls);
        }
    }
    memory_free(base);
}

void generation_free(struct generation **generation)
{
    struct generation *g = *generation;
    struct generation *base = g->base;
    *generation = NULL;

    modules_give_back(g, true);
    generation_retire(g);
    log_forget(&g->log);
    for (size_t i = 0; i < g->listener_count; i++) {
        listener_plan_free(&g->listeners[i]);
    }
    table_end(&g->pools_by_name);
    free(g->locals);
    if (g != base) {
        memory_free(g);
    }
    if (--base->held == 0) {
        base_free(base);
    }
}
