/* SPDX-License-Identifier: MIT */
/*
 * The handler on the SDK's fake host: GET and HEAD are answered, other methods refused.
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
}

static void teardown(void)
{
    ck_assert_msg(weir_test_problem_count(host) == 0, "%s", weir_test_problems(host));
    ck_assert(weir_test_free(&host));
}

static struct weir_request *visit(const char *conf, const char *method)
{
    struct weir_test_block *block = weir_test_conf(host, conf);
    ck_assert_msg(block != NULL, "%s", weir_test_mistakes(host));
    struct weir_test_instance *handler = weir_test_create(host, WEIR_TEST_HANDLER, block);
    ck_assert_ptr_nonnull(handler);
    struct weir_request *req = weir_test_request(host, method, "/");
    ck_assert_int_eq(weir_test_handle(handler, req, NULL, 0), WEIR_OK);
    ck_assert(weir_test_reply_of(req).ended);
    return req;
}

START_TEST(get_is_answered)
{
    struct weir_request *req = visit("text = \"Good morning.\"", "GET");
    ck_assert_uint_eq(weir_test_reply_of(req).status, 200);
    ck_assert_str_eq(weir_test_reply_of(req).body, "Good morning.");
    ck_assert_str_eq(weir_test_reply_header(req, "Content-Type"), "text/plain; charset=utf-8");
    ck_assert_uint_eq(weir_test_reply_of(visit("", "HEAD")).status, 200);
}
END_TEST

START_TEST(other_methods_are_refused)
{
    struct weir_request *req = visit("", "DELETE");
    ck_assert_uint_eq(weir_test_reply_of(req).status, 405);
    ck_assert_str_eq(weir_test_reply_header(req, "Allow"), "GET, HEAD");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hello_page");
    TCase *tests = tcase_create("handler");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, get_is_answered);
    tcase_add_test(tests, other_methods_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
