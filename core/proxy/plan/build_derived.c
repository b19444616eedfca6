/* SPDX-License-Identifier: MIT */
/*
 * A generation that is derived: the configuration of the one that runs, with the servers of now. What the files
 * said is not copied: it is the base's, which stays for as long. What a generation has of its own is made
 * anew: uses, since each has instances on the loops, and plans, since each has references to what lives.
 * Nothing may point into the generation that it is derived from, which goes before.
 */
#include "proxy/plan/build.h"

/* ---- uses ---- */

static struct use *use_of(struct build *b, const struct use *from)
{
    return from != NULL ? b->generation->uses.items[from->index] : NULL;
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
static void derive_use(struct build *b, struct use *use, const struct generation *from)
{
    struct generation *g = b->generation;

    use->generation = g;
    use->base = use_of(b, use->base);
    use->instances = build_alloc(b, sizeof(*use->instances) * g->loops);
    if (use->listener != NULL) {
        use->listener = &g->listeners[use->listener - from->listeners];
    }
}

static void derive_uses(struct build *b, const struct generation *from)
{
    struct generation *g = b->generation;

    g->uses.count = from->uses.count;
    g->uses.items = build_alloc(b, from->uses.count * sizeof(*g->uses.items));
    for (size_t i = 0; i < from->uses.count; i++) {
        g->uses.items[i] = build_alloc(b, sizeof(*g->uses.items[i]));
        *g->uses.items[i] = *from->uses.items[i];
    }
    for (size_t i = 0; i < from->uses.count; i++) {
        derive_use(b, g->uses.items[i], from);
    }
    derive_list(b, &g->modules, &from->modules);
    derive_list(b, &g->routers, &from->routers);
    derive_list(b, &g->loggers, &from->loggers);
    for (size_t i = 0; i < g->modules.count; i++) {
        g->modules.items[i]->loops_kept = g->loops;
        g->base->modules.items[i]->sharers++;
    }
}

/* ---- plans ---- */

static void derive_pool(struct build *b, struct pool_plan *plan, const struct pool_plan *from)
{
    struct pool_settings *settings = build_alloc(b, sizeof(*settings));

    *settings = *from->settings;
    *plan = *from;
    plan->generation = b->generation;
    plan->settings = settings;
    plan->balance = use_of(b, from->balance);
    plan->sticky = use_of(b, from->sticky);
    plan->health = use_of(b, from->health);
    derive_list(b, &plan->observers, &from->observers);
    derive_list(b, &plan->filters, &from->filters);
    plan->pool = NULL; /* what it has a reference to comes when it is attached */
    plan->servers = NULL;
    plan->server_count = 0;
    plan->by_id = NULL;
    plan->probe_name = NULL;
    plan->tls = NULL;
    plan->balancers = build_alloc(b, sizeof(*plan->balancers) * b->generation->loops);
    table_add(&b->generation->pools_by_name, &plan->by_name, table_hash(settings->name));
    build_pool_servers(b, plan, from->tls);
}

static void derive_listener(struct build *b, struct listener_plan *plan,
                            const struct listener_plan *from)
{
    *plan = *from; /* its TLS is the base's */
    plan->generation = b->generation;
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

static void derive_routes(struct build *b, const struct generation *from)
{
    struct generation *g = b->generation;

    g->routes = build_alloc(b, from->route_count * sizeof(struct route *));
    g->route_filters = build_alloc(b, from->route_count * sizeof(*g->route_filters));
    g->route_places = from->route_places;
    g->route_blocks = from->route_blocks;
    for (size_t i = 0; i < from->route_count; i++) {
        g->routes[i] = from->routes[i];
        g->routes[i]->refs++;
        derive_list(b, &g->route_filters[i], &from->route_filters[i]);
    }
    g->route_count = g->route_capacity = from->route_count;
}

struct generation *generation_derive(struct runtime *runtime, const struct generation *from,
                                     struct mistakes *mistakes)
{
    struct generation *g = build_generation(runtime, from->base);
    struct build b = {runtime, g, mistakes, true, NULL, {NULL, 0}};

    g->tree = from->tree;
    g->places = from->places;
    g->global = from->global;
    g->restart = from->restart;
    g->restart_count = from->restart_count;
    g->pools = build_alloc(&b, from->pool_count * sizeof(*g->pools));
    g->listeners = build_alloc(&b, from->listener_count * sizeof(*g->listeners));
    derive_uses(&b, from);
    derive_routes(&b, from);
    for (; g->pool_count < from->pool_count; g->pool_count++) {
        derive_pool(&b, &g->pools[g->pool_count], &from->pools[g->pool_count]);
    }
    for (; g->listener_count < from->listener_count; g->listener_count++) {
        derive_listener(&b, &g->listeners[g->listener_count], &from->listeners[g->listener_count]);
    }
    if (mistakes->count == 0) {
        build_attach(&b);
    }
    if (mistakes->count > 0) {
        generation_free(&g);
    }
    return g;
}
