/* SPDX-License-Identifier: MIT */
/*
 * One watch per server with a host name. See names.h.
 */
#include "proxy/upstream/names.h"

#include <stdlib.h>

#include "base/log.h"

struct server_name {
    struct list link;
    struct names *names;
    struct server *server; /* referenced */
    struct followed *followed;
    bool wanted;   /* by the generation being adopted */
    bool in_force; /* its server is in the running generation */
    bool changed;  /* its reachability has changed, not reported yet */
    bool told;     /* that it has no address */
};

struct names {
    struct loop *loop;
    struct resolver *resolver;
    struct follower *follower;
    struct list watches;
    names_changed_fn changed;
    void *changed_arg;
    /* names_prepare's */
    struct plan *plan;
    names_fn fn;
    void *arg;
};

/* ---- one server ---- */

/* Before its generation is in force nothing uses the server. */
static void name_tell(struct server_name *name)
{
    if (name->changed && name->in_force) {
        name->changed = false;
        name->names->changed(name->names->changed_arg, name->server);
    }
}

/* A failed query does not mean that an address is gone: it stays known. */
static void name_look(struct server_name *name)
{
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
    name_tell(name);
}

static void name_news(void *arg)
{
    name_look(arg);
}

static void name_new(struct names *names, struct server *server)
{
    struct server_name *name = base_zalloc(sizeof(*name));
    name->names = names;
    name->server = server_ref(server);
    name->followed =
        follow(names->follower, FOLLOW_HOST, server->url.host, server->url.port, name_news, name);
    server->name_watch = name;
    list_push_back(&names->watches, &name->link);
    name_look(name);
}

static void name_free(struct server_name *name)
{
    follow_end(&name->followed);
    list_remove(&name->link);
    name->server->name_watch = NULL;
    server_unref(&name->server);
    free(name);
}

/* ---- generations ---- */

typedef void (*server_fn)(struct names *names, struct server *server);

static void each_server(struct names *names, const struct plan *plan, server_fn fn)
{
    for (size_t i = 0; i < plan->pool_count; i++) {
        const struct pool_plan *pool = &plan->pools[i];
        for (size_t k = 0; k < pool->server_count; k++) {
            fn(names, pool->servers[k]);
        }
    }
}

static void names_done(void *arg, size_t open)
{
    struct names *names = arg;

    if (open > 0) {
        log_write(WEIR_LOG_WARNING, "names",
                  "%zu host names have no address yet; going on without these servers", open);
    }
    list_each(link, &names->watches)
    {
        struct server_name *name = container_of(link, struct server_name, link);
        name->changed = name->changed && name->in_force; /* the loops see it when they commit */
    }
    names->fn(names->arg, names->plan);
}

static void await_server(struct names *names, struct server *server)
{
    if (!server->named) {
        return;
    }
    if (server->name_watch == NULL) {
        name_new(names, server);
    }
    if (followed_count(server->name_watch->followed) == 0) {
        follow_wait_add(server->name_watch->followed);
    }
}

static void probe_news(void *arg)
{
    struct pool_plan *plan = arg;
    bool known = followed_count(plan->probe_name) > 0;

    if (!known && followed_is_settled(plan->probe_name) && !plan->probe_name_told) {
        log_write(WEIR_LOG_WARNING, "names",
                  "pool %.*s: %.*s, which is probed, has no known address; what its servers are is "
                  "not found out",
                  STR_ARGS(plan->settings->name), STR_ARGS(plan->probe->address));
    }
    plan->probe_name_told = !known && followed_is_settled(plan->probe_name);
}

/* A probed name. */
static void await_probe(struct names *names, struct pool_plan *plan)
{
    struct weir_str host;
    uint16_t port = 0;

    if (plan->probe_name == NULL && plan->probe != NULL &&
        address_parse_name(plan->probe->address, &host, &port)) {
        plan->probe_name = follow(names->follower, FOLLOW_HOST, host, port, probe_news, plan);
        follow_wait_add(plan->probe_name);
    }
}

void names_prepare(struct names *names, struct plan *plan, names_fn fn, void *arg)
{
    names->plan = plan;
    names->fn = fn;
    names->arg = arg;
    follow_wait_begin(names->follower, names_done, names);
    each_server(names, plan, await_server);
    for (size_t i = 0; i < plan->pool_count; i++) {
        await_probe(names, &plan->pools[i]);
    }
    follow_wait_go(names->follower, NAMES_PATIENCE_NS);
}

void names_hurry(struct names *names)
{
    if (names != NULL) {
        follow_wait_hurry(names->follower);
    }
}

static void want_server(struct names *names, struct server *server)
{
    (void)names;
    if (server->name_watch != NULL) {
        server->name_watch->wanted = true;
    }
}

void names_adopt(struct names *names, const struct plan *plan)
{
    each_server(names, plan, want_server);
    list_each(link, &names->watches)
    {
        struct server_name *name = container_of(link, struct server_name, link);
        if (!name->wanted) {
            name_free(name);
        } else {
            name->wanted = false;
            name->in_force = true;
            name_tell(name);
        }
    }
}

/* ---- all of them ---- */

struct names *names_new(struct loop *loop, struct weir_str nameservers, names_changed_fn changed,
                        void *arg, char *error, size_t error_size)
{
    struct resolver *resolver = resolver_new(loop, nameservers, error, error_size);
    if (resolver == NULL) {
        return NULL;
    }
    struct names *names = base_zalloc(sizeof(*names));
    names->loop = loop;
    names->changed = changed;
    names->changed_arg = arg;
    names->resolver = resolver;
    names->follower = follower_new(loop, resolver);
    list_init(&names->watches);
    return names;
}

struct follower *names_follower(const struct names *names)
{
    return names->follower;
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
    list_each(link, &n->watches)
    {
        name_free(container_of(link, struct server_name, link));
    }
    follower_free(&n->follower);
    resolver_free(&n->resolver);
    free(n);
}
