/* SPDX-License-Identifier: MIT */
/*
 * Pools of fake servers: what balancers are told, and what their picks are held to.
 */
#include <check.h>
#include <stdio.h>

#include "mock_module.h"
#include "runner.h"

static struct weir_test *host;
static struct weir_test_pool *pool;
static struct weir_test_instance *balancer;

static uint32_t pick_first(const struct weir_pick *pick)
{
    for (uint32_t i = 0; i < pick->candidates->count; i++) {
        if (weir_pick_usable(pick, i)) {
            return i;
        }
    }
    return WEIR_PICK_NONE;
}

static uint32_t pick_idlest(const struct weir_pick *pick)
{
    uint32_t best = WEIR_PICK_NONE, least = UINT32_MAX;
    for (uint32_t i = 0; i < pick->candidates->count; i++) {
        const struct weir_candidate *candidate = weir_candidate_at(pick->candidates, i);
        if (weir_candidate_in_flight(candidate) < least) {
            least = weir_candidate_in_flight(candidate);
            best = i;
        }
    }
    return best;
}

static uint32_t pick_last(const struct weir_pick *pick)
{
    return pick->candidates->count - 1;
}

static uint32_t pick_beyond(const struct weir_pick *pick)
{
    return pick->candidates->count;
}

static uint32_t pick_none(const struct weir_pick *pick)
{
    (void)pick;
    return WEIR_PICK_NONE;
}

static uint32_t pick_asking_beyond(const struct weir_pick *pick)
{
    return weir_pick_usable(pick, pick->candidates->count) ? 0 : WEIR_PICK_NONE;
}

static void setup(void)
{
    host = mock_host();
    pool = weir_test_pool_new(host);
    weir_test_server_add(pool, "a", 1);
    weir_test_server_add(pool, "b", 2);
    weir_test_server_add(pool, "c", 1);
    balancer = mock_instance(host, WEIR_TEST_BALANCER);
    mock.pick = pick_first;
    ck_assert_int_eq(weir_test_pool_join(pool, balancer), WEIR_OK);
}

static void teardown(void)
{
    ck_assert_msg(weir_test_problem_count(host) == 0, "%s", weir_test_problems(host));
    ck_assert(weir_test_free(&host));
}

static bool problem(const char *text)
{
    bool found =
        weir_test_problem_count(host) == 1 && strstr(weir_test_problems(host), text) != NULL;
    weir_test_forgive(host);
    return found;
}

UNIT_TEST(members_change_and_numbers_stay)
{
    ck_assert_uint_eq(mock.members, 1);
    ck_assert_uint_eq(mock.member_count, 3);
    weir_test_server_set_candidate(pool, 0, false);
    ck_assert_int_eq(weir_test_pool_tell(pool), WEIR_OK);
    ck_assert_uint_eq(mock.member_count, 2);
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), 1);
    weir_test_server_set_usable(pool, 1, false);
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), 2);
    weir_test_server_set_usable(pool, 2, false);
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), WEIR_PICK_NONE);
    uint32_t d = weir_test_server_add(pool, "d", 1);
    ck_assert_uint_eq(d, 3);
    weir_test_pool_tell(pool);
    ck_assert_uint_eq(weir_test_pick_again(balancer, NULL, 1), 3);
    ck_assert_uint_ne(weir_test_server_id(pool, 0), weir_test_server_id(pool, 1));
}

UNIT_TEST(feedback_tells_how_it_ended)
{
    ck_assert_uint_eq(weir_test_send(balancer), 0);
    ck_assert_uint_eq(weir_test_server_in_flight(pool, 0), 1);
    ck_assert_uint_eq(mock.assigns, 1);
    weir_test_complete(balancer, 0, WEIR_OUTCOME_TIMEOUT, 0, 77);
    ck_assert_uint_eq(weir_test_server_in_flight(pool, 0), 0);
    ck_assert_uint_eq(mock.feedback.index, 0);
    ck_assert_uint_eq(mock.feedback.id, weir_test_server_id(pool, 0));
    ck_assert_int_eq(mock.feedback.outcome, WEIR_OUTCOME_TIMEOUT);
    ck_assert_uint_eq(mock.feedback.total_ns, 77);
    ck_assert_uint_eq(mock.feedback.status, 0);
    /* The server has gone before its request ends. */
    weir_test_assign(balancer, 2);
    weir_test_server_set_candidate(pool, 2, false);
    weir_test_pool_tell(pool);
    weir_test_complete(balancer, 2, WEIR_OUTCOME_SUCCESS, 1, 2);
    ck_assert_uint_eq(mock.feedback.index, WEIR_PICK_NONE);
    ck_assert_uint_eq(mock.feedback.status, 200);
}

UNIT_TEST(workers_share_the_counts)
{
    uint32_t counts[3] = {0};
    weir_test_set_worker(host, 1, 2);
    struct weir_test_instance *second = mock_instance(host, WEIR_TEST_BALANCER);
    ck_assert_int_eq(weir_test_pool_join(pool, second), WEIR_OK);
    mock.pick = pick_idlest;
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(weir_test_fill(balancer, 1, counts, 3), 1);
        ck_assert_uint_eq(weir_test_fill(second, 1, counts, 3), 1);
    }
    ck_assert(counts[0] == 2 && counts[1] == 2 && counts[2] == 2);
    weir_test_complete_all(second);
    ck_assert_uint_eq(weir_test_server_in_flight(pool, 0) + weir_test_server_in_flight(pool, 1) +
                          weir_test_server_in_flight(pool, 2),
                      3);
    weir_test_complete_all(balancer);
    ck_assert_uint_eq(mock.assigns, mock.completes);
}

