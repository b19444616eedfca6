/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a place at a server: one queue a pool, over all loops, first come first served.
 *
 * A request waits for any server, or, where its session is at one, for that one. Who frees a place gives it
 * to the one that has waited longest of those that may have it, on whatever loop that is: the place is
 * taken in its name, and a message tells its loop. So nobody starves, and an arrival takes no place while
 * somebody waits for it.
 *
 * No wake-up is lost: who frees a place gives it back first and looks for waiters then; who waits
 * says so first and looks for free places then; both in sequentially consistent order, so one sees the
 * other. As long as nobody waits, all this costs a release one load.
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

/* Who waits at a pool. */
struct pool_queue {
    /* Of the lists, those of the pool's servers too, and of their waiters' state. */
    pthread_mutex_t lock;
    struct list any;          /* struct waiter.link: for any server; the oldest first */
    uint64_t tickets;         /* given out */
    _Atomic uint32_t waiting; /* all that wait, for any server or for one */
    _Atomic uint32_t fresh;   /* of `any`, those that no server has failed: nobody overtakes them */
};

enum wait_state { WAIT_NONE, WAIT_QUEUED, WAIT_GRANTED };

/* What a waiter's owner hears, on its loop. It does not wait any more then. */
struct waiter_events {
    /* A place at the server is taken for it, and is the owner's to give back (queue_release). `session`: it
     * waited for just this server. */
    void (*granted)(struct waiter *waiter, struct server *server, bool session);
    /* What it waited for will not come. */
    void (*hopeless)(struct waiter *waiter);
};

/* A request that waits. Its own thread, but what the queue's lock guards. Zeroed; `events` and `tried` are
 * the owner's to set. */
struct waiter {
    const struct waiter_events *events;
    const struct tried *tried; /* does not change while it waits */
    struct pool_local *local;  /* where it waits, or has waited */
    struct list link;          /* in pool_queue.any, server.waiters, or its loop's grants */
    struct list own;           /* in pool_local.waiters */
    uint64_t ticket;        /* its place in the order, which it keeps; 0: it has not waited yet */
    struct server *only;    /* referenced; the session's; NULL: any */
    struct server *granted; /* referenced; a place there is taken for it */
    /* enum wait_state. Another thread changes it under the lock, and never to or from NONE. */
    _Atomic uint8_t state;
};

void pool_queue_init(struct pool_queue *queue);
void pool_queue_end(struct pool_queue *queue);
/* On a loop: places have been given to waiters of its own (pool_home.grants_message). */
void queue_take_grants(struct message *message);

/* Puts the waiter at the end, or where it stood when it has waited before. `only`: the server that it must
 * have; NULL: any. The pool's plan is set. false: the queue is full. */
bool queue_join(struct pool_local *local, struct waiter *waiter, struct server *only);

/* Takes the waiter out, wherever it is; a place that it had been given goes to the next one. Nothing when
 * it does not wait. */
void queue_leave(struct waiter *waiter);

static inline bool queue_waits(const struct waiter *waiter)
{
    return atomic_load_explicit(&waiter->state, memory_order_relaxed) != WAIT_NONE;
}

/* Gives a place at the server back: who waits for it gets it. Any loop. */
void queue_release(struct pool_queue *queue, struct server *server);

/* Servers have come, gone or changed: who can have a place gets it; those of this loop that wait for what
 * will not come hear that it is hopeless. */
void queue_reconsider(struct pool_local *local);

#endif
