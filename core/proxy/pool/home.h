/* SPDX-License-Identifier: MIT */
/*
 * The pools' part of a loop; its worker embeds one. Thread: that loop, except where noted.
 */
#ifndef PROXY_POOL_HOME_H
#define PROXY_POOL_HOME_H

#include <pthread.h>
#include <stdatomic.h>

#include "net/loop.h"

struct outcome_sink;

struct pool_home {
    struct loop *loop;
    unsigned index;
    struct list pools; /* struct pool_local.at_home: those that are in the loop's plan */
    /* Called after messages and timers: flushes what requests have written. */
    void (*after)(struct pool_home *home);
    /* Connections with this descriptor or a higher one are not kept idle; 0: no bound. */
    int keep_reserve;
    const struct outcome_sink *outcomes; /* NULL: no pool has observers */

    /* Waiters of this loop that other threads have granted a place. */
    pthread_mutex_t grants_lock; /* inside a queue's lock */
    struct list grants;          /* struct waiter.link */
    struct message grants_message;
    bool grants_posted;

    struct message refresh; /* servers have changed: stale pools rebuild their candidates */
    _Atomic bool refresh_posted;
    struct timer refresh_timer; /* of those that rest until then */
};

void pool_home_init(struct pool_home *home, struct loop *loop, void (*after)(struct pool_home *));
/* Once no pool is in the loop's plan. */
void pool_home_end(struct pool_home *home);

/* Any thread: pools have been touched (pool_touch). The loop rebuilds the candidates of each, once,
 * on one of its next turns. A pool that takes long to rebuild rests in between, so the loop spends
 * a small share of its time on it however many servers change. */
void pool_home_wake(struct pool_home *home);

#endif
