/* SPDX-License-Identifier: MIT */
/*
 * Names with their questions. A service also follows the hosts that its SRV records name. See
 * follow.h.
 */
#include "net/follow.h"

#include <stdlib.h>

#include "base/table.h"
#include "net/dns_question.h"

/* Time that other questions have once something is known of a name (RFC 8305 section 3). */
#define GRACE_NS (50 * NS_PER_MS)

struct follower {
    struct loop *loop; /* NULL: it is freed once its names are */
    struct resolver *resolver;
    struct table table; /* struct dns_name.table_link */
    struct list names;
    /* Who waits. */
    follow_wait_fn wait_fn; /* NULL: nobody */
    void *wait_arg;
    struct timer patience, grace;
    struct task look;
    bool wait_over;
    struct list awaited; /* struct dns_name.wait_link */
};

/* Of an SRV record. */
struct target {
    char *text;
    uint16_t priority, weight, port;
    struct followed *host;
};

struct dns_name {
    struct list link;
    struct table_link table_link;
    struct follower *follower;
    char *text;
    enum follow_kind kind;
    bool absolute;
    struct dns_question questions[2]; /* A and AAAA, or SRV alone */
    size_t question_count;
    struct target *targets; /* a service's */
    size_t target_count;
    struct endpoint *endpoints;
    size_t count;
    struct address chosen; /* a host's; len 0: none */
    bool provisional;      /* chosen before anything was said of IPv4 addresses */
    bool waited;           /* for the first answer: nobody does so again */
    struct list wait_link; /* not linked: nobody waits for it now */
    struct list followed;  /* struct followed.link; none: it is freed */
};

struct followed {
    struct list link;
    struct dns_name *name;
    uint16_t port;
    struct dns_name *service; /* whose target it is: it looks at once */
    followed_fn fn;
    void *arg;
    struct task news;
};

static struct followed *name_follow(struct follower *follower, enum follow_kind kind,
                                    struct weir_str text, bool absolute, uint16_t port);

/* ---- how the questions stand ---- */

static bool name_is_settled(const struct dns_name *name)
{
    bool is = true;

    for (size_t i = 0; i < name->question_count; i++) {
        is = is && name->questions[i].settled;
    }
    for (size_t i = 0; i < name->target_count; i++) {
        is = is && followed_is_settled(name->targets[i].host);
    }
    return is;
}

/* Nothing is known, and something may be soon. */
static bool name_is_open(const struct dns_name *name)
{
    return name->count == 0 && !name_is_settled(name);
}

bool followed_is_settled(const struct followed *followed)
{
    return name_is_settled(followed->name);
}

bool followed_is_answered(const struct followed *host, sa_family_t family)
{
    return host->name->questions[family == AF_INET6 ? 1 : 0].version > 0;
}

/* ---- what is known ---- */

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

/* `to`: room for all records. */
static size_t collect_host(const struct dns_name *host, struct endpoint *to)
{
    size_t count = 0;

    for (size_t i = 0; i < host->question_count; i++) {
        const struct dns_question *question = &host->questions[i];
        for (size_t k = 0; k < question->answer.count; k++) {
            to[count++] = (struct endpoint){
                .address = dns_record_address(&question->answer.records[k], question->type)};
        }
    }
    return count;
}

static void choose(struct dns_name *host)
{
    bool answered_a = host->questions[0].version > 0;

    if (host->count == 0) {
        host->chosen.len = 0;
        return;
    }
    const struct address *first = &host->endpoints[0].address;
    bool stays = host->chosen.len > 0 && has_address(host->endpoints, host->count, &host->chosen) &&
                 !(host->provisional && first->u.any.sa_family == AF_INET);
    if (!stays) {
        host->chosen = *first;
        host->provisional = first->u.any.sa_family == AF_INET6;
    }
    host->provisional = host->provisional && !answered_a;
}

/* Where a service has moved, the places that it was at are kept until each of its targets has been
 * asked for, and as long as none of them is known but could be. */
