/* SPDX-License-Identifier: MIT */
/*
 * One entry per name and `resolve` mode, shared by its blocks. See discovery.h.
 */
#include "proxy/upstream/discovery.h"

#include <stdlib.h>

#include "base/log.h"
#include "proxy/upstream/names.h"

/* The largest weight of a server (settings.c). */
#define WEIGHT_MAX 1000u

struct entry {
    struct list link;
    struct discovery *discovery;
    int32_t resolve; /* RESOLVE_ALL or RESOLVE_SRV */
    char *host;
    uint16_t port;
    struct followed *followed; /* NULL: not asked for yet */
    struct endpoint *found;    /* sorted, each address once */
    size_t count, left_out;
    uint64_t version;  /* of `found` */
    uint64_t in_force; /* the version in the running generation */
    bool waited;       /* a timer waits for its first answer */
    bool wanted;       /* by the running generation */
};

struct discovery {
    struct list entries;
    struct followed **ahead; /* what else the waiting generation will ask for */
    size_t ahead_count;
    struct loop *loop; /* NULL: not started */
    struct follower *follower;
    discovery_fn changed, awaited;
    void *changed_arg, *awaited_arg;
    struct task stale; /* reports changes, once per turn */
};

/* ---- endpoints to servers ---- */

static int compare_numbers(uint32_t a, uint32_t b)
{
    return a < b ? -1 : a > b ? 1 : 0;
}

static int compare_addresses(const struct address *a, const struct address *b)
{
    int order = 0;

    if (a->u.any.sa_family != b->u.any.sa_family) {
        return a->u.any.sa_family == AF_INET ? -1 : 1;
    }
    if (a->u.any.sa_family == AF_INET) {
        order = compare_numbers(ntohl(a->u.in.sin_addr.s_addr), ntohl(b->u.in.sin_addr.s_addr));
    } else {
        order = memcmp(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr, sizeof(a->u.in6.sin6_addr));
    }
    return order != 0 ? order : compare_numbers(address_port(a), address_port(b));
}

static int by_address(const void *a, const void *b)
{
    const struct endpoint *x = a, *y = b;
    int order = compare_addresses(&x->address, &y->address);
    return order != 0 ? order : compare_numbers(x->priority, y->priority);
}

static int by_priority(const void *a, const void *b)
{
    const struct endpoint *x = a, *y = b;
    int order = compare_numbers(x->priority, y->priority);
    return order != 0 ? order : compare_addresses(&x->address, &y->address);
}

/* Each address and port once. If several SRV records lead to one, the best priority counts, and the
 * weights of that priority add up, so it keeps its total share. */
static size_t unite(struct endpoint *found, size_t count)
{
    size_t kept = 0;

    qsort(found, count, sizeof(*found), by_address);
    for (size_t i = 0; i < count; i++) {
        struct endpoint *last = kept > 0 ? &found[kept - 1] : NULL;
        if (address_port(&found[i].address) == 0) {
            continue; /* an SRV record that names no port */
        }
        if (last == NULL || !address_equal(&last->address, &found[i].address)) {
            found[kept++] = found[i];
        } else if (last->priority == found[i].priority) {
            uint32_t weight = (uint32_t)last->weight + found[i].weight;
            last->weight = (uint16_t)(weight < UINT16_MAX ? weight : UINT16_MAX);
        }
    }
    return kept;
}

static bool same_servers(const struct entry *entry, const struct endpoint *found, size_t count)
{
    if (entry->count != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct endpoint *mine = &entry->found[i];
        if (!address_equal(&mine->address, &found[i].address) ||
            mine->priority != found[i].priority || mine->weight != found[i].weight) {
            return false;
        }
    }
    return true;
}

static void tell_left_out(struct entry *entry, size_t left_out)
{
    if (left_out > 0 && entry->left_out == 0) {
        log_write(WEIR_LOG_WARNING, "names",
                  "%s has %zu addresses; the first %d in order of priority and address are "
                  "servers, the others are left out",
                  entry->host, left_out + DISCOVERY_SERVERS_MAX, DISCOVERY_SERVERS_MAX);
    } else if (left_out == 0 && entry->left_out > 0) {
        log_write(WEIR_LOG_NOTICE, "names", "%s: no address is left out any more", entry->host);
    }
    entry->left_out = left_out;
}

