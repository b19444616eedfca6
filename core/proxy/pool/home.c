/* SPDX-License-Identifier: MIT */
/*
 * The pools' part of a loop: rebuilds candidates when servers have changed. See home.h.
 */
#include "proxy/pool/home.h"

#include <time.h>

#include "proxy/pool/pool.h"

/* A pool rests for at most this many times as long as its candidates took to build; rests below the
 * timer's resolution are skipped. */
#define REST_TIMES  16u
#define REST_MIN_NS (2 * NS_PER_MS)
#define REST_MAX_NS (250 * NS_PER_MS)

/* CPU time of this thread: being preempted does not make a small pool a large one. */
static uint64_t worked_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static void refresh_pool(struct pool_local *local)
{
    uint64_t began_ns = worked_ns();

    pool_local_refresh(local);
    uint64_t rest_ns = (worked_ns() - began_ns) * REST_TIMES;
    rest_ns = rest_ns < REST_MAX_NS ? rest_ns : REST_MAX_NS;
    local->rested_ns = loop_now_refresh(local->home->loop) + (rest_ns >= REST_MIN_NS ? rest_ns : 0);
}

static void home_refresh(struct pool_home *home)
{
    uint64_t next_ns = UINT64_MAX;

    list_each(link, &home->pools)
    {
        struct pool_local *local = container_of(link, struct pool_local, at_home);
        if (!atomic_load(&local->stale)) {
            continue;
        }
        if (atomic_exchange(&local->hurry, false) || local->rested_ns <= loop_now_ns(home->loop)) {
            refresh_pool(local);
        } else if (local->rested_ns < next_ns) {
            next_ns = local->rested_ns;
        }
    }
    if (next_ns != UINT64_MAX) {
        uint64_t now_ns = loop_now_ns(home->loop);
        timer_set(home->loop, &home->refresh_timer, next_ns > now_ns ? next_ns - now_ns : 1);
    }
    home->after(home);
}

static void refresh_due(struct timer *timer)
{
    home_refresh(container_of(timer, struct pool_home, refresh_timer));
}

static void refresh_received(struct message *message)
{
    struct pool_home *home = container_of(message, struct pool_home, refresh);
    /* First: touches from here on wake the loop again. */
    atomic_store(&home->refresh_posted, false);
    home_refresh(home);
}

void pool_home_wake(struct pool_home *home)
{
    if (!atomic_exchange(&home->refresh_posted, true)) {
        loop_post(home->loop, &home->refresh);
    }
}

void pool_home_init(struct pool_home *home, struct loop *loop, void (*after)(struct pool_home *))
{
    *home = (struct pool_home){
        .loop = loop,
        .index = loop->index,
        .after = after,
        .grants_message.fn = queue_take_grants,
        .refresh.fn = refresh_received,
        .refresh_timer.fn = refresh_due,
    };
    list_init(&home->pools);
    list_init(&home->grants);
    pthread_mutex_init(&home->grants_lock, NULL);
}

void pool_home_end(struct pool_home *home)
{
    ASSERT(list_empty(&home->pools));
    timer_cancel(home->loop, &home->refresh_timer);
    pthread_mutex_destroy(&home->grants_lock);
}
