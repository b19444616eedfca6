/* SPDX-License-Identifier: MIT */
/*
 * The balancer on the SDK's fake host: shares by weight, keeps off the loaded, and never fails
 * while a server is usable.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir/testing.h>

extern const struct weir_module *weir_module_entry(void);

static struct weir_test *host;
static struct weir_test_pool *pool;

static void setup(void)
{
    host = weir_test_new(weir_module_entry());
    ck_assert_ptr_nonnull(host);
    pool = weir_test_pool_new(host);
}

static void teardown(void)
{
    ck_assert_msg(weir_test_problem_count(host) == 0, "%s", weir_test_problems(host));
    ck_assert(weir_test_free(&host));
}

static struct weir_test_instance *start(const char *conf)
{
    struct weir_test_block *block = weir_test_conf(host, conf);
    ck_assert_msg(block != NULL, "%s", weir_test_mistakes(host));
    struct weir_test_instance *balancer = weir_test_create(host, WEIR_TEST_BALANCER, block);
    ck_assert_ptr_nonnull(balancer);
    ck_assert_int_eq(weir_test_pool_join(pool, balancer), WEIR_OK);
    return balancer;
}

START_TEST(idle_servers_share_by_weight)
{
    uint32_t counts[3] = {0};
    weir_test_server_add(pool, "a", 1);
    weir_test_server_add(pool, "b", 2);
    weir_test_server_add(pool, "c", 5);
    struct weir_test_instance *balancer = start("choices = 1");
    ck_assert_uint_eq(weir_test_spread(balancer, 8000, counts, 3), 8000);
    ck_assert_uint_ge(counts[0], 800);
    ck_assert_uint_le(counts[0], 1200);
    ck_assert_uint_ge(counts[1], 1700);
    ck_assert_uint_le(counts[1], 2300);
}
END_TEST

/* With one choice the fullest of 100 servers has some 9 more than the mean of 10; with two, some
 * 2. */
START_TEST(two_choices_even_the_load_out)
{
    uint32_t fullest = 0;
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%d", i);
        weir_test_server_add(pool, name, 1);
    }
    struct weir_test_instance *balancer = start("");
    ck_assert_uint_eq(weir_test_fill(balancer, 1000, NULL, 0), 1000);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t count = weir_test_server_in_flight(pool, i);
        fullest = count > fullest ? count : fullest;
    }
    ck_assert_uint_le(fullest, 14);
    weir_test_complete_all(balancer);
}
END_TEST

START_TEST(a_loaded_server_is_avoided)
{
    uint32_t counts[2] = {0};
    weir_test_server_add(pool, "busy", 1);
    weir_test_server_add(pool, "idle", 1);
    weir_test_server_set_in_flight(pool, 0, 50);
    struct weir_test_instance *balancer = start("");
    weir_test_spread(balancer, 1000, counts, 2);
    /* Only where both draws fall on it: one time in four. */
    ck_assert_uint_ge(counts[0], 180);
    ck_assert_uint_le(counts[0], 320);
}
END_TEST

START_TEST(a_usable_server_is_always_found)
{
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%d", i);
        weir_test_server_set_usable(pool, weir_test_server_add(pool, name, 1), i == 777);
    }
    struct weir_test_instance *balancer = start("");
    for (int i = 0; i < 100; i++) {
        ck_assert_uint_eq(weir_test_pick(balancer, NULL), 777);
    }
    weir_test_server_set_usable(pool, 777, false);
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), WEIR_PICK_NONE);
}
END_TEST

START_TEST(the_less_loaded_has_the_lower_score)
{
    struct weir_score busy, idle;
    weir_test_server_add(pool, "busy", 1);
    weir_test_server_add(pool, "idle", 4);
    weir_test_server_set_in_flight(pool, 0, 3);
    weir_test_server_set_in_flight(pool, 1, 6);
    struct weir_test_instance *balancer = start("");
    ck_assert_int_eq(weir_test_score(balancer, NULL, 0, &busy), WEIR_OK);
    ck_assert_int_eq(weir_test_score(balancer, NULL, 1, &idle), WEIR_OK);
    ck_assert(busy.value == 3 && idle.value == 1.5);
    ck_assert_str_eq(idle.text, "6 in flight, if it is drawn");
}
END_TEST

START_TEST(members_come_and_go)
{
    weir_test_server_add(pool, "a", 1);
    weir_test_server_add(pool, "b", 1);
    struct weir_test_instance *balancer = start("");
    weir_test_server_set_candidate(pool, 0, false);
    ck_assert_int_eq(weir_test_pool_tell(pool), WEIR_OK);
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), 1);
    weir_test_server_set_candidate(pool, 1, false);
    ck_assert_int_eq(weir_test_pool_tell(pool), WEIR_OK);
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), WEIR_PICK_NONE);
}
END_TEST

START_TEST(mistakes_are_told)
{
    ck_assert_ptr_null(weir_test_conf(host, "choices = 0"));
    ck_assert_str_eq(weir_test_mistakes(host), "conf:1: choices: 0 is below the minimum of 1");
    ck_assert_ptr_null(weir_test_conf(host, "choice = 3"));
    ck_assert_str_eq(weir_test_mistakes(host),
                     "conf:1: unknown option `choice` in `balance \"two_choices\"`; "
                     "did you mean `choices`?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("balance_two_choices");
    TCase *tests = tcase_create("balancer");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, idle_servers_share_by_weight);
    tcase_add_test(tests, two_choices_even_the_load_out);
    tcase_add_test(tests, a_loaded_server_is_avoided);
    tcase_add_test(tests, a_usable_server_is_always_found);
    tcase_add_test(tests, the_less_loaded_has_the_lower_score);
    tcase_add_test(tests, members_come_and_go);
    tcase_add_test(tests, mistakes_are_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
