/* SPDX-License-Identifier: MIT */
/*
 * Attempts: a request's tries at the servers of a pool, one after the other. An attempt knows its
 * request only as an SDK handle, which it passes to balancers and sticky modules.
 *
 * Owner: the request's stream. Thread: its loop.
 */
#ifndef PROXY_POOL_ATTEMPT_H
#define PROXY_POOL_ATTEMPT_H

#include <weir/balancer.h>

#include "net/loop.h"
#include "proxy/plan/traffic.h"

struct balancer;
struct lifetime;
struct pool_local;
struct server_local;
struct trial;
struct use;

/* Servers that one request may be tried on. */
#define TRIED_MAX 12u

/* Servers that have failed the request; none is tried again. */
struct tried {
    weir_server_id ids[TRIED_MAX];
    uint8_t count;
};

static inline bool tried_has(const struct tried *tried, weir_server_id id)
{
    for (unsigned i = 0; i < tried->count; i++) {
        if (tried->ids[i] == id) {
            return true;
        }
    }
    return false;
}

static inline bool tried_is_full(const struct tried *tried)
{
    return tried->count == TRIED_MAX;
}

static inline void tried_add(struct tried *tried, weir_server_id id)
{
    if (!tried_is_full(tried)) {
        tried->ids[tried->count++] = id;
    }
}

/* A balancer that hears how an attempt goes. */
struct hearer {
    struct balancer *balancer; /* referenced; NULL: none */
    bool told;                 /* on_assign has run; on_complete is still to come */
    bool tells_head;           /* it has on_head, which is still to come */
};

/* Zeroed, then attempt_begin. */
struct attempt {
    struct weir_request *request; /* as modules see it */
    const struct use *sticky;     /* of the request's plan; NULL: its pool has none */

    /* the server; set by pool_assign, ended by pool_leave */
    struct server_local *server; /* NULL: none; a place is held while set */
    struct hearer chooser;       /* the balancer that is obeyed, while `server` is set */
    struct hearer shadow;        /* likewise, the pool's shadow */
    struct server_local *choice; /* the shadow's, where it counts instead of at `server` */
    const struct trial *trial;   /* the pick counts there; NULL: nowhere. Only compared */
    uint8_t trial_arm;           /* enum trial_arm */
    bool asks_shadow;            /* its pick runs, and must not change the request */
    bool tells_head;             /* one of the hearers wants to hear of the head */
    struct lifetime
        *life; /* referenced from the first assignment on: keeps its plan's names valid */
    weir_server_id served_by;    /* the last one assigned */
    struct server_local *served; /* the same; valid as long as `life` is referenced */

    /* tries so far */
    struct tried tried;
    uint8_t retries;

    /* the session */
    bool sticky_asked; /* lookup has run */
    bool sticky_known; /* the server is the one that the sticky module named */
    weir_server_id sticky_id;
    uint64_t session; /* the sticky module's number of it; 0: none */

    /* times, monotonic ns */
    struct loop_mark assigned, connect_start;
    uint64_t queued_ns;
    uint64_t queue_total_ns, connect_total_ns;
    uint64_t first_byte_ns;  /* from the assignment; 0: no response yet */
    uint64_t retry_after_ns; /* of an answer of 429 or 503; 0: it names none */
};

/* The request is routed to a pool. `sticky`: see above. */
static inline void attempt_begin(struct attempt *attempt, struct weir_request *request,
                                 const struct use *sticky)
{
    attempt->request = request;
    attempt->sticky = sticky;
}

/* How an attempt ended. */
struct attempt_end {
    enum weir_outcome outcome;
    enum reason reason; /* counted unless the outcome is a whole response */
    unsigned status;    /* of the response; 0: none came */
    bool blameless;     /* says nothing about the server: not counted, reported as CANCELED */
};

/* The server has begun to answer, with that status; `first_byte_ns` and `retry_after_ns` are set.
 * Tells the balancers, once; `attempt->tells_head` is true. */
void pool_head(struct pool_local *local, struct attempt *attempt, unsigned status);

/* The request leaves its server: statistics, health modules and the balancer are given the outcome,
 * and the place goes to the next waiter. Does nothing if it has no server. */
void pool_leave(struct pool_local *local, struct attempt *attempt, const struct attempt_end *end);

/* The request has ended and left its server: drops what kept the servers' names valid. */
void attempt_forget(struct attempt *attempt, unsigned loop);

#endif