/* ---- one name ---- */

static void entry_update(struct entry *entry)
{
    size_t count = followed_count(entry->followed);
    struct endpoint *found = base_alloc((count + 1) * sizeof(*found));

    for (size_t i = 0; i < count; i++) {
        found[i] = followed_endpoint(entry->followed, i);
    }
    count = unite(found, count);
    if (count > 0) {
        qsort(found, count, sizeof(*found), by_priority);
    }
    size_t kept = count < DISCOVERY_SERVERS_MAX ? count : DISCOVERY_SERVERS_MAX;
    tell_left_out(entry, count - kept);
    if (same_servers(entry, found, kept)) {
        free(found);
        return;
    }
    free(entry->found);
    entry->found = found;
    entry->count = kept;
    entry->version++;
    log_write(kept > 0 ? WEIR_LOG_INFO : WEIR_LOG_WARNING, "names", "%s stands for %zu servers",
              entry->host, kept);
}

static bool entry_is_stale(const struct entry *entry)
{
    return entry->wanted && entry->version != entry->in_force;
}

static void entry_news(void *arg)
{
    struct entry *entry = arg;

    entry_update(entry);
    if (entry_is_stale(entry)) {
        task_queue(entry->discovery->loop, &entry->discovery->stale);
    }
}

static void entry_follow(struct entry *entry)
{
    struct discovery *discovery = entry->discovery;

    if (entry->followed == NULL) {
        entry->followed = follow(discovery->follower,
                                 entry->resolve == RESOLVE_SRV ? FOLLOW_SERVICE : FOLLOW_HOST,
                                 str_from(entry->host), entry->port, entry_news, entry);
        entry_update(entry);
    }
}

bool discovery_is_wanting(const struct discovery *discovery)
{
    for (const struct list *link = discovery->entries.next; link != &discovery->entries;
         link = link->next) {
        if (!container_of(link, struct entry, link)->waited) {
            return true;
        }
    }
    return false;
}

bool discovery_is_stale(const struct discovery *discovery)
{
    for (const struct list *link = discovery->entries.next; link != &discovery->entries;
         link = link->next) {
        if (entry_is_stale(container_of(link, struct entry, link))) {
            return true;
        }
    }
    return false;
}

static void discovery_stale(struct task *task)
{
    struct discovery *discovery = container_of(task, struct discovery, stale);

    if (discovery_is_stale(discovery)) {
        discovery->changed(discovery->changed_arg);
    }
}

static void discovery_done(void *arg, size_t open)
{
    struct discovery *discovery = arg;

    if (open > 0) {
        log_write(WEIR_LOG_WARNING, "names",
                  "%zu names of servers have not been answered; going on without these servers",
                  open);
    }
    list_each(link, &discovery->entries)
    {
        struct entry *entry = container_of(link, struct entry, link);
        if (entry->followed != NULL) {
            entry->waited = true;
            entry_update(entry);
        }
    }
    discovery->awaited(discovery->awaited_arg);
}

static struct entry *entry_find(struct discovery *discovery, const struct server_settings *settings)
{
    list_each(link, &discovery->entries)
    {
        struct entry *entry = container_of(link, struct entry, link);
        if (entry->resolve == settings->resolve && entry->port == settings->url.port &&
            str_equal(str_from(entry->host), settings->url.host)) {
            return entry;
        }
    }
    struct entry *entry = base_zalloc(sizeof(*entry));
    entry->discovery = discovery;
    entry->resolve = settings->resolve;
    entry->host = base_strndup(settings->url.host.ptr, settings->url.host.len);
    entry->port = settings->url.port;
    list_push_back(&discovery->entries, &entry->link);
    return entry;
}

static void entry_free(struct entry *entry)
{
    follow_end(&entry->followed);
    list_remove(&entry->link);
    free(entry->found);
    free(entry->host);
    free(entry);
}

