/* SPDX-License-Identifier: MIT */
/*
 * One entry per server with a host name, per name and `resolve` mode of blocks, and per probed
 * name. See names.h.
 */
#include "proxy/upstream/names.h"

#include <stdlib.h>

#include "base/log.h"
#include "proxy/pool/server.h"

struct server_name {
    struct list link;
    struct names *names;
    struct server *server; /* referenced */
    struct followed *followed;
    bool wanted;   /* by the plan being adopted */
    bool in_force; /* its server is in the running plan */
    bool changed;  /* its reachability has changed, not reported yet */
    bool told;     /* reported that it has no address */
};

struct probe_name {
    struct list link;
    char *pool, *address;
    struct followed *followed;
    bool wanted;
    bool told; /* reported that it has no address */
};

/* Shared by the blocks with the same name, port and `resolve` mode. */
struct block_name {
    struct list link;
    struct names *names;
    int32_t resolve; /* RESOLVE_ALL or RESOLVE_SRV */
    char *host;
    uint16_t port;
    struct followed *followed; /* NULL: not asked for yet */
    struct expansion is;       /* the endpoints are owned */
    size_t left_out;
    uint64_t in_force; /* the version in the running plan */
    bool waited;       /* for its first answer */
    bool wanted;       /* by the running plan */
};

struct names {
    struct loop *loop;
    struct resolver *resolver;
    struct follower *follower; /* NULL: not started */
    struct names_owner owner;
    struct list servers, probes, blocks;
    struct task stale; /* reports changes, once per turn */
    /* names_await's. */
    struct plan *plan;
    names_fn fn;
    void *arg;
    bool wanting;
};

/* ---- servers ---- */

/* Before its plan is in force nothing uses the server. */
static void server_tell(struct server_name *name)
{
    const struct names_owner *owner = &name->names->owner;

    if (name->changed && name->in_force) {
        name->changed = false;
        owner->server_changed(owner->arg, name->server);
    }
}

/* A failed query does not mean that an address is gone: it stays known. */
static void server_news(void *arg)
{
    struct server_name *name = arg;
    struct server *server = name->server;
    struct address address, now = {0};
    bool known = server_get_address(server, &now);
    char text[ADDRESS_TEXT_SIZE + 8];
    bool changed = false;

    if (!followed_address(name->followed, &address)) {
        if (followed_is_settled(name->followed) && !name->told) {
            name->told = true;
            log_write(WEIR_LOG_WARNING, "names",
                      "server %s/%s: %.*s has no address%s; it cannot be reached without",
                      server->pool_name, server->name, STR_ARGS(server->url.host),
                      known ? " any more" : "");
        }
        /* A server added again while a request still runs there keeps its address until the query
         * of that address family is answered: the other family's says nothing of it. */
        if (known && followed_is_answered(name->followed, now.u.any.sa_family)) {
            changed = server_set_address(server, &(struct address){0});
        }
    } else if (!known || !address_equal(&address, &now)) {
        address_text_port(&address, text, sizeof(text));
        log_write(known ? WEIR_LOG_NOTICE : WEIR_LOG_INFO, "names", "server %s/%s: %.*s is %s",
                  server->pool_name, server->name, STR_ARGS(server->url.host), text);
        changed = server_set_address(server, &address);
        name->told = false;
    }
    name->changed = name->changed || changed;
    server_tell(name);
}

static void server_await(struct names *names, struct server *server)
{
    struct server_name *name = server->name_watch;

    if (!server->named) {
        return;
    }
    if (name == NULL) {
        name = base_zalloc(sizeof(*name));
        name->names = names;
        name->server = server_ref(server);
        name->followed = follow(names->follower, FOLLOW_HOST, server->url.host, server->url.port,
                                server_news, name);
        server->name_watch = name;
        list_push_back(&names->servers, &name->link);
        server_news(name);
    }
    if (followed_count(name->followed) == 0) {
        follow_wait_add(name->followed);
    }
}

