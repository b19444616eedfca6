/* SPDX-License-Identifier: MIT */
/*
 * What came of it, for people and as JSON.
 */
#include "sim.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static void print_name(const struct result *result, char out[48])
{
    snprintf(out, 48, result->options[0] != '\0' ? "%s { %s }" : "%s", result->name,
             result->options);
}

static void servers_text(const struct scenario *scenario, const struct result *result)
{
    printf("  %-20s %9s %8s %8s %10s %10s\n", "server", "requests", "failed", "at once", "p50 ms",
           "p99 ms");
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        const struct server_result *server = &result->servers[i];
        printf("  %-20s %9llu %8llu %8u %10.2f %10.2f\n", scenario->servers[i].name,
               (unsigned long long)server->requests, (unsigned long long)server->failures,
               server->most_in_flight, ms(server->p50), ms(server->p99));
    }
}

void report_text(const struct scenario *scenario, const struct result *results, size_t count,
                 bool servers)
{
    char name[48];

    printf("%-32s %10s %10s %10s %10s %9s %10s %12s\n", "balancer", "p50 ms", "p99 ms", "p99.9 ms",
           "mean ms", "failed", "imbalance", "decisions/s");
    for (size_t i = 0; i < count; i++) {
        const struct result *result = &results[i];
        print_name(result, name);
        printf("%-32s %10.2f %10.2f %10.2f %10.2f %9llu %10.2f %12.0f\n", name, ms(result->p50),
               ms(result->p99), ms(result->p999), ms(result->mean),
               (unsigned long long)result->failures, result->imbalance, result->picks);
        if (servers) {
            servers_text(scenario, result);
        }
    }
}

static void add_times(cJSON *object, const char *name, uint64_t ns)
{
    cJSON_AddNumberToObject(object, name, ms(ns));
}

static cJSON *server_json(const struct server_model *model, const struct server_result *result)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "name", model->name);
    cJSON_AddNumberToObject(object, "weight", model->weight);
    cJSON_AddNumberToObject(object, "requests", (double)result->requests);
    cJSON_AddNumberToObject(object, "failures", (double)result->failures);
    cJSON_AddNumberToObject(object, "most_in_flight", result->most_in_flight);
    add_times(object, "p50_ms", result->p50);
    add_times(object, "p99_ms", result->p99);
    return object;
}

void report_json(const struct scenario *scenario, const struct result *results, size_t count)
{
    cJSON *whole = cJSON_CreateObject();
    cJSON *rows = cJSON_AddArrayToObject(whole, "balancers");

    cJSON_AddNumberToObject(whole, "seed", (double)scenario->seed);
    cJSON_AddNumberToObject(whole, "workers", scenario->workers);
    for (size_t i = 0; i < count; i++) {
        const struct result *result = &results[i];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddItemToArray(rows, row);
        cJSON_AddStringToObject(row, "balancer", result->name);
        cJSON_AddStringToObject(row, "options", result->options);
        cJSON_AddNumberToObject(row, "requests", (double)result->requests);
        cJSON_AddNumberToObject(row, "failures", (double)result->failures);
        cJSON_AddNumberToObject(row, "retries", (double)result->retries);
        add_times(row, "p50_ms", result->p50);
        add_times(row, "p99_ms", result->p99);
        add_times(row, "p999_ms", result->p999);
        add_times(row, "max_ms", result->most);
        add_times(row, "mean_ms", result->mean);
        cJSON_AddNumberToObject(row, "seconds", result->seconds);
        cJSON_AddNumberToObject(row, "imbalance", result->imbalance);
        cJSON_AddNumberToObject(row, "decisions_per_second", result->picks);
        cJSON_AddNumberToObject(row, "problems", (double)result->problems);
        cJSON *servers = cJSON_AddArrayToObject(row, "servers");
        for (uint32_t k = 0; k < scenario->server_count; k++) {
            cJSON_AddItemToArray(servers, server_json(&scenario->servers[k], &result->servers[k]));
        }
    }
    char *text = need(cJSON_Print(whole));
    puts(text);
    cJSON_free(text);
    cJSON_Delete(whole);
}
