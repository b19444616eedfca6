/* SPDX-License-Identifier: MIT */
/*
 * The followed look at record sets, a service at further hosts too. See follow.h.
 */
#include "net/follow.h"

#include <stdlib.h>

#include "net/record_set.h"

/* Time that other questions have once something is known of a name (RFC 8305 section 3). */
#define GRACE_NS (50 * NS_PER_MS)

/* An SRV record. */
struct target {
    char *name;
    uint16_t priority, weight, port;
    struct followed *host;
};

enum stage { STAGE_OPEN, STAGE_PARTIAL, STAGE_SETTLED };

struct followed {
    struct follower *follower;
    enum follow_kind kind;
    uint16_t port;
    followed_fn fn;
    void *arg;
    struct task news;            /* which the record sets queue */
    struct record_hold holds[2]; /* A and AAAA, or SRV alone */
    size_t hold_count;
    struct target *targets; /* a service's */
    size_t target_count;
    uint64_t targets_version; /* of the record set that they come from */
    struct endpoint *endpoints;
    size_t count;
    struct address chosen; /* len 0: none */
    bool provisional;      /* chosen before anything was said of IPv4 addresses */
    struct follow_wait *wait;
    struct list wait_link;
    enum stage stage; /* as the wait has counted it */
};

/* ---- what is known ---- */

struct endpoints {
    struct endpoint *items;
    size_t count, room;
};

static void add_endpoint(struct endpoints *to, const struct endpoint *endpoint)
{
    if (to->count == to->room) {
        to->room = to->room == 0 ? 4 : to->room * 2;
        to->items = base_realloc(to->items, to->room * sizeof(*to->items));
    }
    to->items[to->count++] = *endpoint;
}

static struct address address_of(const struct record_set *set, const struct dns_record *record,
                                 uint16_t port)
{
    const struct in6_addr *ip6 = &record->u.aaaa;
    struct address address = {0};

    if (set->type == DNS_A || IN6_IS_ADDR_V4MAPPED(ip6)) {
        address.len = sizeof(address.u.in);
        address.u.in.sin_family = AF_INET;
        address.u.in.sin_port = htons(port);
        if (set->type == DNS_A) {
            address.u.in.sin_addr = record->u.a;
        } else {
            memcpy(&address.u.in.sin_addr, &ip6->s6_addr[12], sizeof(address.u.in.sin_addr));
        }
    } else {
        address.len = sizeof(address.u.in6);
        address.u.in6.sin6_family = AF_INET6;
        address.u.in6.sin6_port = htons(port);
        address.u.in6.sin6_addr = *ip6;
    }
    return address;
}

static void collect_host(const struct followed *followed, struct endpoints *to)
{
    for (size_t i = 0; i < followed->hold_count; i++) {
        const struct record_set *set = followed->holds[i].set;
        for (size_t k = 0; k < set->count; k++) {
            struct endpoint endpoint = {.address =
                                            address_of(set, &set->records[k], followed->port)};
            add_endpoint(to, &endpoint);
        }
    }
}

static void collect_targets(const struct followed *followed, struct endpoints *to)
{
    for (size_t i = 0; i < followed->target_count; i++) {
        const struct target *target = &followed->targets[i];
        for (size_t k = 0; k < target->host->count; k++) {
            struct endpoint endpoint = {.address = target->host->endpoints[k].address,
                                        .priority = target->priority,
                                        .weight = target->weight};
            add_endpoint(to, &endpoint);
        }
    }
}

/* One family has never been answered: nothing says that there is nothing. */
static bool is_unanswered(const struct followed *host)
{
    return host->holds[0].set->version == 0 || host->holds[1].set->version == 0;
}

bool followed_is_settled(const struct followed *followed)
{
    bool is = true;
    for (size_t i = 0; i < followed->hold_count; i++) {
        is = is && followed->holds[i].set->settled;
    }
    if (followed->kind == FOLLOW_SERVICE) {
        is = is && followed->targets_version == followed->holds[0].set->version;
    }
    for (size_t i = 0; i < followed->target_count; i++) {
        is = is && followed_is_settled(followed->targets[i].host);
    }
    return is;
}

bool followed_is_answered(const struct followed *host, sa_family_t family)
{
    const enum dns_type type = family == AF_INET6 ? DNS_AAAA : DNS_A;

    for (size_t i = 0; i < host->hold_count; i++) {
        const struct record_set *set = host->holds[i].set;
        if (set->type == type && set->version > 0) {
            return true;
        }
    }
    return false;
}

static enum stage followed_stage(const struct followed *followed)
{
    return followed_is_settled(followed) ? STAGE_SETTLED
           : followed->count > 0         ? STAGE_PARTIAL
                                         : STAGE_OPEN;
}

static void target_news(void *arg)
{
    struct followed *service = arg;
    task_queue(follower_loop(service->follower), &service->news);
}

static struct followed *followed_new(struct follower *follower, enum follow_kind kind,
                                     struct weir_str name, uint16_t port, bool absolute,
                                     followed_fn fn, void *arg);

