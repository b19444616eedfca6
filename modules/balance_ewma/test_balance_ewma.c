/* SPDX-License-Identifier: MIT */
/*
 * balance_ewma: what it expects of servers, how that fades, silence, failures, newcomers, and what
 * passes over. Costs are in ms, as the score shows them.
 */
#include "../test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

static struct weir_test *host;
static struct weir_test_block *block;
static struct weir_test_pool *pool;
static struct weir_test_instance *balancer;

static void begin(const char *options, uint32_t servers)
{
    host = test_begin();
    block = test_conf(host, options);
    balancer = weir_test_create(host, WEIR_TEST_BALANCER, block);
    ck_assert_ptr_nonnull(balancer);
    pool = weir_test_pool_new(host);
    for (uint32_t s = 0; s < servers; s++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", s);
        ck_assert_uint_eq(weir_test_server_add(pool, name, 1), s);
    }
    ck_assert_int_eq(weir_test_pool_join(pool, balancer), WEIR_OK);
}

static void end(void)
{
    weir_test_complete_all(balancer);
    test_end(&host);
}

/* The server is sent a request and answers so much later, which takes no time here. */
static void answer(uint32_t server, double ms)
{
    weir_test_assign(balancer, server);
    weir_test_complete(balancer, server, WEIR_OUTCOME_SUCCESS, (uint64_t)(ms * 1e6),
                       (uint64_t)(ms * 2e6));
}

/* So many that the next one is not among the first of the server. */
static void answers(uint32_t server, double ms)
{
    for (int i = 0; i < 16; i++) {
        answer(server, ms);
    }
}

static void fails(uint32_t server, enum weir_outcome outcome, uint32_t status,
                  uint64_t retry_after_ns)
{
    const struct weir_feedback how = {.outcome = outcome,
                                      .status = status,
                                      .first_byte_ns = status > 0 ? MS : 0,
                                      .total_ns = MS,
                                      .retry_after_ns = retry_after_ns};
    weir_test_assign(balancer, server);
    weir_test_complete_as(balancer, server, &how);
}

static struct weir_score score_of(struct weir_test_instance *of, uint32_t server)
{
    struct weir_score score;
    ck_assert_int_eq(weir_test_score(of, NULL, server, &score), WEIR_OK);
    return score;
}

static double cost(uint32_t server)
{
    return score_of(balancer, server).value;
}

static void expect_cost(uint32_t server, double ms)
{
    double is = cost(server);
    ck_assert_msg(is > ms * 0.98 - 1e-9 && is < ms * 1.02 + 1e-9, "server %u costs %g and not %g",
                  server, is, ms);
}

/* How many of `requests`, each ended before the next, go to the server; `ms` is what it takes. */
static uint32_t drawn(uint32_t server, uint32_t requests, const double *ms, uint64_t gap_ns)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < requests; i++) {
        uint32_t to = weir_test_send(balancer);
        count += to == server ? 1 : 0;
        weir_test_complete(balancer, to, WEIR_OUTCOME_SUCCESS, (uint64_t)(ms[to] * 1e6),
                           (uint64_t)(ms[to] * 1e6));
        weir_test_advance(host, gap_ns);
    }
    return count;
}

/* ---- what is expected ---- */

UNIT_TEST(unknown_servers_share_by_what_they_have)
{
    uint32_t counts[4] = {0};
    begin("", 4);
    ck_assert_uint_eq(weir_test_fill(balancer, 40, counts, 4), 40);
    for (int s = 0; s < 4; s++) {
        ck_assert_uint_eq(counts[s], 10);
    }
    end();
}

UNIT_TEST(requests_count_as_often_as_there_are_any)
{
    begin("", 2);
    answer(0, 10);
    answer(1, 50);
    expect_cost(0, 10);
    expect_cost(1, 50);
    for (uint32_t n = 1; n <= 4; n++) { /* 10, 20, 30, 40 against 50 */
        ck_assert_uint_eq(weir_test_send(balancer), 0);
    }
    weir_test_assign(balancer, 0);
    expect_cost(0, 60);
    ck_assert_uint_eq(weir_test_send(balancer), 1);
    end();
}

UNIT_TEST(weights_divide)
{
    begin("", 0);
    weir_test_server_add(pool, "light", 1);
    weir_test_server_add(pool, "heavy", 4);
    weir_test_pool_tell(pool);
    answer(0, 40);
    answer(1, 40);
    expect_cost(0, 40);
    expect_cost(1, 10);
    weir_test_server_set_weight(pool, 1, WEIR_WEIGHT_ONE / 2); /* it starts slowly */
    weir_test_pool_tell(pool);
    expect_cost(1, 80);
    end();
}

