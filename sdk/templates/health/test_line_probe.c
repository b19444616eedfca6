/* SPDX-License-Identifier: MIT */
/*
 * The probe on the SDK's fake host: the line that it sends, and what each answer is taken for, in
 * whatever pieces it comes.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <weir/testing.h>

extern const struct weir_module *weir_module_entry(void);

static struct weir_test *host;
static struct weir_probe_target target;

static void setup(void)
{
    host = weir_test_new(weir_module_entry());
    ck_assert_ptr_nonnull(host);
    target = weir_test_target("10.0.0.1:6379", false);
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
    struct weir_test_instance *health = weir_test_create(host, WEIR_TEST_HEALTH, block);
    ck_assert_ptr_nonnull(health);
    return health;
}

START_TEST(the_line_is_sent)
{
    size_t len;
    ck_assert_str_eq(weir_test_probe(start(""), &target, &len), "PING\r\n");
    ck_assert_uint_eq(len, 6);
    ck_assert_str_eq(weir_test_probe(start("send = \"stats\""), &target, &len), "stats\r\n");
    weir_test_probe(start("send = \"\""), &target, &len);
    ck_assert_uint_eq(len, 0);
    target.http = 2;
    ck_assert_ptr_null(weir_test_probe(start(""), &target, &len));
}
END_TEST

START_TEST(answers_are_judged)
{
    static const struct {
        const char *answer;
        enum weir_verdict verdict;
        const char *reason;
    } rows[] = {
        {"+PONG\r\n", WEIR_VERDICT_UP, "answered +PONG"},
        {"-LOADING data\r\n", WEIR_VERDICT_DOWN, "answered \"-LOADING data\", not +PONG"},
        {"+PO", WEIR_VERDICT_MORE, NULL},
        {"\x01\x02", WEIR_VERDICT_DOWN, "answered \"\", not +PONG"},
    };
    struct weir_test_instance *health = start("");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t step = 0; step < 5; step++) { /* 0: all at once */
            const char *reason = NULL;
            enum weir_verdict verdict = weir_test_judge(
                health, &target, rows[i].answer, strlen(rows[i].answer), step, false, &reason);
            ck_assert_int_eq(verdict, rows[i].verdict);
            ck_assert(rows[i].reason == NULL || step != 0 || strcmp(reason, rows[i].reason) == 0);
        }
    }
    ck_assert_int_eq(weir_test_judge(health, &target, "+PO", 3, 0, true, NULL), WEIR_VERDICT_DOWN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health_line_probe");
    TCase *tests = tcase_create("health");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_line_is_sent);
    tcase_add_test(tests, answers_are_judged);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
