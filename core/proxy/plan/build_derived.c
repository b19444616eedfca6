/* SPDX-License-Identifier: MIT */
/*
 * Derived plans: the configuration of the running one with the current servers. What the files say
 * is not copied: it belongs to the base, which lives as long. Everything else is created anew:
 * uses, since each has instances on the loops, and pools and listeners, since each refers to live
 * objects. Nothing may point into the plan that it is derived from, which is freed earlier.
 */
#include "proxy/plan/build.h"

/* ---- uses ---- */

static struct use *use_of(struct build *b, const struct use *from)
{
    return from != NULL ? b->plan->uses.items[from->index] : NULL;
}

static void derive_list(struct build *b, struct use_list *to, const struct use_list *from)
{
    *to = *from;
    to->items = build_alloc(b, from->count * sizeof(*to->items));
    for (size_t i = 0; i < from->count; i++) {
        to->items[i] = use_of(b, from->items[i]);
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

static void derive_uses(struct build *b, const struct plan *from)
{
    b->plan->uses.count = from->uses.count;
    b->plan->uses.items = build_alloc(b, from->uses.count * sizeof(*b->plan->uses.items));
    for (size_t i = 0; i < from->uses.count; i++) {
        b->plan->uses.items[i] = build_alloc(b, sizeof(*b->plan->uses.items[i]));
        *b->plan->uses.items[i] = *from->uses.items[i];
    }
    for (size_t i = 0; i < from->uses.count; i++) {
        derive_use(b, b->plan->uses.items[i], from);
    }
    derive_list(b, &b->plan->modules, &from->modules);
    derive_list(b, &b->plan->routers, &from->routers);
    derive_list(b, &b->plan->loggers, &from->loggers);
    for (size_t i = 0; i < b->plan->modules.count; i++) {
        b->plan->base->modules.items[i]->sharers++;
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
    plan->sticky = use_of(b, from->sticky);
    plan->health = use_of(b, from->health);
    derive_list(b, &plan->observers, &from->observers);
    derive_list(b, &plan->filters, &from->filters);
    plan->pool = NULL; /* references are taken when it is attached */
    plan->servers = NULL;
    plan->server_count = 0;
    plan->by_id = NULL;
    plan->probe_name = NULL;
    plan->tls = NULL;
    plan->balancers = build_alloc(b, sizeof(*plan->balancers) * b->plan->loops);
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
    derive_list(b, &plan->filters, &from->filters);
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
        derive_list(b, &route->filters, &from->routes[i]->filters);
        b->plan->routes[i] = route;
    }
    b->plan->route_count = from->route_count;
}

struct plan *plan_derive(const struct plan_input *input, const struct plan *from,
                         struct mistakes *mistakes)
{
    struct plan *plan = build_plan(input, from->base);
    struct build b = {.input = input, .plan = plan, .mistakes = mistakes};

    plan->tree = from->tree;
    plan->places = from->places;
    plan->global = from->global;
    plan->restart = from->restart;
    plan->restart_count = from->restart_count;
    plan->pools = build_alloc(&b, from->pool_count * sizeof(*plan->pools));
    plan->listeners = build_alloc(&b, from->listener_count * sizeof(*plan->listeners));
    derive_uses(&b, from);
    derive_routes(&b, from);
    for (; plan->pool_count < from->pool_count; plan->pool_count++) {
        derive_pool(&b, &plan->pools[plan->pool_count], &from->pools[plan->pool_count]);
    }
    for (; plan->listener_count < from->listener_count; plan->listener_count++) {
        derive_listener(&b, &plan->listeners[plan->listener_count],
                        &from->listeners[plan->listener_count]);
    }
    if (mistakes->count > 0) {
        plan_unref(&plan);
    }
    return plan;
}
