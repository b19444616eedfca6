/* SPDX-License-Identifier: MIT */
/*
 * Pools: servers that can answer the same requests. The live half outlives generations; each loop has a
 * local half with its candidates, its balancer and its queue.
 *
 * Policy is here, once: who is eligible, who waits, who may be tried again. Balancers only rank.
 */
#ifndef PROXY_POOL_H
#define PROXY_POOL_H

#include <stdatomic.h>

#include <weir/balancer.h>

#include "base/list.h"
#include "module/context.h"
#include "net/loop.h"
#include "proxy/server.h"
#include "proxy/stats.h"

struct balancer;
struct generation;
struct pool_plan;
struct stream;
struct use;
struct worker;

/* One loop's half. Thread: that loop, but for `waiting`. */
struct pool_local {
    struct pool *pool;
    struct worker *worker;
    struct pool_plan *plan; /* current; NULL: the pool is not in this loop's generation */
    struct balancer *balancer;
    struct weir_candidates candidates;
    struct weir_candidate *items;
    struct server_local **servers; /* by candidate index */
    uint32_t capacity;
    struct list queue; /* struct stream.queue_link, first come first */
    _Atomic uint32_t waiting;
    struct task serve; /* of the queue, at the end of the turn */
    double retry_tokens;
    uint64_t retry_refill_ns;
    struct traffic traffic;
} __attribute__((aligned(64)));

struct pool {
    struct list link; /* runtime's */
    char *name;
    unsigned refs;
    unsigned loops;
    struct pool_local *locals;
    _Atomic uint32_t waiting; /* streams queued on all loops */
};

struct pool *pool_new(struct weir_str name, unsigned loops);
void pool_unref(struct pool **pool);

/* ---- balancer instances: replaced on reload only when module or options changed ---- */

struct balancer {
    struct module_context context;
    const struct weir_balancer *ops;
    void *data;
    struct generation *generation; /* referenced on this loop: conf and prepared are its */
    const struct use *use;         /* of that generation */
    uint32_t refs;                 /* pool_local and streams assigned by it */
    uint64_t bad_picks;
    bool failed; /* on_members failed: the host chooses */
};

/* NULL: its create failed. Loop. */
struct balancer *balancer_new(struct pool_plan *plan, struct worker *worker);
void balancer_unref(struct balancer *balancer, struct worker *worker);

/* ---- one loop's pool ---- */

/* Takes over the plan (commit), or NULL (the pool is gone from this loop's generation). Servers that are
 * gone lose their idle connections. */
void pool_local_adopt(struct pool_local *local, struct pool_plan *plan);

/* A server's health, state or weight has changed: builds the candidates anew. */
void pool_local_refresh(struct pool_local *local);

/* The pool's numbers on this loop, for the reader. */
struct traffic pool_total(const struct pool *pool);

/* Closes upstream connections that have been idle for too long. `plan` is set. */
void pool_local_sweep(struct pool_local *local, uint64_t now_ns);

#define RETRY_TOKENS_START 10.0
/* A request pays into the budget. */
static inline void pool_local_pay(struct pool_local *local, double share)
{
    local->retry_tokens += share;
}
/* Pays for a retry from the budget; false: it is used up. */
bool pool_local_take_retry(struct pool_local *local, uint64_t now_ns);

/* ---- choosing ---- */

enum pick_result {
    PICK_SERVER, /* *server has been acquired */
    PICK_BUSY,   /* all that could serve are at their limits: queue */
    PICK_NONE,   /* nobody is eligible */
};

/* Sticky first, then the balancer; takes a place at the server (server_acquire). Remembers in the stream
 * which balancer assigned it. */
enum pick_result pool_pick(struct pool_local *local, struct stream *stream,
                           struct server_local **server);

/* ---- waiting ---- */

/* Puts the stream at the queue's end; false: the queue is full. */
bool pool_queue(struct pool_local *local, struct stream *stream);
void pool_unqueue(struct pool_local *local, struct stream *stream);
/* A place has become free: lets the next one have it, on this loop or another. */
void pool_wake(struct pool_local *local);
void pool_serve_task(struct task *task);

#endif
