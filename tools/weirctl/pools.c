/* SPDX-License-Identifier: MIT */
/*
 * Pools and servers, in tables and one in detail.
 */
#include "command.h"

#include <math.h>
#include <string.h>

/* ---- pools ---- */

static void add_up(struct table *table, const cJSON *pool)
{
    double up = json_number(pool, "up");
    double total = json_number(pool, "total");
    table_add(table, up < total ? RED : GREEN, "%.0f/%.0f", up, total);
}

static const struct column pool_columns[] = {
    {"POOL", SHOW_TEXT, "name", NULL},
    {"POLICY", SHOW_TEXT, "policy", NULL},
    {"SHADOW", SHOW_TEXT, "shadow.balancer", NULL},
    {"STICKY", SHOW_TEXT, "sticky", NULL},
    {"CHECK", SHOW_TEXT, "health_check", NULL},
    {"PROTOCOL", SHOW_TEXT, "protocol", NULL},
    {"UP", SHOW_COUNT, NULL, add_up},
    {"IN FLIGHT", SHOW_COUNT, "in_flight", NULL},
    {"QUEUED", SHOW_COUNT, "queued", NULL},
    {"REQ/S", SHOW_TENTHS, "rates.requests", NULL},
    {"ERR/S", SHOW_TENTHS, "rates.errors", NULL},
    {"P50 ms", SHOW_MS, "latency_ms.p50", NULL},
    {"P95 ms", SHOW_MS, "latency_ms.p95", NULL},
    {"P99 ms", SHOW_MS, "latency_ms.p99", NULL},
    {"REQUESTS", SHOW_COUNT, "totals.requests", NULL},
    {"5XX", SHOW_COUNT, "totals.responses.5xx", NULL},
};

/* ---- servers ---- */

/* The configured weight, and the effective one where it differs. */
static void add_weight(struct table *table, const cJSON *server)
{
    double weight = json_number(server, "weight");
    double effective = json_number(server, "effective_weight");

    if (isfinite(effective) && fabs(effective - weight) > 0.005) {
        table_add(table, YELLOW, "%.0f (%.2f)", weight, effective);
    } else {
        table_number(table, weight, 0);
    }
}

static void add_in_flight(struct table *table, const cJSON *server)
{
    double limit = json_number(server, "max_requests");

    if (limit > 0) {
        table_add(table, PLAIN, "%.0f/%.0f", json_number(server, "in_flight"), limit);
    } else {
        table_number(table, json_number(server, "in_flight"), 0);
    }
}

static void add_error_share(struct table *table, const cJSON *server)
{
    table_number(table, json_number(server, "error_share") * 100, 1);
}

static void add_origin(struct table *table, const cJSON *server)
{
    bool drifts = cJSON_GetArraySize(json_at(server, "drift")) > 0;
    table_add(table, PLAIN, "%s%s", json_text(server, "origin", "-"), drifts ? ", changed" : "");
}

static void add_reason(struct table *table, const cJSON *server)
{
    table_add(table, PLAIN, "%s", json_text(server, "health.reason", ""));
}

static const struct column server_columns[] = {
    {"POOL", SHOW_TEXT, "pool", NULL},
    {"SERVER", SHOW_TEXT, "id", NULL},
    {"URL", SHOW_TEXT, "url", NULL},
    {"STATE", SHOW_STATE, "state", NULL},
    {"HEALTH", SHOW_STATE, "health.status", NULL},
    {"WEIGHT", SHOW_COUNT, NULL, add_weight},
    {"IN FLIGHT", SHOW_COUNT, NULL, add_in_flight},
    {"SESSIONS", SHOW_COUNT, "sessions", NULL},
    {"REQ/S", SHOW_TENTHS, "rates.requests", NULL},
    {"ERR %", SHOW_TENTHS, NULL, add_error_share},
    {"P50 ms", SHOW_MS, "latency_ms.p50", NULL},
    {"P95 ms", SHOW_MS, "latency_ms.p95", NULL},
    {"REQUESTS", SHOW_COUNT, "requests", NULL},
    {"ORIGIN", SHOW_TEXT, NULL, add_origin},
    {"REASON", SHOW_TEXT, NULL, add_reason},
};

