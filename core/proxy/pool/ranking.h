/* SPDX-License-Identifier: MIT */
/*
 * Ranking: which candidate a request goes to, by what each costs. The lowest cost is taken;
 * those of equal cost take turns, by their weights (turns.h).
 *
 * Knows costs, weights and what weir_pick_usable says, and nothing else of pools: the core and
 * the SDK's fake host are built with the same file.
 *
 * Costs change underneath: other loops send to the same servers. Up to RANKING_SCAN_MAX
 * candidates all are asked at each pick, and the choice is exact. Above, a heap keeps what each
 * said last. A pick asks its root again until that has not changed, so that nobody is taken for
 * cheaper than he is, and four others in turn: who has become cheaper by other loops' doing is
 * seen count / 4 picks later at the latest, and by this loop's own doing at once
 * (ranking_changed).
 *
 * Thread: one. Memory that cannot be had aborts.
 */
#ifndef PROXY_POOL_RANKING_H
#define PROXY_POOL_RANKING_H

#include <weir/balancer.h>

/* Measured (tests/bench/picks): above, a heap is cheaper than asking all. */
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
    void (*on_fault)(void *arg); /* `cost` has given no number, which is taken for INFINITY */
    void *arg;
};

/* `phase`: where its turns begin, of 2^32; of loops that begin apart none walks in step with
 * another. `seed`: of the draws. No members; turns alone. */
struct ranking *ranking_new(uint32_t phase, uint64_t seed);
void ranking_free(struct ranking **ranking);

/* Another policy; turns stay. Before the next pick the members are to be set. */
void ranking_set_policy(struct ranking *ranking, const struct ranking_policy *policy);

/* Who can be picked from now on. What `members` points to lives until the next call. */
void ranking_set_members(struct ranking *ranking, const struct weir_candidates *members);

/* The candidate for a request, whose turn is over then; WEIR_PICK_NONE: none is usable. `pick`
 * is about the members that were set last. */
uint32_t ranking_pick(struct ranking *ranking, const struct weir_pick *pick);

/* What ranking_pick would say; changes nothing. O(n). */
uint32_t ranking_peek(const struct ranking *ranking, const struct weir_pick *pick);

/* Whether what candidates cost is kept from pick to pick, as it is with many; until the members
 * are set again. */
bool ranking_keeps_costs(const struct ranking *ranking);

/* The candidate's cost may be another one: it got or lost a request. Nothing where costs are not
 * kept. */
void ranking_changed(struct ranking *ranking, uint32_t index);

/* How the candidate ranks: its cost, or where there is none how far ahead its turn lies, and
 * that in words. `*out` is prepared. false: the cost is no finite number. */
bool ranking_score(const struct ranking *ranking, const struct weir_pick *pick, uint32_t index,
                   struct weir_score *out);

/* Requests in flight over the weight: the cost where no module has one. */
double ranking_load(struct weir_context *ctx, void *instance,
                    const struct weir_candidate *candidate, const struct weir_pick *pick);

#endif