static size_t collect_service(const struct dns_name *service, struct endpoint *to)
{
    bool keep = false, unanswered = false;
    size_t count = 0;

    for (size_t i = 0; i < service->target_count; i++) {
        const struct target *target = &service->targets[i];
        const struct dns_name *host = target->host->name;
        for (size_t k = 0; k < host->count; k++) {
            to[count] = followed_endpoint(target->host, k);
            to[count].priority = target->priority;
            to[count++].weight = target->weight;
        }
        keep = keep || name_is_open(host);
        unanswered =
            unanswered || host->questions[0].version == 0 || host->questions[1].version == 0;
    }
    size_t known = count;
    keep = keep || (known == 0 && unanswered);
    for (size_t i = 0; keep && i < service->count; i++) {
        if (!has_address(to, known, &service->endpoints[i].address)) {
            to[count++] = service->endpoints[i];
        }
    }
    return count;
}

/* No more than that can be known. */
static size_t endpoints_most(const struct dns_name *name)
{
    size_t most = name->count;

    for (size_t i = 0; i < name->question_count; i++) {
        most += name->questions[i].answer.count;
    }
    for (size_t i = 0; i < name->target_count; i++) {
        most += name->targets[i].host->name->count;
    }
    return most;
}

/* What is known, anew; who follows the name hears of it. */
static void name_update(struct dns_name *name)
{
    struct endpoint *now = base_alloc((endpoints_most(name) + 1) * sizeof(*now));
    bool host = name->kind == FOLLOW_HOST;
    size_t count = host ? collect_host(name, now) : collect_service(name, now);

    free(name->endpoints);
    name->endpoints = now;
    name->count = count;
    if (host) {
        choose(name);
    }
    list_each(link, &name->followed)
    {
        struct followed *followed = container_of(link, struct followed, link);
        if (followed->service != NULL) {
            name_update(followed->service);
        } else {
            task_queue(name->follower->loop, &followed->news);
        }
    }
    task_queue(name->follower->loop, &name->follower->look);
}

/* ---- targets ---- */

/* The host that an old target stands for is taken over. */
static struct followed *take_host(struct dns_name *service, const struct dns_record *record)
{
    for (size_t i = 0; i < service->target_count; i++) {
        struct target *old = &service->targets[i];
        if (old->host != NULL && old->port == record->u.srv.port &&
            strcmp(old->text, record->u.srv.target) == 0) {
            struct followed *host = old->host;
            old->host = NULL;
            return host;
        }
    }
    struct followed *host = name_follow(service->follower, FOLLOW_HOST,
                                        str_from(record->u.srv.target), true, record->u.srv.port);
    host->service = service;
    return host;
}

static void targets_free(struct dns_name *service)
{
    for (size_t i = 0; i < service->target_count; i++) {
        follow_end(&service->targets[i].host);
        free(service->targets[i].text);
    }
    free(service->targets);
}

/* The targets are those of the SRV records. */
static void follow_targets(struct dns_name *service)
{
    const struct dns_answer *answer = &service->questions[0].answer;
    struct target *targets = base_zalloc((answer->count + 1) * sizeof(*targets));
    size_t count = 0;

    for (size_t i = 0; i < answer->count; i++) {
        const struct dns_record *record = &answer->records[i];
        if (record->u.srv.target[0] == '\0') {
            continue; /* RFC 2782: the service is decidedly not there */
        }
        targets[count++] = (struct target){.text = base_strdup(record->u.srv.target),
                                           .priority = record->u.srv.priority,
                                           .weight = record->u.srv.weight,
                                           .port = record->u.srv.port,
                                           .host = take_host(service, record)};
    }
    targets_free(service);
    service->targets = targets;
    service->target_count = count;
}

static void name_answer(struct dns_question *question, bool answered)
{
    struct dns_name *name = question->arg;

    if (answered && question->type == DNS_SRV) {
        follow_targets(name);
    }
    name_update(name);
}

/* ---- names ---- */

static void name_ask(struct dns_name *name, enum dns_type type)
{
    struct dns_question *question = &name->questions[name->question_count++];

    *question = (struct dns_question){.loop = name->follower->loop,
                                      .resolver = name->follower->resolver,
                                      .name = name->text,
                                      .type = type,
                                      .absolute = name->absolute,
                                      .fn = name_answer,
                                      .arg = name};
    dns_question_ask(question);
}

