/* SPDX-License-Identifier: MIT */
/*
 * balance_round_robin: shares, evenness, places kept, newcomers, and the cost of a pick.
 */
#include "../test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SERVERS 32

struct fixture {
    struct weir_test *host;
    struct weir_test_block *block;
    struct weir_test_instance *balancer;
    struct weir_test_pool *pool;
};

static void add_server(struct weir_test_pool *pool, uint32_t weight)
{
    static uint32_t number;
    char name[16];
    snprintf(name, sizeof(name), "s%u", ++number);
    weir_test_server_add(pool, name, weight);
}

static struct fixture begin(const uint32_t *weights, uint32_t count)
{
    struct fixture f;
    f.host = test_begin();
    f.block = test_conf(f.host, "");
    f.balancer = weir_test_create(f.host, WEIR_TEST_BALANCER, f.block);
    ck_assert_ptr_nonnull(f.balancer);
    f.pool = weir_test_pool_new(f.host);
    for (uint32_t i = 0; i < count; i++) {
        add_server(f.pool, weights[i]);
    }
    ck_assert_int_eq(weir_test_pool_join(f.pool, f.balancer), WEIR_OK);
    return f;
}

/* Picks without sending: the policy looks at no load. */
static uint32_t next(const struct fixture *f)
{
    return weir_test_pick(f->balancer, NULL);
}

static void expect_exact_windows(const uint32_t *weights, uint32_t count)
{
    struct fixture f = begin(weights, count);
    uint32_t seen[MAX_SERVERS] = {0};
    uint32_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        total += weights[i];
    }
    uint32_t length = 4 * total + 3;
    uint32_t *picks = calloc(length, sizeof(*picks));
    ck_assert_ptr_nonnull(picks);
    for (uint32_t i = 0; i < length; i++) {
        picks[i] = next(&f);
        ck_assert_uint_lt(picks[i], count);
        seen[picks[i]]++;
        if (i >= total) {
            seen[picks[i - total]]--;
        }
        for (uint32_t s = 0; i + 1 >= total && s < count; s++) {
            ck_assert_msg(seen[s] == weights[s], "server %u of weight %u: %u of %u picks from %u",
                          s, weights[s], seen[s], total, i + 1 - total);
        }
    }
    free(picks);
    test_end(&f.host);
}

UNIT_TEST(every_window_has_each_weight)
{
    static const uint32_t one[] = {1};
    static const uint32_t equal[] = {1, 1, 1};
    static const uint32_t heavy[] = {5, 1, 1};
    static const uint32_t odd[] = {7, 3, 2, 1, 11};
    static const uint32_t thirds[] = {3, 9, 6, 27};
    static const uint32_t far[] = {100, 1};
    static const uint32_t stairs[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
    expect_exact_windows(one, 1);
    expect_exact_windows(equal, 3);
    expect_exact_windows(heavy, 3);
    expect_exact_windows(odd, 5);
    expect_exact_windows(thirds, 4);
    expect_exact_windows(far, 2);
    expect_exact_windows(stairs, 13);
}

/* At no moment has a server had more than one request more or less than its share of the
 * others'. */
UNIT_TEST(picks_are_spread)
{
    static const uint32_t weights[] = {5, 1, 1};
    struct fixture f = begin(weights, 3);
    uint32_t run = 0;
    for (uint32_t i = 0; i < 700; i++) {
        run = next(&f) == 0 ? run + 1 : 0;
        ck_assert_uint_le(run, 3); /* a naive turn gives five in a row */
    }
    test_end(&f.host);
}

UNIT_TEST(no_server_waits_longer_than_its_share)
{
    static const uint32_t weights[] = {8, 4, 2, 1, 1, 16};
    struct fixture f = begin(weights, 6);
    uint32_t last[6] = {0};
    for (uint32_t i = 1; i <= 3200; i++) {
        uint32_t server = next(&f);
        /* 32/weight is the ideal distance; the others' places move it by less than one each. */
        if (last[server] > 0) {
            ck_assert_uint_lt(i - last[server], 32 / weights[server] + 6);
        }
        last[server] = i;
    }
    test_end(&f.host);
}

UNIT_TEST(passed_server_keeps_its_place)
{
    static const uint32_t weights[] = {1, 1, 1, 1};
    struct fixture f = begin(weights, 4);
    uint32_t order[4];
    for (uint32_t i = 0; i < 4; i++) {
        order[i] = next(&f);
    }
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t j = 0; j < i; j++) {
            ck_assert_uint_eq(next(&f), order[j]);
        }
        weir_test_server_set_usable(f.pool, order[i], false); /* a retry, tried there already */
        ck_assert_uint_eq(next(&f), order[i + 1]);
        weir_test_server_set_usable(f.pool, order[i], true);
        ck_assert_uint_eq(next(&f), order[i]);
        for (uint32_t j = i + 2; j < 4; j++) {
            ck_assert_uint_eq(next(&f), order[j]);
        }
    }
    test_end(&f.host);
}

