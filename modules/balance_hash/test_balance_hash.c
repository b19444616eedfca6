/* SPDX-License-Identifier: MIT */
/*
 * balance_hash: one server a key, only the keys move that must, shares by weight, the bound, and
 * what a request without the key gets.
 */
#include "../test_main.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SERVERS 10000
#define KEYS        4000

struct fixture {
    struct weir_test *host;
    struct weir_test_instance *balancer;
    struct weir_test_pool *pool;
    struct weir_request *req;
    uint32_t count;
};

static void add_servers(struct fixture *f, uint32_t count, uint32_t max_weight)
{
    for (; f->count < count; f->count++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", f->count);
        weir_test_server_add(f->pool, name, 1 + f->count % max_weight);
    }
    ck_assert_int_eq(weir_test_pool_tell(f->pool), WEIR_OK);
}

/* Servers of the weights 1 .. max_weight, in turn. */
static struct fixture begin(const char *conf, uint32_t count, uint32_t max_weight)
{
    struct fixture f = {.host = test_begin()};
    f.balancer = weir_test_create(f.host, WEIR_TEST_BALANCER, test_conf(f.host, conf));
    ck_assert_ptr_nonnull(f.balancer);
    f.pool = weir_test_pool_new(f.host);
    f.req = weir_test_request(f.host, "GET", "/");
    ck_assert_int_eq(weir_test_pool_join(f.pool, f.balancer), WEIR_OK);
    add_servers(&f, count, max_weight);
    return f;
}

static void end(struct fixture *f)
{
    weir_test_complete_all(f->balancer);
    test_end(&f->host);
}

/* The request is the client's of that number. */
static struct weir_request *from(const struct fixture *f, uint32_t client)
{
    char address[32];
    snprintf(address, sizeof(address), "10.%u.%u.%u", client >> 16 & 255, client >> 8 & 255,
             client & 255);
    weir_test_request_set_peer(f->req, address, 40000);
    return f->req;
}

static uint32_t pick(const struct fixture *f, uint32_t client)
{
    return weir_test_pick(f->balancer, from(f, client));
}

/* Whose the clients are. */
static void owners(const struct fixture *f, uint32_t out[KEYS])
{
    for (uint32_t k = 0; k < KEYS; k++) {
        out[k] = pick(f, k);
        ck_assert_uint_lt(out[k], f->count);
    }
}

static void tell(const struct fixture *f)
{
    ck_assert_int_eq(weir_test_pool_tell(f->pool), WEIR_OK);
}

static double score(const struct fixture *f, struct weir_request *req, uint32_t server)
{
    struct weir_score out;
    ck_assert_int_eq(weir_test_score(f->balancer, req, server, &out), WEIR_OK);
    return out.value;
}

/* ---- one server a key ---- */

UNIT_TEST(a_key_stays_on_its_server)
{
    struct fixture f = begin("", 10, 3);
    uint32_t first[KEYS], again[KEYS], other[KEYS];
    owners(&f, first);
    owners(&f, again);
    ck_assert_mem_eq(first, again, sizeof(first));
    /* Another worker, and the program after a restart, which draws other random numbers. */
    weir_test_set_worker(f.host, 1, 2);
    weir_test_seed(f.host, 99);
    struct weir_test_instance *balancer =
        weir_test_create(f.host, WEIR_TEST_BALANCER, test_conf(f.host, ""));
    ck_assert_int_eq(weir_test_pool_join(f.pool, balancer), WEIR_OK);
    f.balancer = balancer;
    owners(&f, other);
    ck_assert_mem_eq(first, other, sizeof(first));
    end(&f);
}

static const char *value_of(char *text, size_t size, const char *format, uint32_t number)
{
    snprintf(text, size, format, number);
    return text;
}

