/* SPDX-License-Identifier: MIT */
/*
 * Power of two choices: draws a few servers at random, by weight, and takes the one with the fewest
 * requests in flight for its weight. Nearly as even as least connections, and a pick costs the same
 * whether there are three servers or ten thousand.
 *
 * The host draws, ranks, and keeps off servers that are full or were tried: the module says how
 * many to draw, and what one of them costs.
 */
#include <weir/weir.h>

#include <stdio.h>

struct conf {
    int64_t choices;
};

static const struct weir_option option_rows[] = {
    WEIR_OPTION_RANGE(struct conf, choices, INTEGER, "2", "1", "16",
                      WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL, WEIR_OPTION_RELOADABLE,
                      "How many servers are drawn, of which the least loaded is taken."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, option_rows);

static uint32_t choices(struct weir_context *ctx, const void *conf)
{
    (void)ctx;
    return (uint32_t)((const struct conf *)conf)->choices;
}

/* The lowest is taken. */
static double cost(struct weir_context *ctx, void *instance, const struct weir_candidate *candidate,
                   const struct weir_pick *pick)
{
    (void)ctx;
    (void)instance;
    (void)pick;
    return weir_candidate_load(candidate);
}

/* The cost in words, for an operator who asks where a request would go. */
static enum weir_status score(struct weir_context *ctx, void *instance,
                              const struct weir_pick *pick, uint32_t index, struct weir_score *out)
{
    (void)ctx;
    (void)instance;
    snprintf(out->text, sizeof(out->text), "%u in flight, if it is drawn",
             weir_candidate_in_flight(weir_candidate_at(pick->candidates, index)));
    return WEIR_OK;
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .choices = choices,
    .cost = cost,
    .score = score,
};
WEIR_DEFINE_MODULE("balance_two_choices", "1.0", "MIT", "power of two choices, weighted",
                   .options = &options, .balancer = &balancer);