/* ---- blocks to servers ---- */

struct extremes {
    uint16_t priority; /* the lowest: those that serve; the others are backups (RFC 2782) */
    uint16_t weight;   /* the highest */
};

static struct extremes entry_extremes(const struct entry *entry)
{
    struct extremes is = {UINT16_MAX, 0};
    for (size_t i = 0; i < entry->count; i++) {
        is.priority =
            entry->found[i].priority < is.priority ? entry->found[i].priority : is.priority;
        is.weight = entry->found[i].weight > is.weight ? entry->found[i].weight : is.weight;
    }
    return is;
}

/* The block's settings for one address: SCHEME://ADDRESS:PORT, named ID-ADDRESS:PORT. */
static struct server_settings expand_one(struct arena *arena, const struct server_settings *block,
                                         const struct entry *entry, size_t index)
{
    const struct endpoint *found = &entry->found[index];
    struct extremes is = entry_extremes(entry);
    struct server_settings one = *block;
    char host[ADDRESS_TEXT_SIZE];
    char text[ADDRESS_TEXT_SIZE + 8];
    struct weir_str *url = &one.url.text;

    address_text(&found->address, host, sizeof(host));
    address_text_port(&found->address, text, sizeof(text));
    one.id = arena_printf(arena, "%.*s-%s", STR_ARGS(block->id), text);
    *url = arena_printf(arena, "%.*s://%s", STR_ARGS(block->url.scheme), text);
    ASSERT(url->ptr != NULL && one.id.ptr != NULL);
    one.url.scheme = (struct weir_str){url->ptr, block->url.scheme.len};
    one.url.host = (struct weir_str){strstr(url->ptr, host), strlen(host)};
    one.url.path = (struct weir_str){NULL, 0};
    one.url.port = address_port(&found->address);
    one.dns_name = block->url.host;
    if (block->resolve == RESOLVE_SRV) {
        uint32_t weight = found->weight;
        if (is.weight > WEIGHT_MAX) {
            weight = weight * WEIGHT_MAX / is.weight;
        }
        one.weight = one.file_weight = weight > 0 ? weight : 1;
        one.backup = block->backup || found->priority > is.priority;
    }
    one.resolve = RESOLVE_FIRST;
    return one;
}

void discovery_expand(struct discovery *discovery, struct arena *arena,
                      struct pool_settings *settings)
{
    /* Writable, in the arena: filled just before. */
    struct server_settings *blocks = (void *)(uintptr_t)settings->servers.items;
    size_t count = 0;
    bool any = false;

    if (discovery == NULL) {
        return;
    }
    for (size_t i = 0; i < settings->servers.count; i++) {
        bool expands = blocks[i].resolve != RESOLVE_FIRST;
        any = any || expands;
        count += expands ? entry_find(discovery, &blocks[i])->count : 1;
    }
    if (!any) {
        return;
    }
    struct server_settings *all = arena_zalloc(arena, (count + 1) * sizeof(*all));
    ASSERT(all != NULL);
    size_t at = 0;
    for (size_t i = 0; i < settings->servers.count; i++) {
        const struct entry *entry =
            blocks[i].resolve != RESOLVE_FIRST ? entry_find(discovery, &blocks[i]) : NULL;
        blocks[i].found_version = entry != NULL ? entry->version : 0;
        for (size_t k = 0; entry != NULL && k < entry->count; k++) {
            all[at++] = expand_one(arena, &blocks[i], entry, k);
        }
        if (entry == NULL) {
            all[at++] = blocks[i];
        }
    }
    settings->blocks = settings->servers;
    settings->servers.items = all;
    settings->servers.count = count;
}

/* ---- generations ---- */

static void leave_ahead(struct discovery *discovery)
{
    for (size_t i = 0; i < discovery->ahead_count; i++) {
        follow_end(&discovery->ahead[i]);
    }
    free(discovery->ahead);
    discovery->ahead = NULL;
    discovery->ahead_count = 0;
}

