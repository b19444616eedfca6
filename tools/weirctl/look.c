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

/* Workers that do not come back. */
static void print_hanging(const cJSON *status)
{
    const cJSON *worker = NULL;

    cJSON_ArrayForEach(worker, cJSON_GetObjectItemCaseSensitive(status, "hanging"))
    {
        const cJSON *in = cJSON_GetArrayItem(cJSON_GetObjectItem(worker, "calls"), 0);
        double seconds = json_number(worker, "for_ms") / 1000;
        if (in != NULL) {
            const char *place = json_text(in, "place", "");
            print_fact("hanging", "worker %.0f for %.1f s, in module %s, hook %s%s%s%s",
                       json_number(worker, "worker"), seconds, json_text(in, "module", "-"),
                       json_text(in, "hook", "-"), place[0] != '\0' ? " (" : "", place,
                       place[0] != '\0' ? ")" : "");
        } else {
            print_fact("hanging", "worker %.0f for %.1f s, in no module",
                       json_number(worker, "worker"), seconds);
        }
    }
}

/* Blocks of modules that are out. */
static void tell_alarms(const cJSON *alarms)
{
    const cJSON *alarm = NULL;

    cJSON_ArrayForEach(alarm, alarms)
    {
        const char *place = json_text(alarm, "block", ""), *module = json_text(alarm, "module", "");
        print_fact("out", "%s%s%s: %s %s; now %s", module, *module != '\0' ? ", " : "",
                   *place != '\0' ? place : "the module block", json_text(alarm, "hook", "?"),
                   json_text(alarm, "strike", "?"), json_text(alarm, "instead", "?"));
    }
}

static void print_fault(const char *fact, const char *what, const cJSON *fault)
{
    const char *hook = json_text(fault, "hook", NULL), *place = json_text(fault, "place", "");
    const char *module = json_text(fault, "module", NULL);
    char at[VALUE_SIZE];

    print_fact(fact, "%s%s%s%s%s%s%s%s%s at %s", what, json_text(fault, "what", "?"),
               module != NULL ? " in module " : "", module != NULL ? module : "",
               hook != NULL ? ", hook " : "", hook != NULL ? hook : "", *place != '\0' ? " (" : "",
               place, *place != '\0' ? ")" : "", show_time(at, json_number(fault, "time")));
}

/* A module in quarantine, and why. */
static void print_quarantine(const cJSON *quarantine)
{
    const char *name = json_text(quarantine, "module", "?");
    const cJSON *fault = NULL;
    char since[VALUE_SIZE];

    print_fact("quarantined", "%s, since %s; weirctl module release %s", name,
               show_time(since, json_number(quarantine, "since")), name);
    cJSON_ArrayForEach(fault, json_at(quarantine, "faults"))
    {
        print_fault("", "", fault);
    }
}

