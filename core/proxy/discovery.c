/* SPDX-License-Identifier: MIT */
/*
 * One entry a name and way of resolving, shared by the blocks that have it. See discovery.h.
 */
#include "proxy/discovery.h"

#include <stdlib.h>

#include "base/log.h"

/* Time to the next question when one failed, and time that a start waits for all first answers. */
#define RETRY_NS    (5 * NS_PER_SECOND)
#define PATIENCE_NS (3 * NS_PER_SECOND)

/* Weights of servers end here (settings.c). */
#define WEIGHT_MAX 1000u

struct entry {
    struct list link;
    struct discovery *discovery;
    int32_t resolve; /* RESOLVE_ALL or RESOLVE_SRV */
    char *host;
    uint16_t port;
    struct resolved *found; /* sorted */
    size_t count;
    struct resolver_query *query; /* NULL: none runs */
    struct timer timer;
    bool answered; /* well or not */
    bool failed;   /* the last time */
    bool wanted;   /* by the generation that is adopted */
};

struct discovery {
    struct list entries;
    struct loop *loop; /* NULL: not started */
    struct resolver *resolver;
    discovery_fn changed, awaited;
    void *changed_arg, *awaited_arg;
    struct timer patience;
    struct task done;
};

static int compare(const void *a, const void *b)
{
    const struct resolved *x = a, *y = b;
    char left[ADDRESS_TEXT_SIZE + 8];
    char right[ADDRESS_TEXT_SIZE + 8];

    address_text_port(&x->address, left, sizeof(left));
    address_text_port(&y->address, right, sizeof(right));
    return strcmp(left, right);
}

static bool same_servers(const struct entry *entry, const struct resolved *found, size_t count)
{
    if (entry->count != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct resolved *mine = &entry->found[i];
        if (!address_equal(&mine->address, &found[i].address) ||
            mine->priority != found[i].priority || mine->weight != found[i].weight) {
            return false;
        }
    }
    return true;
}

/* ---- waiting ---- */

static bool entry_is_open(const struct entry *entry)
{
    return !entry->answered;
}

bool discovery_is_wanting(const struct discovery *discovery)
{
    for (const struct list *link = discovery->entries.next; link != &discovery->entries;
         link = link->next) {
        if (entry_is_open(container_of(link, struct entry, link))) {
            return true;
        }
    }
    return false;
}

static void discovery_done(struct task *task)
{
    struct discovery *discovery = container_of(task, struct discovery, done);
    discovery_fn fn = discovery->awaited;

    timer_cancel(discovery->loop, &discovery->patience);
    list_each(link, &discovery->entries)
    {
        container_of(link, struct entry, link)->answered = true; /* not waited for again */
    }
    discovery->awaited = NULL;
    fn(discovery->awaited_arg);
}

static void discovery_patience(struct timer *timer)
{
    struct discovery *discovery = container_of(timer, struct discovery, patience);
    log_write(WEIR_LOG_WARNING, "names",
              "not all names of servers have been answered; going on without these servers");
    task_queue(discovery->loop, &discovery->done);
}

/* ---- one name ---- */

static void entry_answer(void *arg, const struct resolved *addresses, size_t count, uint32_t ttl_s,
                         const char *error)
{
    struct entry *entry = arg;
    struct discovery *discovery = entry->discovery;
    bool waited_for = discovery->awaited != NULL;

    entry->query = NULL;
    entry->answered = true;
    if (error != NULL) {
        if (!entry->failed) {
            log_write(WEIR_LOG_WARNING, "names", "cannot resolve %s: %s; %s", entry->host, error,
                      entry->count > 0 ? "its last servers stay" : "it stands for no server yet");
        }
        entry->failed = true;
        timer_set(discovery->loop, &entry->timer, RETRY_NS);
    } else {
        struct resolved *found = base_alloc(count * sizeof(*found));
        memcpy(found, addresses, count * sizeof(*found));
        qsort(found, count, sizeof(*found), compare);
        bool changed = !same_servers(entry, found, count);
        free(entry->found);
        entry->found = found;
        entry->count = count;
        entry->failed = false;
        timer_set(discovery->loop, &entry->timer, (uint64_t)ttl_s * NS_PER_SECOND);
        if (changed) {
            log_write(WEIR_LOG_INFO, "names", "%s stands for %zu servers", entry->host, count);
        }
        if (changed && !waited_for) {
            discovery->changed(discovery->changed_arg);
        }
    }
    if (waited_for && !discovery_is_wanting(discovery)) {
        task_queue(discovery->loop, &discovery->done);
    }
}