static void await_ahead(struct discovery *discovery, struct weir_str host, uint16_t port)
{
    struct followed *followed = follow(discovery->follower, FOLLOW_HOST, host, port, NULL, NULL);
    discovery->ahead[discovery->ahead_count++] = followed;
    follow_wait_add(followed);
}

/* The names that names.c will resolve share this time rather than add to it. */
static void follow_ahead(struct discovery *discovery, const struct plan *plan)
{
    size_t most = plan->pool_count;
    struct weir_str host;
    uint16_t port = 0;

    leave_ahead(discovery);
    for (size_t i = 0; i < plan->pool_count; i++) {
        most += plan->pools[i].server_count;
    }
    discovery->ahead = base_alloc((most + 1) * sizeof(struct followed *));
    for (size_t i = 0; i < plan->pool_count; i++) {
        const struct pool_plan *pool = &plan->pools[i];
        for (size_t k = 0; k < pool->server_count; k++) {
            const struct server *server = pool->servers[k];
            if (server->named) {
                await_ahead(discovery, server->url.host, server->url.port);
            }
        }
        if (pool->probe != NULL && address_parse_name(pool->probe->address, &host, &port)) {
            await_ahead(discovery, host, port);
        }
    }
}

void discovery_await(struct discovery *discovery, const struct plan *plan, discovery_fn fn,
                     void *arg)
{
    discovery->awaited = fn;
    discovery->awaited_arg = arg;
    follow_wait_begin(discovery->follower, discovery_done, discovery);
    list_each(link, &discovery->entries)
    {
        struct entry *entry = container_of(link, struct entry, link);
        entry_follow(entry);
        if (!entry->waited) {
            follow_wait_add(entry->followed);
        }
    }
    follow_ahead(discovery, plan);
    follow_wait_go(discovery->follower, NAMES_PATIENCE_NS);
}

void discovery_hurry(struct discovery *discovery)
{
    if (discovery->follower != NULL) {
        follow_wait_hurry(discovery->follower);
    }
}

void discovery_adopt(struct discovery *discovery, const struct plan *plan)
{
    leave_ahead(discovery); /* names.c follows them now */
    list_each(link, &discovery->entries)
    {
        container_of(link, struct entry, link)->wanted = false;
    }
    for (size_t i = 0; i < plan->pool_count; i++) {
        const struct weir_list *list = &plan->pools[i].settings->blocks;
        const struct server_settings *blocks = list->items;
        for (size_t k = 0; k < list->count; k++) {
            if (blocks[k].resolve != RESOLVE_FIRST) {
                struct entry *entry = entry_find(discovery, &blocks[k]);
                entry->wanted = true;
                entry->in_force = blocks[k].found_version;
            }
        }
    }
    list_each(link, &discovery->entries)
    {
        struct entry *entry = container_of(link, struct entry, link);
        if (entry->wanted) {
            entry_follow(entry);
        } else {
            entry_free(entry);
        }
    }
    task_queue(discovery->loop, &discovery->stale);
}

struct discovery_report discovery_report(struct discovery *discovery,
                                         const struct server_settings *block)
{
    const struct entry *entry = entry_find(discovery, block);
    return (struct discovery_report){entry->count, entry->left_out};
}

void discovery_start(struct discovery *discovery, struct loop *loop, struct follower *follower,
                     discovery_fn changed, void *arg)
{
    discovery->loop = loop;
    discovery->follower = follower;
    discovery->changed = changed;
    discovery->changed_arg = arg;
}

struct discovery *discovery_new(void)
{
    struct discovery *discovery = base_zalloc(sizeof(*discovery));
    list_init(&discovery->entries);
    discovery->stale.fn = discovery_stale;
    return discovery;
}

void discovery_free(struct discovery **discovery)
{
    struct discovery *d = *discovery;

    if (d == NULL) {
        return;
    }
    *discovery = NULL;
    task_cancel(&d->stale);
    leave_ahead(d);
    list_each(link, &d->entries)
    {
        entry_free(container_of(link, struct entry, link));
    }
    free(d);
}
