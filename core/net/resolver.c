/* SPDX-License-Identifier: MIT */
/*
 * c-ares on a loop: its sockets are libevent's, its clock is one timer. It carries the messages;
 * parsing, search lists and aliases are done here, since c-ares reports neither times to live nor
 * which of several queries failed. See resolver.h.
 */
#include "net/resolver.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "net/hosts.h"
#include "net/nameservers.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define ETC_HOSTS   "/etc/hosts"

/* Concurrent queries: their answers fit into a socket's buffer, and c-ares, which scans all of them
 * for its clock, stays quick. Queries older than this no longer count. */
#define ASKING_MAX    128u
#define ASKING_MAX_NS NS_PER_SECOND

/* /etc/hosts has no times to live: it is checked again after this. */
#define TTL_OF_FILE 10u

/* Questions from alias to alias, when the nameserver does not ask them itself; more are a
 * circle. */
#define ALIASES_MAX 8u

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
    struct hosts *hosts;
    char *servers;  /* as set; "": the system's */
    char **domains; /* that a short name is searched in */
    size_t domain_count;
    size_t dots;           /* a name with as many is tried as it is first */
    struct file_mark mark; /* of /etc/resolv.conf when the channel was made */
    uint64_t looked_ns;    /* at the files; 0: not yet */
    struct list watches;
    struct list queries;
    struct list waiting; /* struct resolver_query.turn, in order */
    struct list asking;  /* the same, the oldest first */
    size_t asking_count;
    struct task next; /* lets waiting queries start and sets the clock */
    struct timer timer;
    bool freeing;
};

/* A question, with what it took so far. */
struct resolver_query {
    struct list link;
    struct list turn; /* resolver.waiting or resolver.asking, or in none */
    bool counted;     /* in resolver.asking */
    uint64_t asked_ns;
    struct resolver *resolver;
    resolver_fn fn; /* NULL: forgotten */
    void *arg;
    struct task task;
    enum dns_type type;
    char **names; /* of the search list, in order */
    size_t name_count, at;
    size_t sure; /* names before it (the one that had the records last is the last of them) may not
                    be passed over because of a failure */
    char *alias; /* that names[at] led to; NULL: none */
    unsigned aliases;
    struct dns_answer answer;
    uint32_t ttl_s;
    const char *error;  /* of the last question */
    const char *passed; /* the failure of a name that was passed over */
};

/* ---- sockets and clock ---- */

static void resolver_continue(struct task *task);

static void resolver_clock(struct resolver *resolver)
{
    struct timeval most = {5, 0};
    struct timeval room;

    if (list_empty(&resolver->queries)) {
        timer_cancel(resolver->loop, &resolver->timer);
        return;
    }
    const struct timeval *next = ares_timeout(resolver->channel, &most, &room);
    uint64_t delay_ns = (uint64_t)next->tv_sec * NS_PER_SECOND + (uint64_t)next->tv_usec * 1000;
    if (!list_empty(&resolver->waiting) && delay_ns > ASKING_MAX_NS) {
        delay_ns = ASKING_MAX_NS;
    }
    timer_set(resolver->loop, &resolver->timer, delay_ns);
}

