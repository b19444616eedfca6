/* SPDX-License-Identifier: MIT */
/*
 * The balancer on the SDK's fake host: it learns who is quick, and its successor knows it.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <weir/testing.h>

extern const struct weir_module *weir_module_entry(void);

static struct weir_test *host;
static struct weir_test_pool *pool;

static void setup(void)
{
    host = weir_test_new(weir_module_entry());
    ck_assert_ptr_nonnull(host);
    pool = weir_test_pool_new(host);
    weir_test_server_add(pool, "slow", 1);
    weir_test_server_add(pool, "quick", 1);
}

static void teardown(void)
{
    ck_assert_msg(weir_test_problem_count(host) == 0, "%s", weir_test_problems(host));
    ck_assert(weir_test_free(&host));
}

static struct weir_test_instance *make(const char *conf)
{
    struct weir_test_block *block = weir_test_conf(host, conf);
    ck_assert_msg(block != NULL, "%s", weir_test_mistakes(host));
    struct weir_test_instance *balancer = weir_test_create(host, WEIR_TEST_BALANCER, block);
    ck_assert_ptr_nonnull(balancer);
    return balancer;
}

static void serve(struct weir_test_instance *balancer, uint32_t server, uint64_t ms)
{
    weir_test_assign(balancer, server);
    weir_test_complete(balancer, server, WEIR_OUTCOME_SUCCESS, ms * 1000000, ms * 1000000);
}

static struct weir_test_instance *learnt(void)
{
    struct weir_test_instance *balancer = make("");
    ck_assert_int_eq(weir_test_pool_join(pool, balancer), WEIR_OK);
    serve(balancer, 0, 100);
    serve(balancer, 1, 10);
    return balancer;
}

START_TEST(the_quick_one_is_taken)
{
    struct weir_test_instance *balancer = learnt();
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), 1);
    weir_test_server_set_in_flight(pool, 1, 20);
    serve(balancer, 1, 10); /* the host asks again what it costs */
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), 0);
}
END_TEST

START_TEST(a_failure_is_no_time)
{
    struct weir_test_instance *balancer = learnt();
    weir_test_assign(balancer, 0);
    weir_test_complete(balancer, 0, WEIR_OUTCOME_FAILED, 0, 1000);
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), 1);
}
END_TEST

START_TEST(its_successor_knows_it)
{
    struct weir_test_instance *balancer = learnt(), *next = make("smoothing = 2");
    struct weir_score score;
    ck_assert_uint_eq(weir_test_take_over(balancer, next), 0);
    ck_assert_uint_eq(weir_test_pick(next, NULL), 1);
    ck_assert_int_eq(weir_test_score(next, NULL, 0, &score), WEIR_OK);
    ck_assert_str_eq(score.text, "100.0 ms, 0 in flight");
}
END_TEST

START_TEST(mistakes_are_told)
{
    ck_assert_ptr_null(weir_test_conf(host, "smoothing = 0"));
    ck_assert_str_eq(weir_test_mistakes(host), "conf:1: smoothing: 0 is below the minimum of 1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("balance_least_time");
    TCase *tests = tcase_create("balancer");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_quick_one_is_taken);
    tcase_add_test(tests, a_failure_is_no_time);
    tcase_add_test(tests, its_successor_knows_it);
    tcase_add_test(tests, mistakes_are_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