/* How the run before ended, and who is in quarantine. */
static void print_crashes(const cJSON *status)
{
    const cJSON *crash = json_at(status, "crash"), *each = NULL;

    if (cJSON_IsObject(crash)) {
        print_fault("last run", "ended by ", crash);
    }
    cJSON_ArrayForEach(each, json_at(status, "quarantined"))
    {
        print_quarantine(each);
    }
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
        print_hanging(s);
        tell_alarms(json_at(s, "alarms"));
        print_crashes(s);
        print_fact("connections", "%.0f", json_number(s, "connections"));
        print_fact("ended for abuse", "%.0f", json_number(s, "abusive"));
        print_fact("requests", "%.0f (%.1f a second, %.0f in flight)", json_number(s, "requests"),
                   json_number(s, "rates.requests"), json_number(s, "in_flight"));
        print_counts("protocols", json_at(s, "protocols"));
        print_http2(json_at(s, "http2"));
        print_counts("gRPC", json_at(s, "grpc"));
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

static void add_target(struct table *table, const cJSON *route)
{
    const char *redirect = json_text(route, "redirect", NULL);
    table_add(table, PLAIN, "%s%s", redirect != NULL ? "-> " : "",
              redirect != NULL ? redirect : json_text(route, "pool", "-"));
}

static void add_count(struct table *table, const cJSON *object, const char *path)
{
    double count = json_number(object, path);
    table_number(table, isfinite(count) ? count : 0, 0);
}

static void add_4xx(struct table *table, const cJSON *object)
{
    add_count(table, object, "responses.4xx");
}

static void add_5xx(struct table *table, const cJSON *object)
{
    add_count(table, object, "responses.5xx");
}

enum outcome run_routes(struct call *call)
{
    static const struct column columns[] = {
        {"ROUTE", SHOW_TEXT, "name", NULL},
        {"HOST", SHOW_TEXT, "host", NULL},
        {"PATH", SHOW_TEXT, "path", NULL},
        {"POOL", SHOW_TEXT, NULL, add_target},
        {"REQ/S", SHOW_TENTHS, "rates.requests", NULL},
        {"P50 ms", SHOW_MS, "latency_ms.p50", NULL},
        {"P95 ms", SHOW_MS, "latency_ms.p95", NULL},
        {"REQUESTS", SHOW_COUNT, "requests", NULL},
        {"4XX", SHOW_COUNT, NULL, add_4xx},
        {"5XX", SHOW_COUNT, NULL, add_5xx},
    };
    return CALL_LIST(call, "/routes", columns);
}

static void add_tls(struct table *table, const cJSON *listener)
{
    table_add(table, PLAIN, "%s", json_true(listener, "tls") ? "yes" : "no");
}

static void add_offers(struct table *table, const cJSON *listener)
{
    struct text text = {0};

    text_offers(&text, listener);
    table_add(table, PLAIN, "%s", text_get(&text));
    text_clear(&text);
}

static void add_grpc_failed(struct table *table, const cJSON *object)
{
    const cJSON *each = NULL;
    double failed = 0;

    cJSON_ArrayForEach(each, json_at(object, "grpc"))
    {
        failed += strcmp(each->string, "OK") != 0 ? each->valuedouble : 0;
    }
    table_number(table, failed, 0);
}

enum outcome run_listeners(struct call *call)
{
    static const struct column columns[] = {
        {"LISTENER", SHOW_TEXT, "name", NULL},
        {"TLS", SHOW_TEXT, NULL, add_tls},
        {"HANDLER", SHOW_TEXT, "handler", NULL},
        {"OFFERS", SHOW_TEXT, NULL, add_offers},
        {"CONNECTIONS", SHOW_COUNT, "connections", NULL},
        {"H2", SHOW_COUNT, "http2.connections", NULL},
        {"STREAMS", SHOW_COUNT, "http2.streams", NULL},
        {"ODD", SHOW_COUNT, "odd_points", NULL},
        {"ABUSIVE", SHOW_COUNT, "abusive", NULL},
        {"REQ/S", SHOW_TENTHS, "rates.requests", NULL},
        {"IN/S", SHOW_BYTES, "rates.bytes_in", NULL},
        {"OUT/S", SHOW_BYTES, "rates.bytes_out", NULL},
        {"REQUESTS", SHOW_COUNT, "requests", NULL},
        {"5XX", SHOW_COUNT, NULL, add_5xx},
        {"GRPC FAILED", SHOW_COUNT, NULL, add_grpc_failed},
        {"ADDRESSES", SHOW_LIST, "addresses", NULL},
    };
    return CALL_LIST(call, "/listeners", columns);
}

static void add_days(struct table *table, const cJSON *certificate)
{
    double days = json_number(certificate, "days_left");
    enum colour colour = days < 7 ? RED : days < 30 ? YELLOW : PLAIN;
    table_add(table, colour, "%.0f%s", days, days < 0 ? " (ended)" : "");
}

enum outcome run_certificates(struct call *call)
{
    static const struct column columns[] = {
        {"LISTENER", SHOW_TEXT, "listener", NULL}, {"CERTIFICATE", SHOW_TEXT, "name", NULL},
        {"DAYS LEFT", SHOW_COUNT, NULL, add_days}, {"UNTIL", SHOW_TIME, "not_after", NULL},
        {"ISSUER", SHOW_TEXT, "issuer", NULL},     {"NAMES", SHOW_LIST, "names", NULL},
    };
    return CALL_LIST(call, "/certificates", columns);
}

/* Of the copies that are in force; one that drains adds to the same numbers. */
static enum outcome run_metrics(struct call *call)
{
    static const struct column columns[] = {
        {"MODULE", SHOW_TEXT, "module", NULL},   {"METRIC", SHOW_TEXT, "name", NULL},
        {"TYPE", SHOW_TEXT, "type", NULL},       {"VALUE", SHOW_COUNT, "value", NULL},
        {"WHAT IT IS", SHOW_TEXT, "help", NULL},
    };
    struct answer answer;
    enum outcome outcome = call_get(call, "/modules", &answer);
    cJSON *shown = cJSON_CreateArray(), *module = NULL, *metric = NULL;

    cJSON_ArrayForEach(module, json_at(answer.json, "entries"))
    {
        if (strcmp(json_text(module, "state", ""), "active") != 0) {
            continue;
        }
        cJSON_ArrayForEach(metric, cJSON_GetObjectItemCaseSensitive(module, "metrics"))
        {
            cJSON *row = cJSON_Duplicate(metric, true);
            cJSON_AddStringToObject(row, "module", json_text(module, "name", "-"));
            cJSON_AddItemToArray(shown, row);
        }
    }
    if (outcome == DONE && answer.json != NULL) {
        PRINT_LIST(columns, shown);
    }
    cJSON_Delete(shown);
    answer_clear(&answer);
    return outcome;
}

static void add_module_state(struct table *table, const cJSON *module)
{
    bool out = cJSON_GetArraySize(json_at(module, "alarms")) > 0;
    bool held = cJSON_IsObject(json_at(module, "quarantine"));
    const char *state = json_text(module, "state", "-");

    table_add(table,
              out || held                    ? RED
              : strcmp(state, "active") == 0 ? GREEN
                                             : YELLOW,
              "%s",
              held  ? "quarantined"
              : out ? "out"
                    : state);
}

static void add_strikes(struct table *table, const cJSON *calls)
{
    const cJSON *kind = NULL;
    double sum = 0;

    cJSON_ArrayForEach(kind, json_at(calls, "strikes"))
    {
        sum += cJSON_GetNumberValue(kind);
    }
    table_add(table, sum > 0 ? RED : PLAIN, "%.0f", sum);
}

static void add_time(struct table *table, const cJSON *calls, const char *name)
{
    table_add(table, PLAIN, "%.6g", json_number(json_at(calls, "time_us"), name));
}

static void add_p50(struct table *table, const cJSON *calls)
{
    add_time(table, calls, "p50");
}

static void add_p99(struct table *table, const cJSON *calls)
{
    add_time(table, calls, "p99");
}

static void add_worst(struct table *table, const cJSON *calls)
{
    add_time(table, calls, "worst");
}

static void add_hook_strikes(struct table *table, const cJSON *hook)
{
    const cJSON *kind = NULL;
    struct text text = {0};

    cJSON_ArrayForEach(kind, json_at(hook, "strikes"))
    {
        if (cJSON_GetNumberValue(kind) > 0) {
            text_printf(&text, "%s%.0f %s", text.len > 0 ? ", " : "", cJSON_GetNumberValue(kind),
                        kind->string);
        }
    }
    table_add(table, text.len > 0 ? RED : PLAIN, "%s", text.len > 0 ? text.data : "-");
    text_clear(&text);
}

enum outcome run_module_show(struct call *call)
{
    static const struct column columns[] = {
        {"HOOK", SHOW_TEXT, "hook", NULL},         {"CALLS", SHOW_COUNT, "calls", NULL},
        {"P50 us", SHOW_COUNT, NULL, add_p50},     {"P99 us", SHOW_COUNT, NULL, add_p99},
        {"WORST us", SHOW_COUNT, NULL, add_worst}, {"STRIKES", SHOW_TEXT, NULL, add_hook_strikes},
    };
    struct text path = {0};
    struct answer answer;

    api_path(&path, "/modules/{}", call->words[0]);
    enum outcome outcome = call_get(call, text_get(&path), &answer);
    if (outcome == DONE && answer.json != NULL) {
        double share = json_number(answer.json, "cpu_share");
        print_fact("module", "%s %s, %s", json_text(answer.json, "name", "?"),
                   json_text(answer.json, "version", "?"), json_text(answer.json, "state", "?"));
        print_fact("cpu", "%.2f %% of the workers' time", share * 100);
        print_fact("lately", "%.1f calls a second, %.3g us of each request",
                   json_number(answer.json, "rates.calls"),
                   json_number(answer.json, "rates.request_us"));
        print_fact("memory", "%.0f bytes asked for", json_number(answer.json, "allocated_bytes"));
        tell_alarms(json_at(answer.json, "alarms"));
        if (cJSON_IsObject(json_at(answer.json, "quarantine"))) {
            print_quarantine(json_at(answer.json, "quarantine"));
        }
        tell_swap(answer.json);
        PRINT_LIST(columns, json_at(answer.json, "hooks"));
    }
    text_clear(&path);
    answer_clear(&answer);
    return outcome;
}

static void tell_retried(const struct call *call, const struct answer *answer)
{
    (void)answer;
    print_fact("retried", "%s", call->words[0]);
}

enum outcome run_module_retry(struct call *call)
{
    return call_send(call, "POST", NULL, tell_retried, "/modules/{}/retry", call->words[0]);
}

static void tell_released(const struct call *call, const struct answer *answer)
{
    print_fact("released", "%s; generation %.0f", call->words[0],
               json_number(answer->json, "generation"));
    print_restart(answer->json);
}

enum outcome run_module_release(struct call *call)
{
    enum outcome outcome =
        call_send(call, "POST", NULL, tell_released, "/modules/{}/release", call->words[0]);

    if (outcome == UNREACHABLE) {
        fprintf(stderr, "weirctl: where Weir does not run: weir --release-module %s\n",
                call->words[0]);
    }
    return outcome;
}

enum outcome run_modules(struct call *call)
{
    static const struct column columns[] = {
        {"MODULE", SHOW_TEXT, "name", NULL},
        {"VERSION", SHOW_TEXT, "version", NULL},
        {"ABI", SHOW_TEXT, "abi", NULL},
        {"KINDS", SHOW_LIST, "kinds", NULL},
        {"STATE", SHOW_TEXT, NULL, add_module_state},
        {"GENERATION", SHOW_COUNT, "generation", NULL},
        {"CALLS", SHOW_COUNT, "calls", NULL},
        {"P50 us", SHOW_COUNT, NULL, add_p50},
        {"P99 us", SHOW_COUNT, NULL, add_p99},
        {"WORST us", SHOW_COUNT, NULL, add_worst},
        {"STRIKES", SHOW_COUNT, NULL, add_strikes},
        {"FAULTS", SHOW_COUNT, "faults", NULL},
        {"SUMMARY", SHOW_TEXT, "summary", NULL},
    };
    return call_option(call, "metrics") != NULL ? run_metrics(call)
                                                : CALL_LIST(call, "/modules", columns);
}
