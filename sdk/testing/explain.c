/* SPDX-License-Identifier: MIT */
/*
 * Routers that tell their rules, and what is wrong with what they tell.
 */
#include "fake.h"

#include <stdlib.h>

struct fake_sink {
    struct weir_rule_sink base;
    struct weir_test *host;
};

void fake_rules_free(struct fake_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) {
        free((char *)(uintptr_t)rules->items[i].name);
        free((char *)(uintptr_t)rules->items[i].why);
    }
    free(rules->items);
    memset(rules, 0, sizeof(*rules));
}

static void tell(const struct weir_rule_sink *base, const struct weir_rule *rule)
{
    struct weir_test *host = ((const struct fake_sink *)(const void *)base)->host;
    struct fake_rules *rules = &host->rules;

    if (rule->size < sizeof(*rule)) {
        fake_problem(host, "explain told a rule of %u bytes", rule->size);
        return;
    }
    if (rule->name.len == 0 || rule->why.len == 0) {
        fake_problem(host, "explain told a rule without a %s",
                     rule->name.len == 0 ? "name" : "reason");
    }
    if ((unsigned)rule->verdict > WEIR_RULE_WINS) {
        fake_problem(host, "explain gave the verdict %u, which is none", (unsigned)rule->verdict);
    }
    if (rule->route != WEIR_NO_REF && weir_test_route_name(host, rule->route) == NULL) {
        fake_problem(host, "explain told a route that was never made known");
    }
    rules->items = fake_grow(rules->items, rules->count + 1, sizeof(*rules->items));
    rules->items[rules->count++] = (struct weir_test_rule){
        .verdict = rule->verdict,
        .name = fake_copy(rule->name.ptr, rule->name.len),
        .why = fake_copy(rule->why.ptr, rule->why.len),
        .route = rule->route,
    };
}

static void leave_out(const struct weir_rule_sink *base, uint32_t count)
{
    ((const struct fake_sink *)(const void *)base)->host->rules.left_out += count;
}

/* The winner must be the one that decided. */
static void check_winner(struct weir_test *host, enum weir_status status,
                         const struct weir_route_result *result)
{
    const struct weir_test_rule *winner = NULL;
    size_t winners = 0;

    for (size_t i = 0; i < host->rules.count; i++) {
        if (host->rules.items[i].verdict == WEIR_RULE_WINS) {
            winner = &host->rules.items[i];
            winners++;
        }
    }
    if (winners > 1) {
        fake_problem(host, "explain told %zu rules that win", winners);
    }
    if (status == WEIR_OK && winners == 0) {
        fake_problem(host, "explain told no rule that wins, though route took the request");
    }
    if (status == WEIR_DECLINED && winners > 0) {
        fake_problem(host, "explain says that \"%s\" wins, though route declined", winner->name);
    }
    if (status == WEIR_OK && winners == 1 && winner->route != result->route) {
        fake_problem(host, "explain says that \"%s\" wins, which is not the route that route gave",
                     winner->name);
    }
}

enum weir_status weir_test_explain(struct weir_test_instance *router, struct weir_request *req,
                                   uint32_t limit)
{
    struct weir_test *host = router->host;
    struct fake_sink sink = {
        .base = {.size = sizeof(sink.base), .limit = limit, .tell = tell, .leave_out = leave_out},
        .host = host,
    };
    struct weir_route_result result;
    enum weir_status status = weir_test_route(router, req, &result);

    fake_rules_free(&host->rules);
    if (host->router.explain != NULL) {
        FAKE_HOOK("explain");
        host->router.explain(&router->ctx.base, router->data, req, &sink.base);
        check_winner(host, status, &result);
    }
    return status;
}

size_t weir_test_rule_count(const struct weir_test *host)
{
    return host->rules.count;
}

const struct weir_test_rule *weir_test_rule_at(const struct weir_test *host, size_t index)
{
    return index < host->rules.count ? &host->rules.items[index] : NULL;
}

uint32_t weir_test_rules_left_out(const struct weir_test *host)
{
    return host->rules.left_out;
}