/* Two requests with the same key in different company, for each kind of key. */
UNIT_TEST(the_key_alone_decides)
{
    static const struct {
        const char *conf, *one, *other, *field;
    } kinds[] = {
        {"key = path", "/a/%u?x=1", "/a/%u?x=2", NULL},
        {"key = \"query:id\"", "/?id=%u&x=1", "/b?x=2&idx=9&id=%u", NULL},
        {"key = \"header:X-User\"", "u%u", "u%u", "x-user"},
        {"key = \"cookie:id\"", "id=%u; x=1", "x=2; id=%u", "Cookie"},
    };
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        struct fixture f = begin(kinds[k].conf, 8, 1);
        uint32_t counts[8] = {0};
        for (uint32_t i = 0; i < 200; i++) {
            char one[64], other[64];
            const char *target = kinds[k].field != NULL ? "/" : NULL;
            value_of(one, sizeof(one), kinds[k].one, i);
            value_of(other, sizeof(other), kinds[k].other, i);
            struct weir_request *a = weir_test_request(f.host, "GET", target ? target : one);
            struct weir_request *b = weir_test_request(f.host, "POST", target ? "/b" : other);
            weir_test_request_set_peer(b, "192.0.2.77", 5);
            if (kinds[k].field != NULL) {
                weir_test_request_add(a, kinds[k].field, one);
                weir_test_request_add(b, kinds[k].field, other);
            }
            uint32_t picked = weir_test_pick(f.balancer, a);
            ck_assert_uint_eq(picked, weir_test_pick(f.balancer, b));
            counts[picked]++;
            weir_test_request_free(&a);
            weir_test_request_free(&b);
        }
        for (uint32_t s = 0; s < 8; s++) { /* 25 each: other values are other keys */
            ck_assert_msg(counts[s] > 5, "%s: %u", kinds[k].conf, counts[s]);
        }
        end(&f);
    }
}

UNIT_TEST(an_address_is_one_key_however_it_is_written)
{
    struct fixture f = begin("", 50, 1);
    for (uint32_t i = 0; i < 50; i++) {
        char mapped[32];
        uint32_t picked = pick(&f, i);
        snprintf(mapped, sizeof(mapped), "::ffff:10.0.0.%u", i);
        weir_test_request_set_peer(f.req, mapped, 1);
        ck_assert_uint_eq(weir_test_pick(f.balancer, f.req), picked);
    }
    end(&f);
}

/* ---- only the keys move that must ---- */

/* Sets of members at random, with servers of weights in one group and in several. */
#define ROUNDS 24

static struct fixture begin_round(int round)
{
    static const uint32_t sizes[] = {2, 3, 10, 65, 300, 17};
    return begin("balance_factor = 0", sizes[round % 6], round < 8 ? 1 : round < 16 ? 5 : 900);
}

UNIT_LOOP_TEST(only_the_keys_of_one_that_goes_move, ROUNDS)
{
    struct fixture f = begin_round(_i);
    uint32_t before[KEYS], after[KEYS], restored[KEYS];
    uint64_t random = (uint64_t)_i + 1;
    bool out[300] = {false};
    uint32_t gone = f.count == 2 ? 1 : 1 + test_random(&random, f.count / 2);
    owners(&f, before);
    for (uint32_t i = 0; i < gone; i++) {
        uint32_t server = test_random(&random, f.count);
        out[server] = true;
        weir_test_server_set_candidate(f.pool, server, false);
    }
    tell(&f);
    owners(&f, after);
    for (uint32_t k = 0; k < KEYS; k++) {
        ck_assert(!out[after[k]]);
        ck_assert_msg(out[before[k]] || after[k] == before[k], "key %u moved from %u to %u", k,
                      before[k], after[k]);
    }
    /* And they come back to it. */
    for (uint32_t s = 0; s < f.count; s++) {
        weir_test_server_set_candidate(f.pool, s, true);
    }
    tell(&f);
    owners(&f, restored);
    ck_assert_mem_eq(before, restored, sizeof(before));
    end(&f);
}

UNIT_LOOP_TEST(a_newcomer_takes_keys_and_moves_no_others, ROUNDS)
{
    struct fixture f = begin_round(_i);
    uint32_t before[KEYS], after[KEYS], old = f.count;
    owners(&f, before);
    add_servers(&f, old + 1, 1);
    owners(&f, after);
    for (uint32_t k = 0; k < KEYS; k++) {
        ck_assert(after[k] == before[k] || after[k] == old);
    }
    end(&f);
}

/* Also from one group of weights into another, as in slow start. */
UNIT_LOOP_TEST(another_weight_moves_only_its_own_keys, ROUNDS)
{
    static const uint32_t weights[] = {1, 13, 100, 256, 300, 5000, 100000, 256000};
    struct fixture f = begin_round(_i);
    uint32_t before[KEYS], after[KEYS], changed = (uint32_t)_i % f.count;
    for (size_t w = 0; w < sizeof(weights) / sizeof(weights[0]); w++) {
        weir_test_server_set_weight(f.pool, changed, weights[w]); /* ever more */
        tell(&f);
        owners(&f, after);
        for (uint32_t k = 0; k < KEYS && w > 0; k++) {
            ck_assert(after[k] == before[k] || after[k] == changed);
        }
        memcpy(before, after, sizeof(before));
    }
    weir_test_server_set_weight(f.pool, changed, 256);
    tell(&f);
    owners(&f, after);
    for (uint32_t k = 0; k < KEYS; k++) {
        ck_assert(after[k] == before[k] || before[k] == changed);
    }
    end(&f);
}

