/* SPDX-License-Identifier: MIT */
/*
 * rate_limit: buckets by their arithmetic, keys, the table under floods and threads, and what
 * clients and operators are told.
 */
#include "../test_main.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buckets.h"
#include "key.h"

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

static const uint8_t zero[16];

/* ---- buckets ---- */

static struct buckets *table_new(size_t entries, void **memory)
{
    *memory = calloc(1, buckets_size(entries));
    ck_assert_ptr_nonnull(*memory);
    return buckets_at(*memory, entries, zero);
}

static unsigned take_many(struct buckets *buckets, const struct bucket_rate *rate, uint64_t id,
                          unsigned count, uint64_t now)
{
    unsigned granted = 0;
    for (unsigned i = 0; i < count; i++) {
        granted += buckets_take(buckets, rate, id, now).granted;
    }
    return granted;
}

UNIT_TEST(a_bucket_holds_its_burst_and_fills)
{
    void *memory;
    struct buckets *buckets = table_new(64, &memory);
    const struct bucket_rate rate = {100 * MS, 5}; /* 10 a second */
    uint64_t now = 1000 * S;

    struct bucket_answer first = buckets_take(buckets, &rate, 7, now);
    ck_assert(first.granted);
    ck_assert_uint_eq(first.remaining, 4);
    ck_assert_uint_eq(first.wait_ns, 0);
    ck_assert_uint_eq(first.full_ns, 100 * MS);
    ck_assert_uint_eq(take_many(buckets, &rate, 7, 100, now), 4);
    struct bucket_answer refused = buckets_take(buckets, &rate, 7, now);
    ck_assert(!refused.granted);
    ck_assert_uint_eq(refused.remaining, 0);
    ck_assert_uint_eq(refused.wait_ns, 100 * MS);
    ck_assert_uint_eq(refused.full_ns, 500 * MS);
    ck_assert(!buckets_take(buckets, &rate, 7, now + 100 * MS - 1).granted);
    ck_assert(buckets_take(buckets, &rate, 7, now + 100 * MS).granted);
    ck_assert(!buckets_take(buckets, &rate, 7, now + 100 * MS).granted);
    ck_assert_uint_eq(take_many(buckets, &rate, 7, 100, now + 350 * MS), 2);
    /* Never more than the burst, however long it was quiet. */
    ck_assert_uint_eq(take_many(buckets, &rate, 7, 100, now + 10000 * S), 5);
    ck_assert_uint_eq(take_many(buckets, &rate, 8, 100, now), 5);
    free(memory);
}

/* Over any time a client gets its burst and what fills meanwhile, and not one more. */
UNIT_TEST(the_rate_is_exact)
{
    void *memory;
    struct buckets *buckets = table_new(64, &memory);
    const struct bucket_rate rate = {S / 7, 3};
    uint64_t now = 1000 * S, seed = 1, granted = 0;

    for (unsigned i = 0; i < 20000; i++) {
        granted += buckets_take(buckets, &rate, 1, now).granted;
        now += test_random(&seed, 20) * MS;
    }
    uint64_t filled = (now - 1000 * S) / rate.interval_ns;
    ck_assert_uint_le(granted, filled + 3);
    ck_assert_uint_ge(granted, filled);
    free(memory);
}

UNIT_TEST(a_clock_of_another_worker_may_be_behind)
{
    void *memory;
    struct buckets *buckets = table_new(64, &memory);
    const struct bucket_rate rate = {100 * MS, 2};
    ck_assert(buckets_take(buckets, &rate, 1, 1000 * S + 5 * MS).granted);
    ck_assert(!buckets_take(buckets, &rate, 1, 1000 * S - 5 * MS).granted ||
              !buckets_take(buckets, &rate, 1, 1000 * S - 5 * MS).granted);
    free(memory);
}

/* A million new keys: those that have used up their bucket stay limited, and whoever is pushed
 * out begins with a full one: nobody is locked out. */
