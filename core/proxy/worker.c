/* SPDX-License-Identifier: MIT */
/*
 * Workers. See worker.h.
 */
#include "proxy/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/lanes.h"
#include "base/log.h"
#include "module/call.h"
#include "proxy/downstream/downstream.h"
#include "proxy/downstream/listening.h"
#include "proxy/plan/lifetime.h"
#include "proxy/stream/stream.h"

/* How often a draining loop checks whether it is done. */
#define DRAIN_TICK_NS (LOOP_TICK_MS * NS_PER_MS)

static bool worker_drop_idle(struct stream_home *streams)
{
    const struct worker *worker = container_of(streams, struct worker, streams);

    if (conn_close_waiting(worker->loop)) {
        return true;
    }
    list_each(link, &worker->pool_home.pools)
    {
        if (pool_local_drop_idle(container_of(link, struct pool_local, at_home))) {
            return true;
        }
    }
    return false;
}

static void worker_look(struct down_home *home);

static void pools_called(struct pool_home *home)
{
    batch_flush(&container_of(home, struct worker, pool_home)->batch);
}

struct worker *worker_new(unsigned index)
{
    struct worker *worker = base_zalloc(sizeof(*worker));
    worker->loop = loop_new(index);
    if (worker->loop == NULL) {
        free(worker);
        return NULL;
    }
    worker->loop->owner = worker;
    worker->index = index;
    pool_home_init(&worker->pool_home, worker->loop, pools_called);
    stream_home_init(&worker->streams, worker->loop, &worker->batch);
    worker->streams.drop_idle = worker_drop_idle;
    down_home_init(&worker->down, worker->loop, &worker->batch, &stream_down_events,
                   &worker->streams);
    worker->down.on_look = worker_look;
    return worker;
}

void worker_free(struct worker **worker)
{
    struct worker *w = *worker;
    *worker = NULL;
    stream_home_end(&w->streams);
    pool_home_end(&w->pool_home);
    free(w->bygone);
    loop_free(&w->loop);
    free(w);
}

static uint64_t worker_clock(void *arg)
{
    return loop_now_ns(arg);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    atomic_store(&worker->tid, gettid());
    lanes_join(worker->index + 1, worker_clock, worker->loop);
    crash_thread_begins(worker->calls != NULL ? call_tell : NULL, worker->calls);
    loop_run(worker->loop);
    crash_thread_ends();
    return NULL;
}

bool worker_start(struct worker *worker)
{
    sigset_t all;
    sigset_t before;
    crash_others(&all); /* the control thread takes signals */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    worker->running = pthread_create(&worker->thread, NULL, worker_main, worker) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (worker->running) {
        char name[16];
        snprintf(name, sizeof(name), "weir-%u", worker->index);
        pthread_setname_np(worker->thread, name);
    }
    return worker->running;
}

void worker_join(struct worker *worker)
{
    if (worker->running) {
        loop_stop(worker->loop);
        pthread_join(worker->thread, NULL);
        worker->running = false;
    }
}

/* ---- plans ---- */

static bool has_listener(const struct plan *plan, const struct listener *listener)
{
    for (size_t i = 0; plan != NULL && i < plan->listener_count; i++) {
        if (plan->listeners[i].listener == listener) {
            return true;
        }
    }
    return false;
}

static bool has_pool(const struct plan *plan, const struct pool *pool)
{
    const struct pool_plan *found = plan != NULL ? plan_pool(plan, str_from(pool->name)) : NULL;
    return found != NULL && found->pool == pool;
}

/* Leaves the pools of the plan that the loop's current one lacks, then the plan. */
static void plan_let_go(struct worker *worker, struct plan *plan)
{
    for (size_t i = 0; i < plan->pool_count; i++) {
        struct pool_local *local = &plan->pools[i].pool->locals[worker->index];
        if (local->plan != NULL && !has_pool(worker->plan, local->pool)) {
            pool_local_adopt(local, NULL);
        }
    }
    streams_keep_modules(&worker->streams, plan);
    lifetime_leave(plan->life, worker->index);
    lifetime_unref(plan->life, worker->index);
}

/* Drops plans kept for removed listeners once none of these is left. */
static void bygone_forget(struct worker *worker)
{
    while (worker->bygone_count > 0 && !listening_goes_on(&worker->down, NULL)) {
        plan_let_go(worker, worker->bygone[--worker->bygone_count]);
    }
}

/* Whether a removed listener runs under the plan, or a pool that it may use is still the plan's. */
static bool is_needed(const struct worker *worker, const struct plan *plan)
{
    for (size_t i = 0; i < plan->pool_count; i++) {
        if (plan->pools[i].pool->locals[worker->index].plan == &plan->pools[i]) {
            return true;
        }
    }
    return listening_goes_on(&worker->down, plan);
}

