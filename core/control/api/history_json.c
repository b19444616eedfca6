/* SPDX-License-Identifier: MIT */
/*
 * The last hour as JSON: which series is meant by `pool:web_servers.p95`, and its values.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/api/history_series.h"

enum metric {
    METRIC_REQUESTS,
    METRIC_RATE,
    METRIC_ERRORS,
    METRIC_IN_FLIGHT,
    METRIC_P50,
    METRIC_P95,
    METRIC_P99,
    METRIC_COUNT
};
static const char *const metric_words[METRIC_COUNT] = {
    "requests", "rate", "errors_rate", "in_flight", "p50", "p95", "p99"};

static double value_of(const struct sample *sample, enum metric metric, double seconds)
{
    switch (metric) {
    case METRIC_REQUESTS: return round((double)sample->rate * seconds);
    case METRIC_RATE: return (double)sample->rate;
    case METRIC_ERRORS: return (double)sample->errors_rate;
    case METRIC_IN_FLIGHT: return (double)sample->in_flight;
    case METRIC_P50: return (double)sample->p50;
    case METRIC_P95: return (double)sample->p95;
    default: return (double)sample->p99;
    }
}

/* total.rate, pool:NAME.rate, server:POOL/ID.rate; names may have dots. */
static bool parse_series(const char *text, uint64_t *key, enum metric *metric)
{
    const char *dot = strrchr(text, '.');
    bool known = false;

    for (unsigned i = 0; dot != NULL && i < METRIC_COUNT; i++) {
        if (strcmp(dot + 1, metric_words[i]) == 0) {
            *metric = (enum metric)i;
            known = true;
        }
    }
    if (!known) {
        return false;
    }
    char *name = base_strndup(text, (size_t)(dot - text));
    const char *slash = strchr(name, '/');
    if (strcmp(name, "total") == 0) {
        *key = HISTORY_TOTAL;
    } else if (strncmp(name, "pool:", 5) == 0) {
        *key = history_key_pool(name + 5);
    } else if (strncmp(name, "server:", 7) == 0 && slash != NULL) {
        struct weir_str pool = {name + 7, (size_t)(slash - name) - 7};
        *key = server_id_of(pool, str_from(slash + 1));
    } else {
        known = false;
    }
    free(name);
    return known;
}

/* `at` may lie before the clock's zero, which is when the machine was started. */
static double value_at(const struct history *history, const struct series *series, int64_t at,
                       bool fine, enum metric metric)
{
    uint64_t second = fine ? (uint64_t)at : (uint64_t)at * HISTORY_STEP;
    if (series == NULL || at < 0 || second > history->second) {
        return NAN;
    }
    if (fine && series->fine != NULL) {
        return second > series->second || second + HISTORY_SECONDS <= series->second
                   ? NAN
                   : value_of(&series->fine[second % HISTORY_SECONDS], metric, 1);
    }
    uint64_t step = second / HISTORY_STEP, last = series->second / HISTORY_STEP;
    /* Of what is kept in steps, the present one is not there yet: the last one stands for it. */
    if (fine && step == last + 1) {
        step = last;
    }
    if (series->coarse == NULL || step > last || step + HISTORY_COARSE <= last) {
        return NAN;
    }
    return value_of(&series->coarse[step % HISTORY_COARSE], metric, fine ? 1 : HISTORY_STEP);
}

static cJSON *values_json(const struct history *history, uint64_t key, enum metric metric,
                          int64_t first, int64_t count, bool fine)
{
    const struct series *series = history_find(history, key);
    cJSON *values = cJSON_CreateArray();

    for (int64_t i = 0; i < count; i++) {
        double value = value_at(history, series, first + i, fine, metric);
        cJSON_AddItemToArray(values, isfinite(value)
                                         ? cJSON_CreateNumber(round(value * 1000) / 1000)
                                         : cJSON_CreateNull());
    }
    return values;
}

cJSON *history_json(const struct history *history, const char *series, unsigned seconds,
                    char *error, size_t error_size)
{
    bool fine = seconds <= HISTORY_SECONDS;
    int64_t step = fine ? 1 : HISTORY_STEP;
    int64_t end = (int64_t)history->second / step; /* the last one that is whole */
    int64_t count = (int64_t)seconds / step;
    int64_t first = end + 1 - count;
    cJSON *answer = cJSON_CreateObject();
    char *copy = base_strdup(series), *rest = NULL;

    cJSON_AddNumberToObject(answer, "step_ms", (double)(step * 1000));
    cJSON_AddNumberToObject(answer, "start",
                            (double)history->wall_ms -
                                (double)((int64_t)history->second - first * step) * 1000);
    cJSON *all = cJSON_AddObjectToObject(answer, "series");
    for (char *name = strtok_r(copy, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        enum metric metric = METRIC_COUNT;
        uint64_t key = 0;
        if (!parse_series(name, &key, &metric)) {
            snprintf(
                error, error_size,
                "\"%.80s\" is no series; write for example total.rate, pool:web_servers.p95 or "
                "server:web_servers/web-1.in_flight",
                name);
            cJSON_Delete(answer);
            answer = NULL;
            break;
        }
        if (!cJSON_HasObjectItem(all, name)) {
            cJSON_AddItemToObject(all, name, values_json(history, key, metric, first, count, fine));
        }
    }
    free(copy);
    return answer;
}
