/* SPDX-License-Identifier: MIT */
/*
 * Pools: servers that can answer the same requests. The live half outlives generations; each loop
 * has a local half with its candidates, balancer and queue.
 *
 * Policy is here alone: what is eligible, what waits, what may be retried. Balancers only rank.
 */
#ifndef PROXY_POOL_POOL_H
#define PROXY_POOL_POOL_H

#include <stdatomic.h>

#include <weir/balancer.h>

#include "base/list.h"
#include "base/table.h"
#include "net/conn.h"
#include "proxy/pool/home.h"
#include "proxy/pool/queue.h"
#include "proxy/pool/retry_budget.h"
#include "proxy/pool/server.h"
#include "proxy/plan/traffic.h"

struct balancer;
struct etags;
struct pool_plan;
struct ranking;

/* Servers that one ranking chooses from. */
struct ranked {
    struct weir_candidates list; /* of `items` */
    struct weir_candidate *items;
    struct server_local **servers; /* by index */
    uint32_t capacity;
    struct ranking *ranking;
};

/* A balancer at work, and the candidates as it sees them. */
struct arm {
    struct balancer *balancer; /* NULL: none */
    struct ranked candidates;
    bool keeps_costs; /* of candidates; see ranking_keeps_costs */
    unsigned slot;    /* which of a server's slots are its own */
};

/* What one loop has counted of a shadow since that began. Relaxed: others read it. */
struct shadow_counts {
    uint64_t since_ms; /* wall clock */
    uint64_t asked;    /* picks of the pool's balancer for which the shadow was asked as well */
    uint64_t agreed;   /* it chose the same server */
    uint64_t none;     /* it chose nobody, or its answer was none */
    /* Picks where it is known how long one waits at either server, and these waits added up: at
     * the server that got the request, and at the shadow's. */
    uint64_t waits, wait_us, predicted_us;
    /* It is not asked, though its block is not out: enum module_hook, plus 1, of the hook that
     * failed. 0: it is asked. */
    uint64_t failed;
};

/* One loop's half. Thread: that loop. */
struct pool_local {
    struct pool *pool;
    unsigned index;         /* of the loop */
    struct pool_home *home; /* NULL: only checking */
    struct list at_home;    /* in pool_home.pools, while it has a plan */
    struct pool_plan *plan; /* current; NULL: the pool is not in this loop's plan */
    /* Servers have changed since the candidates were built; an operator has changed one, which does
     * not wait for the end of a rest. Any thread sets them. */
    _Atomic bool stale, hurry;
    uint64_t rested_ns; /* the candidates rest until then, unless the plan changes; see home.c */
    struct arm own;
    struct arm *canary;        /* the copy that is tried, with the same candidates; NULL: none */
    struct arm *shadow;        /* one that is asked and not obeyed, likewise; NULL: none */
    struct ranked reserves;    /* backups that serve when no candidate can */
    bool panic;                /* last logged state; control thread's loop */
    uint32_t awaiting_probe;   /* servers that await their first probe */
    uint32_t unlimited;        /* candidates and reserves without max_connections */
    struct timer idle_timer;   /* in connections.c: set while there are idle connections */
    struct list waiters;       /* struct waiter.own: this loop's waiters in the pool's queue */
    struct list dirty_notes;   /* struct outcome_notes.dirty: for the next report */
    struct timer report_timer; /* set while there are dirty notes */
    struct task report_task;
    uint64_t reported_ns; /* time of the last report */
    bool report_soon;     /* one of them is a failure */
    struct retry_budget retries;
    struct shadow_counts shadowed; /* by `shadow`; see shadow.h */
    struct traffic traffic;
} __attribute__((aligned(64)));

struct pool {
    struct table_link link; /* in runtime.pools */
    char *name;
    unsigned refs;
    unsigned loops;
    struct pool_local *locals;
    _Atomic bool panic;     /* too few servers are healthy (`panic`) */
    _Atomic bool panic_all; /* and all servers are used, healthy or not */
    struct pool_queue queue;
    struct etags *_Atomic weak_etags; /* NULL: no server has sent a weak tag */
};

/* The loops but the last one, which is the control thread's; one that is alone works. */
static inline unsigned pool_workers(const struct pool *pool)
{
    return pool->loops > 1 ? pool->loops - 1 : 1;
}

struct pool *pool_new(struct weir_str name, unsigned loops);
void pool_unref(struct pool **pool);

/* ---- one loop's pool ---- */

/* Adopts the plan (commit); NULL: the loop's plan lacks the pool. Closes idle connections of
 * removed servers. */
void pool_local_adopt(struct pool_local *local, struct pool_plan *plan);

/* Rebuilds the candidates after a change of servers' health, state or weight. */
void pool_local_refresh(struct pool_local *local);

/* Marks the pool for a rebuild on each loop at its next pool_home_wake. Any thread that holds the
 * pool. */
void pool_touch(struct pool *pool);
/* The same for an operator's change, which applies to every request after its answer. */
void pool_touch_now(struct pool *pool);

/* The pool's numbers, summed over the loops. */
struct traffic pool_total(const struct pool *pool);

/* Closes a server's longest-idle connection. false: there is none. */
bool pool_local_drop_idle(struct pool_local *local);

#endif
