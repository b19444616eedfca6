/* SPDX-License-Identifier: MIT */
/*
 * One watch a server with a host name: a question, and the time of the next one. See names.h.
 */
#include "proxy/names.h"

#include <stdlib.h>

#include "base/log.h"
#include "net/resolver.h"
#include "proxy/worker.h"

/* Time to the next question when one failed. */
#define NAMES_RETRY_NS (5 * NS_PER_SECOND)

struct server_name {
    struct list link;
    struct names *names;
    struct server *server;        /* referenced */
    struct resolver_query *query; /* NULL: none runs */
    struct timer timer;
    bool awaited; /* by names_prepare */
    bool wanted;  /* by the generation that is being adopted */
    bool failed;  /* the last question */
};

struct names {
    struct worker *self;
    struct resolver *resolver;
    struct list watches;
    /* names_prepare's */
    struct generation *generation; /* NULL: nobody waits */
    names_fn fn;
    void *arg;
    size_t awaited;
    struct timer patience;
    struct task done;
};

static struct loop *names_loop(const struct names *names)
{
    return names->self->loop;
}

/* ---- who waits ---- */

static void names_done(struct task *task)
{
    struct names *names = container_of(task, struct names, done);
    struct generation *generation = names->generation;

    timer_cancel(names_loop(names), &names->patience);
    list_each(link, &names->watches)
    {
        container_of(link, struct server_name, link)->awaited = false;
    }
    names->awaited = 0;
    names->generation = NULL;
    names->fn(names->arg, generation);
}

static void names_patience(struct timer *timer)
{
    struct names *names = container_of(timer, struct names, patience);
    log_write(WEIR_LOG_WARNING, "names",
              "%zu host names have no address yet; going on without these servers", names->awaited);
    task_queue(names_loop(names), &names->done);
}

static void name_settled(struct server_name *name)
{
    struct names *names = name->names;
    if (name->awaited) {
        name->awaited = false;
        if (--names->awaited == 0) {
            task_queue(names_loop(names), &names->done);
        }
    }
}

/* ---- one name ---- */

/* The address that is used now stays as long as the name has it: answers come in turning order. */
static const struct address *name_choose(const struct resolved *addresses, size_t count,
                                         const struct address *now)
{
    for (size_t i = 0; i < count; i++) {
        if (now->len > 0 && address_equal(&addresses[i].address, now)) {
            return now;
        }
    }
    return &addresses[0].address;
}

static void name_answer(void *arg, const struct resolved *addresses, size_t count, uint32_t ttl_s,
                        const char *error)
{
    struct server_name *name = arg;
    struct server *server = name->server;
    struct address now;
    bool known = server_get_address(server, &now);

    name->query = NULL;
    if (error != NULL) {
        if (!name->failed) {
            log_write(WEIR_LOG_WARNING, "names", "server %s/%s: cannot resolve %.*s: %s; %s",
                      server->pool_name, server->name, STR_ARGS(server->url.host), error,
                      known ? "its last address stays" : "it cannot be reached until then");
        }
        name->failed = true;
        timer_set(names_loop(name->names), &name->timer, NAMES_RETRY_NS);
        name_settled(name);
        return;
    }
    const struct address *chosen = name_choose(addresses, count, &now);
    if (name->failed || !known || chosen != &now) {
        char text[ADDRESS_TEXT_SIZE + 8];
        address_text_port(chosen, text, sizeof(text));
        log_write(known ? WEIR_LOG_NOTICE : WEIR_LOG_INFO, "names", "server %s/%s: %.*s is %s",
                  server->pool_name, server->name, STR_ARGS(server->url.host), text);
    }
    name->failed = false;
    if (chosen != &now) {
        server_set_address(server, chosen);
    }
    timer_set(names_loop(name->names), &name->timer, (uint64_t)ttl_s * NS_PER_SECOND);
    name_settled(name);
}

static void name_ask(struct server_name *name)
{
    if (name->query == NULL) {
        name->query = resolver_ask(name->names->resolver, name->server->url.host,
                                   name->server->url.port, name_answer, name);
    }
}

static void name_timer(struct timer *timer)
{
    name_ask(container_of(timer, struct server_name, timer));
}

static void name_new(struct names *names, struct server *server)
{
    struct server_name *name = base_zalloc(sizeof(*name));
    name->names = names;
    name->server = server_ref(server);
    name->timer.fn = name_timer;
    server->name_watch = name;
    list_push_back(&names->watches, &name->link);
}

static void name_free(struct server_name *name)
{
    struct names *names = name->names;

    name_settled(name);
    if (name->query != NULL) {
        resolver_forget(name->query);
    }
    timer_cancel(names_loop(names), &name->timer);
    list_remove(&name->link);
    name->server->name_watch = NULL;
    server_unref(&name->server);
    free(name);
}

/* ---- generations ---- */

typedef void (*server_fn)(struct names *names, struct server *server);

static void each_server(struct names *names, const struct generation *generation, server_fn fn)
{
    for (size_t i = 0; i < generation->pool_count; i++) {
        const struct pool_plan *plan = &generation->pools[i];
        for (size_t k = 0; k < plan->server_count; k++) {
            fn(names, plan->servers[k]);
        }
    }
}

static void await_server(struct names *names, struct server *server)
{
    struct address address;

    if (server->name_watch == NULL && server_get_address(server, &address)) {
        return; /* an address in its URL */
    }
    if (server->name_watch == NULL) {
        name_new(names, server);
    }
    if (!server_get_address(server, &address) && !server->name_watch->awaited) {
        server->name_watch->awaited = true;
        names->awaited++;
        name_ask(server->name_watch);
    }
}

void names_prepare(struct names *names, struct generation *generation, names_fn fn, void *arg)
{
    ASSERT(names->generation == NULL);
    names->generation = generation;
    names->fn = fn;
    names->arg = arg;
    each_server(names, generation, await_server);
    if (names->awaited == 0) {
        task_queue(names_loop(names), &names->done);
    } else {
        timer_set(names_loop(names), &names->patience, NAMES_PATIENCE_NS);
    }
}

void names_hurry(struct names *names)
{
    if (names != NULL && names->generation != NULL) {
        task_queue(names_loop(names), &names->done);
    }
}

static void want_server(struct names *names, struct server *server)
{
    (void)names;
    if (server->name_watch != NULL) {
        server->name_watch->wanted = true;
    }
}

void names_adopt(struct names *names, const struct generation *generation)
{
    each_server(names, generation, want_server);
    list_each(link, &names->watches)
    {
        struct server_name *name = container_of(link, struct server_name, link);
        if (!name->wanted) {
            name_free(name);
        } else {
            name->wanted = false;
        }
    }
}

struct names *names_new(struct worker *self, struct weir_str nameservers, char *error,
                        size_t error_size)
{
    struct resolver *resolver = resolver_new(self->loop, nameservers, error, error_size);
    if (resolver == NULL) {
        return NULL;
    }
    struct names *names = base_zalloc(sizeof(*names));
    names->self = self;
    names->resolver = resolver;
    names->patience.fn = names_patience;
    names->done.fn = names_done;
    list_init(&names->watches);
    return names;
}

struct resolver *names_resolver(const struct names *names)
{
    return names->resolver;
}

void names_free(struct names **names)
{
    struct names *n = *names;

    if (n == NULL) {
        return;
    }
    *names = NULL;
    task_cancel(&n->done);
    list_each(link, &n->watches)
    {
        struct server_name *name = container_of(link, struct server_name, link);
        name->awaited = false;
        name_free(name);
    }
    timer_cancel(names_loop(n), &n->patience);
    resolver_free(&n->resolver);
    free(n);
}
