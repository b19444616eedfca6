/* SPDX-License-Identifier: MIT */
/*
 * Workers. See worker.h.
 */
#include "proxy/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/lanes.h"
#include "base/log.h"
#include "proxy/downstream/downstream.h"
#include "proxy/downstream/listening.h"
#include "proxy/stream/stream.h"

/* How often a loop that drains looks whether it is over. */
#define DRAIN_TICK_NS (LOOP_TICK_MS * NS_PER_MS)

bool worker_drop_idle(struct worker *worker)
{
    const struct generation *generation = worker->generation;

    if (conn_close_waiting(worker->loop)) {
        return true;
    }
    for (size_t i = 0; generation != NULL && i < generation->pool_count; i++) {
        const struct pool_plan *plan = &generation->pools[i];
        for (size_t k = 0; k < plan->server_count; k++) {
            if (spares_close_one(&plan->servers[k]->locals[worker->index].spares)) {
                return true;
            }
        }
    }
    return false;
}

static void worker_look(struct down_home *home);

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
    pool_home_init(&worker->pool_home, worker->loop, index, &worker->batch);
    down_home_init(&worker->down, worker->loop, &worker->batch, &stream_down_events);
    worker->down.on_look = worker_look;
    list_init(&worker->streams);
    list_init(&worker->free_streams);
    return worker;
}

