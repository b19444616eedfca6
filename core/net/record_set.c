/* SPDX-License-Identifier: MIT */
/*
 * All record sets of a follower, by name. See record_set.h.
 */
#include "net/record_set.h"

#include <stdlib.h>

#include "base/log.h"
#include "net/follow.h"

/* Time to the next question: a record of time to live 0 is not to be kept, and yet must not make a storm of
 * questions; a negative answer is good for as long as it says, but a name that is made is to be seen. */
#define TTL_MIN          1u
#define TTL_MAX          86400u
#define TTL_MAX_NEGATIVE 300u
/* After a failure, and after a negative answer that tells no time. */
#define TTL_RETRY 5u

struct follower {
    struct loop *loop; /* NULL: it is freed once its sets are */
    struct resolver *resolver;
    struct table names; /* struct record_set.name_link */
    struct list sets;
};

static void set_ask(struct record_set *set);

static void set_timer(struct timer *timer)
{
    set_ask(container_of(timer, struct record_set, timer));
}

static void records_free(struct record_set *set)
{
    struct dns_answer answer = {.records = set->records, .count = set->count};
    dns_answer_free(&answer, set->type);
    set->records = NULL;
    set->count = 0;
}

static uint32_t bounded(const struct resolver_answer *answer)
{
    uint32_t ttl_s = answer->ttl_s;
    uint32_t most = answer->count > 0 ? TTL_MAX : TTL_MAX_NEGATIVE;

    if (answer->error != NULL || ttl_s == DNS_NO_TTL) {
        return TTL_RETRY;
    }
    return ttl_s < TTL_MIN ? TTL_MIN : ttl_s > most ? most : ttl_s;
}

static void set_replace(struct record_set *set, const struct resolver_answer *answer)
{
    if (set->count > 0 && answer->count == 0) {
        log_write(WEIR_LOG_NOTICE, "names", "%s has no %s record any more", set->name,
                  dns_type_word(set->type));
    }
    records_free(set);
    set->count = answer->count;
    set->records = base_alloc((set->count + 1) * sizeof(*set->records));
    for (size_t i = 0; i < set->count; i++) {
        set->records[i] = answer->records[i];
        if (set->type == DNS_SRV) {
            set->records[i].u.srv.target = base_strdup(answer->records[i].u.srv.target);
        }
    }
    set->found_at = set->count > 0 ? answer->found_at : set->found_at;
    set->version++;
}

static void set_answer(void *arg, const struct resolver_answer *answer)
{
    struct record_set *set = arg;
    struct follower *follower = set->follower;

    set->query = NULL;
    set->settled = true;
    if (answer->error != NULL) {
        if (!set->failed) {
            log_write(WEIR_LOG_WARNING, "names", "cannot resolve %s (%s): %s; %s", set->name,
                      dns_type_word(set->type), answer->error,
                      set->version > 0 ? "what is known of it stays"
                                       : "nothing is known of it yet");
        }
    } else {
        if (set->failed) {
            log_write(WEIR_LOG_INFO, "names", "%s (%s) is answered again", set->name,
                      dns_type_word(set->type));
        }
        set_replace(set, answer);
    }
    set->failed = answer->error != NULL;
    timer_set(follower->loop, &set->timer, (uint64_t)bounded(answer) * NS_PER_SECOND);
    list_each(link, &set->holds)
    {
        task_queue(follower->loop, container_of(link, struct record_hold, link)->news);
    }
}

static void set_ask(struct record_set *set)
{
    if (set->query == NULL && set->follower->loop != NULL) {
        const struct resolver_question question = {.name = str_from(set->name),
                                                   .type = set->type,
                                                   .absolute = set->absolute,
                                                   .found_at = set->found_at};
        timer_cancel(set->follower->loop, &set->timer);
        set->query = resolver_ask(set->follower->resolver, &question, set_answer, set);
    }
}

static uint64_t set_hash(struct weir_str name, enum dns_type type)
{
    return table_hash_more((uint64_t)type, name);
}

static struct record_set *set_find(struct follower *follower, struct weir_str name,
                                   enum dns_type type, bool absolute)
{
    uint64_t hash = set_hash(name, type);

    for (struct table_link *link = table_first(&follower->names, hash); link != NULL;
         link = table_next(link)) {
        struct record_set *set = container_of(link, struct record_set, name_link);
        if (set->type == type && set->absolute == absolute &&
            str_equal(str_from(set->name), name)) {
            return set;
        }
    }
    struct record_set *set = base_zalloc(sizeof(*set));
    set->follower = follower;
    set->name = base_strndup(name.ptr, name.len);
    set->type = type;
    set->absolute = absolute;
    set->timer.fn = set_timer;
    list_init(&set->holds);
    table_add(&follower->names, &set->name_link, hash);
    list_push_back(&follower->sets, &set->link);
    return set;
}

static void follower_end(struct follower *follower)
{
    table_end(&follower->names);
    free(follower);
}

static void set_free(struct record_set *set)
{
    struct follower *follower = set->follower;

    if (follower->loop != NULL) {
        if (set->query != NULL) {
            resolver_forget(set->query);
        }
        timer_cancel(follower->loop, &set->timer);
    }
    table_remove(&set->name_link);
    list_remove(&set->link);
    records_free(set);
    free(set->name);
    free(set);
    if (list_empty(&follower->sets) && follower->loop == NULL) {
        follower_end(follower);
    }
}

void record_set_hold(struct record_hold *hold, struct follower *follower, struct weir_str name,
                     enum dns_type type, bool absolute, struct task *news)
{
    hold->set = set_find(follower, name, type, absolute);
    hold->news = news;
    list_push_back(&hold->set->holds, &hold->link);
    if (!hold->set->settled) {
        set_ask(hold->set);
    }
}

void record_set_leave(struct record_hold *hold)
{
    list_remove(&hold->link);
    if (list_empty(&hold->set->holds)) {
        set_free(hold->set);
    }
}

/* ---- all of them ---- */

struct loop *follower_loop(const struct follower *follower)
{
    return follower->loop;
}

struct follower *follower_new(struct loop *loop, struct resolver *resolver)
{
    struct follower *follower = base_zalloc(sizeof(*follower));

    follower->loop = loop;
    follower->resolver = resolver;
    list_init(&follower->sets);
    return follower;
}

static void set_stop(struct record_set *set)
{
    if (set->query != NULL) {
        resolver_forget(set->query);
        set->query = NULL;
    }
    timer_cancel(set->follower->loop, &set->timer);
    list_each(link, &set->holds)
    {
        task_cancel(container_of(link, struct record_hold, link)->news);
    }
}

static bool set_is_useless(const struct record_set *set)
{
    for (const struct list *link = set->holds.next; link != &set->holds; link = link->next) {
        if (!container_of(link, struct record_hold, link)->useless) {
            return false;
        }
    }
    return true;
}

static void set_ask_again(struct record_set *set)
{
    if (set->failed || set_is_useless(set)) {
        set_ask(set);
    }
}

static void each_set(struct follower *follower, void (*fn)(struct record_set *set))
{
    list_each(link, &follower->sets)
    {
        fn(container_of(link, struct record_set, link));
    }
}

void follower_ask_again(struct follower *follower)
{
    each_set(follower, set_ask_again);
}

void follower_free(struct follower **follower)
{
    struct follower *f = *follower;

    if (f == NULL) {
        return;
    }
    *follower = NULL;
    each_set(f, set_stop);
    f->loop = NULL;
    if (list_empty(&f->sets)) {
        follower_end(f);
    }
}
