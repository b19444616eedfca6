/* SPDX-License-Identifier: MIT */
/*
 * c-ares on a loop: its sockets are libevent's, its clock is one timer. See resolver.h.
 */
#include "net/resolver.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

/* A name's addresses that are told at most. */
#define RESOLVED_MAX 256

/* Bounds of a TTL, seconds: an answer of 0 must not make a storm of questions. */
#define TTL_MIN 1u
#define TTL_MAX 86400u

/* /etc/hosts has no TTL. */
#define TTL_OF_FILE 10u

struct watch {
    struct list link;
    struct resolver *resolver;
    int fd;
    struct event event;
    struct freed freed;
};

struct resolver {
    struct loop *loop;
    ares_channel channel;
    struct list watches;
    struct list queries;
    struct timer timer;
    bool freeing;
};

/* A question, with the further ones that an SRV answer makes. */
struct resolver_query {
    struct list link;
    struct resolver *resolver;
    resolver_fn fn; /* NULL: forgotten */
    void *arg;
    struct task answer;
    unsigned waiting; /* questions on their way */
    struct resolved *found;
    size_t count;
    uint32_t ttl_s;
    int status; /* c-ares's, of the last failure */
};

/* One of a query's questions. */
struct question {
    struct resolver_query *query;
    uint16_t port, priority, weight;
};

/* ---- sockets and clock ---- */

static void resolver_clock(struct resolver *resolver)
{
    struct timeval most = {5, 0};
    struct timeval room;
    struct timeval *next = ares_timeout(resolver->channel, &most, &room);

    if (list_empty(&resolver->queries)) {
        timer_cancel(resolver->loop, &resolver->timer);
        return;
    }
    timer_set(resolver->loop, &resolver->timer,
              (uint64_t)next->tv_sec * NS_PER_SECOND + (uint64_t)next->tv_usec * 1000);
}

static void on_timer(struct timer *timer)
{
    struct resolver *resolver = container_of(timer, struct resolver, timer);
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    resolver_clock(resolver);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct watch *watch = arg;
    struct resolver *resolver = watch->resolver;

    ares_process_fd(resolver->channel, (what & EV_READ) != 0 ? fd : ARES_SOCKET_BAD,
                    (what & EV_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
    resolver_clock(resolver);
}

static void watch_free(struct freed *freed)
{
    free(container_of(freed, struct watch, freed));
}

static struct watch *watch_find(struct resolver *resolver, int fd)
{
    list_each(link, &resolver->watches)
    {
        struct watch *watch = container_of(link, struct watch, link);
        if (watch->fd == fd) {
            return watch;
        }
    }
    return NULL;
}

/* c-ares: what it wants to hear of a socket; neither: the socket is about to be closed. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = arg;
    struct watch *watch = watch_find(resolver, fd);
    short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0) | EV_PERSIST);

    if (watch != NULL) {
        event_del(&watch->event);
    }
    if (!readable && !writable) {
        if (watch != NULL) {
            list_remove(&watch->link);
            loop_free_later(resolver->loop, &watch->freed, watch_free);
        }
        return;
    }
    if (watch == NULL) {
        watch = base_zalloc(sizeof(*watch));
        watch->resolver = resolver;
        watch->fd = fd;
        list_push_back(&resolver->watches, &watch->link);
    }
    event_assign(&watch->event, resolver->loop->base, fd, what, on_socket, watch);
    event_add(&watch->event, NULL);
}

struct resolver *resolver_new(struct loop *loop, struct weir_str servers, char *error,
                              size_t error_size)
{
    struct resolver *resolver = base_zalloc(sizeof(*resolver));
    struct ares_options options = {.timeout = 1000,
                                   .tries = 3,
                                   .sock_state_cb = on_socket_state,
                                   .sock_state_cb_data = resolver};
    int mask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;

    resolver->loop = loop;
    resolver->timer.fn = on_timer;
    list_init(&resolver->watches);
    list_init(&resolver->queries);
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status == ARES_SUCCESS) {
        status = ares_init_options(&resolver->channel, &options, mask);
    }
    if (status == ARES_SUCCESS && servers.len > 0) {
        char *text = base_strndup(servers.ptr, servers.len);
        status = ares_set_servers_ports_csv(resolver->channel, text);
        free(text);
    }
    if (status != ARES_SUCCESS) {
        snprintf(error, error_size, "cannot set up the resolver of host names: %s",
                 ares_strerror(status));
        if (resolver->channel != NULL) {
            ares_destroy(resolver->channel);
        }
        free(resolver);
        return NULL;
    }
    return resolver;
}

static void query_free(struct resolver_query *query)
{
    task_cancel(&query->answer);
    list_remove(&query->link);
    free(query->found);
    free(query);
}

void resolver_free(struct resolver **resolver)
{
    struct resolver *r = *resolver;

    if (r == NULL) {
        return;
    }
    *resolver = NULL;
    r->freeing = true;
    ares_destroy(r->channel); /* ends each question with ARES_EDESTRUCTION */
    list_each(link, &r->queries)
    {
        query_free(container_of(link, struct resolver_query, link));
    }
    timer_cancel(r->loop, &r->timer);
    ares_library_cleanup();
    free(r);
}

/* ---- questions ---- */

static void query_answer(struct task *task)
{
    struct resolver_query *query = container_of(task, struct resolver_query, answer);

    if (query->fn != NULL) {
        const char *error = query->count > 0                ? NULL
                            : query->status == ARES_SUCCESS ? "the name has no address"
                                                            : ares_strerror(query->status);
        query->fn(query->arg, query->found, query->count, query->ttl_s, error);
    }
    query_free(query);
}

static void query_settle(struct resolver_query *query)
{
    if (--query->waiting == 0 && !query->resolver->freeing) {
        task_queue(query->resolver->loop, &query->answer);
    }
}

static void query_add(struct resolver_query *query, const struct resolved *found, uint32_t ttl_s)
{
    if (query->count == RESOLVED_MAX) {
        return;
    }
    query->found = base_realloc(query->found, sizeof(*found) * (query->count + 1));
    query->found[query->count++] = *found;
    if (ttl_s < query->ttl_s) {
        query->ttl_s = ttl_s < TTL_MIN ? TTL_MIN : ttl_s;
    }
}

static void add_family(const struct question *question, const struct ares_addrinfo *info,
                       int family)
{
    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next) {
        struct resolved found = {.priority = question->priority, .weight = question->weight};
        if (node->ai_family != family || node->ai_addrlen > sizeof(found.address.u)) {
            continue;
        }
        memcpy(&found.address.u, node->ai_addr, node->ai_addrlen);
        found.address.len = node->ai_addrlen;
        if (family == AF_INET) {
            found.address.u.in.sin_port = htons(question->port);
        } else {
            found.address.u.in6.sin6_port = htons(question->port);
        }
        query_add(question->query, &found, node->ai_ttl > 0 ? (uint32_t)node->ai_ttl : TTL_OF_FILE);
    }
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct question *question = arg;
    struct resolver_query *query = question->query;
    (void)timeouts;

    if (status == ARES_SUCCESS) {
        add_family(question, info, AF_INET);
        add_family(question, info, AF_INET6);
    } else {
        query->status = status;
    }
    if (info != NULL) {
        ares_freeaddrinfo(info);
    }
    free(question);
    query_settle(query);
}

