/* SPDX-License-Identifier: MIT */
/*
 * Balancer: ranks candidates. Policy is the host's: it alone decides which servers are healthy,
 * enabled, under their limit and not yet tried by this request.
 *
 * A balancer gives the `cost` of one candidate, and the host ranks: it takes the lowest, in O(log
 * n), and rotates among equal costs in proportion to their weights. A policy that is not a ranking
 * has `pick` instead, which chooses a candidate itself.
 *
 * State is per worker and per pool: no locks.
 *
 * As a pool's shadow (`shadow "mine" {}`) a balancer is asked for each pick and not obeyed: it
 * hears of all requests that the pool's servers got, wherever it would have sent them. So which
 * server gets a request is known by on_assign or on_sent alone, and never by `pick`. Nor does a
 * shadow change a request: setting and removing fields, say, does nothing in its hooks.
 */
#ifndef WEIR_BALANCER_H
#define WEIR_BALANCER_H

#include <weir/http.h>
#include <weir/option.h>

WEIR_BEGIN_DECLS

/** A server that may be picked. Owner: the host; the array and what it points to are valid until
 * the next on_members, or destroy. */
struct weir_candidate {
    weir_server_id id;
    struct weir_str name; /**< its id in the configuration */
    uint32_t weight;      /**< effective weight times 256, at least 1 (slow start scales it down) */
    uint32_t reserved;
    /** Requests now at the server, over all workers; read it by weir_candidate_in_flight. */
    const uint32_t *in_flight;
    /** Smoothed total time of its requests on this worker, microseconds; 0: none seen yet. */
    const uint32_t *latency_us;
    /** The instance's own memory for this server, of the size that it names (slot_size); NULL: it
     * names none. Zeroed when the instance first sees the server, and kept as long as the pool
     * has it, whether it is a candidate or not. Since 1.4. */
    void *slot;
    /** How many requests it may have at once (max_requests); 0: any number. Since 1.5. */
    uint32_t limit;
    /** `weight` as it is when slow start does not scale it down. Since 1.5. */
    uint32_t full_weight;
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

/** Requests now at the server, over all workers; may lag slightly. */
static inline uint32_t weir_candidate_in_flight(const struct weir_candidate *candidate)
{
    return __atomic_load_n(candidate->in_flight, __ATOMIC_RELAXED);
}

/** Its weight as it is configured: 1 for a server of weight 1, less while it starts slowly. */
static inline double weir_candidate_weight(const struct weir_candidate *candidate)
{
    return candidate->weight / (double)WEIR_WEIGHT_ONE;
}

/** Requests now at the server per weight: the cost of many policies. */
static inline double weir_candidate_load(const struct weir_candidate *candidate)
{
    uint32_t in_flight = weir_candidate_in_flight(candidate);
    return candidate->weight == WEIR_WEIGHT_ONE ? in_flight
                                                : in_flight / weir_candidate_weight(candidate);
}

/** One choice to make. */
struct weir_pick {
    uint32_t size;
    uint32_t attempt; /**< 0 first, 1 for the first retry, ... */
    const struct weir_candidates *candidates;
    struct weir_request *request;
    /** Whether candidate `index` may serve this request: not tried yet by it, and under its
     * limit. */
    bool (*usable)(const struct weir_pick *pick, uint32_t index);
    /** A dry run: an operator asks where the request would go. `pick` must change nothing. Since
     * 1.4. */
    bool dry_run;
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
    WEIR_OUTCOME_FAILED = 2,   /**< refused, reset, malformed, truncated */
    WEIR_OUTCOME_TIMEOUT = 3,  /**< connect or response timeout */
    WEIR_OUTCOME_CANCELED = 4, /**< says nothing about the server: the client left first, an idle
                                * connection was dead, Weir lacked a resource */
};

/** How a request to a picked server ended. */
struct weir_feedback {
    uint32_t size;
    uint32_t index; /**< among the current candidates; WEIR_PICK_NONE: not a candidate any more */
    weir_server_id id;
    enum weir_outcome outcome;
    uint32_t status;        /**< of the response; 0: none */
    uint64_t first_byte_ns; /**< from assignment to the response's first byte; 0: none came */
    uint64_t total_ns;      /**< from assignment to the end */
    /** The server's slot; NULL: the instance has none for it (any more). Since 1.4. */
    void *slot;
    /** How long the server asks to be left alone, by Retry-After of an answer of 429 or 503; 0: it
     * does not. At most an hour. Since 1.5. */
    uint64_t retry_after_ns;
};

/** How a candidate ranks, for people. Prepared by the host, filled by the balancer. Since 1.3. */
struct weir_score {
    uint32_t size;
    uint32_t reserved;
    /** Lower is taken first, whatever the policy. Finite. The unit is the policy's own: only
     * candidates of one pool compare. */
    double value;
    /** What the number means, in a few words, NUL-terminated: "3 in flight over weight 2". Empty at
     * first. */
    char text[96];
};

/** What a balancer has learnt, for its successor: see `save`. Prepared by the host. Since 1.4. */
struct weir_state {
    uint32_t size;
    uint32_t version;  /**< of the layout of `data`, as the module counts them */
    weir_server_id id; /**< the server of the slot; WEIR_NO_SERVER: the instance itself */
    void *slot;        /**< that slot; NULL: the instance itself */
    void *data;   /**< save: `capacity` zeroed bytes; restore: `len` bytes, aligned for any type */
    uint32_t len; /**< save: how much was written, at first 0 */
    uint32_t capacity; /**< WEIR_STATE_MAX, or WEIR_STATE_SLOT_MAX for a slot */
};
#define WEIR_STATE_MAX      65536u
#define WEIR_STATE_SLOT_MAX 1024u

/** The largest that slot_size and instance_size may be. */
#define WEIR_SLOT_SIZE_MAX     4096u
#define WEIR_INSTANCE_SIZE_MAX (1u << 20)

/** Flags of weir_balancer. */
enum {
    /** The cost depends on the request: all candidates are asked at each pick (or those that are
     * drawn, see `choices`), and `pick` is never NULL in `cost`. Without it the cost is the
     * server's: the host caches it, and asks again when the server gets or loses a request, and now
     * and then. */
    WEIR_BALANCER_BY_REQUEST = 1u << 0,
    /** No cost and no pick: all candidates take turns, each as often as its weight says. */
    WEIR_BALANCER_TURNS = 1u << 1,
};

struct weir_balancer {
    uint32_t size;