/* What is found by looking at few is what looking at all would find: the nearest. */
UNIT_LOOP_TEST(the_nearest_is_found, ROUNDS)
{
    struct fixture f = begin_round(_i);
    uint64_t random = (uint64_t)_i + 1;
    for (uint32_t k = 0; k < 300; k++) {
        uint32_t tried = test_random(&random, f.count);
        if (f.count > 2) {
            weir_test_server_set_usable(f.pool, tried, false);
        }
        uint32_t picked = pick(&f, k);
        double least = score(&f, f.req, picked);
        for (uint32_t s = 0; s < f.count; s++) {
            ck_assert(s == picked || (f.count > 2 && s == tried) || score(&f, f.req, s) > least);
        }
        weir_test_server_set_usable(f.pool, tried, true);
    }
    end(&f);
}

/* ---- shares ---- */

/* Each within 15 % of its share: of keys, a standard deviation of 3 % by the places of servers, and
 * of at most 3 % by the number of keys. */
static void expect_shares(const struct fixture *f, const double *weights)
{
    uint32_t counts[64] = {0};
    double sum = 0;
    for (uint32_t s = 0; s < f->count; s++) {
        sum += weights[s];
    }
    for (uint32_t k = 0; k < 50000; k++) {
        counts[pick(f, k)]++;
    }
    for (uint32_t s = 0; s < f->count; s++) {
        double share = counts[s] / 50000.0 / (weights[s] / sum);
        ck_assert_msg(share > 0.85 && share < 1.15, "server %u has %.2f of its share", s, share);
    }
}

UNIT_TEST(equal_servers_share_evenly)
{
    static const uint32_t sizes[] = {2, 3, 10, 30};
    double even[30];
    for (size_t i = 0; i < 30; i++) {
        even[i] = 1;
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct fixture f = begin("", sizes[i], 1);
        expect_shares(&f, even);
        end(&f);
    }
}

UNIT_TEST(shares_go_by_weight)
{
    static const double weights[] = {1, 2, 3, 4, 1, 2, 3, 4};
    struct fixture f = begin("", 8, 4);
    expect_shares(&f, weights);
    end(&f);
}

/* Two groups of weights; one server is in slow start. */
UNIT_TEST(shares_go_by_weights_far_apart)
{
    static const double weights[] = {20, 20, 30, 1.5, 4};
    struct fixture f = begin("", 5, 1);
    for (uint32_t s = 0; s < 5; s++) {
        weir_test_server_set_weight(f.pool, s, (uint32_t)(weights[s] * WEIR_WEIGHT_ONE));
    }
    tell(&f);
    expect_shares(&f, weights);
    end(&f);
}

/* ---- who cannot have it ---- */

/* The order of a key's servers is its own: a retry goes to the second nearest, and so on. */
UNIT_TEST(retries_go_on_to_the_next)
{
    struct fixture f = begin("", 10, 2);
    for (uint32_t k = 0; k < 50; k++) {
        double last = -1;
        for (uint32_t attempt = 0; attempt < f.count; attempt++) {
            uint32_t server = weir_test_pick_again(f.balancer, from(&f, k), attempt);
            ck_assert_uint_ne(server, WEIR_PICK_NONE);
            double far = score(&f, f.req, server);
            ck_assert(far > last);
            last = far;
            weir_test_server_set_usable(f.pool, server, false);
        }
        ck_assert_uint_eq(pick(&f, k), WEIR_PICK_NONE);
        for (uint32_t s = 0; s < f.count; s++) {
            weir_test_server_set_usable(f.pool, s, true);
        }
    }
    end(&f);
}

UNIT_TEST(a_usable_server_is_always_found)
{
    struct fixture f = begin("", 1000, 3);
    for (uint32_t s = 0; s < f.count; s++) {
        weir_test_server_set_usable(f.pool, s, s == 777);
    }
    for (uint32_t k = 0; k < 100; k++) {
        ck_assert_uint_eq(pick(&f, k), 777);
    }
    weir_test_server_set_usable(f.pool, 777, false);
    ck_assert_uint_eq(pick(&f, 1), WEIR_PICK_NONE);
    for (uint32_t s = 0; s < f.count; s++) {
        weir_test_server_set_candidate(f.pool, s, false);
    }
    tell(&f);
    ck_assert_uint_eq(pick(&f, 1), WEIR_PICK_NONE);
    end(&f);
}