void worker_free(struct worker **worker)
{
    struct worker *w = *worker;
    *worker = NULL;
    stream_cache_free(w);
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
    lanes_join(worker->index + 1, worker_clock, worker->loop);
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

static bool has_listener(const struct generation *generation, const struct listener *listener)
{
    for (size_t i = 0; generation != NULL && i < generation->listener_count; i++) {
        if (generation->listeners[i].listener == listener) {
            return true;
        }
    }
    return false;
}

/* Pools that the generation has and the loop's present one has not are left, and then the generation. */
static void generation_let_go(struct worker *worker, struct generation *generation)
{
    for (size_t i = 0; i < generation->pool_count; i++) {
        struct pool_local *local = &generation->pools[i].pool->locals[worker->index];
        if (local->plan != NULL && generation_plan_of(worker->generation, local->pool) == NULL) {
            pool_local_adopt(local, NULL);
        }
    }
    generation_unref(generation, worker);
}

/* What was kept for listeners that are gone goes, once none is left. */
static void bygone_forget(struct worker *worker)
{
    while (worker->bygone_count > 0 && !listening_goes_on(&worker->down, NULL)) {
        generation_let_go(worker, worker->bygone[--worker->bygone_count]);
    }
}

/* Whether a listener that is gone serves under the generation, or a pool that it may use is as that one has
 * it. */
static bool is_needed(const struct worker *worker, const struct generation *generation)
{
    for (size_t i = 0; i < generation->pool_count; i++) {
        if (generation->pools[i].pool->locals[worker->index].plan == &generation->pools[i]) {
            return true;
        }
    }
    return listening_goes_on(&worker->down, generation);
}

/* The loop's own no more: lets go of it, or keeps it for listeners that are gone. */
static void generation_leave(struct worker *worker, struct generation *generation)
{
    if (listening_goes_on(&worker->down, NULL) && is_needed(worker, generation)) {
        worker->bygone =
            base_realloc(worker->bygone, sizeof(struct generation *) * (worker->bygone_count + 1));
        worker->bygone[worker->bygone_count++] = generation;
    } else {
        generation_let_go(worker, generation);
        bygone_forget(worker);
    }
}

static void worker_adopt(struct worker *worker, struct generation *generation)
{
    struct generation *old = worker->generation;

    worker->generation = generation;
    worker->down.generation = generation;
    for (size_t i = 0; generation != NULL && i < generation->pool_count; i++) {
        struct pool_plan *plan = &generation->pools[i];
        plan->pool->locals[worker->index].home = &worker->pool_home;
        pool_local_adopt(&plan->pool->locals[worker->index], plan);
    }
    for (size_t i = 0; generation != NULL && i < generation->listener_count; i++) {
        struct listener_plan *plan = &generation->listeners[i];
        bool control = worker->index == generation->runtime->workers;
        listener_local_adopt(&plan->listener->locals[worker->index], &worker->down,
                             control == listener_plan_on_control(plan) ? plan : NULL);
    }
    for (size_t i = 0; old != NULL && i < old->listener_count; i++) {
        struct listener *listener = old->listeners[i].listener;
        if (!has_listener(generation, listener)) {
            listener_local_adopt(&listener->locals[worker->index], &worker->down, NULL);
        }
    }
    if (old != NULL) {
        generation_drain_handlers(old, worker);
        generation_leave(worker, old);
    }
    batch_flush(&worker->batch);
}

void worker_commit(struct worker *worker, struct generation *generation)
{
    worker_adopt(worker, generation);
}

/* ---- servers change ---- */

/* A pool rests for so many times as long as its candidates took to build, at most; a rest that is shorter
 * than the wheel's grain is none. */
#define REST_TIMES  16u
#define REST_MIN_NS (2 * NS_PER_MS)
#define REST_MAX_NS (250 * NS_PER_MS)

/* Of this thread alone: that others had the processor meanwhile does not make a small pool a large one. */
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

static void refresh_due(struct timer *timer);

static void worker_refresh(struct worker *worker)
{
    const struct generation *generation = worker->generation;
    uint64_t next_ns = UINT64_MAX;

    for (size_t i = 0; generation != NULL && i < generation->pool_count; i++) {
        struct pool_local *local = &generation->pools[i].pool->locals[worker->index];
        if (!atomic_load(&local->stale)) {
            continue;
        }
        if (atomic_exchange(&local->hurry, false) ||
            local->rested_ns <= loop_now_ns(worker->loop)) {
            refresh_pool(local);
        } else if (local->rested_ns < next_ns) {
            next_ns = local->rested_ns;
        }
    }
    if (next_ns != UINT64_MAX) {
        uint64_t now_ns = loop_now_ns(worker->loop);
        worker->refresh_timer.fn = refresh_due;
        timer_set(worker->loop, &worker->refresh_timer, next_ns > now_ns ? next_ns - now_ns : 1);
    }
    batch_flush(&worker->batch);
}

static void refresh_due(struct timer *timer)
{
    worker_refresh(container_of(timer, struct worker, refresh_timer));
}

static void refresh_received(struct message *message)
{
    struct worker *worker = container_of(message, struct worker, refresh);
    atomic_store(&worker->refresh_posted,
                 false); /* first: what is touched from here on wakes anew */
    worker_refresh(worker);
}

void worker_wake(struct worker *worker)
{
    if (!atomic_exchange(&worker->refresh_posted, true)) {
        worker->refresh.fn = refresh_received;
        loop_post(worker->loop, &worker->refresh);
    }
}

void worker_clear(struct worker *worker)
{
    stream_abort_all(worker);
    worker_adopt(worker, NULL);
    listening_cut(&worker->down);
    bygone_forget(worker);
    timer_cancel(worker->loop, &worker->refresh_timer);
    timer_cancel(worker->loop, &worker->drain);
}

/* ---- the end ---- */

static void worker_patience(struct timer *timer)
{
    struct worker *worker = container_of(timer, struct worker, drain);

    if (worker->down.count > 0) {
        log_write(WEIR_LOG_WARNING, "weir",
                  "shutdown_timeout is over: %zu connections of worker %u are cut off",
                  worker->down.count, worker->index);
        stream_abort_all(worker);
    }
    listening_cut(&worker->down);
    bygone_forget(worker);
    worker->cut = true;
    timer_set(worker->loop, &worker->down.leave_timer, 1);
}

/* What is on its way out has been looked at. A drain ends when nobody is left; else it looks again soon. */
static void worker_look(struct down_home *home)
{
    struct worker *worker = container_of(home, struct worker, down);
    /* Who lingers has an answer on its way, which the end of the process would reset. */
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
    for (size_t i = 0; worker->generation != NULL && i < worker->generation->listener_count; i++) {
        struct listener_plan *plan = &worker->generation->listeners[i];
        listener_local_leave(&plan->listener->locals[worker->index]);
    }
    list_each(link, &worker->down.connections)
    {
        down_conn_drain(&container_of(link, struct downstream, link)->place.c);
    }
    if (worker->generation != NULL) {
        generation_drain_handlers(worker->generation, worker);
    }
    batch_flush(&worker->batch);
    timer_set(worker->loop, &worker->down.leave_timer, DRAIN_TICK_NS);
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