    /** Makes the instance of one worker and pool. `conf` and `prepared` are those of the `balance`
     * block. No member is known yet. `*instance` is `prepared` at first, or, where the table has an
     * instance_size, that many zeroed bytes, which the host frees after destroy. Optional. */
    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);
    void (*destroy)(struct weir_context *ctx, void *instance);

    /** Who can be picked from now on; after create, and whenever health, state or weight of a
     * server, or the pool, changes. What was known of a server that stays is found again by its
     * id, or in its slot. Optional. */
    enum weir_status (*on_members)(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *candidates);

    /** The index of a usable candidate, or WEIR_PICK_NONE where none is usable. An index that is
     * out of range or not usable, and NONE where a candidate is, is counted as a fault of the
     * module, logged, and replaced by the host's own choice: the least loaded for its weight. At
     * most O(log n). Mandatory where there is neither `cost` nor WEIR_BALANCER_TURNS. */
    uint32_t (*pick)(struct weir_context *ctx, void *instance, const struct weir_pick *pick);

    /** The server got the request: picked, or sent there by stickiness. Its in-flight count already
     * includes it. Optional. */
    void (*on_assign)(struct weir_context *ctx, void *instance, uint32_t index);

    /** The request has left the server. Exactly one for each on_assign of this instance (or
     * on_sent, whether it has such a hook or not). Optional. */
    void (*on_complete)(struct weir_context *ctx, void *instance,
                        const struct weir_feedback *feedback);

    /** How candidate `index` of `pick` ranks now, whether it is usable or not. WEIR_DECLINED:
     * this policy has no number for it. For an operator who asks where a request would go: on
     * the control thread's instance, for all candidates one after the other, before a pick for
     * the same request. Must change nothing. O(log n). Optional: no score is shown. Since 1.3.
     * Where the host ranks, it sets the value (the cost) and a text itself, and `score` may give
     * a better text, and the value in other units that rank alike. */
    enum weir_status (*score)(struct weir_context *ctx, void *instance,
                              const struct weir_pick *pick, uint32_t index, struct weir_score *out);

    /* since 1.4 */

    /** What it costs to send a request to the candidate: the lowest is picked. Its unit is the
     * policy's own; INFINITY: only where nothing else is usable. No number (NAN) is a fault, and
     * taken for that. Changes nothing, and is quick: it is asked several times a pick. `pick` is
     * NULL but for policies with WEIR_BALANCER_BY_REQUEST. Instead of `pick`. */
    double (*cost)(struct weir_context *ctx, void *instance, const struct weir_candidate *candidate,
                   const struct weir_pick *pick);

    /** How many candidates are drawn at random, each as likely as its weight says, of which the
     * one of the lowest cost is picked: 2 is the power of two choices. 0: all are ranked. Asked
     * once, before create. Optional: 0. */
    uint32_t (*choices)(struct weir_context *ctx, const void *conf);

    /** As on_assign, which is not called then, with the candidate, and so with its slot.
     * Optional. */
    void (*on_sent)(struct weir_context *ctx, void *instance,
                    const struct weir_candidate *candidate);

    /**
     * Hands over what was learnt to the next instance of this module for the pool, when a reload
     * replaces the module's file or changes its options. The host asks the old instance to save,
     * and the new one to restore, on their own loop, before the new one hears of members: once for
     * the instance (`id` is WEIR_NO_SERVER), and then for each server where both have slots. Old
     * and new may be different versions: `version` tells the layout, and pointers to code or static
     * data have no place in it. WEIR_DECLINED: save has nothing to hand over, or restore does not
     * accept that version: then the slot is zeroed, as at first, and one log line says how many
     * were refused. Optional: all begins anew.
     */
    enum weir_status (*save)(struct weir_context *ctx, void *instance, struct weir_state *state);
    enum weir_status (*restore)(struct weir_context *ctx, void *instance,
                                const struct weir_state *state);

    uint32_t instance_size; /**< see `create`; 0: create makes its own */
    uint32_t slot_size;     /**< see weir_candidate.slot; 0: none */
    uint32_t flags;         /**< WEIR_BALANCER_... */

    /* since 1.5 */

    /** The server has begun to answer: the head of the response is here, and its body may take as
     * long as it likes. The outcome is by the status (SUCCESS below 500, else ERROR), total_ns is
     * 0. Between on_assign or on_sent, and on_complete, of each request whose on_complete has a
     * first_byte_ns. Optional. */
    void (*on_head)(struct weir_context *ctx, void *instance, const struct weir_feedback *feedback);
};

WEIR_END_DECLS

#endif
