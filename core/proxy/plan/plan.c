/* SPDX-License-Identifier: MIT */
/*
 * Plans: lookups and release. See plan.h; building is in build.c.
 */
#include "proxy/plan/plan.h"

#include <stdlib.h>

#include "proxy/plan/trial.h"

struct pool_plan *plan_pool(const struct plan *plan, struct weir_str name)
{
    for (struct table_link *link = table_first(&plan->pools_by_name, table_hash(name));
         link != NULL; link = table_next(link)) {
        struct pool_plan *pool = container_of(link, struct pool_plan, by_name);
        if (str_equal(pool->settings->name, name)) {
            return pool;
        }
    }
    return NULL;
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

struct place listener_plan_place(const struct listener_plan *plan, size_t index)
{
    const struct weir_list *bind = &plan->settings->bind;
    const struct conf_places *places = plan->owner->places;
    struct place place = conf_place_of(places, (const struct weir_str *)bind->items + index);
    return place.file != NULL ? place : conf_place_of(places, bind);
}

void use_context_init(struct module_context *context, const struct use *use, struct loop *loop,
                      unsigned index)
{
    module_context_init(context, use->plan->host, use->module, loop);
    context->worker_index = index;
    context->worker_count = use->plan->workers;
    context->pool = use->pool;
    context->block_name = use->context.block_name;
    context->scope = (void *)(uintptr_t)use;
    context->guard = use->guard;
    context->place = use->guard != NULL ? use->guard->place : "";
}

bool use_is_shadow(const struct use *use)
{
    return use->kind == MODULE_BALANCER && str_equal(use->block->name, STR("shadow"));
}

bool use_equal(const struct use *a, const struct use *b)
{
    if (a->conf == b->conf) {
        return true; /* of one home */
    }
    return a->module == b->module && conf_nodes_equal(a->block->children, b->block->children) &&
           conf_nodes_equal(a->base->block->children, b->base->block->children);
}

bool plan_has_out(const struct plan *plan, const struct guard *guard)
{
    bool found = false;

    for (size_t i = 0; i < plan->uses.count && guard_is_out(guard) && !found; i++) {
        found = plan->uses.items[i]->guard == guard;
    }
    return found;
}

void plan_drain_handlers(const struct plan *plan, unsigned loop)
{
    for (size_t i = 0; i < plan->uses.count; i++) {
        const struct use *use = plan->uses.items[i];
        struct instance *instance = use_on(use, loop);
        if (use->kind == MODULE_HANDLER && instance->alive &&
            use->module->descriptor.handler->on_drain != NULL) {
            struct call *call = call_begin(&instance->context, HOOK_ON_DRAIN);
            use->module->descriptor.handler->on_drain(&instance->context.base, instance->data);
            call_end(call);
        }
    }
}

/* ---- the end ---- */

static struct plan *home_of(struct plan *plan, size_t module)
{
    return plan->homes != NULL ? plan->homes[module] : plan;
}

/* conf_free of the uses of a module block in its home, and the reference to the module. */
static void module_end(const struct plan *home, struct use *block)
{
    const struct weir_module *descriptor = &block->kept->descriptor;

    for (size_t i = home->uses.count; i > 0; i--) {
        struct use *use = home->uses.items[i - 1];
        if (use->base != block) {
            continue;
        }
        if (use->conf_created && descriptor->conf_free != NULL) {
            struct call *call = call_begin(&use->context, HOOK_CONF_FREE);
            descriptor->conf_free(&use->context.base, use->prepared);
            call_end(call);
        }
        module_context_end(&use->context);
    }
    module_unref(&block->kept);
}

void plan_leave_module(struct plan *plan, size_t module)
{
    const struct use *block = plan->modules.items[module];
    struct plan *home = home_of(plan, module);
    struct use *shared = home->modules.items[module];

    if (block->module == NULL) {
        return;
    }
    for (size_t i = 0; i < plan->uses.count; i++) {
        struct use *use = plan->uses.items[i];
        if (use->base == block) {
            use->module = NULL;
            use->context.guard = NULL;
            use->context.place = "";
            guard_unref(&use->guard);
        }
    }
    if (--shared->sharers == 0) {
        module_end(home, shared);
    }
}

/* The homes, with the base. */
static void leave_homes(struct plan *plan)
{
    for (size_t i = 0; plan->homes != NULL && i < plan->modules.count; i++) {
        if (plan->homes[i] != plan) {
            plan_unref(&plan->homes[i]);
        }
    }
    if (plan->base != plan) {
        plan_unref(&plan->base);
    }
}

void plan_unref(struct plan **plan)
{
    struct plan *p = *plan;
    struct arena arena;

    *plan = NULL;
    if (--p->refs > 0) {
        return;
    }
    for (size_t i = p->modules.count; i > 0; i--) {
        plan_leave_module(p, i - 1);
    }
    for (size_t i = 0; i < p->pool_count; i++) {
        SSL_CTX_free(p->pools[i].tls);
        trial_unref(&p->pools[i].trial);
    }
    for (size_t i = 0; i < p->listener_count && p == p->base; i++) {
        if (p->listeners[i].tls != NULL) {
            tls_listener_free(&p->listeners[i].tls);
        }
    }
    table_end(&p->pools_by_name);
    leave_homes(p);
    arena = p->arena;
    free(p);
    arena_reset(&arena);
}
