/* SPDX-License-Identifier: MIT */
/*
 * Weighted least connections: the server with the fewest requests in flight for its weight,
 * counted over all workers. The host gives those that are equal their turns, each as often as
 * its weight says.
 */
#include <weir/weir.h>

#include <stdio.h>

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
    snprintf(out->text, sizeof(out->text), "%u in flight over weight %.3g",
             weir_candidate_in_flight(candidate), weir_candidate_weight(candidate));
    return WEIR_OK;
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .cost = cost,
    .score = score,
};
WEIR_DEFINE_MODULE("balance_least_conn", "1.1", "MIT",
                   "Takes the server with the fewest requests in flight for its weight",
                   .balancer = &balancer);
