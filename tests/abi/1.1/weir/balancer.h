/* SPDX-License-Identifier: MIT */
/*
 * Balancer: ranks candidates. Policy is the host's: who is healthy, enabled, under its limit and not
 * yet tried by this request is decided before and after; a balancer only says which one.
 *
 * State is per worker and per pool: no locks.
 */
#ifndef WEIR_BALANCER_H
#define WEIR_BALANCER_H

#include <weir/http.h>
#include <weir/option.h>

WEIR_BEGIN_DECLS

/** A server that may be picked. Owner: the host; the array and what it points to are valid until the
 * next on_members, or destroy. */
struct weir_candidate {
    weir_server_id id;
    struct weir_str name; /**< its id in the configuration */
    uint32_t weight;      /**< effective weight times 256, at least 1 (slow start scales it down) */
    uint32_t reserved;
    const uint32_t *in_flight; /**< requests now at the server, over all workers; read it by
                                     weir_candidate_in_flight */
    const uint32_t
        *latency_us; /**< smoothed total time of its requests on this worker, microseconds;
                                     0: none seen yet */
};

/** Scale of weir_candidate.weight: a server of weight 1 has 256. */
#define WEIR_WEIGHT_ONE 256u

/** All candidates of the pool. */
struct weir_candidates {
    uint32_t size;
    uint32_t candidate_size; /**< stride of `first` */
    uint32_t count;
    uint32_t reserved;
    const struct weir_candidate *first;
};

/** Candidate `index`, which is below count. */
static inline const struct weir_candidate *weir_candidate_at(const struct weir_candidates *all,
                                                             uint32_t index)
{
    return (const struct weir_candidate *)(const void *)((const char *)all->first +
                                                         (size_t)index * all->candidate_size);
}

/** Requests now at the server, counted over all workers; a moment old. */
static inline uint32_t weir_candidate_in_flight(const struct weir_candidate *candidate)
{
    return __atomic_load_n(candidate->in_flight, __ATOMIC_RELAXED);
}

/** One choice to make. */
struct weir_pick {
    uint32_t size;
    uint32_t attempt; /**< 0 first, 1 for the first retry, ... */
    const struct weir_candidates *candidates;
    struct weir_request *request;
    /** Whether candidate `index` may serve this request: not tried yet by it, and under its limit. */
    bool (*usable)(const struct weir_pick *pick, uint32_t index);
};

static inline bool weir_pick_usable(const struct weir_pick *pick, uint32_t index)
{
    return pick->usable(pick, index);
}

/** What pick returns when no candidate is usable; the host then queues the request. */
#define WEIR_PICK_NONE UINT32_MAX

enum weir_outcome {
    WEIR_OUTCOME_SUCCESS = 0,  /**< a whole response, status below 500 */
    WEIR_OUTCOME_ERROR = 1,    /**< a whole response, status 500 or above */
    WEIR_OUTCOME_FAILED = 2,   /**< refused, reset, nonsense, cut */
    WEIR_OUTCOME_TIMEOUT = 3,  /**< connect or response timeout */
    WEIR_OUTCOME_CANCELED = 4, /**< the client went away first: says nothing about the server */
};

/** How a request to a picked server ended. */
struct weir_feedback {
    uint32_t size;
    uint32_t index; /**< among today's candidates; WEIR_PICK_NONE: it is no candidate any more */
    weir_server_id id;
    enum weir_outcome outcome;
    uint32_t status;        /**< of the response; 0: none */
    uint64_t first_byte_ns; /**< from assignment to the response's first byte; 0: none came */
    uint64_t total_ns;      /**< from assignment to the end */
};

struct weir_balancer {
    uint32_t size;

    /** Makes the instance of one worker and pool. `conf` and `prepared` are those of the `balance`
     * block. No member is known yet. Optional: the instance is then `prepared`. */
    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);
    void (*destroy)(struct weir_context *ctx, void *instance);

    /** Who can be picked from now on; after create, and whenever health, state or weight of a server,
     * or the pool, changes. What was known of a server that stays is found again by its id. Optional. */
    enum weir_status (*on_members)(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *candidates);

    /** The index of a usable candidate, or WEIR_PICK_NONE. An index that is out of range or not usable
     * is counted as a fault of the module, logged, and replaced by the host's own choice. At most
     * O(log n). Mandatory. */
    uint32_t (*pick)(struct weir_context *ctx, void *instance, const struct weir_pick *pick);

    /** The server got the request: picked, or sent there by stickiness. Its in-flight count already
     * includes it. Optional. */
    void (*on_assign)(struct weir_context *ctx, void *instance, uint32_t index);

    /** The request has left the server. Exactly one for each on_assign of this instance. Optional. */
    void (*on_complete)(struct weir_context *ctx, void *instance,
                        const struct weir_feedback *feedback);
};

WEIR_END_DECLS

#endif
