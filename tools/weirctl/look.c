/* SPDX-License-Identifier: MIT */
/*
 * What runs: status, routes, listeners, certificates, modules.
 */
#include "command.h"

#include <math.h>
#include <string.h>

/* ---- status ---- */

static void print_pending(const cJSON *status)
{
    const cJSON *each = NULL;
    char until[VALUE_SIZE];

    cJSON_ArrayForEach(each, json_at(status, "journal_pending"))
    {
        double id = json_number(each, "id");
        print_fact("unconfirmed", "change %.0f takes itself back at %s; weirctl confirm %.0f", id,
                   show_time(until, json_number(each, "until")), id);
    }
}

/* Logs that take nothing, or took too little. */
static void print_logs(const cJSON *status)
{
    const cJSON *log = NULL;

    cJSON_ArrayForEach(log, cJSON_GetObjectItemCaseSensitive(status, "logs"))
    {
        bool stuck = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(log, "stuck"));
        double dropped = json_number(log, "dropped");
        if (stuck || dropped > 0) {
            print_fact("log", "%s: %s%.0f lines dropped", json_text(log, "log", "-"),
                       stuck ? "takes nothing now, " : "", dropped);
        }
    }
}

/* A reload that was refused: the files are not what runs. */
static void print_reload(const cJSON *status)
{
    const cJSON *reload = json_at(status, "reload");
    double count = json_number(reload, "mistake_count");
    char at[VALUE_SIZE];

    if (strcmp(json_text(reload, "result", "done"), "done") == 0) {
        return;
    }
    print_fact("last reload", "refused at %s (%s): %s", show_time(at, json_number(reload, "time")),
               json_text(reload, "author", "-"), json_text(reload, "detail", "-"));
    if (count > 1) {
        print_fact("", "and %.0f more mistakes; weirctl check tells them all", count - 1);
    }
    print_fact("", "what ran before goes on");
}

enum outcome run_status(struct call *call)
{
    struct answer answer;
    char uptime[VALUE_SIZE];
    char since[VALUE_SIZE];
    enum outcome outcome = call_get(call, "/status", &answer);

    if (outcome == DONE && answer.json != NULL) {
        const cJSON *s = answer.json;
        print_fact("version", "%s", json_text(s, "version", "-"));
        print_fact("health", "%s", json_text(s, "health", "-"));
        print_fact("running", "%s, since %s, process %.0f",
                   show_duration(uptime, json_number(s, "uptime_ms")),
                   show_time(since, json_number(s, "started_at")), json_number(s, "pid"));
        print_fact("generation", "%.0f", json_number(s, "generation"));
        print_fact("workers", "%.0f", json_number(s, "workers"));
        print_fact("connections", "%.0f", json_number(s, "connections"));
        print_fact("requests", "%.0f (%.1f a second, %.0f in flight)", json_number(s, "requests"),
                   json_number(s, "rates.requests"), json_number(s, "in_flight"));
        print_fact("configuration", "%s", json_text(s, "config_file", "-"));
        print_fact("state", "%s", json_text(s, "state_dir", "-"));
        const char *detail = json_text(s, "store.detail", "");
        print_fact("store", "%s: %s%s%s", json_text(s, "store.kind", "none"),
                   json_text(s, "store.state", "-"), *detail != '\0' ? ", " : "", detail);
        print_restart(s);
        print_logs(s);
        print_reload(s);
        print_pending(s);
    }
    answer_clear(&answer);
    return outcome;
}

/* ---- lists ---- */

static double responses(const cJSON *object, const char *family)
{
    char path[32];

    snprintf(path, sizeof(path), "responses.%s", family);
    double count = json_number(object, path);
    return isfinite(count) ? count : 0;
}

enum outcome run_routes(struct call *call)
{
    static const struct column columns[] = {
        {"ROUTE", false}, {"HOST", false},  {"PATH", false},    {"POOL", false}, {"REQ/S", true},
        {"P50 ms", true}, {"P95 ms", true}, {"REQUESTS", true}, {"4XX", true},   {"5XX", true},
    };
    struct answer answer;
    const cJSON *each = NULL;
    enum outcome outcome = call_get(call, "/routes", &answer);

    if (outcome == DONE && answer.json != NULL) {
        struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
        cJSON_ArrayForEach(each, json_at(answer.json, "entries"))
        {
            table_add(table, PLAIN, "%s", json_text(each, "name", "-"));
            table_add(table, PLAIN, "%s", json_text(each, "host", "-"));
            table_add(table, PLAIN, "%s", json_text(each, "path", "-"));
            const char *redirect = json_text(each, "redirect", NULL);
            table_add(table, PLAIN, "%s%s", redirect != NULL ? "-> " : "",
                      redirect != NULL ? redirect : json_text(each, "pool", "-"));
            table_number(table, json_number(each, "rates.requests"), 1);
            table_ms(table, json_number(each, "latency_ms.p50"));
            table_ms(table, json_number(each, "latency_ms.p95"));
            table_number(table, json_number(each, "requests"), 0);
            table_number(table, responses(each, "4xx"), 0);
            table_number(table, responses(each, "5xx"), 0);
        }
        table_print(&table);
    }
    answer_clear(&answer);
    return outcome;
}

