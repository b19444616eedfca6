/* SPDX-License-Identifier: MIT */
/*
 * balance_least_conn: never a server that is more loaded than another, turns among equals, what
 * other workers do, limits, and the cost of a pick.
 */
#include "../test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SERVERS 10000

struct fixture {
    struct weir_test *host;
    struct weir_test_block *block;
    struct weir_test_instance *balancer;
    struct weir_test_pool *pool;
    uint32_t count;
    uint32_t weights[MAX_SERVERS];
    bool usable[MAX_SERVERS];
    bool candidate[MAX_SERVERS];
};

/* Servers of the weights 1 .. max_weight, in turn. */
static struct fixture *begin(uint32_t count, uint32_t max_weight)
{
    struct fixture *f = calloc(1, sizeof(*f));
    ck_assert_ptr_nonnull(f);
    f->host = test_begin();
    f->block = test_conf(f->host, "");
    f->balancer = weir_test_create(f->host, WEIR_TEST_BALANCER, f->block);
    ck_assert_ptr_nonnull(f->balancer);
    f->pool = weir_test_pool_new(f->host);
    f->count = count;
    for (uint32_t s = 0; s < count; s++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", s);
        f->weights[s] = 1 + s % max_weight;
        f->usable[s] = true;
        f->candidate[s] = true;
        ck_assert_uint_eq(weir_test_server_add(f->pool, name, f->weights[s]), s);
    }
    ck_assert_int_eq(weir_test_pool_join(f->pool, f->balancer), WEIR_OK);
    return f;
}

static void end(struct fixture **f)
{
    weir_test_complete_all((*f)->balancer);
    test_end(&(*f)->host);
    free(*f);
    *f = NULL;
}

static void set_usable(struct fixture *f, uint32_t server, bool usable)
{
    f->usable[server] = usable;
    weir_test_server_set_usable(f->pool, server, usable);
}

static uint64_t in_flight(const struct fixture *f, uint32_t server)
{
    return weir_test_server_in_flight(f->pool, server);
}

/* Fails where another server could have been picked and has less to do for its weight. */
static void expect_least(const struct fixture *f, uint32_t picked)
{
    for (uint32_t s = 0; s < f->count; s++) {
        if (!f->usable[s] || !f->candidate[s]) {
            if (s == picked) {
                ck_abort_msg("server %u cannot be picked", s);
            }
            continue;
        }
        if (picked == WEIR_PICK_NONE) {
            ck_abort_msg("none was picked, where %u is usable", s);
        }
        if (in_flight(f, s) * f->weights[picked] < in_flight(f, picked) * f->weights[s]) {
            ck_abort_msg("picked %u with %u in flight of weight %u, where %u has %u of weight %u",
                         picked, (unsigned)in_flight(f, picked), f->weights[picked], s,
                         (unsigned)in_flight(f, s), f->weights[s]);
        }
    }
}

/* ---- never a more loaded one ---- */

/* Servers at both sides of the border between reading all and keeping a heap. */
static const uint32_t sizes[] = {1, 2, 3, 10, 64, 65, 100, 1000};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

UNIT_LOOP_TEST(picks_the_least_loaded, SIZES)
{
    struct fixture *f = begin(sizes[_i], 5);
    uint32_t assigned[4096];
    uint32_t count = 0;
    uint64_t random = (uint64_t)_i + 1;
    for (uint32_t turn = 0; turn < 4000; turn++) {
        if (count < 4096 && (count == 0 || test_random(&random, 100) < 55)) {
            uint32_t picked = weir_test_pick(f->balancer, NULL);
            expect_least(f, picked);
            weir_test_assign(f->balancer, picked);
            assigned[count++] = picked;
        } else {
            uint32_t which = test_random(&random, count);
            weir_test_complete(f->balancer, assigned[which], WEIR_OUTCOME_SUCCESS, 1000, 2000);
            assigned[which] = assigned[--count];
        }
    }
    end(&f);
}

/* Sent by stickiness: assigned without a pick. */
UNIT_LOOP_TEST(sees_what_was_not_picked, SIZES)
{
    struct fixture *f = begin(sizes[_i], 3);
    uint64_t random = (uint64_t)_i + 1;
    for (uint32_t turn = 0; turn < 1500; turn++) {
        weir_test_assign(f->balancer, test_random(&random, f->count));
        uint32_t picked = weir_test_pick(f->balancer, NULL);
        expect_least(f, picked);
        weir_test_assign(f->balancer, picked);
    }
    end(&f);
}