UNIT_TEST(full_server_comes_back_without_a_burst)
{
    static const uint32_t weights[] = {2, 2, 2, 2};
    struct fixture f = begin(weights, 4);
    uint32_t counts[4] = {0};
    weir_test_server_set_usable(f.pool, 2, false);
    for (uint32_t i = 0; i < 3000; i++) {
        counts[next(&f)]++;
    }
    ck_assert_uint_eq(counts[2], 0);
    for (uint32_t s = 0; s < 4; s++) {
        ck_assert(s == 2 || (counts[s] >= 998 && counts[s] <= 1002));
    }
    weir_test_server_set_usable(f.pool, 2, true);
    memset(counts, 0, sizeof(counts));
    for (uint32_t i = 0; i < 8; i++) {
        counts[next(&f)]++;
    }
    ck_assert_uint_ge(counts[2], 1);
    ck_assert_uint_le(counts[2], 3);
    test_end(&f.host);
}

UNIT_TEST(none_usable_is_none)
{
    static const uint32_t weights[] = {3, 1, 2};
    struct fixture f = begin(weights, 3);
    uint32_t counts[3] = {0};
    for (uint32_t s = 0; s < 3; s++) {
        weir_test_server_set_usable(f.pool, s, false);
    }
    for (uint32_t i = 0; i < 100; i++) {
        ck_assert_uint_eq(next(&f), WEIR_PICK_NONE);
    }
    for (uint32_t s = 0; s < 3; s++) {
        weir_test_server_set_usable(f.pool, s, true);
    }
    for (uint32_t i = 0; i < 6; i++) {
        counts[next(&f)]++;
    }
    ck_assert_uint_eq(counts[0], 3);
    ck_assert_uint_eq(counts[1], 1);
    ck_assert_uint_eq(counts[2], 2);
    test_end(&f.host);
}

UNIT_TEST(empty_pool_is_none)
{
    struct fixture f = begin(NULL, 0);
    ck_assert_uint_eq(next(&f), WEIR_PICK_NONE);
    test_end(&f.host);
}

