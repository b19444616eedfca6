/* SPDX-License-Identifier: MIT */
/*
 * Derived plans: the configuration of the running one with the current servers. What the files say
 * is not copied: it belongs to the base, which lives as long. Everything else is created anew:
 * uses, since each has instances on the loops, and pools and listeners, since each refers to live
 * objects. Nothing may point into the plan that it is derived from, which is freed earlier.
 */
#include "proxy/plan/build.h"

#include "proxy/plan/trial.h"

/* ---- uses ---- */

static struct use *use_of(struct build *b, const struct use *from)
{
    return from != NULL ? b->plan->uses.items[from->index] : NULL;
}

static void derive_list(struct build *b, struct use_list *to, const struct use_list *from,
                        size_t count)
{
    *to = *from;
    to->count = 0;
    to->items = NULL;
    for (size_t i = 0; i < count; i++) {
        to->items = build_grow(b, to->items, to->count, sizeof(*to->items));
        to->items[to->count++] = use_of(b, from->items[i]);
    }
}

/* Names, modules and what was prepared are shared; instances are not. */
static void derive_use(struct build *b, struct use *use, const struct plan *from)
{
    use->plan = b->plan;
    use->guard = guard_ref(use->guard);
    use->base = use_of(b, use->base);
    use->instances = build_alloc(b, sizeof(*use->instances) * b->plan->loops);
    if (use->listener != NULL) {
        use->listener = &b->plan->listeners[use->listener - from->listeners];
    }
}

/* The first `modules` blocks. Uses of the one that a copy is tried by are the last ones. */
static void derive_uses(struct build *b, const struct plan *from, size_t modules)
{
    struct plan *plan = b->plan;

    for (size_t i = 0; i < from->uses.count && from->uses.items[i]->module_number < modules; i++) {
        struct use *use = build_alloc(b, sizeof(*use));
        *use = *from->uses.items[i];
        build_list_append(b, &plan->uses, use);
    }
    for (size_t i = 0; i < plan->uses.count; i++) {
        derive_use(b, plan->uses.items[i], from);
    }
    derive_list(b, &plan->modules, &from->modules, modules);
    derive_list(b, &plan->routers, &from->routers, from->routers.count);
    derive_list(b, &plan->loggers, &from->loggers, from->loggers.count);
    plan->homes = build_alloc(b, (modules + 1) * sizeof(*plan->homes)); /* and a canary's */
    for (size_t i = 0; i < modules; i++) {
        plan->homes[i] = from->homes != NULL ? from->homes[i] : from->base;
        plan->homes[i]->refs++;
        plan->homes[i]->modules.items[i]->sharers++;
    }
}

/* ---- plans ---- */

static void derive_pool(struct build *b, struct pool_plan *plan, const struct pool_plan *from)
{
    struct pool_settings *settings = build_alloc(b, sizeof(*settings));

    *settings = *from->settings;
    *plan = *from;
    plan->owner = b->plan;
    plan->settings = settings;
    plan->balance = use_of(b, from->balance);
    plan->canary = b->plan->has_canary ? use_of(b, from->canary) : NULL;
    plan->trial = plan->canary != NULL ? trial_ref(from->trial) : NULL;
    plan->shadow = use_of(b, from->shadow);
    plan->sticky = use_of(b, from->sticky);
    plan->health = use_of(b, from->health);
    derive_list(b, &plan->observers, &from->observers, from->observers.count);
    derive_list(b, &plan->filters, &from->filters, from->filters.count);
    plan->pool = NULL; /* references are taken when it is attached */
    plan->servers = NULL;
    plan->server_count = 0;
    plan->by_id = NULL;
    plan->probe_name = NULL;
    plan->tls = NULL;
    plan->balancers = build_alloc(b, sizeof(*plan->balancers) * b->plan->loops);
    plan->canaries = build_alloc(b, sizeof(*plan->canaries) * b->plan->loops);
    plan->shadows = build_alloc(b, sizeof(*plan->shadows) * b->plan->loops);
    table_add(&b->plan->pools_by_name, &plan->by_name, table_hash(settings->name));
    build_pool_servers(b, plan, from->tls);
}

static void derive_listener(struct build *b, struct listener_plan *plan,
                            const struct listener_plan *from)
{
    *plan = *from; /* its TLS is the base's */
    plan->owner = b->plan;
    plan->listener = NULL;
    plan->sockets = NULL;
    plan->socket_count = 0;
    derive_list(b, &plan->filters, &from->filters, from->filters.count);
    plan->handlers = build_alloc(b, from->handler_count * sizeof(*plan->handlers));
    for (size_t i = 0; i < from->handler_count; i++) {
        plan->handlers[i] =
            (struct handler_plan){from->handlers[i].path, use_of(b, from->handlers[i].use)};
    }
}

static void derive_routes(struct build *b, const struct plan *from)
{
    b->plan->routes = build_alloc(b, from->route_count * sizeof(struct route_plan *));
    for (size_t i = 0; i < from->route_count; i++) {
        struct route_plan *route = build_alloc(b, sizeof(*route));
        *route = *from->routes[i];
        route->route = NULL;
        derive_list(b, &route->filters, &from->routes[i]->filters, from->routes[i]->filters.count);
        b->plan->routes[i] = route;
    }
    b->plan->route_count = from->route_count;
}

struct plan *plan_derive(const struct plan_input *input, const struct plan *from,
                         struct mistakes *mistakes)
{
    struct plan *plan = build_plan(input, from->base);
    struct build b = {.input = input, .plan = plan, .mistakes = mistakes};
    bool keeps = from->has_canary && input->swap == NULL;

    plan->tree = from->tree;
    plan->places = from->places;
    plan->global = from->global;
    plan->restart = from->restart;
    plan->restart_count = from->restart_count;
    plan->pools = build_alloc(&b, from->pool_count * sizeof(*plan->pools));
    plan->listeners = build_alloc(&b, from->listener_count * sizeof(*plan->listeners));
    plan->has_canary = keeps;
    derive_uses(&b, from, from->modules.count - (from->has_canary && !keeps));
    derive_routes(&b, from);
    for (; plan->pool_count < from->pool_count; plan->pool_count++) {
        derive_pool(&b, &plan->pools[plan->pool_count], &from->pools[plan->pool_count]);
    }
    for (; plan->listener_count < from->listener_count; plan->listener_count++) {
        derive_listener(&b, &plan->listeners[plan->listener_count],
                        &from->listeners[plan->listener_count]);
    }
    if (input->swap != NULL && input->swap->step != SWAP_DROP) {
        build_swap(&b, input->swap);
    }
    if (mistakes->count > 0) {
        plan_unref(&plan);
    }
    return plan;
}