static void server_name_free(struct server_name *name)
{
    follow_end(&name->followed);
    list_remove(&name->link);
    name->server->name_watch = NULL;
    server_unref(&name->server);
    free(name);
}

/* ---- probes ---- */

static void probe_news(void *arg)
{
    struct probe_name *name = arg;
    bool nowhere = followed_count(name->followed) == 0 && followed_is_settled(name->followed);

    if (nowhere && !name->told) {
        log_write(WEIR_LOG_WARNING, "names",
                  "pool %s: %s, which is probed, has no known address; what its servers are is "
                  "not found out",
                  name->pool, name->address);
    }
    name->told = nowhere;
}

static struct probe_name *probe_find(const struct names *names, const struct pool_plan *pool)
{
    for (const struct list *link = names->probes.next; link != &names->probes; link = link->next) {
        struct probe_name *name = container_of(link, struct probe_name, link);
        if (str_equal(str_from(name->pool), pool->settings->name) &&
            str_equal(str_from(name->address), pool->probe->address)) {
            return name;
        }
    }
    return NULL;
}

static void probe_await(struct names *names, struct pool_plan *pool)
{
    struct weir_str host;
    uint16_t port = 0;

    if (pool->probe == NULL || !address_parse_name(pool->probe->address, &host, &port)) {
        return;
    }
    struct probe_name *name = probe_find(names, pool);
    if (name == NULL) {
        name = base_zalloc(sizeof(*name));
        name->pool = base_strndup(pool->settings->name.ptr, pool->settings->name.len);
        name->address = base_strndup(pool->probe->address.ptr, pool->probe->address.len);
        name->followed = follow(names->follower, FOLLOW_HOST, host, port, probe_news, name);
        list_push_back(&names->probes, &name->link);
    }
    pool->probe_name = name->followed;
    follow_wait_add(name->followed);
}

static void probe_name_free(struct probe_name *name)
{
    follow_end(&name->followed);
    list_remove(&name->link);
    free(name->pool);
    free(name->address);
    free(name);
}

/* ---- blocks ---- */

static bool same_endpoints(const struct expansion *is, const struct endpoint *found, size_t count)
{
    bool same = is->count == count;

    for (size_t i = 0; same && i < count; i++) {
        const struct endpoint *mine = &is->endpoints[i];
        same = address_equal(&mine->address, &found[i].address) &&
               mine->priority == found[i].priority && mine->weight == found[i].weight;
    }
    return same;
}

static void tell_left_out(struct block_name *name, size_t left_out)
{
    if (left_out > 0 && name->left_out == 0) {
        log_write(WEIR_LOG_WARNING, "names",
                  "%s has %zu addresses; the first %d in order of priority and address are "
                  "servers, the others are left out",
                  name->host, left_out + EXPAND_SERVERS_MAX, EXPAND_SERVERS_MAX);
    } else if (left_out == 0 && name->left_out > 0) {
        log_write(WEIR_LOG_NOTICE, "names", "%s: no address is left out any more", name->host);
    }
    name->left_out = left_out;
}

static void block_update(struct block_name *name)
{
    size_t count = followed_count(name->followed);
    struct endpoint *found = base_alloc((count + 1) * sizeof(*found));

    for (size_t i = 0; i < count; i++) {
        found[i] = followed_endpoint(name->followed, i);
    }
    count = expand_order(found, count);
    size_t kept = count < EXPAND_SERVERS_MAX ? count : EXPAND_SERVERS_MAX;
    tell_left_out(name, count - kept);
    if (same_endpoints(&name->is, found, kept)) {
        free(found);
        return;
    }
    free((void *)(uintptr_t)name->is.endpoints);
    name->is = (struct expansion){found, kept, name->is.version + 1};
    log_write(kept > 0 ? WEIR_LOG_INFO : WEIR_LOG_WARNING, "names", "%s stands for %zu servers",
              name->host, kept);
}

