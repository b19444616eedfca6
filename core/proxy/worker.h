/* SPDX-License-Identifier: MIT */
/*
 * Workers: a loop with its connections and streams. The control thread is one too (its number is
 * the number of workers), for listeners with a handler.
 */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

#include <pthread.h>
#include <sys/types.h>

#include "http/batch.h"
#include "net/loop.h"
#include "proxy/downstream/listener.h"
#include "proxy/plan/plan.h"
#include "proxy/pool/pool.h"
#include "proxy/stream/home.h"

struct worker {
    struct loop *loop; /* loop->owner is the worker */
    struct batch batch;
    unsigned index;
    bool cut;          /* draining, out of patience */
    struct plan *plan; /* current, referenced; NULL before the first commit */
    struct pool_home pool_home;
    struct down_home down;
    struct stream_home streams;
    struct plan **bygone; /* kept for removed listeners; referenced */
    size_t bygone_count;
    struct timer drain;                        /* when the drain's patience ends */
    void (*on_drained)(struct worker *worker); /* draining; NULL: called */
    struct call_stack *calls; /* of modules, on its loop; see module/call.h. NULL: a test */
    pthread_t thread;
    _Atomic pid_t tid; /* of the thread; 0: it has not run yet */
    bool running;
};

struct worker *worker_new(unsigned index);
void worker_free(struct worker **worker);

/* Starts the thread that runs the loop. */
bool worker_start(struct worker *worker);
void worker_join(struct worker *worker);

/* On the loop: makes the prepared plan the current one. */
void worker_commit(struct worker *worker, struct plan *plan);
/* On the loop: accepts who has connected, serves each client one more request, and closes; calls
 * on_drained when none is left, or after `patience_ns` (then the rest is cut off). The sockets
 * refuse already, or will soon (listen_socket_refuse). */
void worker_drain(struct worker *worker, uint64_t patience_ns, void (*on_drained)(struct worker *));
/* On the loop: drops everything before it stops. */
void worker_clear(struct worker *worker);

static inline struct worker *worker_of(const struct loop *loop)
{
    return loop->owner;
}

#endif