static void entry_ask(struct entry *entry)
{
    struct discovery *discovery = entry->discovery;

    if (entry->query != NULL) {
        return;
    }
    entry->query =
        entry->resolve == RESOLVE_SRV
            ? resolver_ask_srv(discovery->resolver, str_from(entry->host), entry_answer, entry)
            : resolver_ask(discovery->resolver, str_from(entry->host), entry->port, entry_answer,
                           entry);
}

static void entry_timer(struct timer *timer)
{
    entry_ask(container_of(timer, struct entry, timer));
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
    entry->timer.fn = entry_timer;
    list_push_back(&discovery->entries, &entry->link);
    return entry;
}

static void entry_free(struct entry *entry)
{
    if (entry->query != NULL) {
        resolver_forget(entry->query);
    }
    if (entry->discovery->loop != NULL) {
        timer_cancel(entry->discovery->loop, &entry->timer);
    }
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

/* The block's settings, at one address: SCHEME://ADDRESS:PORT, named ID-ADDRESS:PORT. */
static struct server_settings expand_one(struct arena *arena, const struct server_settings *block,
                                         const struct entry *entry, size_t index)
{
    const struct resolved *found = &entry->found[index];
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
    one.called = block->url.host;
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
    const struct server_settings *blocks = settings->servers.items;
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

void discovery_await(struct discovery *discovery, discovery_fn fn, void *arg)
{
    ASSERT(discovery->awaited == NULL);
    discovery->awaited = fn;
    discovery->awaited_arg = arg;
    list_each(link, &discovery->entries)
    {
        struct entry *entry = container_of(link, struct entry, link);
        if (entry_is_open(entry)) {
            entry_ask(entry);
        }
    }
    if (discovery_is_wanting(discovery)) {
        timer_set(discovery->loop, &discovery->patience, PATIENCE_NS);
    } else {
        task_queue(discovery->loop, &discovery->done);
    }
}

void discovery_hurry(struct discovery *discovery)
{
    if (discovery->awaited != NULL) {
        task_queue(discovery->loop, &discovery->done);
    }
}

void discovery_adopt(struct discovery *discovery, const struct generation *generation)
{
    for (size_t i = 0; i < generation->pool_count; i++) {
        const struct weir_list *list = &generation->pools[i].settings->blocks;
        const struct server_settings *blocks = list->items;
        for (size_t k = 0; k < list->count; k++) {
            if (blocks[k].resolve != RESOLVE_FIRST) {
                entry_find(discovery, &blocks[k])->wanted = true;
            }
        }
    }
    list_each(link, &discovery->entries)
    {
        struct entry *entry = container_of(link, struct entry, link);
        if (!entry->wanted) {
            entry_free(entry);
            continue;
        }
        entry->wanted = false;
        if (entry->query == NULL && !timer_is_set(&entry->timer)) {
            entry_ask(entry);
        }
    }
}

void discovery_start(struct discovery *discovery, struct loop *loop, struct resolver *resolver,
                     discovery_fn changed, void *arg)
{
    discovery->loop = loop;
    discovery->resolver = resolver;
    discovery->changed = changed;
    discovery->changed_arg = arg;
}

struct discovery *discovery_new(void)
{
    struct discovery *discovery = base_zalloc(sizeof(*discovery));
    list_init(&discovery->entries);
    discovery->patience.fn = discovery_patience;
    discovery->done.fn = discovery_done;
    return discovery;
}

void discovery_free(struct discovery **discovery)
{
    struct discovery *d = *discovery;

    if (d == NULL) {
        return;
    }
    *discovery = NULL;
    task_cancel(&d->done);
    list_each(link, &d->entries)
    {
        entry_free(container_of(link, struct entry, link));
    }
    if (d->loop != NULL) {
        timer_cancel(d->loop, &d->patience);
    }
    free(d);
}