UNIT_TEST(it_goes_up_with_each_slow_answer)
{
    begin("", 2);
    answers(0, 10);
    answer(0, 60);
    expect_cost(0, 12.5); /* a quarter at most */
    answer(0, 13);
    expect_cost(0, 13);
    for (int i = 0; i < 7; i++) {
        answer(0, 60);
    }
    expect_cost(0, 60); /* 13 * 1.25^7 is more */
    end();
}

/* The second is half of what is known of the server, and the third a third. */
UNIT_TEST(slow_answers_count_for_more_at_first)
{
    begin("", 2);
    answer(0, 10);
    answer(0, 60);
    expect_cost(0, 10 * 1.25 + 60. / 2);
    answer(0, 300);
    expect_cost(0, 42.5 * 1.25 + 300. / 3);
    end();
}

/* What was known is a half-life old: half of it has faded. */
UNIT_TEST(after_a_silence_a_slow_answer_counts_in_full)
{
    begin("half_life = 10s", 2);
    answers(0, 10);
    weir_test_advance(host, 10 * S);
    answer(0, 60);
    expect_cost(0, 5 * 1.25 + 60 * 0.5);
    weir_test_advance(host, 100 * S);
    answer(0, 1000);
    ck_assert_double_gt(cost(0), 990);
    end();
}

UNIT_TEST(it_nears_fast_answers_with_time_and_each_of_them)
{
    begin("half_life = 10s", 2);
    answer(0, 60); /* the first is believed */
    expect_cost(0, 60);
    for (int i = 0; i < 10; i++) { /* a half-life of fast answers: in the middle of 60 and 10 */
        weir_test_advance(host, S);
        answer(0, 10);
    }
    ck_assert_double_eq_tol(cost(0), 35, 1);
    for (int i = 0; i < 512; i++) { /* each counts a little, also at once: to 1/e of the way */
        answer(0, 10);
    }
    ck_assert_double_eq_tol(cost(0), 10 + 25 / 2.718, 0.5);
    end();
}

/* A server of 1 ms keeps nearly all requests although an answer in 500 comes 20 ms late, as where
 * its machine is busy, and another one takes 10 ms. */
UNIT_TEST(a_hiccup_moves_few_requests)
{
    uint32_t moved = 0;
    begin("", 2);
    answers(0, 1);
    answers(1, 10);
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t to = weir_test_send(balancer);
        uint64_t took = to == 1 ? 10 * MS : i % 500 == 0 ? 20 * MS : MS;
        weir_test_complete(balancer, to, WEIR_OUTCOME_SUCCESS, took, took);
        weir_test_advance(host, 2 * MS);
        moved += to;
    }
    ck_assert_uint_lt(moved, 100);
    end();
}

/* Nothing is sent there, and still it fades: 100 ms against 20 ms that are renewed all the time. */
UNIT_TEST(who_was_slow_once_is_tried_again)
{
    const double ms[] = {20, 20};
    begin("", 2);
    answer(0, 20);
    answer(1, 100);
    ck_assert_uint_eq(drawn(1, 200, ms, 100 * MS), 0);  /* 20 s */
    ck_assert_uint_gt(drawn(1, 400, ms, 100 * MS), 20); /* 100 / 2^2.3 is 20 */
    end();
}

UNIT_TEST(the_half_life_is_an_option)
{
    begin("half_life = 1s", 2);
    answer(0, 64);
    weir_test_advance(host, 3 * S);
    expect_cost(0, 8);
    answer(0, 8); /* what has faded meanwhile is filled up by it: 8 + 8 * 7/8 */
    expect_cost(0, 15);
    end();
}

/* A pause of 5 s where 10 ms are usual: it is over when the answers come that waited for it. */
UNIT_TEST(who_has_paused_is_back_at_once)
{
    begin("", 3);
    for (uint32_t s = 0; s < 3; s++) {
        answers(s, 10);
    }
    weir_test_assign(balancer, 0);
    weir_test_assign(balancer, 0);
    for (int i = 0; i < 50; i++) {
        weir_test_advance(host, 100 * MS);
        ck_assert_uint_ne(weir_test_pick(balancer, NULL), 0);
        answer(1, 10);
        answer(2, 10);
    }
    weir_test_complete(balancer, 0, WEIR_OUTCOME_SUCCESS, 5 * S, 5 * S);
    weir_test_complete(balancer, 0, WEIR_OUTCOME_SUCCESS, 5 * S, 5 * S);
    ck_assert_double_lt(cost(0), 20);
    weir_test_assign(balancer, 1); /* a request at each of the others */
    weir_test_assign(balancer, 2);
    ck_assert_uint_eq(weir_test_send(balancer), 0);
    end();
}

