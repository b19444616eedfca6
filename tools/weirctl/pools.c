/* SPDX-License-Identifier: MIT */
/*
 * Pools and servers, in tables and one in detail.
 */
#include "command.h"

#include <math.h>
#include <string.h>

/* ---- pools ---- */

static struct table *pools_table(void)
{
    static const struct column columns[] = {
        {"POOL", false},    {"POLICY", false},   {"STICKY", false}, {"CHECK", false},
        {"UP", true},       {"IN FLIGHT", true}, {"QUEUED", true},  {"REQ/S", true},
        {"ERR/S", true},    {"P50 ms", true},    {"P95 ms", true},  {"P99 ms", true},
        {"REQUESTS", true}, {"5XX", true},
    };
    return table_new(columns, sizeof(columns) / sizeof(columns[0]));
}

static void add_pool(struct table *table, const cJSON *pool)
{
    double up = json_number(pool, "up");
    double total = json_number(pool, "total");

    table_add(table, PLAIN, "%s", json_text(pool, "name", "-"));
    table_add(table, PLAIN, "%s", json_text(pool, "policy", "-"));
    table_add(table, PLAIN, "%s", json_text(pool, "sticky", "-"));
    table_add(table, PLAIN, "%s", json_text(pool, "health_check", "-"));
    table_add(table, up < total ? RED : GREEN, "%.0f/%.0f", up, total);
    table_number(table, json_number(pool, "in_flight"), 0);
    table_number(table, json_number(pool, "queued"), 0);
    table_number(table, json_number(pool, "rates.requests"), 1);
    table_number(table, json_number(pool, "rates.errors"), 1);
    table_ms(table, json_number(pool, "latency_ms.p50"));
    table_ms(table, json_number(pool, "latency_ms.p95"));
    table_ms(table, json_number(pool, "latency_ms.p99"));
    table_number(table, json_number(pool, "totals.requests"), 0);
    table_number(table, json_number(pool, "totals.responses.5xx"), 0);
}

/* ---- servers ---- */

static struct table *servers_table(void)
{
    static const struct column columns[] = {
        {"POOL", false},    {"SERVER", false}, {"URL", false},      {"STATE", false},
        {"HEALTH", false},  {"WEIGHT", true},  {"IN FLIGHT", true}, {"SESSIONS", true},
        {"REQ/S", true},    {"ERR %", true},   {"P50 ms", true},    {"P95 ms", true},
        {"REQUESTS", true}, {"ORIGIN", false}, {"REASON", false},
    };
    return table_new(columns, sizeof(columns) / sizeof(columns[0]));
}

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
    double limit = json_number(server, "max_connections");

    if (limit > 0) {
        table_add(table, PLAIN, "%.0f/%.0f", json_number(server, "in_flight"), limit);
    } else {
        table_number(table, json_number(server, "in_flight"), 0);
    }
}

static void add_server(struct table *table, const cJSON *server)
{
    const char *state = json_text(server, "state", "-");
    const char *status = json_text(server, "health.status", "-");
    bool drifts = cJSON_GetArraySize(json_at(server, "drift")) > 0;

    table_add(table, PLAIN, "%s", json_text(server, "pool", "-"));
    table_add(table, PLAIN, "%s", json_text(server, "id", "-"));
    table_add(table, PLAIN, "%s", json_text(server, "url", "-"));
    table_add(table, health_colour(state), "%s", state);
    table_add(table, health_colour(status), "%s", status);
    add_weight(table, server);
    add_in_flight(table, server);
    table_number(table, json_number(server, "sessions"), 0);
    table_number(table, json_number(server, "rates.requests"), 1);
    table_number(table, json_number(server, "error_share") * 100, 1);
    table_ms(table, json_number(server, "latency_ms.p50"));
    table_ms(table, json_number(server, "latency_ms.p95"));
    table_number(table, json_number(server, "requests"), 0);
    table_add(table, PLAIN, "%s%s", json_text(server, "origin", "-"), drifts ? ", changed" : "");
    table_add(table, PLAIN, "%s", json_text(server, "health.reason", ""));
}

static bool is_unhealthy(const cJSON *server)
{
    return strcmp(json_text(server, "state", ""), "ready") != 0 ||
           strcmp(json_text(server, "health.status", ""), "up") != 0;
}

static void print_servers(const cJSON *servers, bool unhealthy)
{
    struct table *table = servers_table();
    const cJSON *each = NULL;

    cJSON_ArrayForEach(each, servers)
    {
        if (!unhealthy || is_unhealthy(each)) {
            add_server(table, each);
        }
    }
    table_print(&table);
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
        struct table *table = pools_table();
        if (call->count > 0) {
            add_pool(table, answer.json);
        }
        cJSON_ArrayForEach(each, json_at(answer.json, "entries"))
        {
            add_pool(table, each);
        }
        table_print(&table);
        if (call->count > 0) {
            putchar('\n');
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

/* A JSON object of numbers: `connect_refused 3, timeout 1`; `none` where all are zero. */
static void print_counts(const char *name, const cJSON *object)
{
    const cJSON *each = NULL;
    struct text text = {0};

    cJSON_ArrayForEach(each, object)
    {
        if (cJSON_IsNumber(each) && each->valuedouble != 0) {
            text_printf(&text, "%s%s %.0f", text.len > 0 ? ", " : "", each->string,
                        each->valuedouble);
        }
    }
    print_fact(name, "%s", text.len > 0 ? text_get(&text) : "none");
    text_clear(&text);
}

static void print_drift(const cJSON *server)
{
    const cJSON *each = NULL;
    struct text text = {0};

    cJSON_ArrayForEach(each, json_at(server, "drift"))
    {
        text_printf(&text, "%s%s", text.len > 0 ? ", " : "; differs from the files in ",
                    cJSON_IsString(each) ? each->valuestring : "?");
    }
    print_fact("origin", "%s%s", json_text(server, "origin", "-"), text_get(&text));
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
               json_number(server, "max_connections"));
    if (isfinite(json_number(server, "sessions"))) {
        print_fact("sessions", "%.0f within five minutes", json_number(server, "sessions"));
    }
    print_fact("requests", "%.0f, %.1f a second, %.0f retries", json_number(server, "requests"),
               json_number(server, "rates.requests"), json_number(server, "retries"));
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
