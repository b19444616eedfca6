/* SPDX-License-Identifier: MIT */
/*
 * health_passive: what counts as a failure, when a server goes out, for how long, and what is
 * forgiven.
 */
#include "../test_main.h"

#include <stdio.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

enum { ONE = 0x5eed, TWO = 0xfade };

static struct weir_test_instance *begin(struct weir_test **host, const char *conf)
{
    *host = test_begin();
    struct weir_test_instance *health =
        weir_test_create(*host, WEIR_TEST_HEALTH, test_conf(*host, conf));
    ck_assert_ptr_nonnull(health);
    return health;
}

static void expect_ejected(struct weir_test *host, size_t count, weir_server_id server,
                           uint64_t seconds, const char *reason)
{
    struct weir_test_ejection last = weir_test_last_ejection(host);
    ck_assert_uint_eq(weir_test_ejection_count(host), count);
    ck_assert_uint_eq(last.server, server);
    ck_assert_uint_eq(last.duration_ns, seconds * SECOND);
    ck_assert_str_eq(last.reason, reason);
}

UNIT_TEST(failures_in_a_row)
{
    struct weir_test *host = NULL;
    struct weir_test_instance *health = begin(&host, "failures = 5  share = 0%");

    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 4);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_SUCCESS, 1);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_TIMEOUT, 3);
    weir_test_outcome(health, TWO, WEIR_OUTCOME_SUCCESS, 100);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_ERROR, 1);
    weir_test_outcome(health, TWO, WEIR_OUTCOME_FAILED, 4);
    ck_assert_uint_eq(weir_test_ejection_count(host), 0);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 1);
    expect_ejected(host, 1, ONE, 30, "5 failures in a row");
    weir_test_outcome(health, TWO, WEIR_OUTCOME_FAILED, 2);
    expect_ejected(host, 2, TWO, 30, "6 failures in a row");
    test_end(&host);
}

UNIT_TEST(row_in_the_middle_of_a_report)
{
    struct weir_test *host = NULL;
    struct weir_test_instance *health = begin(&host, "failures = 3");
    const struct weir_outcome_run few[] = {{WEIR_OUTCOME_SUCCESS, 1},
                                           {WEIR_OUTCOME_FAILED, 2},
                                           {WEIR_OUTCOME_SUCCESS, 1},
                                           {WEIR_OUTCOME_FAILED, 2},
                                           {WEIR_OUTCOME_SUCCESS, 3}};
    const struct weir_outcome_run many[] = {
        {WEIR_OUTCOME_FAILED, 1}, {WEIR_OUTCOME_TIMEOUT, 2}, {WEIR_OUTCOME_SUCCESS, 9}};

    weir_test_outcomes(health, ONE, few, 5);
    ck_assert_uint_eq(weir_test_ejection_count(host), 0);
    weir_test_outcomes(health, ONE, many, 3);
    expect_ejected(host, 1, ONE, 30, "3 failures in a row");
    test_end(&host);
}

UNIT_TEST(errors_count_on_demand)
{
    struct weir_test *host = NULL;
    struct weir_test_instance *health = begin(&host, "failures = 2  errors = off");

    weir_test_outcome(health, ONE, WEIR_OUTCOME_ERROR, 1000);
    ck_assert_uint_eq(weir_test_ejection_count(host), 0);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 1);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_ERROR, 1); /* an answer: the row ends */
    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 1);
    ck_assert_uint_eq(weir_test_ejection_count(host), 0);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 1);
    ck_assert_uint_eq(weir_test_ejection_count(host), 1);
    test_end(&host);
}

UNIT_TEST(share_of_the_window)
{
    struct weir_test *host = NULL;
    struct weir_test_instance *health =
        begin(&host, "failures = 0  share = 40%  volume = 20  window = 10s");

    /* 8 of 19: the share is there, the volume is not. */
    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 8);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_SUCCESS, 11);
    ck_assert_uint_eq(weir_test_ejection_count(host), 0);
    /* Out of the window, bit by bit. */
    weir_test_advance(host, 11 * SECOND);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_SUCCESS, 13);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 8);
    ck_assert_uint_eq(weir_test_ejection_count(host), 0);
    weir_test_advance(host, 5 * SECOND);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 1);
    expect_ejected(host, 1, ONE, 30, "9 of 22 requests failed within 10 s");
    test_end(&host);
}

