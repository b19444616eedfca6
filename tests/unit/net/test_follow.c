/* SPDX-License-Identifier: MIT */
/*
 * Names that are followed, with a resolver of this file's: a test answers each question as it
 * likes.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/follow.h"
#include "net_help.h"
#include "runner.h"

/* ---- the resolver ---- */

struct resolver_query {
    struct list link;
    char *name;
    enum dns_type type;
    resolver_fn fn;
    void *arg;
};

static struct list asked; /* in order */
static unsigned questions;
static uint32_t ttl_s;

struct resolver_query *resolver_ask(struct resolver *resolver,
                                    const struct resolver_question *question, resolver_fn fn,
                                    void *arg)
{
    struct resolver_query *query = base_zalloc(sizeof(*query));

    ck_assert_ptr_null(resolver);
    query->name = base_strndup(question->name.ptr, question->name.len);
    query->type = question->type;
    query->fn = fn;
    query->arg = arg;
    list_push_back(&asked, &query->link);
    questions++;
    return query;
}

void resolver_forget(struct resolver_query *query)
{
    list_remove(&query->link);
    free(query->name);
    free(query);
}

static struct resolver_query *find(const char *name, enum dns_type type)
{
    list_each(link, &asked)
    {
        struct resolver_query *query = container_of(link, struct resolver_query, link);
        if (strcmp(query->name, name) == 0 && query->type == type) {
            return query;
        }
    }
    return NULL;
}

/* Ends the question, which must be open. `text`: addresses, or PRIORITY PORT TARGET, each ended by
 * a comma; "": none; NULL: a failure. */
static void answer(const char *name, enum dns_type type, const char *text)
{
    struct resolver_query *query = find(name, type);
    struct resolver_answer it = {.dns = {.ttl_s = ttl_s}};

    ck_assert_msg(query != NULL, "nobody has asked for %s", name);
    it.error = text == NULL ? "it failed" : NULL;
    it.dns.records = base_zalloc(8 * sizeof(*it.dns.records));
    char *all = base_strdup(text != NULL ? text : "");
    for (char *at = strtok(all, ","); at != NULL; at = strtok(NULL, ",")) {
        struct dns_record *record = &it.dns.records[it.dns.count++];
        unsigned priority, port;
        char target[64];
        if (type == DNS_SRV) {
            ck_assert_int_eq(sscanf(at, "%u %u %63s", &priority, &port, target), 3);
            record->u.srv.priority = (uint16_t)priority;
            record->u.srv.port = (uint16_t)port;
            record->u.srv.target = base_strdup(target);
        } else {
            int family = type == DNS_A ? AF_INET : AF_INET6;
            ck_assert_int_eq(inet_pton(family, at, &record->u), 1);
        }
    }
    free(all);
    resolver_fn fn = query->fn;
    void *arg = query->arg;
    resolver_forget(query);
    fn(arg, &it);
    dns_answer_free(&it.dns, type);
}

/* ---- the stage ---- */

static struct loop *loop;
static struct follower *follower;
static unsigned told;
static bool waited;
static size_t left_open;

static void set_up(void)
{
    loop = loop_new(0);
    ck_assert_ptr_nonnull(loop);
    list_init(&asked);
    questions = told = 0;
    ttl_s = 3600;
    waited = false;
    follower = follower_new(loop, NULL);
}

static void tear_down(void)
{
    follower_free(&follower);
    ck_assert(list_empty(&asked));
    loop_free(&loop);
}

static void tell(void *arg)
{
    (void)arg;
    told++;
}

static void settle(void)
{
    while (loop_settle(loop)) {}
}

static bool is_asked_again(void *arg)
{
    (void)arg;
    return !list_empty(&asked);
}

static void on_waited(void *arg, size_t open)
{
    (void)arg;
    waited = true;
    left_open = open;
}

static struct followed *host(const char *name)
{
    return follow(follower, FOLLOW_HOST, str_from(name), 80, tell, NULL);
}

/* What is known, each as ADDRESS:PORT and a space. */
static const char *known(const struct followed *followed)
{
    static char text[512];

    text[0] = '\0';
    for (size_t i = 0; i < followed_count(followed); i++) {
        struct endpoint endpoint = followed_endpoint(followed, i);
        char one[ADDRESS_TEXT_SIZE + 8];
        address_text_port(&endpoint.address, one, sizeof(one));
        strcat(strcat(text, one), " ");
    }
    return text;
}

static const char *chosen(const struct followed *followed)
{
    static char text[ADDRESS_TEXT_SIZE + 8];
    struct address address;

    if (!followed_address(followed, &address)) {
        return "none";
    }
    address_text_port(&address, text, sizeof(text));
    return text;
}

UNIT_TEST(one_question_serves_all_who_follow_a_name)
{
    struct followed *one = host("shop.test");
    struct followed *two = follow(follower, FOLLOW_HOST, str_from("shop.test"), 81, tell, NULL);

    ck_assert_uint_eq(questions, 2); /* A and AAAA */
    answer("shop.test", DNS_A, "192.0.2.1,192.0.2.2");
    ck_assert_uint_eq(told, 0);
    settle();
    ck_assert_uint_eq(told, 2);
    ck_assert_str_eq(known(one), "192.0.2.1:80 192.0.2.2:80 ");
    ck_assert_str_eq(known(two), "192.0.2.1:81 192.0.2.2:81 ");
    follow_end(&one);
    answer("shop.test", DNS_AAAA, "2001:db8::1");
    settle();
    ck_assert_uint_eq(told, 3);
    ck_assert_str_eq(chosen(two), "192.0.2.1:81");
    follow_end(&two); /* the last one ends the questions, too */
    ck_assert_ptr_null(two);
}