UNIT_TEST(newcomers_are_expected_to_be_as_the_median)
{
    begin("", 5);
    for (uint32_t s = 0; s < 5; s++) {
        answer(s, 10 * (s + 1));
    }
    uint32_t newcomer = weir_test_server_add(pool, "new", 1);
    weir_test_pool_tell(pool);
    expect_cost(newcomer, 30);
    answer(newcomer, 10);
    expect_cost(newcomer, 20); /* half way: one answer does not make it the best */
    answer(newcomer, 40);
    expect_cost(newcomer, 40);
    /* Who has faded is no measure for who comes later. */
    for (int i = 0; i < 600; i++) {
        weir_test_advance(host, 100 * MS);
        answer(4, 50);
    }
    newcomer = weir_test_server_add(pool, "newer", 1);
    weir_test_pool_tell(pool);
    expect_cost(newcomer, 50);
    end();
}

/* One request after the other, all answered alike: nobody is left out. */
UNIT_TEST(newcomers_are_tried_however_few_requests_there_are)
{
    const double ms[] = {10, 10, 10, 10};
    uint32_t counts[4] = {0};
    begin("", 3);
    ck_assert_uint_eq(drawn(3, 100, ms, 10 * MS), 0);
    weir_test_server_add(pool, "new", 1);
    weir_test_pool_tell(pool);
    for (int i = 0; i < 100; i++) {
        uint32_t to = weir_test_send(balancer);
        counts[to]++;
        weir_test_complete(balancer, to, WEIR_OUTCOME_SUCCESS, 10 * MS, 10 * MS);
        weir_test_advance(host, 10 * MS);
    }
    for (int s = 0; s < 4; s++) {
        ck_assert_uint_gt(counts[s], 10);
    }
    end();
}

/* ---- silence ---- */

UNIT_TEST(silence_counts_as_soon_as_it_is_longer)
{
    begin("", 2);
    answer(0, 10);
    answer(1, 10);
    weir_test_assign(balancer, 0);
    weir_test_advance(host, 5 * MS);
    expect_cost(0, 20);
    weir_test_advance(host, 495 * MS);
    expect_cost(0, 1000);
    for (int i = 0; i < 30; i++) {
        ck_assert_uint_eq(weir_test_send(balancer), 1);
    }
    /* What is answered breaks the silence, also where others go on waiting. */
    weir_test_assign(balancer, 0);
    weir_test_head(balancer, 0, &(struct weir_feedback){.first_byte_ns = 20 * MS});
    expect_cost(0, 20 * 3);
    weir_test_advance(host, 100 * MS);
    expect_cost(0, 100 * 3);
    end();
}

/* An answer that has begun is no silence, however long it takes. */
UNIT_TEST(a_long_body_is_no_silence)
{
    begin("", 2);
    answer(0, 10);
    answer(1, 10);
    weir_test_assign(balancer, 0);
    weir_test_head(balancer, 0, &(struct weir_feedback){.first_byte_ns = 10 * MS});
    weir_test_advance(host, 200 * MS);
    expect_cost(0, 20);
    weir_test_complete(balancer, 0, WEIR_OUTCOME_SUCCESS, 10 * MS, 210 * MS);
    expect_cost(0, 10);
    end();
}

UNIT_TEST(clients_that_go_tell_nothing)
{
    begin("", 2);
    answer(0, 10);
    weir_test_assign(balancer, 0);
    weir_test_advance(host, 100 * MS);
    weir_test_complete(balancer, 0, WEIR_OUTCOME_CANCELED, 0, 100 * MS);
    weir_test_advance(host, 100 * MS);
    expect_cost(0, 10);
    ck_assert_ptr_null(strstr(score_of(balancer, 0).text, "penalty"));
    end();
}

/* ---- failures ---- */

