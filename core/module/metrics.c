/* SPDX-License-Identifier: MIT */
/*
 * Counters and gauges of modules. See metrics.h.
 */
#include "module/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

struct metric *metric_get(struct list *all, unsigned loops, const char *module,
                          const struct weir_metric *row)
{
    struct metric *metric = NULL;

    list_each(link, all)
    {
        metric = container_of(link, struct metric, link);
        if (metric->type == row->type && strcmp(metric->name, row->name) == 0 &&
            strcmp(metric->module, module) == 0) {
            metric->refs++;
            return metric;
        }
    }
    metric = base_zalloc(sizeof(*metric));
    metric->refs = 1;
    metric->loops = loops;
    metric->type = row->type;
    metric->module = base_strdup(module);
    metric->name = base_strdup(row->name);
    metric->cells = base_zalloc_lines(loops * sizeof(*metric->cells));
    list_push_back(all, &metric->link);
    return metric;
}

void metric_unref(struct metric *metric)
{
    if (metric == NULL || --metric->refs > 0) {
        return;
    }
    list_remove(&metric->link);
    free(metric->module);
    free(metric->name);
    free(metric->cells);
    free(metric);
}

int64_t metric_value(const struct metric *metric)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < metric->loops; i++) {
        sum += __atomic_load_n(&metric->cells[i].value, __ATOMIC_RELAXED);
    }
    return (int64_t)sum;
}