static struct dns_name *name_get(struct follower *follower, enum follow_kind kind,
                                 struct weir_str text, bool absolute)
{
    uint64_t hash = table_hash_more((uint64_t)kind, text);

    for (struct table_link *link = table_first(&follower->table, hash); link != NULL;
         link = table_next(link)) {
        struct dns_name *name = container_of(link, struct dns_name, table_link);
        if (name->kind == kind && name->absolute == absolute &&
            str_equal(str_from(name->text), text)) {
            return name;
        }
    }
    struct dns_name *name = base_zalloc(sizeof(*name));
    name->follower = follower;
    name->kind = kind;
    name->text = base_strndup(text.ptr, text.len);
    name->absolute = absolute;
    list_init(&name->followed);
    table_add(&follower->table, &name->table_link, hash);
    list_push_back(&follower->names, &name->link);
    if (kind == FOLLOW_SERVICE) {
        name_ask(name, DNS_SRV);
    } else {
        name_ask(name, DNS_A);
        name_ask(name, DNS_AAAA);
    }
    return name;
}

static void questions_stop(struct dns_name *name)
{
    for (size_t i = 0; i < name->question_count; i++) {
        dns_question_stop(&name->questions[i]);
    }
}

static void follower_end(struct follower *follower)
{
    if (list_empty(&follower->names) && follower->loop == NULL) {
        table_end(&follower->table);
        free(follower);
    }
}

static void name_free(struct dns_name *name)
{
    struct follower *follower = name->follower;

    if (follower->loop != NULL) {
        questions_stop(name);
        list_remove(&name->wait_link);
        task_queue(follower->loop, &follower->look);
    }
    targets_free(name);
    for (size_t i = 0; i < name->question_count; i++) {
        dns_answer_free(&name->questions[i].answer, name->questions[i].type);
    }
    table_remove(&name->table_link);
    list_remove(&name->link);
    free(name->endpoints);
    free(name->text);
    free(name);
    follower_end(follower);
}

static void followed_news(struct task *task)
{
    struct followed *followed = container_of(task, struct followed, news);

    if (followed->fn != NULL) {
        followed->fn(followed->arg);
    }
}

static struct followed *name_follow(struct follower *follower, enum follow_kind kind,
                                    struct weir_str text, bool absolute, uint16_t port)
{
    struct followed *followed = base_zalloc(sizeof(*followed));

    followed->name = name_get(follower, kind, text, absolute);
    followed->port = port;
    followed->news.fn = followed_news;
    list_push_back(&followed->name->followed, &followed->link);
    return followed;
}

struct followed *follow(struct follower *follower, enum follow_kind kind, struct weir_str name,
                        uint16_t port, followed_fn fn, void *arg)
{
    struct followed *followed = name_follow(follower, kind, name, kind == FOLLOW_SERVICE, port);

    followed->fn = fn;
    followed->arg = arg;
    return followed;
}

void follow_end(struct followed **followed)
{
    struct followed *f = *followed;

    if (f == NULL) {
        return;
    }
    *followed = NULL;
    task_cancel(&f->news);
    list_remove(&f->link);
    if (list_empty(&f->name->followed)) {
        name_free(f->name);
    }
    free(f);
}

size_t followed_count(const struct followed *followed)
{
    return followed->name->count;
}

struct endpoint followed_endpoint(const struct followed *followed, size_t index)
{
    struct endpoint endpoint = followed->name->endpoints[index];

    if (followed->name->kind == FOLLOW_HOST) {
        address_set_port(&endpoint.address, followed->port);
    }
    return endpoint;
}

bool followed_address(const struct followed *followed, struct address *address)
{
    *address = followed->name->chosen;
    if (address->len > 0) {
        address_set_port(address, followed->port);
    }
    return address->len > 0;
}

/* ---- who waits ---- */

static bool name_is_waited(const struct dns_name *name)
{
    bool is = true;

    for (size_t i = 0; i < name->question_count; i++) {
        is = is && (name->waited || name->questions[i].settled);
    }
    for (size_t i = 0; i < name->target_count; i++) {
        is = is && name_is_waited(name->targets[i].host->name);
    }
    return is;
}