static void on_timer(struct timer *timer)
{
    struct resolver *resolver = container_of(timer, struct resolver, timer);
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    task_queue(resolver->loop, &resolver->next);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct watch *watch = arg;
    struct resolver *resolver = watch->resolver;

    ares_process_fd(resolver->channel, (what & EV_READ) != 0 ? fd : ARES_SOCKET_BAD,
                    (what & EV_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
    task_queue(resolver->loop, &resolver->next);
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

/* c-ares says what to watch a socket for; neither: it is about to be closed. */
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

/* ---- which servers ---- */

static void domains_free(struct resolver *resolver)
{
    for (size_t i = 0; i < resolver->domain_count; i++) {
        free(resolver->domains[i]);
    }
    free(resolver->domains);
    resolver->domains = NULL;
    resolver->domain_count = 0;
}

/* The search list, as the channel has read it. */
static void read_domains(struct resolver *resolver)
{
    struct ares_options options;
    int mask = 0;

    domains_free(resolver);
    resolver->dots = 1;
    if (ares_save_options(resolver->channel, &options, &mask) == ARES_SUCCESS) {
        size_t count = options.ndomains > 0 ? (size_t)options.ndomains : 0;
        resolver->domains = base_alloc((count + 1) * sizeof(char *));
        for (size_t i = 0; i < count; i++) {
            resolver->domains[i] = base_strdup(options.domains[i]);
        }
        resolver->domain_count = count;
        resolver->dots = options.ndots >= 0 ? (size_t)options.ndots : 1;
    }
    ares_destroy_options(&options);
}

/* A channel to `servers`, instead of the one there was. false: that one stays. */
static bool open_channel(struct resolver *resolver, struct weir_str servers, char *error,
                         size_t error_size)
{
    struct ares_options options = {.timeout = 1000,
                                   .tries = 3,
                                   .sock_state_cb = on_socket_state,
                                   .sock_state_cb_data = resolver};
    int mask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;
    struct ares_addr_port_node *nodes = nameservers_parse(servers, error, error_size);
    ares_channel channel = NULL;
    if (error[0] != '\0') {
        return false;
    }
    struct file_mark mark =
        file_mark_of(RESOLV_CONF); /* before it is read: later changes are seen */
    int status = ares_init_options(&channel, &options, mask);
    if (status == ARES_SUCCESS && nodes != NULL) {
        status = ares_set_servers_ports(channel, nodes);
    }
    nameservers_free(nodes);
    if (status != ARES_SUCCESS) {
        snprintf(error, error_size, "cannot set up the resolver of host names: %s",
                 ares_strerror(status));
        if (channel != NULL) {
            ares_destroy(channel);
        }
        return false;
    }
    ares_channel old = resolver->channel;
    resolver->channel = channel;
    resolver->mark = mark;
    char *text = base_strndup(servers.ptr, servers.len);
    free(resolver->servers);
    resolver->servers = text;
    read_domains(resolver);
    if (old != NULL) {
        ares_cancel(old); /* its questions are asked of the new one */
        ares_destroy(old);
        task_queue(resolver->loop, &resolver->next);
    }
    return true;
}

/* The files may have changed: another network, other nameservers. */
static void look_at_files(struct resolver *resolver)
{
    uint64_t now_ns = loop_now_ns(resolver->loop);
    char error[256];

    if (resolver->looked_ns != 0 && now_ns - resolver->looked_ns < NS_PER_SECOND) {
        return;
    }
    resolver->looked_ns = now_ns;
    hosts_look(resolver->hosts);
    struct file_mark mark = file_mark_of(RESOLV_CONF);
    if (file_mark_equal(&mark, &resolver->mark)) {
        return;
    }
    char *servers = base_strdup(resolver->servers);
    if (open_channel(resolver, str_from(servers), error, sizeof(error))) {
        log_write(WEIR_LOG_INFO, "names", RESOLV_CONF " has changed and is read again");
    } else {
        resolver->mark = mark;
        log_write(WEIR_LOG_WARNING, "names", RESOLV_CONF " has changed: %s", error);
    }
    free(servers);
}

bool resolver_set_servers(struct resolver *resolver, struct weir_str servers, char *error,
                          size_t error_size)
{
    if (str_equal(servers, str_from(resolver->servers))) {
        return true;
    }
    return open_channel(resolver, servers, error, error_size);
}

struct resolver *resolver_new(struct loop *loop, struct weir_str servers, char *error,
                              size_t error_size)
{
    struct resolver *resolver = base_zalloc(sizeof(*resolver));

    resolver->loop = loop;
    resolver->timer.fn = on_timer;
    resolver->next.fn = resolver_continue;
    list_init(&resolver->watches);
    list_init(&resolver->queries);
    list_init(&resolver->waiting);
    list_init(&resolver->asking);
    resolver->hosts = hosts_new(ETC_HOSTS);
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status != ARES_SUCCESS) {
        snprintf(error, error_size, "cannot set up the resolver of host names: %s",
                 ares_strerror(status));
        resolver_free(&resolver);
    } else if (!open_channel(resolver, servers, error, error_size)) {
        resolver_free(&resolver);
    }
    return resolver;
}

static void query_free(struct resolver_query *query)
{
    task_cancel(&query->task);
    list_remove(&query->link);
    list_remove(&query->turn);
    for (size_t i = 0; i < query->name_count; i++) {
        free(query->names[i]);
    }
    free(query->names);
    free(query->alias);
    dns_answer_free(&query->answer, query->type);
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
    if (r->channel != NULL) {
        ares_destroy(r->channel); /* ends each question with ARES_EDESTRUCTION */
    }
    list_each(link, &r->queries)
    {
        query_free(container_of(link, struct resolver_query, link));
    }
    timer_cancel(r->loop, &r->timer);
    task_cancel(&r->next);
    ares_library_cleanup();
    hosts_free(&r->hosts);
    domains_free(r);
    free(r->servers);
    free(r);
}

/* A name in /etc/hosts has the addresses given there, and no others. */
static bool answer_from_file(struct resolver_query *query, struct weir_str name)
{
    size_t size = query->type == DNS_A ? sizeof(struct in_addr) : sizeof(struct in6_addr);
    size_t count = 0, len;
    const struct address *addresses = hosts_find(query->resolver->hosts, name, &count);

    if (addresses == NULL) {
        return false;
    }
    struct dns_answer *answer = &query->answer;
    answer->records = base_zalloc((count + 1) * sizeof(*answer->records));
    for (size_t i = 0; i < count; i++) {
        const uint8_t *bytes = address_bytes(&addresses[i], false, &len);
        if (len == size) {
            memcpy(&answer->records[answer->count++].u, bytes, size);
        }
    }
    query->ttl_s = TTL_OF_FILE;
    return true;
}

/* ---- questions ---- */

static void query_tell(struct task *task)
{
    struct resolver_query *query = container_of(task, struct resolver_query, task);

    if (query->fn != NULL) {
        struct resolver_answer answer = {
            .error = query->error,
            .dns = query->answer,
            .found_at = query->answer.count > 0 ? (unsigned)query->at + 1 : 0,
        };
        answer.dns.ttl_s = query->ttl_s;
        query->fn(query->arg, &answer);
        query->answer = answer.dns;
    }
    query_free(query);
}

/* Frees its place among the running queries. */
static void query_leave(struct resolver_query *query)
{
    list_remove(&query->turn);
    query->resolver->asking_count -= query->counted;
    query->counted = false;
}

static void query_end(struct resolver_query *query)
{
    query_leave(query);
    task_queue(query->resolver->loop, &query->task);
    task_queue(query->resolver->loop, &query->resolver->next);
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *message, int len);

static void query_send(struct resolver_query *query)
{
    const char *name = query->alias != NULL ? query->alias : query->names[query->at];
    ares_query(query->resolver->channel, name, ns_c_in, (int)query->type, on_reply, query);
}

/* The name has no records or could not be queried: tries the next of the search list, or ends. */
static void query_next(struct resolver_query *query)
{
    bool stays = query->error != NULL && query->at < query->sure;

    free(query->alias);
    query->alias = NULL;
    query->aliases = 0;
    if (query->error != NULL && query->passed == NULL) {
        query->passed = query->error;
    }
    if (!stays && query->at + 1 < query->name_count) {
        query->at++;
        query->error = NULL;
        query_send(query);
        return;
    }
    query->error = query->passed; /* "no records" holds only if every name was answered so */
    query_end(query);
}

static const char *read_reply(struct resolver_query *query, int status,
                              const unsigned char *message, int len)
{
    bool said = status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;

    if (!said || message == NULL || len <= 0) {
        return status == ARES_SUCCESS ? "the answer is empty" : ares_strerror(status);
    }
    const char *error = dns_answer_parse(message, (size_t)len, query->type, &query->answer);
    if (error == NULL && query->answer.ttl_s < query->ttl_s) {
        query->ttl_s = query->answer.ttl_s;
    }
    return error;
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *message, int len)
{
    struct resolver_query *query = arg;
    (void)timeouts;

    if (query->resolver->freeing) {
        return;
    }
    if (status == ARES_ECANCELLED) {
        query_send(query); /* there is another channel */
        return;
    }
    query->error = read_reply(query, status, message, len);
    if (query->error == NULL && query->answer.alias != NULL) {
        if (++query->aliases <= ALIASES_MAX) {
            free(query->alias);
            query->alias = query->answer.alias;
            query->answer.alias = NULL;
            query_send(query);
            return;
        }
        dns_answer_free(&query->answer, query->type);
        query->error = "its aliases do not end";
    }
    if (query->answer.count > 0) {
        query_end(query);
    } else {
        query_next(query);
    }
}

static void add_name(struct resolver_query *query, const char *name, const char *domain)
{
    char *whole = domain == NULL ? base_strdup(name) : base_printf("%s.%s", name, domain);

    if (strlen(whole) >= DNS_NAME_SIZE - 1) {
        free(whole); /* no such name can be */
        return;
    }
    query->names[query->name_count++] = whole;
}

/* Expands a name by the search list, in query order (resolv.conf(5)). */
static void list_names(struct resolver_query *query, const char *name, bool absolute)
{
    const struct resolver *resolver = query->resolver;
    size_t len = strlen(name);
    size_t dots = 0;

    for (size_t i = 0; i < len; i++) {
        dots += name[i] == '.';
    }
    absolute = absolute || len == 0 || name[len - 1] == '.';
    size_t domains = absolute ? 0 : resolver->domain_count;
    bool first = absolute || dots >= resolver->dots;
    query->names = base_alloc((domains + 2) * sizeof(char *));
    if (first) {
        query->names[query->name_count++] = base_strdup(name);
    }
    for (size_t i = 0; i < domains; i++) {
        add_name(query, name, resolver->domains[i]);
    }
    if (!first) {
        query->names[query->name_count++] = base_strdup(name);
    }
}

struct resolver_query *resolver_ask(struct resolver *resolver,
                                    const struct resolver_question *question, resolver_fn fn,
                                    void *arg)
{
    struct resolver_query *query = base_zalloc(sizeof(*query));
    char *name = base_strndup(question->name.ptr, question->name.len);

    query->resolver = resolver;
    query->fn = fn;
    query->arg = arg;
    query->type = question->type;
    query->sure = question->found_at;
    query->ttl_s = DNS_NO_TTL;
    query->task.fn = query_tell;
    list_push_back(&resolver->queries, &query->link);
    look_at_files(resolver);
    if (question->type != DNS_SRV && !question->absolute &&
        answer_from_file(query, question->name)) {
        task_queue(resolver->loop, &query->task);
    } else {
        list_names(query, name, question->absolute);
        list_push_back(&resolver->waiting, &query->turn);
        task_queue(resolver->loop, &resolver->next);
    }
    free(name);
    return query;
}

/* The end of a turn: starts waiting queries and sets the clock. */
static void resolver_continue(struct task *task)
{
    struct resolver *resolver = container_of(task, struct resolver, next);
    uint64_t now_ns = loop_now_ns(resolver->loop);

    list_each(link, &resolver->asking)
    {
        struct resolver_query *query = container_of(link, struct resolver_query, turn);
        if (now_ns - query->asked_ns < ASKING_MAX_NS) {
            break;
        }
        query_leave(query);
    }
    while (resolver->asking_count < ASKING_MAX && !list_empty(&resolver->waiting)) {
        struct resolver_query *query =
            container_of(list_pop_front(&resolver->waiting), struct resolver_query, turn);
        list_push_back(&resolver->asking, &query->turn);
        resolver->asking_count++;
        query->counted = true;
        query->asked_ns = now_ns;
        query_send(query);
    }
    resolver_clock(resolver);
}

void resolver_forget(struct resolver_query *query)
{
    query->fn = NULL;
}