UNIT_TEST(longer_each_time_and_forgiven)
{
    struct weir_test *host = NULL;
    struct weir_test_instance *health =
        begin(&host, "failures = 1  eject_time = 10s  max_eject_time = 1m");
    static const uint64_t seconds[] = {10, 20, 40, 60, 60};

    for (size_t i = 0; i < 5; i++) {
        weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 1);
        expect_ejected(host, i + 1, ONE, seconds[i], "1 failure");
        weir_test_advance(host, seconds[i] * SECOND / 2);
        weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 7); /* sent before: says nothing */
        weir_test_advance(host, seconds[i] * SECOND / 2);
    }
    /* Five times out, and three times `eject_time` in peace: two are left. */
    weir_test_advance(host, 30 * SECOND);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 1);
    expect_ejected(host, 6, ONE, 40, "1 failure");
    weir_test_advance(host, 3600 * SECOND);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 1);
    expect_ejected(host, 7, ONE, 10, "1 failure");
    test_end(&host);
}

UNIT_TEST(refused_is_asked_again)
{
    struct weir_test *host = NULL;
    struct weir_test_instance *health = begin(&host, "failures = 3");

    weir_test_refuse_ejections(host, true);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 10);
    ck_assert_uint_eq(weir_test_ejection_count(host), 0);
    weir_test_refuse_ejections(host, false);
    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 1);
    expect_ejected(host, 1, ONE, 30, "11 failures in a row");
    test_end(&host);
}

UNIT_TEST(many_servers)
{
    struct weir_test *host = NULL;
    struct weir_test_instance *health = begin(&host, "failures = 2");

    for (weir_server_id id = 1; id <= 5000; id++) {
        weir_test_outcome(health, id, WEIR_OUTCOME_FAILED, 1);
    }
    ck_assert_uint_eq(weir_test_ejection_count(host), 0);
    for (weir_server_id id = 1; id <= 5000; id++) {
        weir_test_outcome(health, id, WEIR_OUTCOME_FAILED, 1);
        ck_assert_uint_eq(weir_test_ejection_count(host), id);
    }
    test_end(&host);
}

/* A later configuration's instance knows what the one before it knew, whatever its options are. */
UNIT_TEST(a_reload_forgives_nobody)
{
    struct weir_test *host = NULL;
    struct weir_test_instance *health =
        begin(&host, "failures = 5  window = 10s  eject_time = 10s");

    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 4);
    health = weir_test_create(host, WEIR_TEST_HEALTH,
                              test_conf(host, "failures = 5  window = 10s  eject_time = 10s"));
    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 1);
    expect_ejected(host, 1, ONE, 10, "5 failures in a row");
    weir_test_advance(host, 11 * SECOND);
    health = weir_test_create(
        host, WEIR_TEST_HEALTH,
        test_conf(host, "failures = 2  share = 30%  volume = 10  window = 5s  eject_time = 10s"));
    weir_test_outcome(health, ONE, WEIR_OUTCOME_FAILED, 2);
    expect_ejected(host, 2, ONE, 20, "2 failures in a row");
    /* Only the window begins anew with another length. */
    weir_test_outcome(health, TWO, WEIR_OUTCOME_SUCCESS, 20);
    weir_test_outcome(health, TWO, WEIR_OUTCOME_FAILED, 1);
    health = weir_test_create(
        host, WEIR_TEST_HEALTH,
        test_conf(host, "failures = 2  share = 30%  volume = 10  window = 7s  eject_time = 10s"));
    weir_test_outcome(health, TWO, WEIR_OUTCOME_FAILED, 1);
    expect_ejected(host, 3, TWO, 10, "2 failures in a row");
    test_end(&host);
}

UNIT_TEST(senseless_options_are_refused)
{
    struct weir_test *host = test_begin();
    test_refused(host, "failures = 0  share = 0%", "failures and share are both 0");
    test_refused(host, "eject_time = 10m", "max_eject_time is shorter than eject_time");
    test_end(&host);
}
