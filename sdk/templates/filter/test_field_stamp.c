/* SPDX-License-Identifier: MIT */
/*
 * The filter on the SDK's fake host: responses get the field, requests without theirs are answered,
 * and mistakes are told.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <weir/testing.h>

extern const struct weir_module *weir_module_entry(void);

static struct weir_test *host;
static struct weir_request *req;

static void setup(void)
{
    host = weir_test_new(weir_module_entry());
    ck_assert_ptr_nonnull(host);
    req = weir_test_request(host, "GET", "/");
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
    struct weir_test_instance *filter = weir_test_create(host, WEIR_TEST_FILTER, block);
    ck_assert_ptr_nonnull(filter);
    return filter;
}

START_TEST(responses_get_the_field)
{
    struct weir_test_instance *filter = start("field = \"X-Served\"  value = \"here\"");
    struct weir_response *resp = weir_test_response(req, 200);
    weir_test_response_add(resp, "X-Served", "elsewhere");
    ck_assert_int_eq(weir_test_filter_request(filter, req), WEIR_OK);
    weir_test_filter_response(filter, req, resp);
    ck_assert_str_eq(weir_test_response_header(resp, "X-Served", 0), "here");
    ck_assert_ptr_null(weir_test_response_header(resp, "X-Served", 1));
}
END_TEST

START_TEST(a_request_without_its_field_is_answered)
{
    struct weir_test_instance *filter = start("requires = \"X-Key\"");
    ck_assert_int_eq(weir_test_filter_request(filter, req), WEIR_DONE);
    ck_assert_uint_eq(weir_test_reply_of(req).status, 400);
    struct weir_request *good = weir_test_request(host, "GET", "/");
    weir_test_request_add(good, "x-key", "1");
    ck_assert_int_eq(weir_test_filter_request(filter, good), WEIR_OK);
    ck_assert_uint_eq(weir_test_reply_of(good).status, 0);
}
END_TEST

START_TEST(a_dry_run_says_what_would_be)
{
    struct weir_filter_verdict verdict;
    struct weir_test_instance *filter = start("requires = \"X-Key\"");
    ck_assert_int_eq(weir_test_filter_explain(filter, req, &verdict), WEIR_OK);
    ck_assert_uint_eq(verdict.status, 400);
    ck_assert_str_eq(verdict.why, "it has no field X-Key");
    weir_test_request_add(req, "X-Key", "1");
    ck_assert_int_eq(weir_test_filter_explain(filter, req, &verdict), WEIR_OK);
    ck_assert_uint_eq(verdict.status, 0);
}
END_TEST

START_TEST(mistakes_are_told)
{
    ck_assert_ptr_null(weir_test_conf(host, "field = \"X Stamp\""));
    ck_assert_str_eq(weir_test_mistakes(host), "conf:1: \"X Stamp\" is no name of a field");
    ck_assert_ptr_null(weir_test_conf(host, "requires = \"a b\""));
    ck_assert_ptr_null(weir_test_conf(host, "value = \"a\\nb\""));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("field_stamp");
    TCase *tests = tcase_create("filter");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, responses_get_the_field);
    tcase_add_test(tests, a_request_without_its_field_is_answered);
    tcase_add_test(tests, a_dry_run_says_what_would_be);
    tcase_add_test(tests, mistakes_are_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