/* A JSON array of strings, with commas; `out` is cleared by the caller. */
static const char *join(const cJSON *list, struct text *out)
{
    const cJSON *each = NULL;

    cJSON_ArrayForEach(each, list)
    {
        text_printf(out, "%s%s", out->len > 0 ? ", " : "",
                    cJSON_IsString(each) ? each->valuestring : "?");
    }
    return text_get(out);
}

enum outcome run_listeners(struct call *call)
{
    static const struct column columns[] = {
        {"LISTENER", false}, {"TLS", false},       {"HANDLER", false}, {"CONNECTIONS", true},
        {"REQ/S", true},     {"IN/S", true},       {"OUT/S", true},    {"REQUESTS", true},
        {"5XX", true},       {"ADDRESSES", false},
    };
    struct answer answer;
    const cJSON *each = NULL;
    enum outcome outcome = call_get(call, "/listeners", &answer);

    if (outcome == DONE && answer.json != NULL) {
        struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
        cJSON_ArrayForEach(each, json_at(answer.json, "entries"))
        {
            struct text addresses = {0};
            table_add(table, PLAIN, "%s", json_text(each, "name", "-"));
            table_add(table, PLAIN, "%s", json_true(each, "tls") ? "yes" : "no");
            table_add(table, PLAIN, "%s", json_text(each, "handler", "-"));
            table_number(table, json_number(each, "connections"), 0);
            table_number(table, json_number(each, "rates.requests"), 1);
            table_bytes(table, json_number(each, "rates.bytes_in"));
            table_bytes(table, json_number(each, "rates.bytes_out"));
            table_number(table, json_number(each, "requests"), 0);
            table_number(table, responses(each, "5xx"), 0);
            table_add(table, PLAIN, "%s", join(json_at(each, "addresses"), &addresses));
            text_clear(&addresses);
        }
        table_print(&table);
    }
    answer_clear(&answer);
    return outcome;
}

enum outcome run_certificates(struct call *call)
{
    static const struct column columns[] = {
        {"LISTENER", false}, {"CERTIFICATE", false}, {"DAYS LEFT", true},
        {"UNTIL", false},    {"ISSUER", false},      {"NAMES", false},
    };
    struct answer answer;
    const cJSON *each = NULL;
    char until[VALUE_SIZE];
    enum outcome outcome = call_get(call, "/certificates", &answer);

    if (outcome == DONE && answer.json != NULL) {
        struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
        cJSON_ArrayForEach(each, json_at(answer.json, "entries"))
        {
            struct text names = {0};
            double days = json_number(each, "days_left");
            table_add(table, PLAIN, "%s", json_text(each, "listener", "-"));
            table_add(table, PLAIN, "%s", json_text(each, "name", "-"));
            table_add(table,
                      days < 7    ? RED
                      : days < 30 ? YELLOW
                                  : PLAIN,
                      "%.0f%s", days, days < 0 ? " (ended)" : "");
            table_add(table, PLAIN, "%s", show_time(until, json_number(each, "not_after")));
            table_add(table, PLAIN, "%s", json_text(each, "issuer", "-"));
            table_add(table, PLAIN, "%s", join(json_at(each, "names"), &names));
            text_clear(&names);
        }
        table_print(&table);
    }
    answer_clear(&answer);
    return outcome;
}

enum outcome run_modules(struct call *call)
{
    static const struct column columns[] = {
        {"MODULE", false}, {"VERSION", false},   {"ABI", false},   {"KINDS", false},
        {"STATE", false},  {"GENERATION", true}, {"FAULTS", true}, {"SUMMARY", false},
    };
    struct answer answer;
    const cJSON *each = NULL;
    enum outcome outcome = call_get(call, "/modules", &answer);

    if (outcome == DONE && answer.json != NULL) {
        struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
        cJSON_ArrayForEach(each, json_at(answer.json, "entries"))
        {
            struct text kinds = {0};
            const char *state = json_text(each, "state", "-");
            table_add(table, PLAIN, "%s", json_text(each, "name", "-"));
            table_add(table, PLAIN, "%s", json_text(each, "version", "-"));
            table_add(table, PLAIN, "%s", json_text(each, "abi", "-"));
            table_add(table, PLAIN, "%s", join(json_at(each, "kinds"), &kinds));
            table_add(table, health_colour(state), "%s", state);
            table_number(table, json_number(each, "generation"), 0);
            table_number(table, json_number(each, "faults"), 0);
            table_add(table, PLAIN, "%s", json_text(each, "summary", "-"));
            text_clear(&kinds);
        }
        table_print(&table);
    }
    answer_clear(&answer);
    return outcome;
}