UNIT_TEST(limits_hold)
{
    struct fixture f = begin("balance_factor = 0", 4, 1);
    for (uint32_t s = 0; s < 4; s++) {
        weir_test_server_set_limit(f.pool, s, 3);
    }
    for (uint32_t i = 0; i < 12; i++) { /* all of one key */
        uint32_t picked = pick(&f, 7);
        ck_assert_uint_ne(picked, WEIR_PICK_NONE);
        weir_test_assign(f.balancer, picked);
    }
    ck_assert_uint_eq(pick(&f, 7), WEIR_PICK_NONE);
    end(&f);
}

/* ---- the bound ---- */

/* Requests of a few keys only, that all stay: nobody has more than its share times the factor,
 * rounded up. */
static void expect_bound(const struct fixture *f, double factor, uint32_t keys, uint32_t requests)
{
    double sum = 0;
    for (uint32_t s = 0; s < f->count; s++) {
        sum += 1 + s % 3;
    }
    for (uint32_t i = 1; i <= requests; i++) {
        uint32_t picked = pick(f, i % keys);
        weir_test_assign(f->balancer, picked);
        double most = ceil(factor * i * (1 + picked % 3) / sum);
        ck_assert_uint_le(weir_test_server_in_flight(f->pool, picked), (uint32_t)most);
    }
}

UNIT_LOOP_TEST(nobody_has_more_than_the_bound, 4)
{
    static const struct {
        const char *conf;
        double factor;
        uint32_t servers, keys;
    } cases[] = {{"", 1.25, 10, 1},
                 {"", 1.25, 10, 40},
                 {"balance_factor = 2", 2, 33, 3},
                 {"", 1.25, 200, 7}};
    struct fixture f = begin(cases[_i].conf, cases[_i].servers, 3);
    expect_bound(&f, cases[_i].factor, cases[_i].keys, 20 * cases[_i].servers);
    end(&f);
}

UNIT_TEST(without_a_bound_a_key_stays)
{
    struct fixture f = begin("balance_factor = 0", 10, 1);
    uint32_t mine = pick(&f, 5);
    for (uint32_t i = 0; i < 100; i++) {
        ck_assert_uint_eq(pick(&f, 5), mine);
        weir_test_assign(f.balancer, mine);
    }
    end(&f);
}

/* Those within the bound are full or were tried: who is above it has to do. */
UNIT_TEST(the_bound_yields_where_nobody_else_can)
{
    struct fixture f = begin("", 10, 1);
    for (uint32_t s = 0; s < 10; s++) {
        weir_test_server_set_usable(f.pool, s, s == 3);
    }
    for (uint32_t i = 0; i < 50; i++) {
        ck_assert_uint_eq(pick(&f, i), 3);
        weir_test_assign(f.balancer, 3);
    }
    end(&f);
}

/* What other workers send counts, and what they end: above 64 servers after a quarter of their
 * number of picks at the latest. */
UNIT_LOOP_TEST(load_of_other_workers_counts, 2)
{
    struct fixture f = begin("", _i == 0 ? 10 : 200, 1);
    uint32_t mine = pick(&f, 1), patience = _i == 0 ? 1 : 200 / 4 + 1;
    weir_test_server_set_in_flight(f.pool, mine, 9);
    ck_assert_uint_ne(pick(&f, 1), mine);
    for (uint32_t s = 0; s < f.count; s++) {
        weir_test_server_set_in_flight(f.pool, s, 9);
    }
    for (uint32_t i = 1; i < patience; i++) {
        pick(&f, 1);
    }
    ck_assert_uint_eq(pick(&f, 1), mine);
    for (uint32_t s = 0; s < f.count; s++) { /* 2 are far above its share of 2 in all */
        weir_test_server_set_in_flight(f.pool, s, s == mine ? 2 : 0);
    }
    for (uint32_t i = 1; i < patience; i++) {
        pick(&f, 1);
    }
    ck_assert_uint_ne(pick(&f, 1), mine);
    end(&f);
}

/* However many servers. */
UNIT_TEST(this_workers_own_count_at_once)
{
    struct fixture f = begin("", 200, 1);
    uint32_t mine = pick(&f, 1);
    for (uint32_t i = 0; i < 9 * f.count; i++) {
        weir_test_assign(f.balancer, i % f.count);
    }
    ck_assert_uint_eq(pick(&f, 1), mine);
    for (uint32_t i = 0; i < 9 * f.count; i++) {
        if (i % f.count != mine) {
            weir_test_complete(f.balancer, i % f.count, WEIR_OUTCOME_SUCCESS, 1, 2);
        }
    }
    ck_assert_uint_ne(pick(&f, 1), mine);
    end(&f);
}

