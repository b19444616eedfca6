/* SPDX-License-Identifier: MIT */
/*
 * Swaps: another copy of a module, or another balancer in a pool, at once or after a trial, and
 * back.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "print.h"

static const char *const sides[] = {"old", "new"};

/* The balancer with its options, as `pool balance` takes them. */
static void tell_balancer(const char *side, const cJSON *balancer)
{
    const cJSON *option = NULL;
    struct text text = {0};

    text_puts(&text, json_text(balancer, "balance", "?"));
    cJSON_ArrayForEach(option, json_at(balancer, "options"))
    {
        text_printf(&text, " %s=%s", option->string,
                    cJSON_IsString(option) ? option->valuestring : "?");
    }
    print_fact(side, "%s", text_get(&text));
    text_clear(&text);
}

static void tell_side(const cJSON *swap, const char *side)
{
    const cJSON *copy = json_at(swap, side), *pool = NULL;

    if (json_at(copy, "balance") != NULL) {
        tell_balancer(side, copy);
    } else {
        print_fact(side, "%s, %s", json_text(copy, "version", "?"), json_text(copy, "path", "?"));
    }
    cJSON_ArrayForEach(pool, json_at(swap, "pools"))
    {
        const cJSON *counts = json_at(pool, side);
        print_fact("", "pool %s: %.0f picks, %.0f requests, %.0f errors, p50 %.3g ms, p99 %.3g ms",
                   json_text(pool, "pool", "?"), json_number(counts, "picks"),
                   json_number(counts, "requests"), json_number(counts, "errors"),
                   json_number(counts, "first_byte_ms.p50"),
                   json_number(counts, "first_byte_ms.p99"));
    }
    if (isfinite(json_number(copy, "strikes"))) {
        print_fact("", "%.0f strikes", json_number(copy, "strikes"));
    }
}

void tell_swap(const cJSON *subject)
{
    const cJSON *swap = json_at(subject, "swap");
    const char *reason = json_text(swap, "reason", "");
    const char *state = json_text(swap, "state", NULL);
    char at[VALUE_SIZE];

    if (state == NULL) {
        return;
    }
    print_fact("swap", "%s by %s%s%s", state, json_text(swap, "author", "?"),
               *reason != '\0' ? ": " : "", reason);
    if (strcmp(state, "trying") == 0) {
        print_fact("canary", "%.3g %% of the picks, until %s", json_number(swap, "canary"),
                   show_time(at, json_number(swap, "until")));
    }
    for (size_t i = 0; i < COUNT(sides); i++) {
        tell_side(swap, sides[i]);
    }
}

static void tell(const struct call *call, const struct answer *answer)
{
    (void)call;
    print_fact("module", "%s %s", json_text(answer->json, "name", "?"),
               json_text(answer->json, "version", "?"));
    tell_swap(answer->json);
}

static void tell_pool(const struct call *call, const struct answer *answer)
{
    print_fact("pool", "%s, balanced by %s", json_text(answer->json, "name", "?"),
               json_text(answer->json, "policy", "?"));
    tell_swap(answer->json);
    tell_journal(call, answer);
}

/* A number of the option; it is Weir that judges it. */
static enum outcome add_ratio(const struct call *call, cJSON *body, const char *option,
                              const char *name)
{
    const char *text = call_option(call, option);
    char *end = NULL;

    if (text == NULL) {
        return DONE;
    }
    double number = strtod(text, &end);
    if (end == text || *end != '\0') {
        return call_misused(call, "\"%s\" is no number", text);
    }
    cJSON_AddNumberToObject(body, name, number);
    return DONE;
}

/* What the options say, about a trial too. */
static enum outcome add_options(const struct call *call, cJSON *body)
{
    static const char *const texts[] = {"file", "canary", "for", NULL};

    call_add_texts(call, body, texts);
    enum outcome outcome = add_ratio(call, body, "max-error-ratio", "max_error_ratio");
    return outcome == DONE ? add_ratio(call, body, "max-latency-ratio", "max_latency_ratio")
                           : outcome;
}

enum outcome run_module_swap(struct call *call)
{
    cJSON *body = cJSON_CreateObject();
    enum outcome outcome = add_options(call, body);

    if (outcome != DONE) {
        cJSON_Delete(body);
        return outcome;
    }
    return call_send(call, "POST", body, tell, "/modules/{}/swap", call->words[0]);
}

/* Another balancer in a pool: words are the pool, the balancer and OPTION=VALUE. */
enum outcome run_pool_balance(struct call *call)
{
    cJSON *body = cJSON_CreateObject();
    enum outcome outcome = add_options(call, body);

    if (outcome != DONE) {
        cJSON_Delete(body);
        return outcome;
    }
    cJSON_AddStringToObject(body, "balance", call->words[1]);
    cJSON *options = cJSON_AddObjectToObject(body, "options");
    for (int i = 2; i < call->count; i++) {
        const char *sign = strchr(call->words[i], '=');
        struct text name = {0};
        if (sign == NULL) {
            cJSON_Delete(body);
            return call_misused(call, "\"%s\" is no OPTION=VALUE", call->words[i]);
        }
        text_printf(&name, "%.*s", (int)(sign - call->words[i]), call->words[i]);
        cJSON_AddStringToObject(options, text_get(&name), sign + 1);
        text_clear(&name);
    }
    return call_send(call, "PATCH", body, tell_pool, "/pools/{}", call->words[0]);
}

enum outcome run_pool_promote(struct call *call)
{
    return call_send(call, "POST", NULL, tell_pool, "/pools/{}/promote", call->words[0]);
}

enum outcome run_pool_rollback(struct call *call)
{
    return call_send(call, "POST", NULL, tell_pool, "/pools/{}/rollback", call->words[0]);
}

enum outcome run_module_promote(struct call *call)
{
    return call_send(call, "POST", NULL, tell, "/modules/{}/promote", call->words[0]);
}

enum outcome run_module_rollback(struct call *call)
{
    return call_send(call, "POST", NULL, tell, "/modules/{}/rollback", call->words[0]);
}