/* Other workers send as well: a server is never taken for less loaded than it is. */
UNIT_LOOP_TEST(sees_what_other_workers_add, SIZES)
{
    struct fixture *f = begin(sizes[_i], 4);
    uint64_t random = (uint64_t)_i + 1;
    for (uint32_t turn = 0; turn < 1000; turn++) {
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t server = test_random(&random, f->count);
            weir_test_server_set_in_flight(f->pool, server, (uint32_t)in_flight(f, server) + 1);
        }
        uint32_t picked = weir_test_pick(f->balancer, NULL);
        expect_least(f, picked);
        weir_test_assign(f->balancer, picked);
    }
    end(&f);
}

/* What ends on other workers is seen within a quarter of the servers' number of picks, and at
 * once up to 64 servers. */
UNIT_LOOP_TEST(sees_what_other_workers_end, SIZES)
{
    struct fixture *f = begin(sizes[_i], 1);
    uint32_t patience = sizes[_i] <= 64 ? 1 : sizes[_i] / 4 + 1;
    uint64_t random = (uint64_t)_i + 1;
    for (uint32_t s = 0; s < f->count; s++) {
        weir_test_server_set_in_flight(f->pool, s, 50);
    }
    ck_assert_int_eq(weir_test_pool_tell(f->pool), WEIR_OK);
    for (uint32_t turn = 0; turn < 20; turn++) {
        uint32_t freed = test_random(&random, f->count);
        uint32_t picks = 0;
        weir_test_server_set_in_flight(f->pool, freed, 10);
        while (weir_test_pick(f->balancer, NULL) != freed) {
            ck_assert_uint_lt(++picks, patience);
        }
        weir_test_server_set_in_flight(f->pool, freed, 50);
    }
    end(&f);
}

/* ---- among equals ---- */

UNIT_LOOP_TEST(equals_take_turns, SIZES)
{
    struct fixture *f = begin(sizes[_i], 1);
    uint32_t counts[MAX_SERVERS] = {0};
    ck_assert_uint_eq(weir_test_spread(f->balancer, 7 * f->count, counts, f->count), 7 * f->count);
    for (uint32_t s = 0; s < f->count; s++) {
        ck_assert_uint_eq(counts[s], 7);
    }
    end(&f);
}

UNIT_LOOP_TEST(idle_servers_get_their_weight, SIZES)
{
    struct fixture *f = begin(sizes[_i], 4);
    uint32_t counts[MAX_SERVERS] = {0};
    uint32_t total = 0;
    for (uint32_t s = 0; s < f->count; s++) {
        total += f->weights[s];
    }
    weir_test_spread(f->balancer, 10 * total, counts, f->count);
    for (uint32_t s = 0; s < f->count; s++) {
        ck_assert_uint_ge(counts[s] + 1, 10 * f->weights[s]);
        ck_assert_uint_le(counts[s], 10 * f->weights[s] + 1);
    }
    end(&f);
}

/* Many at once: as many for each as its weight says, exactly, whenever the sum comes out even. */
UNIT_LOOP_TEST(load_follows_weight, SIZES)
{
    struct fixture *f = begin(sizes[_i], 4);
    uint32_t counts[MAX_SERVERS] = {0};
    uint32_t total = 0;
    for (uint32_t s = 0; s < f->count; s++) {
        total += f->weights[s];
    }
    weir_test_fill(f->balancer, 5 * total, counts, f->count);
    for (uint32_t s = 0; s < f->count; s++) {
        ck_assert_uint_eq(counts[s], 5 * f->weights[s]);
    }
    end(&f);
}

/* Workers that all begin at once must not all begin with the same server. */
UNIT_TEST(changes_do_not_favour_anyone)
{
    struct fixture *f = begin(10, 1);
    uint32_t counts[10] = {0};
    for (uint32_t turn = 0; turn < 2000; turn++) {
        ck_assert_int_eq(weir_test_pool_tell(f->pool), WEIR_OK);
        counts[weir_test_pick(f->balancer, NULL)]++;
    }
    for (uint32_t s = 0; s < 10; s++) { /* 200 each, and five standard deviations */
        ck_assert_uint_gt(counts[s], 130);
        ck_assert_uint_lt(counts[s], 270);
    }
    end(&f);
}

/* ---- who cannot be picked ---- */