UNIT_TEST(a_full_server_is_behind_all_others)
{
    struct fixture f = begin("", 10, 1);
    uint32_t mine = pick(&f, 1);
    struct weir_score out;
    weir_test_server_set_in_flight(f.pool, mine, 50);
    ck_assert_int_eq(weir_test_score(f.balancer, from(&f, 1), mine, &out), WEIR_OK);
    ck_assert(out.value >= 1);
    ck_assert_ptr_nonnull(strstr(out.text, "full at 50 in flight"));
    for (uint32_t s = 0; s < 10; s++) {
        ck_assert(s == mine || score(&f, f.req, s) < 1);
    }
    end(&f);
}

/* ---- without the key ---- */

UNIT_TEST(requests_without_the_key_spread)
{
    static const char *const targets[] = {"/", "/?id", "/?id=", "/?xid=5", "/?x=id"};
    for (size_t t = 0; t < sizeof(targets) / sizeof(targets[0]); t++) {
        struct fixture f = begin("key = \"query:id\"", 5, 1);
        uint32_t counts[5] = {0};
        struct weir_request *req = weir_test_request(f.host, "GET", targets[t]);
        for (uint32_t i = 0; i < 2000; i++) {
            uint32_t would = weir_test_would_pick(f.balancer, req);
            ck_assert_uint_eq(would, weir_test_would_pick(f.balancer, req));
            uint32_t picked = weir_test_pick(f.balancer, req);
            ck_assert_uint_eq(would, picked);
            counts[picked]++;
        }
        for (uint32_t s = 0; s < 5; s++) { /* 400 each */
            ck_assert_msg(counts[s] > 300 && counts[s] < 500, "%s: %u", targets[t], counts[s]);
        }
        end(&f);
    }
}

/* Workers do not run in step. */
UNIT_TEST(requests_without_the_key_differ_by_worker)
{
    struct fixture f = begin("key = \"header:X\"", 50, 1);
    struct weir_test_instance *other =
        weir_test_create(f.host, WEIR_TEST_BALANCER, test_conf(f.host, "key = \"header:X\""));
    uint32_t same = 0;
    ck_assert_int_eq(weir_test_pool_join(f.pool, other), WEIR_OK);
    for (uint32_t i = 0; i < 100; i++) {
        same += weir_test_pick(f.balancer, f.req) == weir_test_pick(other, f.req);
    }
    ck_assert_uint_lt(same, 20);
    end(&f);
}

/* ---- reloads, costs, mistakes ---- */

UNIT_TEST(other_options_take_the_pool_over)
{
    struct fixture f = begin("", 10, 1);
    uint32_t before[KEYS], after[KEYS];
    owners(&f, before);
    weir_test_assign(f.balancer, 0);
    struct weir_test_instance *next =
        weir_test_create(f.host, WEIR_TEST_BALANCER, test_conf(f.host, "balance_factor = 3"));
    ck_assert_uint_eq(weir_test_take_over(f.balancer, next), 0);
    weir_test_complete(f.balancer, 0, WEIR_OUTCOME_SUCCESS, 1, 2);
    weir_test_destroy(&f.balancer);
    f.balancer = next;
    owners(&f, after);
    ck_assert_mem_eq(before, after, sizeof(before));
    end(&f);
}

UNIT_TEST(a_pick_asks_few_servers)
{
    struct fixture f = begin("", MAX_SERVERS, 10);
    for (uint32_t k = 0; k < 1000; k++) {
        pick(&f, k);
    }
    /* Those that were nearest until a nearer one was found, and who got it. */
    ck_assert_uint_lt(weir_test_question_count(f.balancer), 1000 * 10);
    end(&f);
}

UNIT_TEST(mistakes_are_told)
{
    static const char *const bad[] = {
        "key = nothing",       "key = \"header:\"", "key = \"header:a b\"",
        "key = \"address:x\"", "key = \"path:/\"",  "key = header",
        "key = \"cookie:\"",   "key = \"query:\"",  "key = \"cookie:;\""};
    struct weir_test *host = test_begin();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        test_refused(host, bad[i],
                     "is none of address, path, header:NAME, cookie:NAME and query:NAME");
    }
    test_refused(host, "key = \"\"", "key");
    test_refused(host, "balance_factor = 0.5", "write 1.25, or 0 for no bound");
    test_refused(host, "balance_factor = -1", "balance_factor");
    test_end(&host);
}

/* With 10,000 servers, under sanitizers, beside other work. */
UNIT_TIMEOUT(60);