static const struct {
    enum weir_outcome outcome;
    uint32_t status;
} failures[] = {
    {WEIR_OUTCOME_ERROR, 503}, {WEIR_OUTCOME_ERROR, 500}, {WEIR_OUTCOME_SUCCESS, 429},
    {WEIR_OUTCOME_FAILED, 0},  {WEIR_OUTCOME_TIMEOUT, 0},
};

UNIT_LOOP_TEST(failures_cost_a_penalty_that_fades, 5)
{
    begin("", 2);
    fails(0, failures[_i].outcome, failures[_i].status, 0);
    expect_cost(0, 5001); /* all that it answered failed; nothing is known of its times */
    ck_assert_ptr_nonnull(strstr(score_of(balancer, 0).text, "penalty 5 s"));
    weir_test_advance(host, 10 * S);
    expect_cost(0, 2501);
    weir_test_advance(host, 200 * S);
    ck_assert_double_lt(cost(0), 1.01);
    end();
}

UNIT_TEST(penalties_are_options)
{
    begin("penalty = 1s  penalty_half_life = 1s", 2);
    fails(0, WEIR_OUTCOME_FAILED, 0, 0);
    expect_cost(0, 1001);
    weir_test_advance(host, S);
    expect_cost(0, 501);
    end();
}

/* One failure in sixteen answers costs 5 s / 16^2: a pool where some fail is no lottery. */
UNIT_TEST(a_part_that_fails_costs_its_square)
{
    begin("", 2);
    for (int i = 0; i < 40; i++) {
        answer(0, 10);
    }
    fails(0, WEIR_OUTCOME_ERROR, 500, 0);
    expect_cost(0, 10 + 19.5);
    for (int i = 0; i < 60; i++) {
        fails(0, WEIR_OUTCOME_ERROR, 500, 0);
    }
    ck_assert_double_gt(cost(0), 4500);
    end();
}

UNIT_TEST(an_answer_that_breaks_off_is_a_failure)
{
    begin("", 2);
    weir_test_assign(balancer, 0);
    weir_test_complete(balancer, 0, WEIR_OUTCOME_FAILED, 10 * MS, 20 * MS);
    ck_assert_double_gt(cost(0), 1000);
    end();
}

/* It fails in 1 ms where the others take 10: it gets a thousandth of 100 requests a second. */
UNIT_TEST(who_fails_fast_draws_nothing)
{
    uint32_t to_it = 0, waiting[4], count = 0;
    uint64_t random = 1;
    begin("", 4);
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t to = weir_test_pick(balancer, NULL);
        if (to == 3) {
            fails(3, WEIR_OUTCOME_ERROR, 503, 0);
            to_it++;
        } else {
            weir_test_assign(balancer, to);
            waiting[count++] = to;
        }
        weir_test_advance(host, 10 * MS);
        if (count == 3) {
            uint32_t which = test_random(&random, 3);
            weir_test_complete(balancer, waiting[which], WEIR_OUTCOME_SUCCESS, 10 * MS, 10 * MS);
            waiting[which] = waiting[--count];
        }
    }
    ck_assert_uint_gt(to_it, 1); /* it is tried again and again */
    ck_assert_uint_lt(to_it, 40);
    end();
}

UNIT_TEST(retry_after_is_kept)
{
    begin("penalty = 0s", 2);
    answer(0, 10);
    answer(1, 1000);
    fails(0, WEIR_OUTCOME_ERROR, 503, 30 * S);
    ck_assert_ptr_nonnull(strstr(score_of(balancer, 0).text, "left alone for 30 s"));
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), 1);
    weir_test_server_set_usable(pool, 1, false); /* nothing else is there */
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), 0);
    weir_test_server_set_usable(pool, 1, true);
    weir_test_advance(host, 29 * S);
    answer(1, 1000);
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), 1);
    weir_test_advance(host, 2 * S);
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), 0);
    end();
}

/* All ask for it: the one whose time is over first. */
UNIT_TEST(of_all_that_ask_to_be_left_alone_the_first_to_be_back_is_taken)
{
    begin("", 3);
    for (uint32_t s = 0; s < 3; s++) {
        fails(s, WEIR_OUTCOME_ERROR, 503, (30 - 10 * s) * S);
    }
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), 2);
    end();
}

/* ---- many, few and drawn ---- */

