/* SPDX-License-Identifier: MIT */
/*
 * Explain: where a request would go, and why.
 */
#include "command.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Adds the fields of --header to `headers`. */
static enum outcome add_headers(const struct call *call, cJSON *headers)
{
    for (size_t i = 0; i < call->given_count; i++) {
        const char *field = call->given[i].value;
        const char *colon = strchr(field, ':');
        if (strcmp(call->given[i].row->name, "header") != 0) {
            continue;
        }
        if (colon == NULL || colon == field) {
            return call_misused(call, "\"%s\" is no field: --header \"Name: value\"", field);
        }
        struct text name = {0};
        text_add(&name, field, (size_t)(colon - field));
        colon++;
        cJSON_AddStringToObject(headers, text_get(&name), colon + strspn(colon, " \t"));
        text_clear(&name);
    }
    return DONE;
}

static bool fits(const cJSON *rule)
{
    return json_true(rule, "match") || strcmp(json_text(rule, "verdict", ""), "fits") == 0;
}

static void add_winner(struct table *table, const cJSON *rule)
{
    table_add(table, GREEN, "%s", json_true(rule, "match") ? "->" : " ");
}

static void add_fits(struct table *table, const cJSON *rule)
{
    table_add(table, fits(rule) ? GREEN : PLAIN, "%s", fits(rule) ? "yes" : "no");
}

static void add_why(struct table *table, const cJSON *object)
{
    const char *score = json_text(object, "score_text", "");
    table_add(table, PLAIN, "%s%s%s", json_text(object, "why", ""), *score != '\0' ? "; " : "",
              score);
}

/* The rules that were looked at, the winner marked, in the order in which they go before each
 * other. */
static void print_routes(const cJSON *explanation)
{
    static const struct column columns[] = {
        {"", SHOW_TEXT, NULL, add_winner},     {"RULE", SHOW_TEXT, "name", NULL},
        {"MODULE", SHOW_TEXT, "module", NULL}, {"FITS", SHOW_TEXT, NULL, add_fits},
        {"WHY", SHOW_TEXT, NULL, add_why},
    };
    const cJSON *tried = json_at(explanation, "route.tried");
    double left_out = json_number(explanation, "route.left_out");

    if (cJSON_GetArraySize(tried) > 0) {
        PRINT_LIST(columns, tried);
    }
    if (left_out > 0) {
        printf("and %.0f more, which are further from the request\n", left_out);
    }
    print_fact("route", "%s", json_text(explanation, "route.name", "none"));
}

/* Filters that would do something, or may. */
static void print_filters(const cJSON *explanation)
{
    const cJSON *each = NULL;

    cJSON_ArrayForEach(each, json_at(explanation, "filters"))
    {
        const char *why = json_text(each, "why", "");
        print_fact("filter", "%s of the %s %s%s%s", json_text(each, "module", "?"),
                   json_text(each, "in", "?"), json_text(each, "verdict", "?"),
                   *why != '\0' ? ": " : "", why);
    }
}

static void add_eligible(struct table *table, const cJSON *candidate)
{
    bool eligible = json_true(candidate, "eligible");
    table_add(table, eligible ? GREEN : RED, "%s", eligible ? "yes" : "no");
}

static void add_weight(struct table *table, const cJSON *candidate)
{
    table_number(table, json_number(candidate, "weight"), 2);
}

static void add_score(struct table *table, const cJSON *candidate)
{
    table_number(table, json_number(candidate, "score"), 4);
}

static void add_protocol(struct table *table, const cJSON *candidate)
{
    table_add(table, PLAIN, "%s", json_text(candidate, "protocol", "as ALPN says"));
}

/* The pick is marked as `match`, as the rule that wins is. */
static void print_candidates(cJSON *explanation)
{
    static const struct column columns[] = {
        {"", SHOW_TEXT, NULL, add_winner},           {"SERVER", SHOW_TEXT, "id", NULL},
        {"ELIGIBLE", SHOW_TEXT, NULL, add_eligible}, {"PROTOCOL", SHOW_TEXT, NULL, add_protocol},
        {"WEIGHT", SHOW_COUNT, NULL, add_weight},    {"IN FLIGHT", SHOW_COUNT, "in_flight", NULL},
        {"LATENCY ms", SHOW_MS, "latency_ms", NULL}, {"SCORE", SHOW_COUNT, NULL, add_score},
        {"WHY", SHOW_TEXT, NULL, add_why},
    };
    cJSON *candidates = cJSON_GetObjectItemCaseSensitive(explanation, "candidates"), *each = NULL;
    const char *pick = json_text(explanation, "pick", "");

    cJSON_ArrayForEach(each, candidates)
    {
        if (strcmp(json_text(each, "id", "?"), pick) == 0) {
            cJSON_AddTrueToObject(each, "match");
        }
    }
    if (cJSON_GetArraySize(candidates) > 0) {
        PRINT_LIST(columns, candidates);
    }
}

static void tell_explanation(const struct call *call, const struct answer *answer)
{
    cJSON *explanation = answer->json;
    const char *server = json_text(explanation, "sticky.server", NULL);
    const char *spoken = json_text(explanation, "protocol.server", NULL);
    struct text offers = {0};

    text_offers(&offers, json_at(explanation, "protocol"));
    (void)call;
    print_fact("listener", "%s", json_text(explanation, "listener", "-"));
    print_fact("offers", "%s", text_get(&offers));
    text_clear(&offers);
    print_filters(explanation);
    print_routes(explanation);
    print_fact("pool", "%s%s%s", json_text(explanation, "pool", "none"),
               spoken != NULL ? ", spoken to by " : "", spoken != NULL ? spoken : "");
    print_fact("sticky", "%s%s%s", json_text(explanation, "sticky.verdict", "none"),
               server != NULL ? ", " : "", server != NULL ? server : "");
    if (json_true(json_at(explanation, "balancer"), "out")) {
        print_fact("balancer", "%s is out: %s chooses",
                   json_text(explanation, "balancer.module", "?"),
                   json_text(explanation, "balancer.fallback", "?"));
    }
    print_candidates(explanation);
    print_fact("pick", "%s", json_text(explanation, "pick", "none"));
    if (json_text(explanation, "shadow_pick", NULL) != NULL) {
        print_fact("its shadow's", "%s", json_text(explanation, "shadow_pick", "none"));
    }
    if (cJSON_IsObject(json_at(explanation, "answer"))) {
        print_fact("answer", "%.0f, %s", json_number(explanation, "answer.status"),
                   json_text(explanation, "answer.reason", ""));
    }
}

enum outcome run_explain(struct call *call)
{
    static const char *const texts[] = {"client", "listener", NULL};
    cJSON *body = cJSON_CreateObject();
    cJSON *headers = cJSON_CreateObject();

    if (call->count == 2) {
        cJSON_AddStringToObject(body, "method", call->words[0]);
    }
    cJSON_AddStringToObject(body, "url", call->words[call->count - 1]);
    call_add_texts(call, body, texts);
    enum outcome outcome = add_headers(call, headers);
    if (cJSON_GetArraySize(headers) > 0) {
        cJSON_AddItemToObject(body, "headers", headers);
    } else {
        cJSON_Delete(headers);
    }
    if (outcome != DONE) {
        cJSON_Delete(body);
        return outcome;
    }
    return call_send(call, "POST", body, tell_explanation, "/explain");
}