UNIT_TEST(newcomers_get_no_burst)
{
    static const uint32_t weights[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct fixture f = begin(weights, 10);
    uint32_t counts[20] = {0};
    for (uint32_t i = 0; i < 1234; i++) {
        next(&f);
    }
    for (uint32_t i = 0; i < 10; i++) {
        add_server(f.pool, 1);
    }
    ck_assert_int_eq(weir_test_pool_tell(f.pool), WEIR_OK);
    for (uint32_t i = 0; i < 20; i++) {
        counts[next(&f)]++;
    }
    for (uint32_t s = 0; s < 20; s++) {
        ck_assert_uint_eq(counts[s], 1);
    }
    test_end(&f.host);
}

UNIT_TEST(who_leaves_is_never_picked)
{
    static const uint32_t weights[] = {1, 2, 3, 4, 5, 6};
    struct fixture f = begin(weights, 6);
    uint64_t random = 7;
    bool candidate[6] = {true, true, true, true, true, true};
    for (uint32_t turn = 0; turn < 300; turn++) {
        uint32_t changed = test_random(&random, 6);
        bool any = false;
        candidate[changed] = !candidate[changed];
        weir_test_server_set_candidate(f.pool, changed, candidate[changed]);
        ck_assert_int_eq(weir_test_pool_tell(f.pool), WEIR_OK);
        for (uint32_t s = 0; s < 6; s++) {
            any = any || candidate[s];
        }
        for (uint32_t i = 0; i < 5; i++) {
            uint32_t server = next(&f);
            ck_assert(any ? server < 6 && candidate[server] : server == WEIR_PICK_NONE);
        }
    }
    test_end(&f.host);
}

/* on_members comes often (slow start changes weights every second): it must not move who stays. */
UNIT_TEST(hearing_nothing_new_changes_nothing)
{
    static const uint32_t weights[] = {5, 1, 3, 2};
    struct fixture a = begin(weights, 4);
    struct fixture b = begin(weights, 4);
    for (uint32_t i = 0; i < 500; i++) {
        ck_assert_int_eq(weir_test_pool_tell(b.pool), WEIR_OK);
        ck_assert_uint_eq(next(&a), next(&b));
    }
    test_end(&a.host);
    test_end(&b.host);
}

UNIT_TEST(weight_can_rise_slowly)
{
    static const uint32_t weights[] = {1, 1};
    struct fixture f = begin(weights, 2);
    uint32_t counts[2] = {0};
    for (uint32_t weight = 26; weight <= 256; weight += 10) { /* a tenth to one, 100 picks each */
        weir_test_server_set_weight(f.pool, 1, weight);
        ck_assert_int_eq(weir_test_pool_tell(f.pool), WEIR_OK);
        uint32_t before = counts[1];
        for (uint32_t i = 0; i < 100; i++) {
            counts[next(&f)]++;
        }
        double share = 100.0 * weight / (weight + 256);
        ck_assert_double_lt(counts[1] - before, share + 2);
        ck_assert_double_gt(counts[1] - before, share - 2);
    }
    test_end(&f.host);
}

UNIT_TEST(workers_do_not_walk_in_step)
{
    struct fixture f;
    struct weir_test_instance *workers[4];
    f.host = test_begin();
    f.block = test_conf(f.host, "");
    f.pool = weir_test_pool_new(f.host);
    for (uint32_t s = 0; s < 8; s++) {
        add_server(f.pool, 1);
    }
    for (uint32_t i = 0; i < 4; i++) {
        weir_test_set_worker(f.host, i, 4);
        workers[i] = weir_test_create(f.host, WEIR_TEST_BALANCER, f.block);
        ck_assert_int_eq(weir_test_pool_join(f.pool, workers[i]), WEIR_OK);
    }
    for (uint32_t turn = 0; turn < 100; turn++) {
        uint32_t picked = 0;
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t bit = 1u << weir_test_pick(workers[i], NULL);
            ck_assert_uint_eq(picked & bit, 0);
            picked |= bit;
        }
    }
    test_end(&f.host);
}

static double score_of(const struct fixture *f, uint32_t server)
{
    struct weir_score score;
    ck_assert_int_eq(weir_test_score(f->balancer, NULL, server, &score), WEIR_OK);
    ck_assert_ptr_nonnull(strstr(score.text, "its turn"));
    return score.value;
}

