/* SPDX-License-Identifier: MIT */
/*
 * The servers of a pool in one plan. See members.h.
 */
#include "proxy/pool/members.h"

#include "proxy/pool/pool.h"

/* ---- looking up ---- */

/* The slot of the id, or the free slot where it belongs. */
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

const char *pool_plan_tls_name(const struct pool_plan *plan, const struct server *server)
{
    const struct tls_server_conf *tls =
        plan->settings->tls.count > 0 ? plan->settings->tls.items : NULL;
    return tls != NULL && tls->name.len > 0 ? tls->name.ptr : server->tls_name;
}

/* ---- attaching ---- */

static void *plan_alloc(struct pool_plan *plan, size_t count, size_t size)
{
    void *memory = arena_zalloc(&plan->owner->arena, count > 0 ? count * size : 1);
    ASSERT(memory != NULL);
    return memory;
}

static void index_servers(struct pool_plan *plan)
{
    size_t slots = 4;
    while (slots < plan->server_count * 2) {
        slots *= 2;
    }
    plan->by_id = plan_alloc(plan, slots, sizeof(*plan->by_id));
    plan->places = plan_alloc(plan, slots, sizeof(*plan->places));
    plan->by_id_mask = slots - 1;
    for (size_t i = 0; i < plan->server_count; i++) {
        size_t at = plan->servers[i]->id & plan->by_id_mask;
        while (plan->by_id[at] != NULL) {
            at = (at + 1) & plan->by_id_mask;
        }
        plan->by_id[at] = plan->servers[i];
        plan->places[at] = (uint32_t)i;
    }
}

/* The live server, or a new one. */
static struct server *find_server(const struct pool_plan *plan, const struct pool_plan *running,
                                  bool in_force, const struct server_settings *settings)
{
    struct weir_str pool = str_from(plan->pool->name);
    struct server *server = server_find(pool, settings->id, &settings->url, settings->dns_name);

    if (server == NULL) {
        server = server_new(pool, settings->id, &settings->url, plan->pool->loops);
        if (settings->dns_name.len > 0) {
            server_set_dns_name(server, settings->dns_name);
        }
    }
    if (running != NULL && in_force && pool_plan_server(running, server->id) != server) {
        server->awaiting_probe = plan->health != NULL; /* a newcomer needs a probe first */
        server->back = !server->awaiting_probe;        /* or starts slowly now */
    }
    return server;
}

void members_attach(struct pool_plan *plan, const struct pool_plan *running, bool in_force)
{
    const struct server_settings *settings = plan->settings->servers.items;
    size_t count = plan->settings->servers.count;

    plan->servers = plan_alloc(plan, count, sizeof(struct server *));
    for (; plan->server_count < count; plan->server_count++) {
        plan->servers[plan->server_count] =
            find_server(plan, running, in_force, &settings[plan->server_count]);
    }
    index_servers(plan);
    plan->balancers = plan_alloc(plan, plan->pool->loops, sizeof(*plan->balancers));
    /* Same settings, same context: this tells the loops that their idle connections may stay. */
    if (running != NULL && tls_server_ctx_equal(running->tls, plan->tls)) {
        SSL_CTX_free(plan->tls);
        plan->tls = running->tls;
        SSL_CTX_up_ref(plan->tls);
    }
}

void members_detach(struct pool_plan *plan)
{
    for (size_t i = 0; i < plan->server_count; i++) {
        server_unref(&plan->servers[i]);
    }
    plan->server_count = 0;
    SSL_CTX_free(plan->tls);
    plan->tls = NULL;
}