UNIT_TEST(a_flood_of_keys_locks_nobody_out)
{
    void *memory;
    struct buckets *buckets = table_new(1024, &memory);
    const struct bucket_rate rate = {S, 10};
    uint64_t now = 1000 * S;

    uint64_t pushed_out = 0;

    ck_assert_uint_eq(take_many(buckets, &rate, buckets_id(buckets, "abuser", 6), 50, now), 10);
    ck_assert(buckets_take(buckets, &rate, buckets_id(buckets, "known", 5), now).granted);
    for (uint64_t i = 0; i < 1000000; i++) {
        uint64_t id = buckets_id(buckets, &i, sizeof(i));
        struct bucket_answer answer = buckets_take(buckets, &rate, id, now);
        ck_assert(answer.granted);
        pushed_out += answer.pushed_out;
        if (i % 1000 == 0) {
            ck_assert(!buckets_take(buckets, &rate, buckets_id(buckets, "abuser", 6), now).granted);
        }
    }
    ck_assert(buckets_take(buckets, &rate, buckets_id(buckets, "known", 5), now).granted);
    ck_assert_uint_ge(pushed_out, 1000000 - 1024 - BUCKETS_WAYS);
    ck_assert_uint_le(pushed_out, 1000000);
    /* A full bucket has no need of its place. */
    ck_assert(!buckets_take(buckets, &rate, 12345, now + 100 * S).pushed_out);
    free(memory);
}

UNIT_TEST(ids_are_siphash)
{
    /* The reference's vectors: key 00 01 .. 0f, messages 00 01 .. */
    static const uint64_t expected[] = {
        UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd), UINT64_C(0x0d6c8009d9a94f5a),
        UINT64_C(0x85676696d7fb7e2d), UINT64_C(0xcf2794e0277187b7), UINT64_C(0x18765564cd99a68d),
        UINT64_C(0xcbc9466e58fee3ce), UINT64_C(0xab0200f58b01d137), UINT64_C(0x93f5f5799a932462),
    };
    uint8_t key[16], message[16];
    void *memory = calloc(1, buckets_size(64));
    for (uint8_t i = 0; i < 16; i++) {
        key[i] = message[i] = i;
    }
    struct buckets *buckets = buckets_at(memory, 64, key);
    for (size_t len = 0; len < sizeof(expected) / sizeof(expected[0]); len++) {
        ck_assert_uint_eq(buckets_id(buckets, message, len), expected[len]);
    }
    /* A second look leaves it as it is. */
    ck_assert_ptr_eq(buckets_at(memory, 64, zero), buckets);
    ck_assert_uint_eq(buckets_id(buckets, message, 1), expected[1]);
    free(memory);
}

struct thread {
    pthread_t id;
    struct buckets *buckets;
    unsigned granted;
};

static const struct bucket_rate thread_rate = {3600 * S, 1000};

static void *take_in_thread(void *arg)
{
    struct thread *thread = arg;
    for (unsigned i = 0; i < 5000; i++) {
        thread->granted += buckets_take(thread->buckets, &thread_rate, 1 + i % 3, 1000 * S).granted;
    }
    return NULL;
}

