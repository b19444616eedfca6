/* SPDX-License-Identifier: MIT */
/*
 * Workers. See worker.h.
 */
#include "proxy/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "proxy/client.h"
#include "proxy/listening.h"
#include "proxy/stream.h"

/* How often idle upstream connections are looked at. */
#define SWEEP_INTERVAL_NS (5 * NS_PER_SECOND)

/* How often a loop that drains looks whether it is over. */
#define DRAIN_TICK_NS (LOOP_TICK_MS * NS_PER_MS)

static void worker_sweep(struct timer *timer)
{
    struct worker *worker = container_of(timer, struct worker, sweep);
    uint64_t now_ns = loop_now_ns(worker->loop);

    for (size_t i = 0; worker->generation != NULL && i < worker->generation->pool_count; i++) {
        struct pool *pool = worker->generation->pools[i].pool;
        pool_local_sweep(&pool->locals[worker->index], now_ns);
    }
    timer_set(worker->loop, timer, SWEEP_INTERVAL_NS);
}

bool worker_drop_idle(struct worker *worker)
{
    const struct generation *generation = worker->generation;
    size_t dropped = 0;

    for (size_t i = 0; generation != NULL && i < generation->pool_count; i++) {
        const struct pool_plan *plan = &generation->pools[i];
        for (size_t k = 0; k < plan->server_count; k++) {
            list_each(link, &plan->servers[k]->locals[worker->index].idle)
            {
                h1_client_close(container_of(link, struct h1_client, link));
                dropped++;
            }
        }
    }
    return dropped > 0;
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
    worker->sweep.fn = worker_sweep;
    grants_init(&worker->grants);
    list_init(&worker->clients);
    list_init(&worker->streams);
    list_init(&worker->free_streams);
    list_init(&worker->leaving);
    worker->leave_timer.fn = listening_tick;
    timer_set(worker->loop, &worker->sweep, SWEEP_INTERVAL_NS);
    return worker;
}

void worker_free(struct worker **worker)
{
    struct worker *w = *worker;
    *worker = NULL;
    stream_cache_free(w);
    grants_end(&w->grants);
    free(w->bygone);
    loop_free(&w->loop);
    free(w);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    loop_run(worker->loop);
    return NULL;
}

bool worker_start(struct worker *worker)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all); /* signals are the control thread's */
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

/* ---- generations ---- */

static struct pool_plan *plan_of_pool(const struct generation *generation, const struct pool *pool)
{
    for (size_t i = 0; generation != NULL && i < generation->pool_count; i++) {
        if (generation->pools[i].pool == pool) {
            return &generation->pools[i];
        }
    }
    return NULL;
}

static bool has_listener(const struct generation *generation, const struct listener *listener)
{
    for (size_t i = 0; generation != NULL && i < generation->listener_count; i++) {
        if (generation->listeners[i].listener == listener) {
            return true;
        }
    }
    return false;
}

static void worker_adopt(struct worker *worker, struct generation *generation)
{
    struct generation *old = worker->generation;

    worker->generation = generation;
    for (size_t i = 0; generation != NULL && i < generation->pool_count; i++) {
        struct pool_plan *plan = &generation->pools[i];
        plan->pool->locals[worker->index].worker = worker;
        pool_local_adopt(&plan->pool->locals[worker->index], plan);
    }
    for (size_t i = 0; generation != NULL && i < generation->listener_count; i++) {
        struct listener_plan *plan = &generation->listeners[i];
        listener_local_adopt(&plan->listener->locals[worker->index], worker, plan);
    }
    for (size_t i = 0; old != NULL && i < old->listener_count; i++) {
        struct listener *listener = old->listeners[i].listener;
        if (!has_listener(generation, listener)) {
            listener_local_adopt(&listener->locals[worker->index], worker, NULL);
        }
    }
    if (old != NULL) {
        generation_drain_handlers(old, worker);
    }
    if (old != NULL) {
        listening_left(worker, old);
    }
    batch_flush(&worker->batch);
}

void worker_leave_pools(struct worker *worker, const struct generation *generation)
{
    for (size_t i = 0; i < generation->pool_count; i++) {
        struct pool_local *local = &generation->pools[i].pool->locals[worker->index];
        if (local->plan != NULL && plan_of_pool(worker->generation, local->pool) == NULL) {
            pool_local_adopt(local, NULL);
        }
    }
}

void worker_commit(struct worker *worker, struct generation *generation)
{
    worker_adopt(worker, generation);
}

void worker_refresh(struct worker *worker, const struct pool *pool)
{
    const struct pool_plan *plan = plan_of_pool(worker->generation, pool);

    if (plan != NULL) {
        pool_local_refresh(&plan->pool->locals[worker->index]);
        batch_flush(&worker->batch);
    }
}

void worker_clear(struct worker *worker)
{
    stream_abort_all(worker);
    worker_adopt(worker, NULL);
    listening_cut(worker);
    timer_cancel(worker->loop, &worker->sweep);
    timer_cancel(worker->loop, &worker->drain);
}

/* ---- the end ---- */

static void worker_patience(struct timer *timer)
{
    struct worker *worker = container_of(timer, struct worker, drain);

    if (worker->client_count > 0) {
        log_write(WEIR_LOG_WARNING, "weir",
                  "shutdown_timeout is over: %zu connections of worker %u are cut off",
                  worker->client_count, worker->index);
        stream_abort_all(worker);
    }
    listening_cut(worker);
    worker->cut = true;
    timer_set(worker->loop, &worker->leave_timer, 1);
}

void worker_look_drained(struct worker *worker)
{
    /* Who lingers has an answer on its way, which the end of the process would reset. */
    bool over = worker->client_count == 0 && listening_is_over(worker) &&
                (worker->cut || conn_lingering(worker->loop) == 0);

    if (over && worker->on_drained != NULL) {
        worker->on_drained(worker);
        worker->on_drained = NULL;
    } else if (!over) {
        timer_set(worker->loop, &worker->leave_timer, DRAIN_TICK_NS);
    }
}

void worker_drain(struct worker *worker, uint64_t patience_ns, void (*on_drained)(struct worker *))
{
    worker->draining = true;
    worker->on_drained = on_drained;
    worker->drain.fn = worker_patience;
    timer_set(worker->loop, &worker->drain, patience_ns > 0 ? patience_ns : 1);
    for (size_t i = 0; worker->generation != NULL && i < worker->generation->listener_count; i++) {
        struct listener_plan *plan = &worker->generation->listeners[i];
        listener_local_leave(&plan->listener->locals[worker->index]);
    }
    list_each(link, &worker->clients)
    {
        h1_server_drain(&container_of(link, struct client, link)->http);
    }
    if (worker->generation != NULL) {
        generation_drain_handlers(worker->generation, worker);
    }
    batch_flush(&worker->batch);
    timer_set(worker->loop, &worker->leave_timer, DRAIN_TICK_NS);
}

struct weir_str worker_date(struct worker *worker)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    uint64_t second = loop_wall_ms() / 1000;

    if (worker->date_second != second) {
        time_t now = (time_t)second;
        struct tm tm;
        gmtime_r(&now, &tm);
        snprintf(worker->date, sizeof(worker->date), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                 days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], (tm.tm_year + 1900) % 10000,
                 tm.tm_hour, tm.tm_min, tm.tm_sec);
        worker->date_second = second;
    }
    return str_from(worker->date);
}
