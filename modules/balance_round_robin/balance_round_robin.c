/* SPDX-License-Identifier: MIT */
/*
 * Weighted round robin, smooth: over any run of (sum of weights) picks each server gets exactly
 * its weight, and its picks lie as far apart as they can. That is how the host gives turns to
 * servers of equal cost; here all cost the same.
 */
#include <weir/weir.h>

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .flags = WEIR_BALANCER_TURNS,
};
WEIR_DEFINE_MODULE("balance_round_robin", "1.1", "MIT",
                   "Gives servers their turn, each as often as its weight says, evenly spread",
                   .balancer = &balancer);