UNIT_TEST(a_failure_takes_nothing_away_and_an_answer_does)
{
    struct followed *shop = host("shop.test");

    answer("shop.test", DNS_A, "192.0.2.1");
    answer("shop.test", DNS_AAAA, NULL);
    ck_assert(followed_is_settled(shop));
    ck_assert(followed_is_answered(shop, AF_INET));
    ck_assert(!followed_is_answered(shop, AF_INET6));
    follower_ask_again(follower); /* what failed alone */
    ck_assert_ptr_null(find("shop.test", DNS_A));
    answer("shop.test", DNS_AAAA, "");
    ck_assert_str_eq(known(shop), "192.0.2.1:80 ");
    follower_ask_again(follower);
    ck_assert(list_empty(&asked));
    follow_end(&shop);
}

UNIT_TEST(an_address_is_kept_as_long_as_the_name_has_it)
{
    struct followed *shop = host("shop.test");

    ck_assert_str_eq(chosen(shop), "none");
    answer("shop.test", DNS_AAAA, "2001:db8::1");
    ck_assert_str_eq(chosen(shop), "[2001:db8::1]:80");
    answer("shop.test", DNS_A, NULL);
    follower_ask_again(follower);
    answer("shop.test", DNS_A, "192.0.2.2,192.0.2.1"); /* the first word on IPv4 */
    ck_assert_str_eq(chosen(shop), "192.0.2.2:80");
    follow_end(&shop);
}

UNIT_TEST(a_service_is_where_its_targets_are)
{
    struct followed *service =
        follow(follower, FOLLOW_SERVICE, str_from("_http._tcp.test"), 0, tell, NULL);

    answer("_http._tcp.test", DNS_SRV, "1 8001 one.test,2 8002 two.test,3 8003 one.test");
    ck_assert(!followed_is_settled(service));
    answer("one.test", DNS_A, "192.0.2.1");
    answer("two.test", DNS_A, "");
    answer("two.test", DNS_AAAA, "::ffff:192.0.2.2");
    answer("one.test", DNS_AAAA, "");
    ck_assert(followed_is_settled(service));
    ck_assert_str_eq(known(service), "192.0.2.1:8001 192.0.2.2:8002 192.0.2.1:8003 ");
    ck_assert_uint_eq(followed_endpoint(service, 1).priority, 2);
    follow_end(&service);
}

/* Until the new targets are known, the places of before are kept. The next question comes by its
 * time to live, which is a second here. */
UNIT_TEST(a_service_that_moves_keeps_its_places_for_a_while)
{
    struct followed *service =
        follow(follower, FOLLOW_SERVICE, str_from("_http._tcp.test"), 0, NULL, NULL);

    ttl_s = 1;
    answer("_http._tcp.test", DNS_SRV, "1 8001 one.test");
    ttl_s = 3600;
    answer("one.test", DNS_A, "192.0.2.1");
    answer("one.test", DNS_AAAA, "");
    ck_assert_str_eq(known(service), "192.0.2.1:8001 ");
    run_until(loop, is_asked_again, NULL);
    answer("_http._tcp.test", DNS_SRV, "1 8002 two.test");
    ck_assert_str_eq(known(service), "192.0.2.1:8001 ");
    answer("two.test", DNS_A, NULL); /* could be known, and is not */
    answer("two.test", DNS_AAAA, "");
    ck_assert_str_eq(known(service), "192.0.2.1:8001 ");
    follower_ask_again(follower);
    answer("two.test", DNS_A, "192.0.2.2");
    ck_assert_str_eq(known(service), "192.0.2.2:8002 ");
    follow_end(&service);
}

static void wait_for_names(void)
{
    follow_wait_go(follower, 3600 * NS_PER_SECOND);
    settle();
}

UNIT_TEST(who_waits_waits_for_each_name_once)
{
    struct followed *one = host("one.test"), *two = host("two.test");

    follow_wait_begin(follower, on_waited, NULL);
    follow_wait_add(one);
    follow_wait_add(two);
    wait_for_names();
    ck_assert(!waited);
    answer("one.test", DNS_A, "192.0.2.1");
    answer("one.test", DNS_AAAA, "");
    settle();
    ck_assert(!waited);
    follow_wait_hurry(follower);
    ck_assert(!waited); /* never inside */
    settle();
    ck_assert(waited);
    ck_assert_uint_eq(left_open, 1);

    waited = false;
    follow_wait_begin(follower, on_waited, NULL);
    follow_wait_add(one);
    follow_wait_add(two); /* delays once */
    wait_for_names();
    ck_assert(waited);
    ck_assert_uint_eq(left_open, 0);
    follow_end(&one);
    follow_end(&two);
}

/* RFC 8305: once something is known, the other family has a moment. */
UNIT_TEST(who_waits_gives_the_other_family_a_moment)
{
    struct followed *one = host("one.test");

    follow_wait_begin(follower, on_waited, NULL);
    follow_wait_add(one);
    wait_for_names();
    answer("one.test", DNS_AAAA, "2001:db8::1");
    settle();
    ck_assert(!waited);
    run_until_true(loop, &waited);
    ck_assert_uint_eq(left_open, 0);
    follow_end(&one);
}

UNIT_TEST(who_is_followed_may_outlive_the_follower)
{
    struct followed *one = host("one.test");

    answer("one.test", DNS_A, "192.0.2.1");
    settle();
    told = 0;
    follow_wait_begin(follower, on_waited, NULL);
    follow_wait_add(one);
    wait_for_names();
    follower_free(&follower);
    settle();
    ck_assert_str_eq(known(one), "192.0.2.1:80 ");
    ck_assert(!waited);
    ck_assert_uint_eq(told, 0);
    follow_end(&one);
}

UNIT_FIXTURE(set_up, tear_down);
