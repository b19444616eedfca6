/* SPDX-License-Identifier: MIT */
/*
 * Balancers that the fake host ranks for: slots, dry runs, what passes over, and what is a problem.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include <weir/testing.h>

#include "runner.h"

struct learnt {
    uint32_t sent, done;
};
static struct weir_feedback head, last; /* that were heard */
static uint32_t heads;

static double nothing; /* added to each cost */
static uint32_t refuses, claims;

static double cost(struct weir_context *ctx, void *instance, const struct weir_candidate *candidate,
                   const struct weir_pick *pick)
{
    (void)ctx;
    (void)instance;
    (void)pick;
    return ((const struct learnt *)candidate->slot)->done + nothing;
}

static void on_sent(struct weir_context *ctx, void *instance,
                    const struct weir_candidate *candidate)
{
    (void)ctx;
    (*(uint32_t *)instance)++;
    ((struct learnt *)candidate->slot)->sent++;
}

static void on_complete(struct weir_context *ctx, void *instance,
                        const struct weir_feedback *feedback)
{
    (void)ctx;
    (void)instance;
    last = *feedback;
    ((struct learnt *)feedback->slot)->done++;
}

static void on_head(struct weir_context *ctx, void *instance, const struct weir_feedback *feedback)
{
    (void)ctx;
    (void)instance;
    head = *feedback;
    heads++;
}

static enum weir_status save(struct weir_context *ctx, void *instance, struct weir_state *state)
{
    size_t len = state->slot != NULL ? sizeof(struct learnt) : sizeof(uint32_t);
    (void)ctx;
    memcpy(state->data, state->slot != NULL ? state->slot : instance, len);
    state->len = claims > 0 ? claims : (uint32_t)len;
    state->version = 1;
    return WEIR_OK;
}

static enum weir_status restore(struct weir_context *ctx, void *instance,
                                const struct weir_state *state)
{
    (void)ctx;
    memcpy(state->slot != NULL ? state->slot : instance, state->data, state->len);
    return state->version == refuses ? WEIR_DECLINED : WEIR_OK;
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .cost = cost,
    .on_sent = on_sent,
    .on_complete = on_complete,
    .on_head = on_head,
    .save = save,
    .restore = restore,
    .instance_size = sizeof(uint32_t),
    .slot_size = sizeof(struct learnt),
};
static struct weir_balancer other; /* to be wrong */

#define MODULE(table)                                                          \
    {                                                                          \
        .size = sizeof(struct weir_module), .abi_major = WEIR_ABI_MAJOR,       \
        .abi_minor = WEIR_ABI_MINOR, .name = "balance_ranked", .version = "1", \
        .balancer = (table),                                                   \
    }
static const struct weir_module module = MODULE(&balancer);
static const struct weir_module wrong = MODULE(&other);

static struct weir_test *host;
static struct weir_test_block *block;
static struct weir_test_pool *pool;
static struct weir_test_instance *first, *second;

static struct weir_test_instance *make(void)
{
    struct weir_test_instance *made = weir_test_create(host, WEIR_TEST_BALANCER, block);
    ck_assert_ptr_nonnull(made);
    ck_assert_uint_eq(*(uint32_t *)weir_test_instance_data(made), 0);
    return made;
}

static void setup(void)
{
    host = weir_test_new(&module);
    block = weir_test_conf(host, "");
    ck_assert_ptr_nonnull(block);
    pool = weir_test_pool_new(host);
    for (int i = 0; i < 3; i++) {
        weir_test_server_add(pool, (char[]){(char)('a' + i), '\0'}, 1);
    }
    first = make();
    second = make();
    nothing = 0;
    refuses = claims = heads = 0;
    ck_assert_int_eq(weir_test_pool_join(pool, first), WEIR_OK);
}

static void teardown(void)
{
    ck_assert_msg(weir_test_problem_count(host) == 0, "%s", weir_test_problems(host));
    ck_assert(weir_test_free(&host));
}

UNIT_TEST(the_lowest_cost_is_picked)
{
    struct weir_score score;
    uint32_t counts[3] = {0};
    ck_assert_uint_eq(weir_test_spread(first, 30, counts, 3), 30);
    ck_assert(counts[0] == 10 && counts[1] == 10 && counts[2] == 10);
    uint32_t would = weir_test_would_pick(first, NULL);
    ck_assert_uint_eq(weir_test_would_pick(first, NULL), would);
    ck_assert_int_eq(weir_test_score(first, NULL, would, &score), WEIR_OK);
    ck_assert_double_eq(score.value, 10);
    ck_assert_str_eq(score.text, "costs 10");
    ck_assert_uint_eq(weir_test_send(first), would);
    weir_test_complete_all(first);
    weir_test_server_set_usable(pool, 0, false);
    weir_test_server_set_candidate(pool, 1, false);
    weir_test_pool_tell(pool);
    ck_assert_uint_eq(weir_test_pick(first, NULL), 2);
}

