/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a place at a server: one queue a pool, over all loops, first come first served.
 *
 * A stream waits for any server, or, where its session is at one, for that one. Who frees a place gives it
 * to the stream that has waited longest of those that may have it, on whatever loop that is: the place is
 * taken in its name, and a message tells its loop. So nobody starves, and an arrival takes no place while
 * somebody waits for it.
 *
 * No wake-up is lost: who frees a place gives it back first and looks for waiting streams then; who waits
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
struct stream;

/* Who waits at a pool. */
struct pool_queue {
    pthread_mutex_t
        lock; /* of the lists, those of the pool's servers too, and of their waiters' state */
    struct list any;          /* struct waiter.link: for any server; the oldest first */
    uint64_t tickets;         /* given out */
    _Atomic uint32_t waiting; /* all that wait, for any server or for one */
    _Atomic uint32_t fresh;   /* of `any`, those that no server has failed: nobody overtakes them */
};

enum wait_state { WAIT_NONE, WAIT_QUEUED, WAIT_GRANTED };

/* A stream's part in it. The stream's own thread, but what the queue's lock guards. */
struct waiter {
    struct list link;       /* in pool_queue.any, server.waiters, or its loop's grants */
    struct list own;        /* in pool_local.waiters */
    uint64_t ticket;        /* its place in the order, which it keeps; 0: it has not waited yet */
    struct server *only;    /* referenced; the session's; NULL: any */
    struct server *granted; /* referenced; a place there is taken for it */
    /* enum wait_state. Another thread changes it under the lock, and never to or from NONE. */
    _Atomic uint8_t state;
};

/* A loop's waiters that have been given a place by somebody else. */
struct grants {
    pthread_mutex_t lock; /* inside a queue's lock */
    struct list list;     /* struct waiter.link */
    struct message message;
    bool posted;
};

void pool_queue_init(struct pool_queue *queue);
void pool_queue_end(struct pool_queue *queue);
void grants_init(struct grants *grants);
void grants_end(struct grants *grants);

/* Puts the stream at the end, or where it stood when it has waited before. `only`: the server that it must have; NULL: any. false: the queue is full. */
bool queue_join(struct pool_local *local, struct stream *stream, struct server *only);

/* Takes the stream out, wherever it is; a place that it had been given goes to the next one. Nothing when
 * it does not wait. */
void queue_leave(struct stream *stream);

static inline bool queue_waits(const struct waiter *waiter)
{
    return atomic_load_explicit(&waiter->state, memory_order_relaxed) != WAIT_NONE;
}

/* There may be room at the server: gives it to those that wait for it. Any loop. */
void queue_serve(struct pool_queue *queue, struct server *server);

/* A place at the server has been given back. */
static inline void queue_place_free(struct pool_queue *queue, struct server *server)
{
    if (unlikely(atomic_load(&queue->waiting) > 0)) {
        queue_serve(queue, server);
    }
}

/* Servers have come, gone or changed: who can have a place gets it; those of this loop that wait for what
 * will not come are assigned anew. */
void queue_reconsider(struct pool_local *local);

#endif