static void ask_addresses(struct resolver_query *query, const char *host, struct question about)
{
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct question *question = base_zalloc(sizeof(*question));

    *question = about;
    question->query = query;
    query->waiting++;
    ares_getaddrinfo(query->resolver->channel, host, NULL, &hints, on_addresses, question);
}

static struct resolver_query *query_new(struct resolver *resolver, resolver_fn fn, void *arg)
{
    struct resolver_query *query = base_zalloc(sizeof(*query));
    query->resolver = resolver;
    query->fn = fn;
    query->arg = arg;
    query->ttl_s = TTL_MAX;
    query->answer.fn = query_answer;
    list_push_back(&resolver->queries, &query->link);
    return query;
}

struct resolver_query *resolver_ask(struct resolver *resolver, struct weir_str host, uint16_t port,
                                    resolver_fn fn, void *arg)
{
    struct resolver_query *query = query_new(resolver, fn, arg);
    char *name = base_strndup(host.ptr, host.len);

    ask_addresses(query, name, (struct question){.port = port});
    free(name);
    resolver_clock(resolver);
    return query;
}

static void on_services(void *arg, int status, int timeouts, unsigned char *data, int len)
{
    struct resolver_query *query = arg;
    struct ares_srv_reply *replies = NULL;
    (void)timeouts;

    if (status == ARES_SUCCESS) {
        status = ares_parse_srv_reply(data, len, &replies);
    }
    query->status = status;
    for (const struct ares_srv_reply *reply = replies; reply != NULL; reply = reply->next) {
        /* RFC 2782: a target of "." means that the service is not offered. */
        if (reply->host[0] != '\0' && strcmp(reply->host, ".") != 0) {
            ask_addresses(query, reply->host,
                          (struct question){.port = reply->port,
                                            .priority = reply->priority,
                                            .weight = reply->weight});
        }
    }
    if (replies != NULL) {
        ares_free_data(replies);
    }
    query_settle(query);
}

struct resolver_query *resolver_ask_srv(struct resolver *resolver, struct weir_str service,
                                        resolver_fn fn, void *arg)
{
    struct resolver_query *query = query_new(resolver, fn, arg);
    char *name = base_strndup(service.ptr, service.len);

    query->waiting++;
    ares_query(resolver->channel, name, ns_c_in, ns_t_srv, on_services, query);
    free(name);
    resolver_clock(resolver);
    return query;
}

void resolver_forget(struct resolver_query *query)
{
    query->fn = NULL;
}