/* The host that an old target stands for is taken over. */
static struct followed *take_host(struct followed *service, const struct dns_record *record)
{
    for (size_t i = 0; i < service->target_count; i++) {
        struct target *old = &service->targets[i];
        if (old->host != NULL && old->port == record->u.srv.port &&
            strcmp(old->name, record->u.srv.target) == 0) {
            struct followed *host = old->host;
            old->host = NULL;
            return host;
        }
    }
    return followed_new(service->follower, FOLLOW_HOST, str_from(record->u.srv.target),
                        record->u.srv.port, true, target_news, service);
}

static void targets_free(struct followed *service)
{
    for (size_t i = 0; i < service->target_count; i++) {
        follow_end(&service->targets[i].host);
        free(service->targets[i].name);
    }
    free(service->targets);
}

/* The targets are those of the SRV records. */
static void follow_targets(struct followed *service)
{
    const struct record_set *set = service->holds[0].set;

    if (service->targets_version == set->version) {
        return;
    }
    service->targets_version = set->version;
    struct target *targets = base_zalloc((set->count + 1) * sizeof(*targets));
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct dns_record *record = &set->records[i];
        if (record->u.srv.target[0] == '\0') {
            continue; /* RFC 2782: the service is decidedly not there */
        }
        targets[count++] = (struct target){.name = base_strdup(record->u.srv.target),
                                           .priority = record->u.srv.priority,
                                           .weight = record->u.srv.weight,
                                           .port = record->u.srv.port,
                                           .host = take_host(service, record)};
    }
    targets_free(service);
    service->targets = targets;
    service->target_count = count;
}

static bool has_address(const struct endpoint *endpoints, size_t count,
                        const struct address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (address_equal(&endpoints[i].address, address)) {
            return true;
        }
    }
    return false;
}

static void choose(struct followed *followed)
{
    bool answered_a = followed->holds[0].set->version > 0;

    if (followed->count == 0) {
        followed->chosen.len = 0;
        return;
    }
    const struct address *first = &followed->endpoints[0].address;
    bool stays = followed->chosen.len > 0 &&
                 has_address(followed->endpoints, followed->count, &followed->chosen) &&
                 !(followed->provisional && first->u.any.sa_family == AF_INET);
    if (!stays) {
        followed->chosen = *first;
        followed->provisional = first->u.any.sa_family == AF_INET6;
    }
    followed->provisional = followed->provisional && !answered_a;
}

/* Where a service has moved, the places that it was at are kept until each of its targets has been asked
 * for, and as long as none of them is known but could be. */
static void keep_places(const struct followed *service, struct endpoints *now)
{
    size_t known = now->count;
    bool keep = false;

    for (size_t i = 0; i < service->target_count; i++) {
        const struct followed *host = service->targets[i].host;
        keep = keep || followed_stage(host) == STAGE_OPEN || (known == 0 && is_unanswered(host));
    }
    for (size_t i = 0; keep && i < service->count; i++) {
        if (!has_address(now->items, known, &service->endpoints[i].address)) {
            add_endpoint(now, &service->endpoints[i]);
        }
    }
}

/* What is known, anew. */
static void followed_update(struct followed *followed)
{
    struct endpoints now = {0};

    if (followed->kind == FOLLOW_SERVICE) {
        follow_targets(followed);
        collect_targets(followed, &now);
        keep_places(followed, &now);
    } else {
        collect_host(followed, &now);
    }
    free(followed->endpoints);
    followed->endpoints = now.items;
    followed->count = now.count;
    for (size_t i = 0; i < followed->hold_count; i++) {
        followed->holds[i].useless = now.count == 0;
    }
    if (followed->kind == FOLLOW_HOST) {
        choose(followed);
    }
}

/* ---- who waits ---- */

static void wait_look(struct follow_wait *wait)
{
    if (wait->open > 0) {
        return;
    }
    if (wait->partial == 0) {
        task_queue(wait->loop, &wait->done);
    } else if (!timer_is_set(&wait->grace)) {
        timer_set(wait->loop, &wait->grace, GRACE_NS);
    }
}

static void wait_count(struct follow_wait *wait, enum stage stage, bool more)
{
    size_t *count = stage == STAGE_OPEN      ? &wait->open
                    : stage == STAGE_PARTIAL ? &wait->partial
                                             : NULL;
    if (count != NULL) {
        *count += more ? 1 : (size_t)-1;
    }
}

static void wait_leave(struct followed *followed)
{
    struct follow_wait *wait = followed->wait;

    if (wait != NULL) {
        wait_count(wait, followed->stage, false);
        list_remove(&followed->wait_link);
        followed->wait = NULL;
    }
}

static void wait_update(struct followed *followed)
{
    struct follow_wait *wait = followed->wait;

    if (wait == NULL) {
        return;
    }
    wait_count(wait, followed->stage, false);
    followed->stage = followed_stage(followed);
    wait_count(wait, followed->stage, true);
    wait_look(wait);
}

