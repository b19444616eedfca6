/* SPDX-License-Identifier: MIT */
/*
 * Ranking: which candidate a request goes to, by what each costs. The lowest cost wins;
 * candidates of equal cost take turns, by their weights (turns.h).
 *
 * Knows costs, weights and what weir_pick_usable says, and nothing else of pools: the core and
 * the SDK's fake host are built with the same file.
 *
 * Costs change at any time: other loops send to the same servers. With up to RANKING_SCAN_MAX
 * candidates each pick computes all costs, and the choice is exact. With more, a heap keeps the
 * last known costs. A pick computes that of the root again until it no longer changes, so no
 * candidate is taken for cheaper than it is, and those of four others in turn: one that other
 * loops have made cheaper is noticed after count / 4 picks at the latest, one that this loop has
 * (ranking_changed) at once.
 *
 * Thread: one. Memory that cannot be had aborts.
 */
#ifndef PROXY_POOL_RANKING_H
#define PROXY_POOL_RANKING_H

#include <weir/balancer.h>

/* Measured (tests/bench/picks): above, a heap is cheaper than computing all costs. */
#define RANKING_SCAN_MAX 64u

struct ranking;

/* How candidates rank: members of struct weir_balancer, see there. */
struct ranking_policy {
    double (*cost)(struct weir_context *ctx, void *instance, const struct weir_candidate *candidate,
                   const struct weir_pick *pick); /* NULL: turns alone */
    struct weir_context *ctx;
    void *instance;
    uint32_t choices;
    bool by_request;
    void (*on_fault)(void *arg); /* `cost` returned NaN, which counts as INFINITY */
    void *arg;
};

/* `phase`: where its turns begin, of 2^32: loops that begin apart do not walk in step. `seed`: of
 * the draws. Without members, and with turns alone. */
struct ranking *ranking_new(uint32_t phase, uint64_t seed);
void ranking_free(struct ranking **ranking);

/* A new one takes the turns where another is, so that the two walk in step. */
void ranking_follow(struct ranking *ranking, const struct ranking *other);

/* Another policy; turns stay. Set the members before the next pick. */
void ranking_set_policy(struct ranking *ranking, const struct ranking_policy *policy);

/* The candidates from now on. What `members` points to lives until the next call. */
void ranking_set_members(struct ranking *ranking, const struct weir_candidates *members);

/* The candidate for a request, which takes its turn; WEIR_PICK_NONE: none is usable. `pick` refers
 * to the members that were set last. */
uint32_t ranking_pick(struct ranking *ranking, const struct weir_pick *pick);

/* What ranking_pick would return; changes nothing. O(n). */
uint32_t ranking_peek(const struct ranking *ranking, const struct weir_pick *pick);

/* Whether costs are kept from pick to pick, as with many candidates; until the members are set
 * again. */
bool ranking_keeps_costs(const struct ranking *ranking);

/* The candidate's cost may have changed: it got or lost a request. The next pick looks at it. Does
 * nothing where costs are not kept. */
void ranking_changed(struct ranking *ranking, uint32_t index);

/* How the candidate ranks: its cost, or without a cost how far ahead its turn is; and the same in
 * words. `*out` is prepared. false: the cost is not finite. */
bool ranking_score(const struct ranking *ranking, const struct weir_pick *pick, uint32_t index,
                   struct weir_score *out);

/* Requests in flight over the weight: the cost where no module gives one. */
double ranking_load(struct weir_context *ctx, void *instance,
                    const struct weir_candidate *candidate, const struct weir_pick *pick);

#endif
