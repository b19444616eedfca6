/* SPDX-License-Identifier: MIT */
/*
 * The router on the SDK's fake host: hosts find their pools, others are declined, and explain says
 * what route does.
 */
#include <check.h>
#include <stdlib.h>
#include <weir/testing.h>

extern const struct weir_module *weir_module_entry(void);

static struct weir_test *host;

static void setup(void)
{
    host = weir_test_new(weir_module_entry());
    ck_assert_ptr_nonnull(host);
    weir_test_add_pool(host, "shop");
    weir_test_add_pool(host, "blog");
}

static void teardown(void)
{
    ck_assert_msg(weir_test_problem_count(host) == 0, "%s", weir_test_problems(host));
    ck_assert(weir_test_free(&host));
}

static struct weir_test_instance *start(void)
{
    struct weir_test_block *block =
        weir_test_conf(host, "host \"shop.example\" { pool = \"shop\" }\n"
                             "host \"blog.example\" { pool = \"blog\" }");
    ck_assert_msg(block != NULL, "%s", weir_test_mistakes(host));
    struct weir_test_instance *router = weir_test_create(host, WEIR_TEST_ROUTER, block);
    ck_assert_ptr_nonnull(router);
    return router;
}

static struct weir_request *request(const char *name)
{
    struct weir_request *req = weir_test_request(host, "GET", "/");
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, name);
    return req;
}

START_TEST(each_host_has_its_pool)
{
    struct weir_test_instance *router = start();
    struct weir_route_result result;
    ck_assert_int_eq(weir_test_route(router, request("blog.example"), &result), WEIR_OK);
    ck_assert_str_eq(weir_test_pool_name(host, result.pool), "blog");
    ck_assert_str_eq(weir_test_route_name(host, result.route), "blog.example");
    ck_assert_int_eq(weir_test_route(router, request("shop.example"), &result), WEIR_OK);
    ck_assert_str_eq(weir_test_pool_name(host, result.pool), "shop");
}
END_TEST

START_TEST(other_hosts_are_left_to_the_next_router)
{
    struct weir_test_instance *router = start();
    struct weir_route_result result;
    ck_assert_int_eq(weir_test_route(router, request("other.example"), &result), WEIR_DECLINED);
    ck_assert_int_eq(weir_test_route(router, request(""), &result), WEIR_DECLINED);
}
END_TEST

/* The fake host compares the winner with what route says. */
START_TEST(the_rules_are_told)
{
    struct weir_test_instance *router = start();
    ck_assert_int_eq(weir_test_explain(router, request("blog.example"), 10), WEIR_OK);
    ck_assert_uint_eq(weir_test_rule_count(host), 2);
    ck_assert_int_eq(weir_test_rule_at(host, 0)->verdict, WEIR_RULE_DIFFERS);
    ck_assert_int_eq(weir_test_rule_at(host, 1)->verdict, WEIR_RULE_WINS);
    ck_assert_int_eq(weir_test_explain(router, request("x"), 10), WEIR_DECLINED);
}
END_TEST

START_TEST(mistakes_are_told)
{
    ck_assert_ptr_null(weir_test_conf(host, "host \"a\" {}"));
    ck_assert_ptr_null(weir_test_conf(host, "host \"a\" { pool = \"none\" }"));
    ck_assert_ptr_null(weir_test_conf(host, "host \"a\" { pool = \"shop\" }\n"
                                            "host \"a\" { pool = \"blog\" }"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route_host_table");
    TCase *tests = tcase_create("router");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, each_host_has_its_pool);
    tcase_add_test(tests, other_hosts_are_left_to_the_next_router);
    tcase_add_test(tests, the_rules_are_told);
    tcase_add_test(tests, mistakes_are_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