void follow_wait_cancel(struct follow_wait *wait)
{
    if (wait->fn == NULL) {
        return;
    }
    wait->fn = NULL;
    task_cancel(&wait->done);
    timer_cancel(wait->loop, &wait->patience);
    timer_cancel(wait->loop, &wait->grace);
    list_each(link, &wait->members)
    {
        wait_leave(container_of(link, struct followed, wait_link));
    }
}

/* The questions stay open in the background. It is the name that has been waited for: who follows it next
 * does not wait either. */
static void set_waited(struct followed *followed)
{
    for (size_t i = 0; i < followed->hold_count; i++) {
        followed->holds[i].set->waited = true;
    }
    for (size_t i = 0; i < followed->target_count; i++) {
        set_waited(followed->targets[i].host);
    }
}

static bool is_waited(const struct followed *followed)
{
    bool is = true;
    for (size_t i = 0; i < followed->hold_count; i++) {
        is = is && (followed->holds[i].set->settled || followed->holds[i].set->waited);
    }
    for (size_t i = 0; i < followed->target_count; i++) {
        is = is && is_waited(followed->targets[i].host);
    }
    return is;
}

static void wait_done(struct task *task)
{
    struct follow_wait *wait = container_of(task, struct follow_wait, done);
    follow_wait_fn fn = wait->fn;
    size_t open = wait->open;

    list_each(link, &wait->members)
    {
        set_waited(container_of(link, struct followed, wait_link));
    }
    follow_wait_cancel(wait);
    wait->open = open;
    fn(wait->arg);
}

static void wait_patience(struct timer *timer)
{
    struct follow_wait *wait = container_of(timer, struct follow_wait, patience);
    task_queue(wait->loop, &wait->done);
}

static void wait_grace(struct timer *timer)
{
    struct follow_wait *wait = container_of(timer, struct follow_wait, grace);
    task_queue(wait->loop, &wait->done);
}

void follow_wait_begin(struct follow_wait *wait, struct loop *loop, follow_wait_fn fn, void *arg)
{
    ASSERT(wait->fn == NULL);
    *wait = (struct follow_wait){.loop = loop,
                                 .fn = fn,
                                 .arg = arg,
                                 .patience = {.fn = wait_patience},
                                 .grace = {.fn = wait_grace},
                                 .done = {.fn = wait_done}};
    list_init(&wait->members);
}

void follow_wait_add(struct follow_wait *wait, struct followed *followed)
{
    followed_update(followed); /* what was answered in this turn */
    enum stage stage = followed_stage(followed);
    if (followed->wait == NULL && !is_waited(followed)) {
        followed->wait = wait;
        followed->stage = stage;
        wait_count(wait, stage, true);
        list_push_back(&wait->members, &followed->wait_link);
    }
}

void follow_wait_go(struct follow_wait *wait, uint64_t patience_ns)
{
    timer_set(wait->loop, &wait->patience, patience_ns);
    wait_look(wait);
}

void follow_wait_hurry(struct follow_wait *wait)
{
    if (wait->fn != NULL) {
        task_queue(wait->loop, &wait->done);
    }
}

/* ---- the followed ---- */

static void followed_news(struct task *task)
{
    struct followed *followed = container_of(task, struct followed, news);

    followed_update(followed);
    wait_update(followed);
    if (followed->fn != NULL) {
        followed->fn(followed->arg);
    }
}

static void hold(struct followed *followed, struct weir_str name, enum dns_type type, bool absolute)
{
    record_set_hold(&followed->holds[followed->hold_count++], followed->follower, name, type,
                    absolute, &followed->news);
}

static struct followed *followed_new(struct follower *follower, enum follow_kind kind,
                                     struct weir_str name, uint16_t port, bool absolute,
                                     followed_fn fn, void *arg)
{
    struct followed *followed = base_zalloc(sizeof(*followed));

    followed->follower = follower;
    followed->kind = kind;
    followed->port = port;
    followed->fn = fn;
    followed->arg = arg;
    followed->news.fn = followed_news;
    if (kind == FOLLOW_SERVICE) {
        hold(followed, name, DNS_SRV, true);
    } else {
        hold(followed, name, DNS_A, absolute);
        hold(followed, name, DNS_AAAA, absolute);
    }
    followed_update(followed);
    return followed;
}

struct followed *follow(struct follower *follower, enum follow_kind kind, struct weir_str name,
                        uint16_t port, followed_fn fn, void *arg)
{
    return followed_new(follower, kind, name, port, false, fn, arg);
}

void follow_end(struct followed **followed)
{
    struct followed *f = *followed;

    if (f == NULL) {
        return;
    }
    *followed = NULL;
    task_cancel(&f->news);
    wait_leave(f);
    targets_free(f);
    for (size_t i = 0; i < f->hold_count; i++) {
        record_set_leave(&f->holds[i]);
    }
    free(f->endpoints);
    free(f);
}

const struct endpoint *followed_endpoints(const struct followed *followed, size_t *count)
{
    *count = followed->count;
    return followed->endpoints;
}

const struct address *followed_address(const struct followed *followed)
{
    return followed->chosen.len > 0 ? &followed->chosen : NULL;
}