/* The questions stay open in the background. */
static void name_set_waited(struct dns_name *name)
{
    name->waited = true;
    for (size_t i = 0; i < name->target_count; i++) {
        name_set_waited(name->targets[i].host->name);
    }
}

static void wait_end(struct follower *follower)
{
    follow_wait_fn fn = follower->wait_fn;
    struct list *link;
    size_t open = 0;

    while ((link = list_pop_front(&follower->awaited)) != NULL) {
        struct dns_name *name = container_of(link, struct dns_name, wait_link);
        open += name_is_open(name);
        name_set_waited(name);
    }
    timer_cancel(follower->loop, &follower->patience);
    timer_cancel(follower->loop, &follower->grace);
    follower->wait_fn = NULL;
    fn(follower->wait_arg, open);
}

/* At the end of a turn in which something was answered. The first name that is open is the end of
 * the look, so that many names cost no more than few. */
static void wait_look(struct task *task)
{
    struct follower *follower = container_of(task, struct follower, look);
    bool partial = false;

    if (follower->wait_fn == NULL) {
        return;
    }
    list_each(link, &follower->awaited)
    {
        struct dns_name *name = container_of(link, struct dns_name, wait_link);
        if (follower->wait_over) {
            break;
        }
        if (name_is_open(name)) {
            return;
        }
        if (name_is_settled(name)) {
            list_remove(link);
        } else {
            partial = true;
        }
    }
    if (follower->wait_over || !partial) {
        wait_end(follower);
    } else if (!timer_is_set(&follower->grace)) {
        timer_set(follower->loop, &follower->grace, GRACE_NS);
    }
}

static void wait_patience(struct timer *timer)
{
    wait_end(container_of(timer, struct follower, patience));
}

static void wait_grace(struct timer *timer)
{
    wait_end(container_of(timer, struct follower, grace));
}

void follow_wait_begin(struct follower *follower, follow_wait_fn fn, void *arg)
{
    ASSERT(follower->wait_fn == NULL && list_empty(&follower->awaited));
    follower->wait_fn = fn;
    follower->wait_arg = arg;
    follower->wait_over = false;
}

void follow_wait_add(struct followed *followed)
{
    struct dns_name *name = followed->name;

    if (!list_linked(&name->wait_link) && !name_is_waited(name)) {
        list_push_back(&name->follower->awaited, &name->wait_link);
    }
}

void follow_wait_go(struct follower *follower, uint64_t patience_ns)
{
    timer_set(follower->loop, &follower->patience, patience_ns);
    task_queue(follower->loop, &follower->look);
}

void follow_wait_hurry(struct follower *follower)
{
    if (follower->wait_fn != NULL) {
        follower->wait_over = true;
        task_queue(follower->loop, &follower->look);
    }
}

/* ---- all of them ---- */

struct follower *follower_new(struct loop *loop, struct resolver *resolver)
{
    struct follower *follower = base_zalloc(sizeof(*follower));

    follower->loop = loop;
    follower->resolver = resolver;
    follower->patience.fn = wait_patience;
    follower->grace.fn = wait_grace;
    follower->look.fn = wait_look;
    list_init(&follower->names);
    list_init(&follower->awaited);
    return follower;
}

void follower_ask_again(struct follower *follower)
{
    list_each(link, &follower->names)
    {
        struct dns_name *name = container_of(link, struct dns_name, link);
        for (size_t i = 0; i < name->question_count; i++) {
            if (name->questions[i].failed || name->count == 0) {
                dns_question_ask(&name->questions[i]);
            }
        }
    }
}

void follower_free(struct follower **follower)
{
    struct follower *f = *follower;

    if (f == NULL) {
        return;
    }
    *follower = NULL;
    task_cancel(&f->look);
    timer_cancel(f->loop, &f->patience);
    timer_cancel(f->loop, &f->grace);
    list_each(link, &f->names)
    {
        struct dns_name *name = container_of(link, struct dns_name, link);
        questions_stop(name);
        list_remove(&name->wait_link);
        list_each(hold, &name->followed)
        {
            task_cancel(&container_of(hold, struct followed, link)->news);
        }
    }
    f->loop = NULL;
    follower_end(f);
}