static bool block_is_stale(const struct block_name *name)
{
    return name->wanted && name->is.version != name->in_force;
}

static void block_news(void *arg)
{
    struct block_name *name = arg;

    block_update(name);
    if (block_is_stale(name)) {
        task_queue(name->names->loop, &name->names->stale);
    }
}

static void block_follow(struct block_name *name)
{
    if (name->followed == NULL) {
        name->followed = follow(name->names->follower,
                                name->resolve == RESOLVE_SRV ? FOLLOW_SERVICE : FOLLOW_HOST,
                                str_from(name->host), name->port, block_news, name);
        block_update(name);
    }
}

static struct block_name *block_get(struct names *names, const struct server_settings *block)
{
    list_each(link, &names->blocks)
    {
        struct block_name *name = container_of(link, struct block_name, link);
        if (name->resolve == block->resolve && name->port == block->url.port &&
            str_equal(str_from(name->host), block->url.host)) {
            return name;
        }
    }
    struct block_name *name = base_zalloc(sizeof(*name));
    name->names = names;
    name->resolve = block->resolve;
    name->host = base_strndup(block->url.host.ptr, block->url.host.len);
    name->port = block->url.port;
    list_push_back(&names->blocks, &name->link);
    return name;
}

static void block_name_free(struct block_name *name)
{
    follow_end(&name->followed);
    list_remove(&name->link);
    free((void *)(uintptr_t)name->is.endpoints);
    free(name->host);
    free(name);
}

static struct expansion block_expansion(void *arg, const struct server_settings *block)
{
    return block_get(arg, block)->is;
}

void names_expand(struct names *names, struct arena *arena, struct pool_settings *settings)
{
    expand_blocks(arena, settings, block_expansion, names);
}

struct names_report names_report(struct names *names, const struct server_settings *block)
{
    const struct block_name *name = block_get(names, block);
    return (struct names_report){name->is.count, name->left_out};
}

bool names_is_wanting(const struct names *names)
{
    bool is = false;
    for (const struct list *link = names->blocks.next; link != &names->blocks; link = link->next) {
        is = is || !container_of(link, struct block_name, link)->waited;
    }
    return is;
}

bool names_is_stale(const struct names *names)
{
    bool is = false;
    for (const struct list *link = names->blocks.next; link != &names->blocks; link = link->next) {
        is = is || block_is_stale(container_of(link, struct block_name, link));
    }
    return is;
}

static void tell_stale(struct task *task)
{
    struct names *names = container_of(task, struct names, stale);

    if (names_is_stale(names)) {
        names->owner.blocks_changed(names->owner.arg);
    }
}

/* ---- plans ---- */

static void awaited(void *arg, size_t open)
{
    struct names *names = arg;

    if (open > 0) {
        log_write(
            WEIR_LOG_WARNING, "names",
            names->wanting
                ? "%zu names of servers have not been answered; going on without these servers"
                : "%zu host names have no address yet; going on without these servers",
            open);
    }
    list_each(link, &names->servers)
    {
        struct server_name *name = container_of(link, struct server_name, link);
        name->changed = name->changed && name->in_force; /* the loops see it when they commit */
    }
    list_each(link, &names->blocks)
    {
        struct block_name *name = container_of(link, struct block_name, link);
        if (name->followed != NULL) {
            name->waited = true;
            block_update(name);
        }
    }
    names->fn(names->arg, names->plan);
}

void names_await(struct names *names, struct plan *plan, names_fn fn, void *arg)
{
    names->plan = plan;
    names->fn = fn;
    names->arg = arg;
    names->wanting = names_is_wanting(names);
    follow_wait_begin(names->follower, awaited, names);
    list_each(link, &names->blocks)
    {
        struct block_name *name = container_of(link, struct block_name, link);
        block_follow(name);
        if (!name->waited) {
            follow_wait_add(name->followed);
        }
    }
    for (size_t i = 0; i < plan->pool_count; i++) {
        struct pool_plan *pool = &plan->pools[i];
        for (size_t k = 0; k < pool->server_count; k++) {
            server_await(names, pool->servers[k]);
        }
        probe_await(names, pool);
    }
    follow_wait_go(names->follower, NAMES_PATIENCE_NS);
}

