/* SPDX-License-Identifier: MIT */
/*
 * The stickiness on the SDK's fake host: who got a cookie comes back to its server, and what is no
 * cookie of ours names none.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
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

static struct weir_test_instance *start(const char *conf)
{
    struct weir_test_block *block = weir_test_conf(host, conf);
    ck_assert_msg(block != NULL, "%s", weir_test_mistakes(host));
    struct weir_test_instance *sticky = weir_test_create(host, WEIR_TEST_STICKY, block);
    ck_assert_ptr_nonnull(sticky);
    return sticky;
}

static struct weir_request *with_cookie(const char *cookie)
{
    struct weir_request *req = weir_test_request(host, "GET", "/");
    weir_test_request_add(req, "Cookie", cookie);
    return req;
}

START_TEST(a_user_comes_back)
{
    struct weir_test_instance *sticky = start("cookie = \"id\"");
    struct weir_request *req = weir_test_request(host, "GET", "/");
    struct weir_response *resp = weir_test_response(req, 200);
    char cookie[128];

    ck_assert_uint_eq(weir_test_lookup(sticky, req), WEIR_NO_SERVER);
    weir_test_sticky_response(sticky, req, resp, 0x1234, false);
    const char *set = weir_test_response_header(resp, "Set-Cookie", 0);
    ck_assert_ptr_nonnull(set);
    ck_assert(strncmp(set, "id=0000000000001234.", 20) == 0);
    strcpy(cookie, "a=b; ");
    strncat(cookie, set, strcspn(set, ";"));

    struct weir_request *again = with_cookie(cookie);
    ck_assert_uint_eq(weir_test_lookup(sticky, again), 0x1234);
    ck_assert_uint_ne(weir_test_session(again), 0);
    ck_assert_uint_eq(weir_test_session(again), weir_test_session(req));
    resp = weir_test_response(again, 200);
    weir_test_sticky_response(sticky, again, resp, 0x1234, true);
    ck_assert_ptr_null(weir_test_response_header(resp, "Set-Cookie", 0));
}
END_TEST

START_TEST(other_cookies_name_nobody)
{
    static const char *const cookies[] = {
        "server=",
        "server=1234",
        "server=x000000000001234.0000000000000001",
        "other=0000000000001234.0000000000000001",
        "server=0000000000001234.",
        "server=00000000000012345.0000000000000001",
    };
    struct weir_test_instance *sticky = start("");
    for (size_t i = 0; i < sizeof(cookies) / sizeof(cookies[0]); i++) {
        ck_assert_uint_eq(weir_test_lookup(sticky, with_cookie(cookies[i])), WEIR_NO_SERVER);
    }
}
END_TEST

START_TEST(mistakes_are_told)
{
    ck_assert_ptr_null(weir_test_conf(host, "cookie = \"a b\""));
    ck_assert_str_eq(weir_test_mistakes(host), "conf:1: \"a b\" is no name of a cookie");
    ck_assert_ptr_null(weir_test_conf(host, "cookie = \"\""));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sticky_server_hint");
    TCase *tests = tcase_create("sticky");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_user_comes_back);
    tcase_add_test(tests, other_cookies_name_nobody);
    tcase_add_test(tests, mistakes_are_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
