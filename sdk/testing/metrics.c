/* SPDX-License-Identifier: MIT */
/*
 * Metrics: those of the module, and rows of others for who exports them.
 */
#include "fake.h"

#include <stdlib.h>

static uint32_t metric_count(const struct weir_test *host)
{
    return host->module.metrics != NULL ? host->module.metrics->count : 0;
}

static int64_t value_of(const struct weir_test *host, uint32_t metric)
{
    return __atomic_load_n(&host->metrics[metric], __ATOMIC_RELAXED);
}

void fake_metric_add(struct weir_context *ctx, uint32_t metric, int64_t n)
{
    struct weir_test *host = fake_context(ctx)->host;

    if (metric >= metric_count(host)) {
        fake_problem(host, "metric %u is none of the module's %u", metric, metric_count(host));
        return;
    }
    if (n < 0 && host->module.metrics->rows[metric].type == WEIR_COUNTER) {
        fake_problem(host, "the counter %s was added %lld to",
                     host->module.metrics->rows[metric].name, (long long)n);
    }
    __atomic_fetch_add(&host->metrics[metric], n, __ATOMIC_RELAXED);
}

void fake_metrics_end(struct weir_test *host)
{
    for (uint32_t i = 0; i < metric_count(host); i++) {
        const struct weir_metric *row = &host->module.metrics->rows[i];
        if (row->type == WEIR_GAUGE && value_of(host, i) != 0) {
            fake_problem(host, "the gauge %s is %lld though nothing is left of the module",
                         row->name, (long long)value_of(host, i));
        }
    }
    free(host->metric_rows);
    free(host->module_rows);
}

int64_t weir_test_metric(const struct weir_test *host, const char *name)
{
    FAKE_REQUIRE(host != NULL && name != NULL, "there is no host, or no name");
    for (uint32_t i = 0; i < metric_count(host); i++) {
        if (strcmp(host->module.metrics->rows[i].name, name) == 0) {
            return value_of(host, i);
        }
    }
    fake_abort(__func__, "the module has no metric of that name");
}

void weir_test_metric_add(struct weir_test *host, const struct weir_metric_row *row)
{
    host->metric_rows =
        fake_grow(host->metric_rows, host->metric_row_count + 1, sizeof(*host->metric_rows));
    host->metric_rows[host->metric_row_count++] = *row;
}

void weir_test_module_add(struct weir_test *host, const struct weir_module_row *row)
{
    host->module_rows =
        fake_grow(host->module_rows, host->module_row_count + 1, sizeof(*host->module_rows));
    host->module_rows[host->module_row_count++] = *row;
}

void fake_stats_modules(struct weir_context *ctx, weir_module_fn fn, void *arg)
{
    const struct weir_test *host = fake_context(ctx)->host;

    for (size_t i = 0; i < host->module_row_count && fn(arg, &host->module_rows[i]); i++) {}
}

void fake_stats_metrics(struct weir_context *ctx, weir_metric_fn fn, void *arg)
{
    const struct weir_test *host = fake_context(ctx)->host;
    bool more = true;

    for (size_t i = 0; i < host->metric_row_count && more; i++) {
        more = fn(arg, &host->metric_rows[i]);
    }
    for (uint32_t i = 0; i < metric_count(host) && more; i++) {
        const struct weir_metric *row = &host->module.metrics->rows[i];
        const struct weir_metric_row shown = {
            .size = sizeof(shown),
            .type = row->type,
            .module = fake_str(host->module.name),
            .name = fake_str(row->name),
            .help = fake_str(row->help),
            .value = value_of(host, i),
        };
        more = fn(arg, &shown);
    }
}
