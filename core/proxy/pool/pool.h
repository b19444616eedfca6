/* SPDX-License-Identifier: MIT */
/*
 * Pools: servers that can answer the same requests. The live half outlives generations; each loop has a
 * local half with its candidates, its balancer and its queue.
 *
 * Policy is here, once: who is eligible, who waits, who may be tried again. Balancers only rank.
 */
#ifndef PROXY_POOL_POOL_H
#define PROXY_POOL_POOL_H

#include <stdatomic.h>

#include <weir/balancer.h>

#include "base/list.h"
#include "base/table.h"
#include "module/context.h"
#include "net/conn.h"
#include "proxy/pool/queue.h"
#include "proxy/pool/retry_budget.h"
#include "proxy/pool/server.h"
#include "proxy/stats.h"

struct balancer;
struct generation;
struct pool_plan;
struct stream;
struct use;
struct worker;

/* One loop's half. Thread: that loop. */
struct pool_local {
    struct pool *pool;
    struct worker *worker;
    struct pool_plan *plan; /* current; NULL: the pool is not in this loop's generation */
    _Atomic bool
        stale; /* servers have changed since the candidates were built. Any thread sets it */
    _Atomic bool hurry; /* an operator has changed one: no rest. Any thread sets it */
    uint64_t rested_ns; /* not built anew before, unless the plan changes; see worker_refresh */
    struct balancer *balancer;
    struct weir_candidates candidates;
    struct weir_candidate *items;
    struct server_local **servers; /* by candidate index */
    uint32_t capacity;
    struct server_local **reserves; /* backups that serve when no candidate can */
    uint32_t reserve_count;
    bool panic;                /* as the log was told; control thread's loop */
    uint32_t held;             /* servers that wait for their first probe */
    uint32_t unlimited;        /* candidates and reserves without max_connections */
    struct timer idle_timer;   /* set while there are idle connections */
    struct list waiters;       /* struct waiter.own: streams of this loop in the pool's queue */
    struct list dirty_notes;   /* struct outcome_notes.dirty: what the next report tells */
    struct timer report_timer; /* set while there are some */
    struct task report_task;
    uint64_t reported_ns; /* when the last one went */
    bool report_soon;     /* one of them is a failure */
    struct retry_budget retries;
    struct traffic traffic;
} __attribute__((aligned(64)));

struct pool {
    struct table_link link; /* in runtime.pools */
    char *name;
    unsigned refs;
    unsigned loops;
    struct pool_local *locals;
    _Atomic bool panic;     /* too few servers are well (`panic`) */
    _Atomic bool panic_all; /* and so all are used, well or not */
    struct pool_queue queue;
    _Atomic(struct etags *) weak_etags; /* NULL: no server has given one */
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
    bool failed;                   /* on_members failed: the host chooses */
};

/* NULL: its create failed. Loop. */
struct balancer *balancer_new(struct pool_plan *plan, struct worker *worker);
void balancer_unref(struct balancer *balancer, struct worker *worker);

/* ---- one loop's pool ---- */

/* Takes over the plan (commit), or NULL (the pool is gone from this loop's generation). Servers that are
 * gone lose their idle connections. */
void pool_local_adopt(struct pool_local *local, struct pool_plan *plan);

/* Servers' health, state or weight have changed: builds the candidates anew. */
void pool_local_refresh(struct pool_local *local);

/* The same to all loops, which do it once however often this is said before: at their next worker_wake. Any
 * thread that holds the pool. */
void pool_touch(struct pool *pool);
/* The same for what an operator has changed: it holds for requests that come after his answer. */
void pool_touch_now(struct pool *pool);

/* The pool's numbers on this loop, for the reader. */
struct traffic pool_total(const struct pool *pool);

/* A request leaves the connection: the session that the server has given for resumption is kept for the next
 * one. Nothing where the connection is plain, or made with TLS settings of before. */
void server_local_keep_session(struct server_local *mine, struct conn *conn);
/* The session for a new connection; the caller frees it. One of TLS 1.3 is given out once (RFC 8446 section
 * C.4), one of TLS 1.2 as often as the server takes it. NULL: none. */
SSL_SESSION *server_local_session(struct server_local *mine);

/* The server has another address: its idle connections lead to the old one, and are closed. */
void pool_local_moved(struct server_local *mine);

/* A connection to a server of the pool is idle from now on: it will be closed when it has been so for too
 * long. The server is adopted. */
void pool_local_kept(struct pool_local *local);

/* ---- choosing ---- */

enum pick_result {
    PICK_SERVER, /* *server has been acquired */
    PICK_BUSY,   /* all that could serve are at their limits: queue */
    PICK_NONE,   /* nobody is eligible */
};

/* Sticky first, then the balancer, then reserves; takes a place at the server (server_acquire) and gives it
 * to the stream (pool_assign). BUSY: `*only` is the server that the stream's session waits for; NULL: it
 * waits for any. The plan is set. */
enum pick_result pool_pick(struct pool_local *local, struct stream *stream,
                           struct server_local **server, struct server **only);

/* What pool_pick would do, without taking a place: NULL: nobody is eligible now. `session` is the server that
 * stickiness names, whether it takes the session or not; NULL: it names none. The stream's loop. */
struct server_local *pool_would_pick(struct pool_local *local, struct stream *stream,
                                     struct server **session);

/* How the server ranks for the stream, as the balancer says. false: it is no candidate, or the balancer has
 * no number for it. Changes nothing; pool_would_pick does move this loop's balancer on. The stream's loop. */
bool pool_score(struct pool_local *local, struct stream *stream, const struct server *server,
                struct weir_score *score);

/* The server is given to the stream, its place is already taken; the balancer hears of it. */
void pool_assign(struct pool_local *local, struct stream *stream, struct server_local *mine);

/* Whether a session at the server may go on there. */
bool pool_local_takes_session(const struct pool_local *local, const struct server *server);

/* Whether the stream can hope for a server: one that it has not tried, busy or not. */
bool pool_local_has_untried(const struct pool_local *local, const struct stream *stream);

#endif