UNIT_TEST(a_spread_ends_each_request)
{
    uint32_t counts[3] = {0};
    ck_assert_uint_eq(weir_test_spread(balancer, 100, counts, 3), 100);
    ck_assert_uint_eq(counts[0], 100);
    ck_assert_uint_eq(mock.completes, 100);
    mock.pick = pick_none;
    for (uint32_t i = 0; i < 3; i++) {
        weir_test_server_set_usable(pool, i, false);
    }
    ck_assert_uint_eq(weir_test_spread(balancer, 100, counts, 3), 0);
}

UNIT_TEST(bad_picks_are_problems)
{
    mock.pick = pick_beyond;
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), WEIR_PICK_NONE);
    ck_assert(problem("candidate 3 of 3, which is out of range"));
    weir_test_server_set_usable(pool, 2, false);
    mock.pick = pick_last;
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), WEIR_PICK_NONE);
    ck_assert(problem("candidate 2 of 3, which is not usable"));
    mock.pick = pick_none;
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), WEIR_PICK_NONE);
    ck_assert(problem("chose none"));
    for (uint32_t i = 0; i < 3; i++) {
        weir_test_server_set_usable(pool, i, false);
    }
    mock.pick = pick_asking_beyond;
    weir_test_pick(balancer, NULL);
    ck_assert(problem("asked for candidate 3 of 3"));
}

UNIT_TEST(requests_left_at_the_end_are_a_problem)
{
    weir_test_send(balancer);
    weir_test_destroy(&balancer);
    ck_assert(problem("1 requests assigned and not completed"));
}

static uint32_t pick_checked(const struct weir_pick *pick)
{
    const struct weir_candidate *b = weir_candidate_at(pick->candidates, 1);
    ck_assert_uint_eq(b->weight, 128);
    ck_assert_uint_eq(*b->latency_us, 1500);
    ck_assert_uint_eq(weir_candidate_in_flight(b), 9);
    ck_assert_uint_eq(b->name.len, 1);
    ck_assert_int_eq(b->name.ptr[0], 'b');
    ck_assert_uint_eq(pick->attempt, 2);
    return 1;
}

UNIT_TEST(candidates_carry_what_was_set)
{
    weir_test_server_set_weight(pool, 1, WEIR_WEIGHT_ONE / 2);
    weir_test_pool_tell(pool);
    weir_test_server_set_in_flight(pool, 1, 9);
    weir_test_server_set_latency(pool, 1, 1500);
    mock.pick = pick_checked;
    struct weir_request *req = weir_test_request(host, "GET", "/");
    ck_assert_uint_eq(weir_test_pick_again(balancer, req, 2), 1);
}

static enum weir_status score_weight(const struct weir_pick *pick, uint32_t index,
                                     struct weir_score *out)
{
    out->value = 1.0 / weir_candidate_at(pick->candidates, index)->weight;
    snprintf(out->text, sizeof(out->text), "candidate %u", index);
    return weir_pick_usable(pick, index) ? WEIR_OK : WEIR_DECLINED;
}

static enum weir_status score_nonsense(const struct weir_pick *pick, uint32_t index,
                                       struct weir_score *out)
{
    (void)pick;
    out->value = index == 0 ? 0.0 / 0.0 : 1;
    memset(out->text, index == 1 ? 'x' : 0, sizeof(out->text));
    return index == 2 ? WEIR_ERROR : WEIR_OK;
}

UNIT_TEST(candidates_have_scores)
{
    struct weir_score score;
    mock.score = score_weight;
    weir_test_server_set_candidate(pool, 0, false);
    weir_test_pool_tell(pool);
    ck_assert_int_eq(weir_test_score(balancer, NULL, 1, &score), WEIR_OK);
    ck_assert_double_eq(score.value, 1.0 / (2 * WEIR_WEIGHT_ONE));
    ck_assert_str_eq(score.text, "candidate 0");
    ck_assert_int_eq(weir_test_score(balancer, NULL, 0, &score), WEIR_DECLINED);
    weir_test_server_set_usable(pool, 1, false);
    ck_assert_int_eq(weir_test_score(balancer, NULL, 1, &score), WEIR_DECLINED);

    weir_test_server_set_candidate(pool, 0, true);
    weir_test_pool_tell(pool);
    mock.score = score_nonsense;
    weir_test_score(balancer, NULL, 0, &score);
    ck_assert(problem("not finite"));
    weir_test_score(balancer, NULL, 1, &score);
    ck_assert(problem("no end"));
    ck_assert_uint_eq(strlen(score.text), sizeof(score.text) - 1);
    weir_test_score(balancer, NULL, 2, &score);
    ck_assert(problem("not WEIR_OK"));
}

UNIT_FIXTURE(setup, teardown);