static bool is_unhealthy(const cJSON *server)
{
    return strcmp(json_text(server, "state", ""), "ready") != 0 ||
           strcmp(json_text(server, "health.status", ""), "up") != 0;
}

static void print_servers(const cJSON *servers, bool unhealthy)
{
    struct table *table = TABLE_NEW(server_columns);
    const cJSON *each = NULL;

    cJSON_ArrayForEach(each, servers)
    {
        if (!unhealthy || is_unhealthy(each)) {
            table_row(table, each);
        }
    }
    table_print(&table);
}

/* ---- a pool's shadow ---- */

/* Of all picks for which it was asked, or all that it answered. */
static void add_share(struct table *table, const cJSON *server, const char *of)
{
    double all = json_number(server, "all");
    double value = json_number(server, of);
    table_number(table, all > 0 ? value * 100 / all : NAN, 1);
}

static void add_picked(struct table *table, const cJSON *server)
{
    add_share(table, server, "picked");
}

static void add_chosen(struct table *table, const cJSON *server)
{
    add_share(table, server, "chosen");
}

static const struct column shadow_columns[] = {
    {"SERVER", SHOW_TEXT, "id", NULL},
    {"PICKED %", SHOW_COUNT, NULL, add_picked},
    {"BY SHADOW %", SHOW_COUNT, NULL, add_chosen},
    {"IN FLIGHT", SHOW_COUNT, "in_flight", NULL},
    {"PREDICTED", SHOW_COUNT, "predicted_in_flight", NULL},
    {"WAIT ms", SHOW_MS, "wait_ms", NULL},
    {"PREDICTED ms", SHOW_MS, "predicted_wait_ms", NULL},
};

static void print_shadow(const cJSON *shadow)
{
    double asked = json_number(shadow, "asked");
    double wait = json_number(shadow, "wait_ms");
    const char *reason = json_text(shadow, "reason", NULL);
    struct table *table = TABLE_NEW(shadow_columns);
    cJSON *each = NULL;

    print_fact("shadow", "%s%s: asked for %.0f picks, agrees with %.1f %%, names nobody for %.0f",
               json_text(shadow, "balancer", "?"),
               json_true(shadow, "out") ? ", which is out and not asked" : "", asked,
               asked > 0 ? json_number(shadow, "agreed") * 100 / asked : 0,
               json_number(shadow, "none"));
    if (reason != NULL) {
        print_fact("out", "%s", reason);
    }
    if (isfinite(wait)) {
        print_fact("wait",
                   "%.2f ms to the first byte where requests go, %.2f ms where it sends them", wait,
                   json_number(shadow, "predicted_wait_ms"));
    }
    cJSON_ArrayForEach(each, json_at(shadow, "servers"))
    {
        cJSON_AddNumberToObject(each, "all", asked);
        table_row(table, each);
    }
    table_print(&table);
    putchar('\n');
}

enum outcome run_pools(struct call *call)
{
    struct answer answer;
    struct text path = {0};
    const cJSON *each = NULL;

    if (call->count > 0) {
        api_path(&path, "/pools/{}", call->words[0]);
    }
    enum outcome outcome = call_get(call, call->count > 0 ? text_get(&path) : "/pools", &answer);
    if (outcome == DONE && answer.json != NULL) {
        struct table *table = TABLE_NEW(pool_columns);
        if (call->count > 0) {
            table_row(table, answer.json);
        }
        cJSON_ArrayForEach(each, json_at(answer.json, "entries"))
        {
            table_row(table, each);
        }
        table_print(&table);
        if (call->count > 0) {
            putchar('\n');
            tell_swap(answer.json);
            print_counts("protocols", json_at(answer.json, "totals.protocols"));
            print_counts("gRPC", json_at(answer.json, "totals.grpc"));
            putchar('\n');
            if (cJSON_IsObject(json_at(answer.json, "shadow"))) {
                print_shadow(json_at(answer.json, "shadow"));
            }
            print_servers(json_at(answer.json, "servers"), false);
        }
    }
    text_clear(&path);
    answer_clear(&answer);
    return outcome;
}

/* ---- one server ---- */

