/* SPDX-License-Identifier: MIT */
/*
 * A pool's retry budget on one loop: retries may be a share of the requests of the last ten seconds
 * plus a few, so that a pool with little traffic can retry at all. A lost server then costs its
 * neighbours no more than that share, however many requests meet it.
 *
 * Each worker keeps to the share of its own requests, so it holds over all workers without a shared
 * cache line. The few extra are one per second for the pool, divided among the workers (at least
 * one per window).
 */
#ifndef PROXY_POOL_RETRY_BUDGET_H
#define PROXY_POOL_RETRY_BUDGET_H

#include "base/base.h"

#define RETRY_WINDOW_S 10u

/* Zeroed is empty. Invariant: the sums are those of the arrays. */
struct retry_budget {
    uint64_t second; /* of the newest slot */
    uint32_t requests[RETRY_WINDOW_S], retries[RETRY_WINDOW_S];
    uint32_t request_sum, retry_sum;
};

/* Drops slots that have left the window. */
static inline void retry_budget_advance(struct retry_budget *budget, uint64_t now_ns)
{
    uint64_t second = now_ns / NS_PER_SECOND;

    if (likely(second == budget->second)) {
        return;
    }
    uint64_t steps = second - budget->second;
    for (uint64_t i = 1; i <= steps && i <= RETRY_WINDOW_S; i++) {
        uint64_t slot = (budget->second + i) % RETRY_WINDOW_S;
        budget->request_sum -= budget->requests[slot];
        budget->retry_sum -= budget->retries[slot];
        budget->requests[slot] = budget->retries[slot] = 0;
    }
    budget->second = second;
}

static inline void retry_budget_request(struct retry_budget *budget, uint64_t now_ns)
{
    retry_budget_advance(budget, now_ns);
    budget->requests[budget->second % RETRY_WINDOW_S]++;
    budget->request_sum++;
}

/* Takes a retry; false: the budget is used up. `share` of the requests, with `workers` workers. */
static inline bool retry_budget_take(struct retry_budget *budget, uint64_t now_ns, double share,
                                     unsigned workers)
{
    double few = (double)RETRY_WINDOW_S / (workers > 0 ? workers : 1);

    retry_budget_advance(budget, now_ns);
    if (budget->retry_sum + 1 > share * budget->request_sum + (few > 1 ? few : 1)) {
        return false;
    }
    budget->retries[budget->second % RETRY_WINDOW_S]++;
    budget->retry_sum++;
    return true;
}

#endif