UNIT_TEST(what_was_learnt_passes_over)
{
    weir_test_spread(first, 30, NULL, 0);
    ck_assert_uint_eq(weir_test_take_over(first, second), 0);
    struct weir_score score;
    ck_assert_int_eq(weir_test_score(second, NULL, 1, &score), WEIR_OK);
    ck_assert_double_eq(score.value, 10);
    ck_assert_uint_eq(*(uint32_t *)weir_test_instance_data(second), 30);
}

UNIT_TEST(what_is_refused_begins_anew)
{
    weir_test_spread(first, 30, NULL, 0);
    refuses = 1;
    ck_assert_uint_eq(weir_test_take_over(first, second), 4);
    struct weir_score score;
    weir_test_score(second, NULL, 1, &score);
    ck_assert_double_eq(score.value, 0);
}

UNIT_TEST(answers_begin_once)
{
    const struct weir_feedback busy = {.outcome = WEIR_OUTCOME_ERROR,
                                       .status = 503,
                                       .first_byte_ns = 7,
                                       .total_ns = 9,
                                       .retry_after_ns = 5};
    uint32_t server = weir_test_send(first);
    weir_test_head(first, server, &busy);
    ck_assert(head.status == 503 && head.outcome == WEIR_OUTCOME_ERROR && head.first_byte_ns == 7);
    ck_assert(head.total_ns == 0 && head.retry_after_ns == 5);
    weir_test_complete_as(first, server, &busy);
    ck_assert(last.status == 503 && last.total_ns == 9 && last.retry_after_ns == 5);
    ck_assert_ptr_eq(last.slot, head.slot);
    ck_assert_uint_eq(heads, 1);
    /* Who does not tell of the beginning gets it told; what never began has none. */
    server = weir_test_send(first);
    weir_test_complete(first, server, WEIR_OUTCOME_SUCCESS, 3, 4);
    ck_assert(heads == 2 && head.status == 200 && head.first_byte_ns == 3);
    server = weir_test_send(first);
    weir_test_complete(first, server, WEIR_OUTCOME_TIMEOUT, 0, 4);
    ck_assert(heads == 2 && last.status == 0 && last.retry_after_ns == 0);
}

UNIT_TEST(breaches_are_problems)
{
    nothing = 0.0 / 0.0;
    weir_test_pick(first, NULL);
    ck_assert_ptr_nonnull(strstr(weir_test_problems(host), "cost gave no number"));
    weir_test_forgive(host);
    nothing = 0;
    claims = WEIR_STATE_MAX + 1;
    ck_assert_uint_eq(weir_test_take_over(first, second), 4);
    ck_assert_ptr_nonnull(strstr(weir_test_problems(host), "have room"));
    weir_test_forgive(host);
}

static void expect_refused(const char *text)
{
    char error[256];
    ck_assert(!weir_test_validate(&wrong, error, sizeof(error)));
    ck_assert_msg(strstr(error, text) != NULL, "%s", error);
}

static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *choice)
{
    (void)ctx;
    (void)instance;
    (void)choice;
    return WEIR_PICK_NONE;
}

UNIT_TEST(wrong_tables_are_refused)
{
    other = balancer;
    other.cost = NULL;
    expect_refused("`pick` or `cost`");
    other.flags = WEIR_BALANCER_TURNS;
    ck_assert(weir_test_validate(&wrong, NULL, 0));
    other.pick = pick;
    expect_refused("both `pick` and a ranking");
    other = balancer;
    other.slot_size = WEIR_SLOT_SIZE_MAX + 1;
    expect_refused("slot_size");
}

/* ---- an instance that create makes ---- */

static int own; /* the instance */

static enum weir_status create_own(struct weir_context *ctx, const void *conf, void *prepared,
                                   void **instance)
{
    (void)ctx;
    (void)conf;
    (void)prepared;
    *instance = &own;
    return WEIR_OK;
}

static double cost_of_own(struct weir_context *ctx, void *instance,
                          const struct weir_candidate *candidate, const struct weir_pick *pick)
{
    (void)ctx;
    (void)pick;
    ck_assert_ptr_eq(instance, &own);
    return (double)candidate->in_flight[0];
}

UNIT_TEST(the_cost_is_asked_of_what_create_made)
{
    static const struct weir_balancer table = {
        .size = sizeof(table), .create = create_own, .cost = cost_of_own};
    static const struct weir_module made = {.size = sizeof(made),
                                            .abi_major = WEIR_ABI_MAJOR,
                                            .abi_minor = WEIR_ABI_MINOR,
                                            .name = "balance_own",
                                            .version = "1",
                                            .license = "MIT",
                                            .summary = "own",
                                            .balancer = &table};
    struct weir_test *alone = weir_test_new(&made);
    struct weir_test_block *empty = weir_test_conf(alone, "");
    struct weir_test_instance *instance = weir_test_create(alone, WEIR_TEST_BALANCER, empty);
    struct weir_test_pool *servers = weir_test_pool_new(alone);

    weir_test_server_add(servers, "a", 1);
    ck_assert_int_eq(weir_test_pool_join(servers, instance), WEIR_OK);
    ck_assert_uint_eq(weir_test_pick(instance, NULL), 0);
    ck_assert(weir_test_free(&alone));
}

UNIT_FIXTURE(setup, teardown);