UNIT_TEST(threads_share_to_the_token)
{
    void *memory;
    struct thread threads[4];
    unsigned granted = 0;
    struct buckets *buckets = table_new(64, &memory);

    for (size_t i = 0; i < 4; i++) {
        threads[i] = (struct thread){.buckets = buckets};
        ck_assert_int_eq(pthread_create(&threads[i].id, NULL, take_in_thread, &threads[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i].id, NULL);
        granted += threads[i].granted;
    }
    ck_assert_uint_eq(granted, 3000);
    free(memory);
}

/* ---- keys ---- */

static bool same_key(const char *a, const char *b, unsigned ipv4, unsigned ipv6)
{
    uint8_t one[KEY_ADDRESS_MAX], other[KEY_ADDRESS_MAX];
    size_t len = key_of_address((struct weir_str){a, strlen(a)}, ipv4, ipv6, one);
    return len == key_of_address((struct weir_str){b, strlen(b)}, ipv4, ipv6, other) &&
           memcmp(one, other, len) == 0;
}

UNIT_TEST(addresses_are_cut_to_their_prefix)
{
    ck_assert(same_key("192.0.2.1", "192.0.2.1", 32, 64));
    ck_assert(!same_key("192.0.2.1", "192.0.2.2", 32, 64));
    ck_assert(same_key("192.0.2.1", "192.0.2.2", 30, 64));
    ck_assert(!same_key("192.0.2.1", "192.0.2.4", 30, 64));
    ck_assert(same_key("192.0.2.1", "192.0.2.200", 24, 64));
    ck_assert(same_key("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", 32, 64));
    ck_assert(!same_key("2001:db8:0:1::1", "2001:db8:0:2::1", 32, 64));
    ck_assert(same_key("2001:db8:0:1::1", "2001:db8:0:2::1", 32, 56));
    ck_assert(!same_key("2001:db8::1", "2001:db8::2", 32, 128));
    ck_assert(same_key("::ffff:192.0.2.1", "192.0.2.1", 32, 64));
    ck_assert(!same_key("::ffff:192.0.2.1", "::ffff:192.0.2.2", 32, 64));
    ck_assert(same_key("unix", "unix", 32, 64));
    ck_assert(!same_key("unix", "0.0.0.0", 32, 64));
    ck_assert(!same_key("::", "0.0.0.0", 32, 64));
}

static bool in_network(const char *network_text, const char *address)
{
    struct network network;
    uint8_t key[KEY_ADDRESS_MAX];
    ck_assert(network_parse((struct weir_str){network_text, strlen(network_text)}, &network));
    size_t len = key_of_address((struct weir_str){address, strlen(address)}, 32, 128, key);
    return network_has(&network, key, len);
}

UNIT_TEST(networks_have_their_addresses)
{
    static const char *const bad[] = {"",           "10.0.0.0/33", "10.0.0.1/8", "10.0.0/8",
                                      "10.0.0.0/",  "::/129",      "::1/64",     "unixx",
                                      "10.0.0.0/x", "/8",          "host",       "10.0.0.0/0008"};
    struct network network;
    ck_assert(in_network("10.0.0.0/8", "10.255.0.1"));
    ck_assert(!in_network("10.0.0.0/8", "11.0.0.1"));
    ck_assert(in_network("192.0.2.1", "192.0.2.1"));
    ck_assert(!in_network("192.0.2.1", "192.0.2.2"));
    ck_assert(in_network("0.0.0.0/0", "192.0.2.2"));
    ck_assert(!in_network("0.0.0.0/0", "::1"));
    ck_assert(in_network("192.0.2.0/24", "::ffff:192.0.2.9"));
    ck_assert(in_network("2001:db8::/33", "2001:db8:7fff::1"));
    ck_assert(!in_network("2001:db8::/33", "2001:db8:8000::1"));
    ck_assert(in_network("unix", "unix"));
    ck_assert(!in_network("unix", "0.0.0.0"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!network_parse((struct weir_str){bad[i], strlen(bad[i])}, &network), "%s",
                      bad[i]);
    }
}

/* ---- the filter ---- */

struct fixture {
    struct weir_test *host;
    struct weir_test_instance *filter;
};

static struct fixture begin(const char *conf)
{
    struct fixture f;
    f.host = test_begin();
    f.filter = weir_test_create(f.host, WEIR_TEST_FILTER, test_conf(f.host, conf));
    ck_assert_ptr_nonnull(f.filter);
    return f;
}

/* Sends as `name: value` (NULL: without it) from an address; whether it was let through. */
static bool sent(struct fixture *f, const char *address, const char *name, const char *value)
{
    struct weir_request *req = weir_test_request(f->host, "GET", "/");
    weir_test_request_set_peer(req, address, 1234);
    if (name != NULL) {
        weir_test_request_add(req, name, value);
    }
    enum weir_status status = weir_test_filter_request(f->filter, req);
    ck_assert(status == WEIR_OK || status == WEIR_DONE);
    if (status == WEIR_DONE) {
        ck_assert_uint_eq(weir_test_reply_of(req).status, 429);
    }
    return status == WEIR_OK;
}

static unsigned sent_many(struct fixture *f, unsigned count, const char *address, const char *name,
                          const char *value)
{
    unsigned through = 0;
    for (unsigned i = 0; i < count; i++) {
        through += sent(f, address, name, value);
    }
    return through;
}

UNIT_TEST(clients_are_told_apart_by_address)
{
    struct fixture f = begin("rate = 2  per = 1s  burst = 3");
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.1", NULL, NULL), 3);
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.2", NULL, NULL), 3);
    ck_assert_uint_eq(sent_many(&f, 10, "2001:db8::1", NULL, NULL), 3);
    ck_assert_uint_eq(sent_many(&f, 10, "2001:db8::2", NULL, NULL), 0);
    weir_test_advance(f.host, S);
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.1", NULL, NULL), 2);
    ck_assert_int_eq(weir_test_metric(f.host, "allowed"), 3 * 3 + 2);
    ck_assert_int_eq(weir_test_metric(f.host, "refused"), 3 * 7 + 10 + 8);
    ck_assert_int_eq(weir_test_metric(f.host, "pushed_out"), 0);
    test_end(&f.host);
}

UNIT_TEST(some_are_exempt)
{
    struct fixture f = begin("rate = 1  exempt = {\"192.0.2.0/24\", \"unix\"}  fields = on");
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.1", NULL, NULL), 10);
    ck_assert_uint_eq(sent_many(&f, 10, "unix", NULL, NULL), 10);
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.3.1", NULL, NULL), 1);
    struct weir_request *req = weir_test_request(f.host, "GET", "/");
    ck_assert_int_eq(weir_test_filter_request(f.filter, req), WEIR_OK);
    struct weir_response *resp = weir_test_response(req, 200);
    weir_test_filter_response(f.filter, req, resp);
    ck_assert_ptr_null(weir_test_response_header(resp, "RateLimit", 0));
    test_end(&f.host);
}

UNIT_TEST(clients_are_told_apart_by_header)
{
    struct fixture f = begin("rate = 2  key = header  name = \"X-Api-Key\"");
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.1", "x-api-key", "one"), 2);
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.9", "X-Api-Key", "one"), 0);
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.1", "X-Api-Key", "two"), 2);
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.1", NULL, NULL), 2);
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.1", "X-Api-Key", ""), 0);
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.2", NULL, NULL), 2);
    test_end(&f.host);
}

UNIT_TEST(clients_are_told_apart_by_cookie)
{
    struct fixture f = begin("rate = 2  key = cookie  name = \"id\"");
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.1", "Cookie", "a=b; id=one; c=d"), 2);
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.2", "cookie", "id=one"), 0);
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.1", "Cookie", "id=two"), 2);
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.3", "Cookie", "xid=one; idx=one"), 2);
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.3", NULL, NULL), 0);
    test_end(&f.host);
}

UNIT_TEST(all_may_share_one_bucket)
{
    struct fixture f = begin("rate = 5  key = all");
    ck_assert_uint_eq(sent_many(&f, 3, "192.0.2.1", NULL, NULL), 3);
    ck_assert_uint_eq(sent_many(&f, 10, "192.0.2.2", NULL, NULL), 2);
    test_end(&f.host);
}

UNIT_TEST(routes_may_have_buckets_of_their_own)
{
    struct fixture f = begin("rate = 2  per_route = on");
    unsigned through = 0;
    for (unsigned i = 0; i < 12; i++) {
        struct weir_request *req = weir_test_request(f.host, "GET", "/");
        weir_test_request_set_str(req, WEIR_REQUEST_ROUTE, i % 3 == 0 ? "/a" : "/b");
        through += weir_test_filter_request(f.filter, req) == WEIR_OK;
    }
    ck_assert_uint_eq(through, 4);
    test_end(&f.host);
}

UNIT_TEST(the_answer_says_when_to_come_back)
{
    struct fixture f = begin("rate = 1  per = 1m  burst = 2  fields = on  zone = \"login\"");
    struct weir_request *req = NULL;
    for (unsigned i = 0; i < 3; i++) {
        req = weir_test_request(f.host, "GET", "/");
        enum weir_status status = weir_test_filter_request(f.filter, req);
        ck_assert_int_eq(status, i < 2 ? WEIR_OK : WEIR_DONE);
        struct weir_response *resp = weir_test_response(req, i < 2 ? 200 : 429);
        weir_test_filter_response(f.filter, req, resp);
        ck_assert_str_eq(weir_test_response_header(resp, "RateLimit-Policy", 0),
                         "\"login\";q=1;w=60");
        ck_assert_str_eq(weir_test_response_header(resp, "RateLimit", 0),
                         i == 0   ? "\"login\";r=1;t=60"
                         : i == 1 ? "\"login\";r=0;t=120"
                                  : "\"login\";r=0;t=120");
    }
    ck_assert_str_eq(weir_test_reply_header(req, "Retry-After"), "60");
    weir_test_advance(f.host, 59 * S);
    req = weir_test_request(f.host, "GET", "/");
    ck_assert_int_eq(weir_test_filter_request(f.filter, req), WEIR_DONE);
    ck_assert_str_eq(weir_test_reply_header(req, "Retry-After"), "1");
    test_end(&f.host);
}

/* Two workers' instances of one block, and those of the block after a reload. */
UNIT_TEST(buckets_are_shared_and_outlive_a_reload)
{
    struct weir_test *host = test_begin();
    struct weir_test_block *block = test_conf(host, "rate = 4");
    struct fixture one, other;
    weir_test_set_worker(host, 0, 2);
    one = (struct fixture){host, weir_test_create(host, WEIR_TEST_FILTER, block)};
    weir_test_set_worker(host, 1, 2);
    other = (struct fixture){host, weir_test_create(host, WEIR_TEST_FILTER, block)};
    ck_assert_uint_eq(sent_many(&one, 3, "192.0.2.1", NULL, NULL), 3);
    ck_assert_uint_eq(sent_many(&other, 3, "192.0.2.1", NULL, NULL), 1);

    struct weir_test_block *next = test_conf(host, "rate = 4");
    struct fixture after = {host, weir_test_create(host, WEIR_TEST_FILTER, next)};
    weir_test_destroy(&one.filter);
    weir_test_destroy(&other.filter);
    weir_test_block_free(&block);
    ck_assert_uint_eq(sent_many(&after, 3, "192.0.2.1", NULL, NULL), 0);

    struct weir_test_block *changed = test_conf(host, "rate = 5");
    struct fixture fresh = {host, weir_test_create(host, WEIR_TEST_FILTER, changed)};
    ck_assert_uint_eq(sent_many(&fresh, 9, "192.0.2.1", NULL, NULL), 5);
    test_end(&host);
}

UNIT_TEST(a_zone_is_shared_by_blocks)
{
    struct weir_test *host = test_begin();
    struct weir_test_block *a =
        weir_test_conf_in(host, WEIR_CONTEXT_LISTENER, "rate = 4  zone = \"z\"");
    struct weir_test_block *b =
        weir_test_conf_in(host, WEIR_CONTEXT_ROUTE, "rate = 4  zone = \"z\"");
    struct weir_test_block *c = weir_test_conf_in(host, WEIR_CONTEXT_ROUTE, "rate = 4");
    struct fixture one = {host, weir_test_create(host, WEIR_TEST_FILTER, a)};
    struct fixture two = {host, weir_test_create(host, WEIR_TEST_FILTER, b)};
    struct fixture three = {host, weir_test_create(host, WEIR_TEST_FILTER, c)};
    ck_assert_uint_eq(sent_many(&one, 3, "192.0.2.1", NULL, NULL), 3);
    ck_assert_uint_eq(sent_many(&two, 3, "192.0.2.1", NULL, NULL), 1);
    ck_assert_uint_eq(sent_many(&three, 9, "192.0.2.1", NULL, NULL), 4);
    test_end(&host);
}

UNIT_TEST(mistakes_are_told)
{
    struct weir_test *host = test_begin();
    test_refused(host, "", "rate is missing; write for example: rate = 100  per = 1m");
    test_refused(host, "rate = 1  key = header", "key = header needs the name of one");
    test_refused(host, "rate = 1  key = cookie  name = \"a b\"", "key = cookie needs the name");
    test_refused(host, "rate = 1  name = \"X\"", "name is for key = header");
    test_refused(host, "rate = 1000000000  per = 1ms", "no limit");
    test_refused(host, "rate = 1  per = 1d  burst = 1000000", "more than ten years");
    test_refused(host, "rate = 1  exempt = {\"10.0.0.1/8\"}",
                 "exempt: \"10.0.0.1/8\" is no network");
    test_refused(host, "rate = 1  zone = \"a b\"", "zone: \"a b\" is no name");
    test_end(&host);
}

UNIT_TIMEOUT(60);