UNIT_LOOP_TEST(respects_limits, SIZES)
{
    struct fixture *f = begin(sizes[_i], 2);
    uint64_t random = (uint64_t)_i + 1;
    for (uint32_t turn = 0; turn < 1000; turn++) {
        uint32_t server = test_random(&random, f->count);
        set_usable(f, server, !f->usable[server]);
        bool any = false;
        for (uint32_t s = 0; s < f->count; s++) {
            any = any || f->usable[s];
        }
        uint32_t picked = weir_test_pick(f->balancer, NULL); /* the fake host tells a wrong NONE */
        ck_assert(any ? picked < f->count && f->usable[picked] : picked == WEIR_PICK_NONE);
        if (f->count <= 64) {
            expect_least(f, picked);
        }
        if (any) {
            weir_test_assign(f->balancer, picked);
        }
    }
    end(&f);
}

UNIT_LOOP_TEST(all_full_is_none, SIZES)
{
    struct fixture *f = begin(sizes[_i], 1);
    for (uint32_t s = 0; s < f->count; s++) {
        set_usable(f, s, false);
    }
    for (uint32_t i = 0; i < 50; i++) {
        ck_assert_uint_eq(weir_test_pick(f->balancer, NULL), WEIR_PICK_NONE);
    }
    set_usable(f, f->count / 2, true);
    ck_assert_uint_eq(weir_test_pick(f->balancer, NULL), f->count / 2);
    end(&f);
}

/* A server that was full is picked again as soon as one of its requests has ended. */
UNIT_LOOP_TEST(freed_server_is_found, SIZES)
{
    struct fixture *f = begin(sizes[_i], 1);
    uint32_t full = f->count - 1;
    for (uint32_t s = 0; s < f->count; s++) {
        weir_test_server_set_in_flight(f->pool, s, 9);
    }
    ck_assert_int_eq(weir_test_pool_tell(f->pool), WEIR_OK);
    weir_test_server_set_in_flight(f->pool, full, 2);
    ck_assert_int_eq(weir_test_pool_tell(f->pool), WEIR_OK);
    weir_test_assign(f->balancer, full);
    set_usable(f, full, false);
    if (f->count > 1) {
        for (uint32_t i = 0; i < 3; i++) {
            ck_assert_uint_ne(weir_test_pick(f->balancer, NULL), full);
        }
    }
    set_usable(f, full, true);
    weir_test_complete(f->balancer, full, WEIR_OUTCOME_SUCCESS, 1, 2);
    ck_assert_uint_eq(weir_test_pick(f->balancer, NULL), full);
    end(&f);
}

/* A retry passes a server over; the next request finds it again. */
UNIT_LOOP_TEST(retry_does_not_hide_a_server, SIZES)
{
    struct fixture *f = begin(sizes[_i], 1);
    uint32_t idle = f->count / 2;
    for (uint32_t s = 0; s < f->count; s++) {
        weir_test_server_set_in_flight(f->pool, s, s == idle ? 1 : 9);
    }
    ck_assert_int_eq(weir_test_pool_tell(f->pool), WEIR_OK);
    for (uint32_t i = 0; i < 20 && f->count > 1; i++) {
        ck_assert_uint_eq(weir_test_pick(f->balancer, NULL), idle);
        set_usable(f, idle, false);
        ck_assert_uint_ne(weir_test_pick_again(f->balancer, NULL, 1), idle);
        set_usable(f, idle, true);
    }
    ck_assert_uint_eq(weir_test_pick(f->balancer, NULL), idle);
    end(&f);
}

UNIT_LOOP_TEST(members_come_and_go, SIZES)
{
    struct fixture *f = begin(sizes[_i], 3);
    uint64_t random = (uint64_t)_i + 1;
    for (uint32_t turn = 0; turn < 300; turn++) {
        uint32_t changed = test_random(&random, f->count);
        f->candidate[changed] = !f->candidate[changed];
        weir_test_server_set_candidate(f->pool, changed, f->candidate[changed]);
        ck_assert_int_eq(weir_test_pool_tell(f->pool), WEIR_OK);
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t picked = weir_test_pick(f->balancer, NULL);
            expect_least(f, picked);
            if (picked != WEIR_PICK_NONE) {
                weir_test_assign(f->balancer, picked);
            }
        }
    }
    end(&f);
}

static double score_of(const struct fixture *f, uint32_t server)
{
    struct weir_score score;
    ck_assert_int_eq(weir_test_score(f->balancer, NULL, server, &score), WEIR_OK);
    return score.value;
}