static void print_probes(const cJSON *server)
{
    const cJSON *each = NULL;
    char time[VALUE_SIZE];

    cJSON_ArrayForEach(each, json_at(server, "health.probes"))
    {
        print_fact("probe", "%s  %-4s  %.1f ms  %s", show_time(time, json_number(each, "at")),
                   json_true(each, "ok") ? "good" : "bad", json_number(each, "ms"),
                   json_text(each, "reason", ""));
    }
}

static void print_drift(const cJSON *server)
{
    const cJSON *drift = json_at(server, "drift");
    struct text text = {0};

    text_join(&text, drift);
    print_fact("origin", "%s%s%s", json_text(server, "origin", "-"),
               text.len > 0 ? "; differs from the files in " : "", text_get(&text));
    text_clear(&text);
}

static void print_server(const cJSON *server)
{
    char age[VALUE_SIZE];
    const char *reason = json_text(server, "health.reason", "");

    print_fact("server", "%s/%s", json_text(server, "pool", "-"), json_text(server, "id", "-"));
    print_fact("url", "%s", json_text(server, "url", "-"));
    print_drift(server);
    print_fact("state", "%s, for %s", json_text(server, "state", "-"),
               show_age(age, json_number(server, "state_since")));
    print_fact("health", "%s, for %s%s%s", json_text(server, "health.status", "-"),
               show_age(age, json_number(server, "health.since")), *reason != '\0' ? ": " : "",
               reason);
    print_fact("weight", "%.0f, effective %.2f", json_number(server, "weight"),
               json_number(server, "effective_weight"));
    print_fact("in flight", "%.0f, limit %.0f (0: none)", json_number(server, "in_flight"),
               json_number(server, "max_requests"));
    if (isfinite(json_number(server, "sessions"))) {
        print_fact("sessions", "%.0f within five minutes", json_number(server, "sessions"));
    }
    print_fact("requests", "%.0f, %.1f a second, %.0f retries", json_number(server, "requests"),
               json_number(server, "rates.requests"), json_number(server, "retries"));
    print_counts("protocols", json_at(server, "protocols"));
    print_http2(json_at(server, "http2"));
    print_fact("ended for abuse", "%.0f connections, %.0f odd points",
               json_number(server, "abusive"), json_number(server, "odd_points"));
    print_counts("responses", json_at(server, "responses"));
    print_counts("errors", json_at(server, "errors"));
    if (isfinite(json_number(server, "latency_ms.p50"))) {
        print_fact("latency", "p50 %.1f ms, p95 %.1f ms, p99 %.1f ms",
                   json_number(server, "latency_ms.p50"), json_number(server, "latency_ms.p95"),
                   json_number(server, "latency_ms.p99"));
    }
    print_probes(server);
}

/* The pool and server that the words name; *server "" where there is only a pool. */
static void split_words(const struct call *call, struct text *pool, struct text *server)
{
    const char *slash = strchr(call->words[0], '/');

    if (call->count > 1 || slash == NULL) {
        text_puts(pool, call->words[0]);
        text_puts(server, call->count > 1 ? call->words[1] : "");
    } else {
        text_add(pool, call->words[0], (size_t)(slash - call->words[0]));
        text_puts(server, slash + 1);
    }
}

enum outcome run_servers(struct call *call)
{
    struct answer answer;
    struct text path = {0};
    struct text pool = {0};
    struct text server = {0};

    if (call->count > 0) {
        split_words(call, &pool, &server);
    }
    if (server.len > 0) {
        api_path(&path, "/pools/{}/servers/{}", text_get(&pool), text_get(&server));
    } else if (pool.len > 0) {
        api_path(&path, "/pools/{}/servers", text_get(&pool));
    } else {
        text_puts(&path, "/servers");
    }
    enum outcome outcome = call_get(call, text_get(&path), &answer);
    if (outcome == DONE && answer.json != NULL && server.len > 0) {
        print_server(answer.json);
    } else if (outcome == DONE && answer.json != NULL) {
        print_servers(json_at(answer.json, "entries"), call_option(call, "unhealthy") != NULL);
    }
    text_clear(&path);
    text_clear(&pool);
    text_clear(&server);
    answer_clear(&answer);
    return outcome;
}
