/* SPDX-License-Identifier: MIT */
/*
 * Metrics of a module: tables that are refused, and what the fake host makes of them.
 */
#include <check.h>
#include <stdio.h>

#include "mock_module.h"
#include "option/metric_table.h"
#include "runner.h"

static char error[512];

static bool is_good(const struct weir_metric *rows, uint32_t count)
{
    const struct weir_metrics table = {sizeof(table), count, rows};
    return metric_table_check(&table, error, sizeof(error));
}

UNIT_TEST(rows_are_checked)
{
    static const struct {
        const char *expected; /* NULL: it is good */
        struct weir_metric row;
    } cases[] = {
        {NULL, {"a", WEIR_COUNTER, "Some."}},
        {NULL, {"input_bytes2", WEIR_GAUGE, "Of \"all\" in C:\\, \xc3\xa4."}},
        {NULL, {"sum", WEIR_COUNTER, "A name that is no ending."}},
        {"a name begins with", {NULL, WEIR_COUNTER, "Some."}},
        {"a name begins with", {"", WEIR_COUNTER, "Some."}},
        {"a name begins with", {"Kept", WEIR_COUNTER, "Some."}},
        {"a name begins with", {"2nd", WEIR_COUNTER, "Some."}},
        {"a name begins with", {"_a", WEIR_COUNTER, "Some."}},
        {"a name begins with", {"a:b", WEIR_COUNTER, "Some."}},
        {"a name begins with",
         {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", WEIR_COUNTER, "S"}},
        {"\"kept_total\" ends with _total", {"kept_total", WEIR_COUNTER, "Some."}},
        {"ends with _bucket", {"kept_bucket", WEIR_GAUGE, "Some."}},
        {"\"first\" is there twice", {"first", WEIR_GAUGE, "Some."}},
        {"neither counter nor gauge", {"a", (enum weir_metric_type)2, "Some."}},
        {"no help text of one line", {"a", WEIR_COUNTER, NULL}},
        {"no help text of one line", {"a", WEIR_COUNTER, ""}},
        {"no help text of one line", {"a", WEIR_COUNTER, "Two\nlines."}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct weir_metric rows[] = {{"first", WEIR_COUNTER, "The first."}, cases[i].row};
        bool good = is_good(rows, 2);
        ck_assert_msg(good == (cases[i].expected == NULL) &&
                          (good || strstr(error, cases[i].expected) != NULL),
                      "case %zu: %s", i, error);
    }
}

UNIT_TEST(their_number_is_bounded)
{
    struct weir_metric rows[WEIR_METRICS_MAX + 1];
    char names[WEIR_METRICS_MAX + 1][8];
    struct weir_metrics cut = {sizeof(cut) - 1, 0, NULL};

    for (unsigned i = 0; i <= WEIR_METRICS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "m%u", i);
        rows[i] = (struct weir_metric){names[i], WEIR_COUNTER, "One of many."};
    }
    ck_assert(is_good(rows, WEIR_METRICS_MAX));
    ck_assert(!is_good(rows, WEIR_METRICS_MAX + 1));
    ck_assert_str_eq(error, "it has 65 metrics, more than 64");
    ck_assert(is_good(NULL, 0));
    ck_assert(!is_good(NULL, 1));
    ck_assert(!metric_table_check(&cut, error, sizeof(error)));
}

static const struct weir_metric rows[] = {{"asked", WEIR_COUNTER, "Times it was asked."},
                                          {"held", WEIR_GAUGE, "What it holds."}};
static const struct weir_metrics metrics = WEIR_METRICS(rows);

static struct weir_test *host_with_metrics(struct weir_module *module)
{
    *module = mock_module;
    module->metrics = &metrics;
    mock_reset();
    struct weir_test *host = weir_test_new(module);
    ck_assert_ptr_nonnull(host);
    return host;
}

static struct weir_context *context_of(struct weir_test *host)
{
    struct weir_test_block *block = weir_test_conf(host, "name = x");
    ck_assert_msg(block != NULL, "%s", weir_test_mistakes(host));
    return weir_test_instance_context(weir_test_create(host, WEIR_TEST_ROUTER, block));
}

static bool take_value(void *arg, const struct weir_metric_row *row)
{
    int64_t *values = arg;
    values[row->type] = row->value;
    ck_assert(weir_str_is(row->module, "mock") || weir_str_is(row->module, "other"));
    return weir_str_is(row->module, "mock");
}

UNIT_TEST(a_test_reads_what_the_module_counts)
{
    struct weir_module module;
    struct weir_test *host = host_with_metrics(&module);
    struct weir_context *ctx = context_of(host);
    int64_t values[2] = {-1, -1};

    weir_count(ctx, 0, 2);
    weir_count(ctx, 0, 1);
    weir_gauge_add(ctx, 1, 4);
    weir_gauge_add(ctx, 1, -4);
    ck_assert_int_eq(weir_test_metric(host, "asked"), 3);
    ck_assert_int_eq(weir_test_metric(host, "held"), 0);
    weir_stats_metrics(ctx, take_value, values);
    ck_assert(values[WEIR_COUNTER] == 3 && values[WEIR_GAUGE] == 0);
    const struct weir_metric_row other = {.size = sizeof(other),
                                          .type = WEIR_GAUGE,
                                          .module = WEIR_STR_INIT("other"),
                                          .name = WEIR_STR_INIT("x"),
                                          .help = WEIR_STR_INIT("X."),
                                          .value = -9};
    weir_test_metric_add(host, &other);
    values[WEIR_COUNTER] = -1;
    weir_stats_metrics(ctx, take_value, values);
    ck_assert(values[WEIR_COUNTER] == -1 && values[WEIR_GAUGE] == -9); /* it had enough */
    ck_assert(weir_test_free(&host));
}

UNIT_TEST(what_is_not_taken_back_is_a_problem)
{
    struct weir_module module;
    struct weir_test *host = host_with_metrics(&module);

    weir_gauge_add(context_of(host), 1, 1);
    ck_assert(!weir_test_free(&host));
}

UNIT_TEST(wrong_numbers_are_problems)
{
    struct weir_module module;
    struct weir_test *host = host_with_metrics(&module);
    struct weir_context *ctx = context_of(host);

    weir_count(ctx, 2, 1);
    ck_assert_ptr_nonnull(strstr(weir_test_problems(host), "metric 2 is none of the module's 2"));
    weir_test_forgive(host);
    weir_gauge_add(ctx, 0, -1);
    ck_assert_ptr_nonnull(strstr(weir_test_problems(host), "the counter asked was added -1 to"));
    weir_test_forgive(host);
    ck_assert(weir_test_free(&host));
}

UNIT_TEST(a_wrong_table_is_refused)
{
    static const struct weir_metric wrong[] = {{"Asked", WEIR_COUNTER, "Times it was asked."}};
    static const struct weir_metrics wrong_metrics = WEIR_METRICS(wrong);
    struct weir_module module = mock_module;

    module.metrics = &wrong_metrics;
    ck_assert(!weir_test_validate(&module, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "its metric 1 is named \"Asked\""));
}