/* No longer the loop's current plan: drops it, or keeps it for removed listeners. */
static void plan_leave(struct worker *worker, struct plan *plan)
{
    if (listening_goes_on(&worker->down, NULL) && is_needed(worker, plan)) {
        worker->bygone =
            base_realloc(worker->bygone, sizeof(struct plan *) * (worker->bygone_count + 1));
        worker->bygone[worker->bygone_count++] = plan;
    } else {
        plan_let_go(worker, plan);
        bygone_forget(worker);
    }
}

static void worker_adopt(struct worker *worker, struct plan *plan)
{
    struct plan *old = worker->plan;

    worker->plan = plan;
    worker->down.plan = plan;
    for (size_t i = 0; plan != NULL && i < plan->pool_count; i++) {
        struct pool_local *local = &plan->pools[i].pool->locals[worker->index];
        if (local->home == NULL) { /* once: others read it to grant a place to a waiter here */
            local->home = &worker->pool_home;
        }
        pool_local_adopt(local, &plan->pools[i]);
    }
    for (size_t i = 0; plan != NULL && i < plan->listener_count; i++) {
        struct listener_plan *listener = &plan->listeners[i];
        bool control = worker->index == plan->workers;
        listener_local_adopt(&listener->listener->locals[worker->index], &worker->down,
                             control == listener_plan_on_control(listener) ? listener : NULL);
    }
    for (size_t i = 0; old != NULL && i < old->listener_count; i++) {
        struct listener *listener = old->listeners[i].listener;
        if (!has_listener(plan, listener)) {
            listener_local_adopt(&listener->locals[worker->index], &worker->down, NULL);
        }
    }
    if (old != NULL) {
        plan_drain_handlers(old, worker->index);
        plan_leave(worker, old);
    }
    batch_flush(&worker->batch);
}

void worker_commit(struct worker *worker, struct plan *plan)
{
    worker_adopt(worker, plan);
}

/* ---- the end ---- */

/* An answer without a byte in flight to a client that may never read: cut off. */
static void cut_connections(struct worker *worker)
{
    list_each(link, &worker->streams.running)
    {
        struct stream *stream = container_of(link, struct stream, link);
        if (stream->reason == REASON_NONE) {
            stream->reason = REASON_SHUTDOWN;
        }
    }
    list_each(connection, &worker->down.connections)
    {
        down_conn_abort(&container_of(connection, struct downstream, link)->place.c);
    }
}

void worker_clear(struct worker *worker)
{
    cut_connections(worker);
    worker_adopt(worker, NULL);
    listening_cut(&worker->down);
    bygone_forget(worker);
    timer_cancel(worker->loop, &worker->drain);
}

static void worker_patience(struct timer *timer)
{
    struct worker *worker = container_of(timer, struct worker, drain);

    if (worker->down.count > 0) {
        log_write(WEIR_LOG_WARNING, "weir",
                  "shutdown_timeout is over: %zu connections of worker %u are cut off",
                  worker->down.count, worker->index);
        cut_connections(worker);
    }
    listening_cut(&worker->down);
    bygone_forget(worker);
    worker->cut = true;
    timer_set(worker->loop, &worker->down.leave_timer, 1);
}

/* Leaving sockets were checked. A drain ends when no client is left; else checks again soon. */
static void worker_look(struct down_home *home)
{
    struct worker *worker = container_of(home, struct worker, down);
    /* A lingering connection has an answer in flight, which the end of the process would reset. */
    bool over = home->count == 0 && listening_is_over(home) &&
                (worker->cut || conn_lingering(worker->loop) == 0);

    bygone_forget(worker);
    if (home->draining && over && worker->on_drained != NULL) {
        worker->on_drained(worker);
        worker->on_drained = NULL;
    } else if (home->draining && !over) {
        timer_set(worker->loop, &home->leave_timer, DRAIN_TICK_NS);
    }
}

void worker_drain(struct worker *worker, uint64_t patience_ns, void (*on_drained)(struct worker *))
{
    worker->down.draining = true;
    worker->on_drained = on_drained;
    worker->drain.fn = worker_patience;
    timer_set(worker->loop, &worker->drain, patience_ns > 0 ? patience_ns : 1);
    for (size_t i = 0; worker->plan != NULL && i < worker->plan->listener_count; i++) {
        struct listener_plan *plan = &worker->plan->listeners[i];
        listener_local_leave(&plan->listener->locals[worker->index]);
    }
    list_each(link, &worker->down.connections)
    {
        down_conn_drain(&container_of(link, struct downstream, link)->place.c);
    }
    if (worker->plan != NULL) {
        plan_drain_handlers(worker->plan, worker->index);
    }
    batch_flush(&worker->batch);
    timer_set(worker->loop, &worker->down.leave_timer, DRAIN_TICK_NS);
}