UNIT_LOOP_TEST(unusable_servers_are_never_picked, 2)
{
    uint32_t count = _i == 0 ? 20 : 300;
    uint64_t random = 3;
    begin("", count);
    for (uint32_t i = 0; i < 5000; i++) {
        uint32_t server = test_random(&random, count);
        weir_test_server_set_usable(pool, server, test_random(&random, 2) == 0);
        uint32_t to = weir_test_send(balancer); /* a pick that is not usable is a problem */
        if (to != WEIR_PICK_NONE) {
            enum weir_outcome outcome = (enum weir_outcome)test_random(&random, 5);
            weir_test_advance(host, test_random(&random, 50) * MS);
            weir_test_complete(
                balancer, to, outcome,
                outcome < WEIR_OUTCOME_FAILED ? 1 + test_random(&random, 99) * MS : 0, 100 * MS);
        }
        if (i % 500 == 0) {
            weir_test_server_set_candidate(pool, server, test_random(&random, 2) == 0);
            weir_test_pool_tell(pool);
        }
    }
    end();
}

/* Above 64 servers a heap keeps what they cost: the slow ones are found out as well. */
UNIT_TEST(many_servers_are_told_apart)
{
    uint32_t slow = 0;
    begin("", 200);
    for (uint32_t s = 0; s < 200; s++) {
        answer(s, s % 10 == 0 ? 100 : 10);
    }
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t to = weir_test_send(balancer);
        slow += to % 10 == 0 ? 1 : 0;
        weir_test_complete(balancer, to, WEIR_OUTCOME_SUCCESS, to % 10 == 0 ? 100 * MS : 10 * MS,
                           100 * MS);
        weir_test_advance(host, MS);
    }
    ck_assert_uint_eq(slow, 0);
    end();
}

UNIT_TEST(two_can_be_drawn)
{
    const double ms[] = {10, 10, 10, 1000};
    begin("choices = 2", 4);
    for (uint32_t s = 0; s < 4; s++) {
        answer(s, ms[s]);
    }
    /* The slow one is taken where both draws are it: one in sixteen. */
    uint32_t count = drawn(3, 3200, ms, MS);
    ck_assert_uint_gt(count, 100);
    ck_assert_uint_lt(count, 320);
    end();
}

/* ---- what passes over ---- */

UNIT_TEST(what_was_learnt_passes_over_to_other_options)
{
    begin("half_life = 10s", 3);
    for (uint32_t s = 0; s < 3; s++) {
        answer(s, 10 * (s + 1));
    }
    weir_test_advance(host, 10 * S);
    fails(1, WEIR_OUTCOME_ERROR, 503, 5 * S);
    weir_test_assign(balancer, 2);
    weir_test_advance(host, 100 * MS);

    struct weir_test_block *other = test_conf(host, "half_life = 2s");
    struct weir_test_instance *next = weir_test_create(host, WEIR_TEST_BALANCER, other);
    ck_assert_ptr_nonnull(next);
    ck_assert_uint_eq(weir_test_take_over(balancer, next), 0);
    ck_assert_double_eq_tol(score_of(next, 0).value, cost(0), 0.1);
    ck_assert_ptr_nonnull(strstr(score_of(next, 1).text, "left alone for 4.9 s"));
    /* What waits there is the old one's business; that it is in flight counts. */
    ck_assert_double_eq_tol(score_of(next, 2).value, 15 * 2, 0.5);
    weir_test_advance(host, 2 * S);
    ck_assert_double_eq_tol(score_of(next, 0).value, 2.5, 0.1);
    weir_test_complete_all(balancer);
    weir_test_destroy(&next);
    end();
}

/* ---- time ---- */

UNIT_LOOP_TEST(long_times_pass, 4)
{
    static const uint64_t gaps[] = {S, 600 * S, 3600 * S, 400 * 86400 * S};
    const double ms[] = {10, 20};
    begin(_i == 0 ? "half_life = 10ms  penalty_half_life = 10ms" : "", 2);
    for (int i = 0; i < 50; i++) {
        fails(1, WEIR_OUTCOME_FAILED, 0, 0);
        drawn(0, 10, ms, MS);
        weir_test_advance(host, gaps[_i]);
        ck_assert(cost(0) >= 0 && cost(0) < 100);
        ck_assert(cost(1) >= 0 && cost(1) < 5100);
    }
    end();
}

UNIT_TEST(wrong_options_are_refused)
{
    host = test_begin();
    test_refused(host, "half_life = 0s", "half_life");
    test_refused(host, "penalty = -1s", "penalty");
    test_refused(host, "choices = 17", "choices");
    test_end(&host);
}

/* With 10,000 servers, under sanitizers, beside other work. */
UNIT_TIMEOUT(60);