void names_hurry(struct names *names)
{
    if (names->follower != NULL) {
        follow_wait_hurry(names->follower);
    }
}

/* Marks what the plan has. */
static void want(struct names *names, const struct plan *plan)
{
    for (size_t i = 0; i < plan->pool_count; i++) {
        const struct pool_plan *pool = &plan->pools[i];
        const struct server_settings *blocks = pool->settings->blocks.items;
        for (size_t k = 0; k < pool->server_count; k++) {
            if (pool->servers[k]->name_watch != NULL) {
                pool->servers[k]->name_watch->wanted = true;
            }
        }
        if (pool->probe_name != NULL) {
            probe_find(names, pool)->wanted = true;
        }
        for (size_t k = 0; k < pool->settings->blocks.count; k++) {
            if (blocks[k].resolve != RESOLVE_FIRST) {
                struct block_name *name = block_get(names, &blocks[k]);
                name->wanted = true;
                name->in_force = blocks[k].found_version;
            }
        }
    }
}

void names_adopt(struct names *names, const struct plan *plan)
{
    list_each(link, &names->blocks)
    {
        container_of(link, struct block_name, link)->wanted = false;
    }
    want(names, plan);
    list_each(link, &names->servers)
    {
        struct server_name *name = container_of(link, struct server_name, link);
        if (!name->wanted) {
            server_name_free(name);
        } else {
            name->wanted = false;
            name->in_force = true;
            server_tell(name);
        }
    }
    list_each(link, &names->probes)
    {
        struct probe_name *name = container_of(link, struct probe_name, link);
        if (!name->wanted) {
            probe_name_free(name);
        } else {
            name->wanted = false;
        }
    }
    list_each(link, &names->blocks)
    {
        struct block_name *name = container_of(link, struct block_name, link);
        if (!name->wanted) {
            block_name_free(name);
        } else {
            block_follow(name);
        }
    }
    task_queue(names->loop, &names->stale);
}

/* ---- all of them ---- */

struct names *names_new(void)
{
    struct names *names = base_zalloc(sizeof(*names));

    list_init(&names->servers);
    list_init(&names->probes);
    list_init(&names->blocks);
    names->stale.fn = tell_stale;
    return names;
}

bool names_start(struct names *names, struct loop *loop, struct weir_str nameservers,
                 const struct names_owner *owner, char *error, size_t error_size)
{
    names->resolver = resolver_new(loop, nameservers, error, error_size);
    if (names->resolver != NULL) {
        names->loop = loop;
        names->owner = *owner;
        names->follower = follower_new(loop, names->resolver);
    }
    return names->resolver != NULL;
}

bool names_set_servers(struct names *names, struct weir_str nameservers, char *error,
                       size_t error_size)
{
    return resolver_set_servers(names->resolver, nameservers, error, error_size);
}

void names_ask_again(struct names *names)
{
    follower_ask_again(names->follower);
}

void names_free(struct names **names)
{
    struct names *n = *names;

    if (n == NULL) {
        return;
    }
    *names = NULL;
    task_cancel(&n->stale);
    list_each(link, &n->servers)
    {
        server_name_free(container_of(link, struct server_name, link));
    }
    list_each(link, &n->probes)
    {
        probe_name_free(container_of(link, struct probe_name, link));
    }
    list_each(link, &n->blocks)
    {
        block_name_free(container_of(link, struct block_name, link));
    }
    follower_free(&n->follower);
    resolver_free(&n->resolver);
    free(n);
}
