/* SPDX-License-Identifier: MIT */
/*
 * Live objects by name: plans get the existing pools, servers, routes, listeners and sockets, or
 * new ones. See runtime.h.
 */
#include "proxy/runtime.h"

#include <stdlib.h>

#include "proxy/downstream/downstream.h"
#include "proxy/plan/traffic.h"
#include "proxy/pool/members.h"
#include "proxy/pool/pool.h"
#include "proxy/pool/recovery.h"
#include "proxy/worker.h"

/* ---- pools and routes ---- */

struct pool_plan *generation_plan_of(const struct generation *generation, const struct pool *pool)
{
    struct pool_plan *plan =
        generation != NULL ? plan_pool(generation->plan, str_from(pool->name)) : NULL;
    return plan != NULL && plan->pool == pool ? plan : NULL;
}

static struct pool *pool_find(struct runtime *runtime, struct weir_str name)
{
    uint64_t hash = table_hash(name);

    for (struct table_link *link = table_first(&runtime->pools, hash); link != NULL;
         link = table_next(link)) {
        struct pool *pool = container_of(link, struct pool, link);
        if (str_equal(str_from(pool->name), name)) {
            pool->refs++;
            return pool;
        }
    }
    struct pool *pool = pool_new(name, runtime->workers + 1);
    table_add(&runtime->pools, &pool->link, hash);
    return pool;
}

static struct route *route_find(struct runtime *runtime, struct weir_str name)
{
    uint64_t hash = table_hash(name);

    for (struct table_link *link = table_first(&runtime->routes, hash); link != NULL;
         link = table_next(link)) {
        struct route *route = container_of(link, struct route, link);
        if (str_equal(str_from(route->name), name)) {
            route->refs++;
            return route;
        }
    }
    struct route *route = base_zalloc(sizeof(*route));
    route->name = base_strndup(name.ptr, name.len);
    route->refs = 1;
    route->loops = runtime->workers + 1;
    route->traffic = traffic_new(route->loops);
    table_add(&runtime->routes, &route->link, hash);
    return route;
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

/* ---- listeners and sockets ---- */

static struct listener *listener_find(struct runtime *runtime, struct weir_str name)
{
    list_each(link, &runtime->listeners)
    {
        struct listener *listener = container_of(link, struct listener, link);
        if (str_equal(str_from(listener->name), name)) {
            listener->refs++;
            return listener;
        }
    }
    struct listener *listener = listener_new(name, runtime->workers + 1);
    list_push_back(&runtime->listeners, &listener->link);
    return listener;
}

static bool is_local(const struct address *address)
{
    return address->u.any.sa_family == AF_UNIX;
}

/* Whether a socket suits the plan: the workers' or the control thread's; any loop may accept on a
 * Unix socket. */
static bool socket_serves(const struct listen_socket *socket, const struct listener_plan *plan)
{
    size_t count = listener_plan_on_control(plan) ? 1 : plan->owner->workers;
    return is_local(&socket->address) || socket->count == count;
}

/* Another listener of the plan has it already. */
static bool socket_is_taken(const struct plan *whole, const struct listen_socket *socket)
{
    for (size_t i = 0; i < whole->listener_count; i++) {
        const struct listener_plan *plan = &whole->listeners[i];
        for (size_t k = 0; k < plan->socket_count; k++) {
            if (plan->sockets[k] == socket) {
                return true;
            }
        }
    }
    return false;
}

/* A socket of the running generation on the address; the listener's own first, which matters where
 * the system chose the port. NULL: none. */
static struct listen_socket *socket_find(const struct runtime *runtime,
                                         const struct listener_plan *plan,
                                         const struct address *address)
{
    const struct plan *current = runtime->current != NULL ? runtime->current->plan : NULL;
    struct listen_socket *found = NULL;

    for (size_t i = 0; current != NULL && i < current->listener_count; i++) {
        const struct listener_plan *last = &current->listeners[i];
        bool own = str_equal(last->settings->name, plan->settings->name);
        for (size_t k = 0; k < last->socket_count; k++) {
            bool same = is_local(address) ? address_overlaps(&last->addresses[k], address)
                                          : address_equal(&last->addresses[k], address);
            if (same && (found == NULL || own) && socket_serves(last->sockets[k], plan) &&
                !socket_is_taken(plan->owner, last->sockets[k])) {
                found = last->sockets[k];
                if (own) {
                    return found;
                }
            }
        }
    }
    return found;
}

static void open_socket(const struct runtime *runtime, struct listener_plan *plan, size_t index,
                        struct mistakes *mistakes)
{
    const struct address *address = &plan->addresses[index];
    struct listen_socket *socket = socket_find(runtime, plan, address);
    char error[512];

