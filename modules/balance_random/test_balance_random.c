/* SPDX-License-Identifier: MIT */
/*
 * balance_random: shares by weight, the better of two, limits, and that a usable server is found.
 */
#include "../test_main.h"

#include <stdio.h>

struct fixture {
    struct weir_test *host;
    struct weir_test_instance *balancer;
    struct weir_test_pool *pool;
    uint32_t count;
};

/* Servers of the weights 1 .. max_weight, in turn. */
static struct fixture begin(const char *conf, uint32_t count, uint32_t max_weight)
{
    struct fixture f = {.host = test_begin(), .count = count};
    weir_test_seed(f.host, 1);
    f.balancer = weir_test_create(f.host, WEIR_TEST_BALANCER, test_conf(f.host, conf));
    ck_assert_ptr_nonnull(f.balancer);
    f.pool = weir_test_pool_new(f.host);
    for (uint32_t s = 0; s < count; s++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", s);
        weir_test_server_add(f.pool, name, 1 + s % max_weight);
    }
    ck_assert_int_eq(weir_test_pool_join(f.pool, f.balancer), WEIR_OK);
    return f;
}

static void end(struct fixture *f)
{
    weir_test_complete_all(f->balancer);
    test_end(&f->host);
}

/* One draw, nothing in flight: as often as the weight says, within 6 standard deviations. */
UNIT_TEST(one_choice_shares_by_weight)
{
    struct fixture f = begin("choices = 1", 8, 4);
    uint32_t counts[8] = {0};
    ck_assert_uint_eq(weir_test_spread(f.balancer, 20000, counts, 8), 20000);
    for (uint32_t s = 0; s < 8; s++) {
        ck_assert_uint_gt(counts[s], 1000 * (1 + s % 4) - 260);
        ck_assert_uint_lt(counts[s], 1000 * (1 + s % 4) + 380);
    }
    end(&f);
}

UNIT_TEST(slow_start_has_a_small_share)
{
    struct fixture f = begin("", 4, 1);
    uint32_t counts[4] = {0};
    weir_test_server_set_weight(f.pool, 2, WEIR_WEIGHT_ONE / 10);
    ck_assert_int_eq(weir_test_pool_tell(f.pool), WEIR_OK);
    weir_test_spread(f.balancer, 10000, counts, 4);
    ck_assert_uint_gt(counts[2], 200); /* a 31st: 323 */
    ck_assert_uint_lt(counts[2], 450);
    end(&f);
}

/* With one choice the fullest of 100 servers has some 9 more than the mean of 10; with two, some
 * 2. */
UNIT_TEST(two_choices_even_the_load_out)
{
    struct fixture f = begin("", 100, 1);
    uint32_t fullest = 0;
    ck_assert_uint_eq(weir_test_fill(f.balancer, 1000, NULL, 0), 1000);
    for (uint32_t s = 0; s < 100; s++) {
        uint32_t count = weir_test_server_in_flight(f.pool, s);
        fullest = count > fullest ? count : fullest;
    }
    ck_assert_uint_le(fullest, 14);
    end(&f);
}

UNIT_TEST(load_follows_weight)
{
    struct fixture f = begin("", 40, 4);
    weir_test_fill(f.balancer, 100 * 20, NULL, 0); /* 20 for each weight */
    for (uint32_t s = 0; s < 40; s++) {
        uint32_t weight = 1 + s % 4;
        ck_assert_uint_gt(weir_test_server_in_flight(f.pool, s), 14 * weight);
        ck_assert_uint_lt(weir_test_server_in_flight(f.pool, s), 26 * weight);
    }
    end(&f);
}

/* Only where both draws fall on it: one time in four. */
UNIT_TEST(a_loaded_server_is_avoided)
{
    struct fixture f = begin("", 2, 1);
    uint32_t counts[2] = {0};
    weir_test_server_set_in_flight(f.pool, 0, 50);
    weir_test_spread(f.balancer, 2000, counts, 2);
    ck_assert_uint_gt(counts[0], 400);
    ck_assert_uint_lt(counts[0], 600);
    end(&f);
}

UNIT_TEST(limits_and_retries)
{
    struct fixture f = begin("", 10, 1);
    for (uint32_t s = 0; s < 10; s++) {
        weir_test_server_set_limit(f.pool, s, 3);
    }
    ck_assert_uint_eq(weir_test_fill(f.balancer, 100, NULL, 0), 30);
    weir_test_complete(f.balancer, 4, WEIR_OUTCOME_SUCCESS, 1, 2);
    ck_assert_uint_eq(weir_test_pick_again(f.balancer, NULL, 1), 4);
    weir_test_server_set_usable(f.pool, 4, false);
    ck_assert_uint_eq(weir_test_pick_again(f.balancer, NULL, 2), WEIR_PICK_NONE);
    end(&f);
}

UNIT_TEST(a_usable_server_is_always_found)
{
    struct fixture f = begin("", 1000, 1);
    for (uint32_t s = 0; s < 1000; s++) {
        weir_test_server_set_usable(f.pool, s, s == 777);
    }
    for (int i = 0; i < 100; i++) {
        ck_assert_uint_eq(weir_test_pick(f.balancer, NULL), 777);
    }
    end(&f);
}

UNIT_TEST(members_come_and_go)
{
    struct fixture f = begin("", 20, 3);
    uint64_t random = 1;
    bool candidate[20];
    memset(candidate, true, sizeof(candidate));
    for (uint32_t turn = 0; turn < 300; turn++) {
        uint32_t changed = test_random(&random, 20), any = 0;
        candidate[changed] = !candidate[changed];
        weir_test_server_set_candidate(f.pool, changed, candidate[changed]);
        ck_assert_int_eq(weir_test_pool_tell(f.pool), WEIR_OK);
        for (uint32_t s = 0; s < 20; s++) {
            any += candidate[s];
        }
        uint32_t picked = weir_test_pick(f.balancer, NULL);
        ck_assert(any > 0 ? picked < 20 && candidate[picked] : picked == WEIR_PICK_NONE);
    }
    end(&f);
}

UNIT_TEST(a_pick_asks_no_more_servers_than_it_draws)
{
    struct fixture f = begin("choices = 5", 10000, 3);
    weir_test_spread(f.balancer, 1000, NULL, 0);
    ck_assert_uint_le(weir_test_question_count(f.balancer), 5000);
    end(&f);
}

UNIT_TEST(score_in_words)
{
    struct fixture f = begin("", 2, 2);
    struct weir_score out;
    weir_test_server_set_in_flight(f.pool, 1, 6);
    ck_assert_int_eq(weir_test_score(f.balancer, NULL, 1, &out), WEIR_OK);
    ck_assert(out.value == 3);
    ck_assert_str_eq(out.text, "6 in flight over weight 2, if it is drawn");
    end(&f);
}

UNIT_TEST(mistakes_are_told)
{
    struct weir_test *host = test_begin();
    test_refused(host, "choices = 0", "choices: 0 is below the minimum of 1");
    test_refused(host, "choices = 17", "choices");
    test_end(&host);
}

/* With 10,000 servers, under sanitizers, beside other work. */
UNIT_TIMEOUT(60);
