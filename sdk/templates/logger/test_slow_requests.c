/* SPDX-License-Identifier: MIT */
/*
 * The logger on the SDK's fake host: what took long is told and counted, and nothing else.
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

static struct weir_test_instance *start(const char *conf)
{
    struct weir_test_block *block = weir_test_conf(host, conf);
    ck_assert_msg(block != NULL, "%s", weir_test_mistakes(host));
    struct weir_test_instance *logger = weir_test_create(host, WEIR_TEST_LOGGER, block);
    ck_assert_ptr_nonnull(logger);
    return logger;
}

static void finish(struct weir_test_instance *logger, const char *target, uint64_t total_ns)
{
    struct weir_request *req = weir_test_request(host, "GET", target);
    struct weir_record record = weir_test_record(host);
    record.total_ns = total_ns;
    weir_test_request_set_str(req, WEIR_REQUEST_SERVER, "web-1");
    weir_test_log_request(logger, req, weir_test_response(req, 200), &record);
}

START_TEST(what_took_long_is_told)
{
    struct weir_test_instance *logger = start("threshold = 500ms");
    finish(logger, "/quick", 499999999);
    ck_assert_uint_eq(weir_test_log_count(host), 0);
    ck_assert_int_eq(weir_test_metric(host, "slow"), 0);
    finish(logger, "/slow", 1500000000);
    ck_assert_int_eq(weir_test_metric(host, "slow"), 1);
    ck_assert(weir_test_logged(host, WEIR_LOG_NOTICE, "GET /slow of server web-1 took 1500 ms"));
}
END_TEST

/* The fake host would say that there is a line break. */
START_TEST(a_line_stays_a_line)
{
    struct weir_test_instance *logger = start("threshold = 1ms");
    finish(logger, "/a\nb", 2000000);
    ck_assert_uint_eq(weir_test_log_count(host), 1);
}
END_TEST

START_TEST(mistakes_are_told)
{
    ck_assert_ptr_null(weir_test_conf(host, "threshold = 0"));
    ck_assert_ptr_null(weir_test_conf(host, "threshold = soon"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slow_requests");
    TCase *tests = tcase_create("logger");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_took_long_is_told);
    tcase_add_test(tests, a_line_stays_a_line);
    tcase_add_test(tests, mistakes_are_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
