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

/* The rules that were looked at, the winner marked, in the order in which they go before each other. */
static void print_routes(const cJSON *explanation)
{
    static const struct column columns[] = {
        {"", false}, {"RULE", false}, {"MODULE", false}, {"FITS", false}, {"WHY", false}};
    const cJSON *tried = json_at(explanation, "route.tried");
    const cJSON *each = NULL;
    double left_out = json_number(explanation, "route.left_out");

    if (cJSON_GetArraySize(tried) > 0) {
        struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
        cJSON_ArrayForEach(each, tried)
        {
            bool wins = json_true(each, "match");
            bool fits = wins || strcmp(json_text(each, "verdict", ""), "fits") == 0;
            table_add(table, GREEN, "%s", wins ? "->" : " ");
            table_add(table, PLAIN, "%s", json_text(each, "name", "?"));
            table_add(table, PLAIN, "%s", json_text(each, "module", "-"));
            table_add(table, fits ? GREEN : PLAIN, "%s", fits ? "yes" : "no");
            table_add(table, PLAIN, "%s", json_text(each, "why", ""));
        }
        table_print(&table);
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

static void print_candidates(const cJSON *explanation)
{
    static const struct column columns[] = {
        {"", false},         {"SERVER", false},    {"ELIGIBLE", false}, {"WEIGHT", true},
        {"IN FLIGHT", true}, {"LATENCY ms", true}, {"SCORE", true},     {"WHY", false},
    };
    const cJSON *candidates = json_at(explanation, "candidates");
    const cJSON *each = NULL;
    const char *pick = json_text(explanation, "pick", "");

    if (cJSON_GetArraySize(candidates) == 0) {
        return;
    }
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    cJSON_ArrayForEach(each, candidates)
    {
        const char *id = json_text(each, "id", "?");
        bool eligible = json_true(each, "eligible");
        const char *score = json_text(each, "score_text", "");
        table_add(table, GREEN, "%s", strcmp(id, pick) == 0 ? "->" : " ");
        table_add(table, PLAIN, "%s", id);
        table_add(table, eligible ? GREEN : RED, "%s", eligible ? "yes" : "no");
        table_number(table, json_number(each, "weight"), 2);
        table_number(table, json_number(each, "in_flight"), 0);
        table_ms(table, json_number(each, "latency_ms"));
        table_number(table, json_number(each, "score"), 4);
        table_add(table, PLAIN, "%s%s%s", json_text(each, "why", ""), *score != '\0' ? "; " : "",
                  score);
    }
    table_print(&table);
}

static void print_explanation(const cJSON *explanation)
{
    const char *server = json_text(explanation, "sticky.server", NULL);

    print_fact("listener", "%s", json_text(explanation, "listener", "-"));
    print_filters(explanation);
    print_routes(explanation);
    print_fact("pool", "%s", json_text(explanation, "pool", "none"));
    print_fact("sticky", "%s%s%s", json_text(explanation, "sticky.verdict", "none"),
               server != NULL ? ", " : "", server != NULL ? server : "");
    print_candidates(explanation);
    print_fact("pick", "%s", json_text(explanation, "pick", "none"));
    if (cJSON_IsObject(json_at(explanation, "answer"))) {
        print_fact("answer", "%.0f, %s", json_number(explanation, "answer.http.status"),
                   json_text(explanation, "answer.reason", ""));
    }
}

enum outcome run_explain(struct call *call)
{
    static const char *const texts[] = {"client", "listener"};
    struct answer answer = {0};
    cJSON *body = cJSON_CreateObject();
    cJSON *headers = cJSON_CreateObject();

    if (call->count == 2) {
        cJSON_AddStringToObject(body, "method", call->words[0]);
    }
    cJSON_AddStringToObject(body, "url", call->words[call->count - 1]);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (call_option(call, texts[i]) != NULL) {
            cJSON_AddStringToObject(body, texts[i], call_option(call, texts[i]));
        }
    }
    enum outcome outcome = add_headers(call, headers);
    if (cJSON_GetArraySize(headers) > 0) {
        cJSON_AddItemToObject(body, "headers", headers);
    } else {
        cJSON_Delete(headers);
    }
    if (outcome == DONE) {
        outcome = api_call(&call->api, "POST", "/explain", body, &answer);
    }
    if (outcome == DONE && !call_printed(call, &answer)) {
        print_explanation(answer.json);
    }
    cJSON_Delete(body);
    answer_clear(&answer);
    return outcome;
}
