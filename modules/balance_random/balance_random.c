/* SPDX-License-Identifier: MIT */
/*
 * Random by weight, the better of two: draws two servers and takes the one with fewer requests in
 * flight for its weight. Nearly as even as least connections, at the same cost for three servers
 * and for ten thousand, and workers that know nothing of each other do not run in step.
 */
#include <weir/weir.h>

#include <stdio.h>

struct conf {
    int64_t choices;
};

static const struct weir_option rows[] = {
    WEIR_OPTION_RANGE(struct conf, choices, INTEGER, "2", "1", "16",
                      WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL, WEIR_OPTION_RELOADABLE,
                      "Servers that are drawn, each as likely as its weight says; the least loaded "
                      "of them is taken. 1: purely random."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

static uint32_t choices(struct weir_context *ctx, const void *conf)
{
    (void)ctx;
    return (uint32_t)((const struct conf *)conf)->choices;
}

static double cost(struct weir_context *ctx, void *instance, const struct weir_candidate *candidate,
                   const struct weir_pick *pick)
{
    (void)ctx;
    (void)instance;
    (void)pick;
    return weir_candidate_load(candidate);
}

/* The words for it. */
static enum weir_status score(struct weir_context *ctx, void *instance,
                              const struct weir_pick *pick, uint32_t index, struct weir_score *out)
{
    const struct weir_candidate *candidate = weir_candidate_at(pick->candidates, index);
    (void)ctx;
    (void)instance;
    snprintf(out->text, sizeof(out->text), "%u in flight over weight %.3g, if it is drawn",
             weir_candidate_in_flight(candidate), weir_candidate_weight(candidate));
    return WEIR_OK;
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .choices = choices,
    .cost = cost,
    .score = score,
};
WEIR_DEFINE_MODULE("balance_random", "1.0", "MIT",
                   "Draws two servers by weight, and takes the one with less to do",
                   .options = &options, .balancer = &balancer);