UNIT_LOOP_TEST(lowest_score_is_picked, SIZES)
{
    struct fixture *f = begin(sizes[_i], 5);
    for (uint32_t turn = 0; turn < 200; turn++) {
        uint32_t picked = weir_test_pick(f->balancer, NULL);
        double least = score_of(f, picked);
        for (uint32_t s = 0; s < f->count; s++) {
            if (score_of(f, s) < least) {
                ck_abort_msg("picked %u, where %u has a lower score", picked, s);
            }
        }
        weir_test_assign(f->balancer, picked);
    }
    end(&f);
}

UNIT_TEST(scores_are_loads)
{
    struct fixture *f = begin(3, 3);
    struct weir_score score;
    weir_test_server_set_in_flight(f->pool, 0, 4);
    weir_test_server_set_in_flight(f->pool, 1, 8); /* of weight 2: equal */
    ck_assert_double_eq(score_of(f, 0), 4);
    ck_assert_double_eq(score_of(f, 1), 4);
    ck_assert_double_eq(score_of(f, 2), 0);
    set_usable(f, 0, false); /* at its limit: it ranks all the same */
    ck_assert_double_eq(score_of(f, 0), 4);
    weir_test_server_set_weight(f->pool, 0, WEIR_WEIGHT_ONE / 4); /* slow start */
    ck_assert_int_eq(weir_test_pool_tell(f->pool), WEIR_OK);
    ck_assert_int_eq(weir_test_score(f->balancer, NULL, 0, &score), WEIR_OK);
    ck_assert_double_eq(score.value, 16);
    ck_assert_str_eq(score.text, "4 in flight over weight 0.25");
    weir_test_server_set_candidate(f->pool, 0, false);
    ck_assert_int_eq(weir_test_pool_tell(f->pool), WEIR_OK);
    ck_assert_int_eq(weir_test_score(f->balancer, NULL, 0, &score), WEIR_DECLINED);
    end(&f);
}

UNIT_TEST(empty_pool_is_none)
{
    struct fixture *f = begin(0, 1);
    ck_assert_uint_eq(weir_test_pick(f->balancer, NULL), WEIR_PICK_NONE);
    end(&f);
}

/* ---- many servers, counting questions to the host ---- */

#define MANY 10000

/* Those that are full are the least loaded: they get in the way. */
static struct fixture *begin_many(bool half_full)
{
    struct fixture *f = begin(MANY, 1);
    for (uint32_t i = 0; i < MANY; i++) {
        bool full = half_full && i % 2 == 0;
        set_usable(f, i, !full);
        weir_test_server_set_in_flight(f->pool, i, full ? 1 : 5);
    }
    ck_assert_int_eq(weir_test_pool_tell(f->pool), WEIR_OK);
    return f;
}

/* Sends, each request ending before the next begins, or none ending at all. How often the host
 * was asked. */
static uint64_t send_many(const struct fixture *f, uint32_t times, bool ends)
{
    struct weir_request *request = weir_test_request(f->host, "GET", "/");
    uint64_t before = weir_test_question_count(f->balancer);
    for (uint32_t i = 0; i < times; i++) {
        uint32_t server = weir_test_pick(f->balancer, request);
        if (server >= MANY || !f->usable[server]) { /* a passing ck_assert costs a write() */
            ck_abort_msg("picked %u", server);
        }
        weir_test_assign(f->balancer, server);
        if (ends) {
            weir_test_complete(f->balancer, server, WEIR_OUTCOME_SUCCESS, 1, 2);
        }
    }
    weir_test_request_free(&request);
    return weir_test_question_count(f->balancer) - before;
}

UNIT_TEST(ten_thousand_cost_one_question_a_pick)
{
    struct fixture *f = begin_many(false);
    /* A pick that walks over all would take 5 * 10^9 steps here, and the test's time would be
     * up. */
    ck_assert_uint_eq(send_many(f, 25 * MANY, true), 25 * MANY);
    ck_assert_uint_eq(send_many(f, 25 * MANY, false), 25 * MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        ck_assert(in_flight(f, i) == 30);
    }
    end(&f);
}

UNIT_TEST(full_servers_cost_little)
{
    struct fixture *f = begin_many(true);
    send_many(f, 2 * MANY, false); /* until all that are full have been met */
    /* One, and the four that were asked again. */
    ck_assert_uint_le(send_many(f, 10 * MANY, false), 5 * 10 * MANY);
    for (uint32_t i = 1; i < MANY; i += 2) {
        ck_assert(in_flight(f, i) == 5 + 24);
    }
    end(&f);
}

UNIT_TIMEOUT(20);