/* Whoever has the lowest score is picked, and to ask for scores moves nobody. */
UNIT_TEST(lowest_score_is_picked)
{
    static const uint32_t weights[] = {5, 1, 3, 2};
    struct fixture f = begin(weights, 4);
    struct fixture silent = begin(weights, 4);
    for (uint32_t i = 0; i < 200; i++) {
        if (i == 100) { /* slow start: the weight is no whole number */
            weir_test_server_set_weight(f.pool, 1, 100);
            weir_test_server_set_weight(silent.pool, 1, 100);
            weir_test_pool_tell(f.pool);
            weir_test_pool_tell(silent.pool);
        }
        double scores[4];
        for (uint32_t s = 0; s < 4; s++) {
            scores[s] = score_of(&f, s);
        }
        uint32_t picked = next(&f);
        ck_assert_uint_eq(picked, next(&silent));
        for (uint32_t s = 0; s < 4; s++) {
            ck_assert_double_ge(scores[s], scores[picked]);
        }
    }
    test_end(&f.host);
    test_end(&silent.host);
}

UNIT_TEST(scores_are_turns)
{
    static const uint32_t weights[] = {1, 4};
    struct fixture f = begin(weights, 2);
    struct weir_score score;
    ck_assert_int_eq(weir_test_score(f.balancer, NULL, 1, &score), WEIR_OK);
    ck_assert_ptr_nonnull(strstr(score.text, "then one every 0.25"));
    for (uint32_t i = 0; i < 20; i++) {
        double before = score_of(&f, 0);
        double other = score_of(&f, 1);
        if (next(&f) ==
            1) { /* time has gone on to its turn, and its next one lies a quarter ahead */
            ck_assert_double_eq_tol(score_of(&f, 1), 0.25, 1e-6);
            ck_assert_double_eq_tol(score_of(&f, 0), before - other, 1e-6);
        }
    }
    weir_test_server_set_candidate(f.pool, 0, false);
    weir_test_pool_tell(f.pool);
    ck_assert_int_eq(weir_test_score(f.balancer, NULL, 0, &score), WEIR_DECLINED);
    test_end(&f.host);
}

/* ---- many servers, counting questions to the host ---- */

#define MANY 10000

static struct fixture begin_many(void)
{
    static uint32_t weights[MANY];
    for (uint32_t i = 0; i < MANY; i++) {
        weights[i] = 1;
    }
    return begin(weights, MANY);
}

/* Picks so often, and counts what each server got. How often the host was asked. */
static uint64_t pick_many(const struct fixture *f, uint32_t times, uint32_t counts[MANY])
{
    struct weir_request *request = weir_test_request(f->host, "GET", "/");
    uint64_t before = weir_test_question_count(f->balancer);
    for (uint32_t i = 0; i < times; i++) {
        uint32_t server = weir_test_pick(f->balancer, request);
        if (server >= MANY) { /* a passing ck_assert costs a write() */
            ck_abort_msg("picked %u", server);
        }
        counts[server]++;
    }
    weir_test_request_free(&request);
    return weir_test_question_count(f->balancer) - before;
}

UNIT_TEST(ten_thousand_cost_one_question_a_pick)
{
    struct fixture f = begin_many();
    uint32_t counts[MANY] = {0};
    /* A pick that walks over all would take 10^10 steps here, and the test's time would be up. */
    ck_assert_uint_eq(pick_many(&f, 100 * MANY, counts), 100 * MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        ck_assert(counts[i] == 100);
    }
    test_end(&f.host);
}

UNIT_TEST(full_servers_cost_little)
{
    struct fixture f = begin_many();
    uint32_t counts[MANY] = {0};
    for (uint32_t i = 0; i < MANY; i += 2) {
        weir_test_server_set_usable(f.pool, i, false);
    }
    pick_many(&f, 4 * MANY, counts); /* until all that are full have been met */
    memset(counts, 0, sizeof(counts));
    ck_assert_uint_le(pick_many(&f, 10 * MANY, counts), 25 * MANY);
    for (uint32_t i = 1; i < MANY; i += 2) {
        ck_assert(counts[i] >= 19 && counts[i] <= 21);
    }
    test_end(&f.host);
}

UNIT_TIMEOUT(20);