    if (socket != NULL) {
        listen_socket_ref(socket);
    } else {
        bool one = listener_plan_on_control(plan) && !is_local(address);
        socket =
            listen_socket_open(address, one ? 1 : runtime->workers, (int)plan->settings->backlog,
                               plan->socket_mode, error, sizeof(error));
    }
    if (socket == NULL) {
        mistakes_add(mistakes, listener_plan_place(plan, index), "bind: %s", error);
        return;
    }
    plan->sockets[plan->socket_count++] = socket;
}

static void attach_listener(struct runtime *runtime, struct listener_plan *plan, bool open,
                            struct mistakes *mistakes)
{
    size_t count = plan->settings->bind.count;

    plan->listener = listener_find(runtime, plan->settings->name);
    plan->sockets = arena_zalloc(&plan->owner->arena, (count + 1) * sizeof(struct listen_socket *));
    ASSERT(plan->sockets != NULL);
    for (size_t i = 0; open && i < count; i++) {
        open_socket(runtime, plan, i, mistakes);
    }
}

bool runtime_listens(void *arg, const struct listener_plan *plan, const struct address *address)
{
    return socket_find(arg, plan, address) != NULL;
}

/* ---- outcomes of requests ---- */

static void take_report(const struct outcome_sink *sink, const struct outcome_report *report)
{
    const struct runtime *runtime = container_of(sink, struct runtime, outcomes);

    if (runtime->recovery != NULL) {
        recovery_report(runtime->recovery, report);
    }
}

void runtime_begin(struct runtime *runtime)
{
    runtime->outcomes = (struct outcome_sink){runtime->loops[runtime->workers]->loop, take_report};
    for (unsigned i = 0; i <= runtime->workers; i++) {
        runtime->loops[i]->pool_home.outcomes = &runtime->outcomes;
    }
}

/* ---- all of a plan ---- */

void runtime_attach(struct runtime *runtime, struct plan *plan, bool open,
                    struct mistakes *mistakes)
{
    bool in_force = runtime->current != NULL && runtime->current->in_force;

    for (size_t i = 0; i < plan->pool_count; i++) {
        struct pool_plan *pool = &plan->pools[i];
        pool->pool = pool_find(runtime, pool->settings->name);
        members_attach(pool, generation_plan_of(runtime->current, pool->pool), in_force);
    }
    for (size_t i = 0; i < plan->route_count; i++) {
        plan->routes[i]->route = route_find(runtime, plan->routes[i]->name);
    }
    for (size_t i = 0; i < plan->listener_count; i++) {
        attach_listener(runtime, &plan->listeners[i], open, mistakes);
    }
}

void runtime_detach(struct plan *plan)
{
    for (size_t i = 0; i < plan->pool_count; i++) {
        members_detach(&plan->pools[i]);
        pool_unref(&plan->pools[i].pool);
    }
    for (size_t i = 0; i < plan->route_count; i++) {
        route_unref(plan->routes[i]->route);
    }
}

void runtime_detach_listeners(struct plan *plan)
{
    for (size_t i = 0; i < plan->listener_count; i++) {
        struct listener_plan *listener = &plan->listeners[i];
        for (size_t k = 0; k < listener->socket_count; k++) {
            listen_socket_unref(&listener->sockets[k]);
        }
        listener_unref(&listener->listener);
    }
}

/* ---- the services of health modules ---- */

static enum weir_status health_eject(struct weir_context *ctx, weir_server_id id,
                                     uint64_t duration_ns, const char *reason)
{
    const struct use *use = module_context_of(ctx)->scope; /* NULL: not of an instance */
    const struct pool_plan *plan = use != NULL ? plan_pool(use->plan, use->pool) : NULL;

    for (size_t k = 0; plan != NULL && k < plan->observers.count; k++) {
        if (plan->observers.items[k] == use) {
            return recovery_eject(generation_of(use->plan)->runtime->recovery, plan, id,
                                  duration_ns, reason);
        }
    }
    return WEIR_INVALID;
}

void sdk_health_fill(struct weir_host *host)
{
    host->health_eject = health_eject;
}
