/* SPDX-License-Identifier: MIT */
/*
 * A loop, as pools see it; its worker embeds one. Thread: that loop, but for what says otherwise.
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
    /* Called after what came by message or timer: what requests have written goes out. */
    void (*after)(struct pool_home *home);
    /* Connections with this descriptor or one above are not kept idle; 0: all may be. */
    int keep_reserve;
    const struct outcome_sink *outcomes; /* NULL: no pool has observers */

    /* Waiters of this loop that have been given a place by somebody else. */
    pthread_mutex_t grants_lock; /* inside a queue's lock */
    struct list grants;          /* struct waiter.link */
    struct message grants_message;
    bool grants_posted;

    struct message refresh; /* servers have changed: pools that are stale build their candidates */
    _Atomic bool refresh_posted;
    struct timer refresh_timer; /* of those that rest until then */
};

void pool_home_init(struct pool_home *home, struct loop *loop, void (*after)(struct pool_home *));
/* Once no pool is in the loop's plan. */
void pool_home_end(struct pool_home *home);

/* Any thread: pools have been touched (pool_touch): the loop builds the candidates of each anew,
 * once, on one of its next turns. A pool for which that takes long rests for some time in between,
 * so that the loop spends a small part of its time on it, however many servers change. */
void pool_home_wake(struct pool_home *home);

#endif
