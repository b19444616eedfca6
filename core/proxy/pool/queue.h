/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a place at a server: one queue per pool over all loops, first come first served.
 *
 * A request waits for any server, or for the one that has its session. A freed place goes to the
 * oldest waiter that may have it, on whichever loop: the place is taken on its behalf and a message
 * tells its loop. So no waiter starves, and a new request never takes a place that another waits
 * for.
 *
 * No wake-up is lost: a release gives the place back, then checks for waiters; a waiter joins the
 * queue, then checks for free places. Both are sequentially consistent, so one sees the other.
 * While the queue is empty this costs a release one load.
 *
 * The queue's length (`queue_limit`, over all loops) is the pool's limit of pending requests.
 */
#ifndef PROXY_POOL_QUEUE_H
#define PROXY_POOL_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>

#include "net/loop.h"

struct pool_local;
struct server;
struct tried;
struct waiter;

/* The waiters of a pool. */
struct pool_queue {
    /* Guards all lists of waiters, the servers' too, and the waiters' state. */
    pthread_mutex_t lock;
    struct list any;          /* struct waiter.link: for any server; the oldest first */
    uint64_t tickets;         /* issued */
    _Atomic uint32_t waiting; /* all waiters, for any server or for one */
    _Atomic uint32_t
        fresh; /* waiters of `any` that no server has failed: no new request overtakes them */
};

enum wait_state { WAIT_NONE, WAIT_QUEUED, WAIT_GRANTED };

/* Callbacks to a waiter's owner, on its loop. The wait is over by then. */
struct waiter_events {
    /* It has a place at the server; the owner gives it back (queue_release). `session`: it waited
     * for this server alone. */
    void (*granted)(struct waiter *waiter, struct server *server, bool session);
    /* It will never get a place. */
    void (*hopeless)(struct waiter *waiter);
};

/* A waiting request. Thread: its loop, except for what the queue's lock guards. Zeroed at first;
 * the owner sets `events` and `tried`. */
struct waiter {
    const struct waiter_events *events;
    const struct tried *tried; /* constant while it waits */
    struct pool_local *local;  /* where it waits, or has waited */
    struct list link;          /* in pool_queue.any, server.waiters, or its loop's grants */
    struct list own;           /* in pool_local.waiters */
    uint64_t ticket;           /* its position, kept over several waits; 0: none yet */
    struct server *only;       /* referenced; the server of its session; NULL: any */
    struct server *granted;    /* referenced; holds a place there */
    /* enum wait_state. Another thread changes it under the lock, and never to or from NONE. */
    _Atomic uint8_t state;
};

void pool_queue_init(struct pool_queue *queue);
void pool_queue_end(struct pool_queue *queue);
/* On a loop: hands its waiters their places (pool_home.grants_message). */
void queue_take_grants(struct message *message);

/* Joins at the end, or at its old position if it has waited before. `only`: the server it needs;
 * NULL: any. The pool's plan is set. false: the queue is full. */
bool queue_join(struct pool_local *local, struct waiter *waiter, struct server *only);

/* Leaves the queue; a place already granted goes to the next waiter. Does nothing if it does not
 * wait. */
void queue_leave(struct waiter *waiter);

static inline bool queue_waits(const struct waiter *waiter)
{
    return atomic_load_explicit(&waiter->state, memory_order_relaxed) != WAIT_NONE;
}

/* Releases a place at the server, to the next waiter if there is one. Any loop. */
void queue_release(struct pool_queue *queue, struct server *server);

/* Servers were added, removed or changed: grants free places and ends the wait of this loop's
 * waiters that can never be served. */
void queue_reconsider(struct pool_local *local);

#endif
