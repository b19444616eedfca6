/* SPDX-License-Identifier: MIT */
/*
 * Sampling and keeping. See history.h. A series is found by its key in an open-addressed table; one
 * that is not seen for an hour goes.
 */
#include "control/api/history.h"

#include <math.h>
#include <stdlib.h>

#include "control/api/history_series.h"
#include "proxy/downstream/downstream.h"

static const struct sample nothing = {NAN, NAN, NAN, NAN, NAN, NAN};

struct history *history_new(void)
{
    struct history *history = base_zalloc(sizeof(*history));
    history->mask = 255;
    history->slots = base_zalloc((history->mask + 1) * sizeof(struct series *));
    return history;
}

static void series_free(struct history *history, struct series *series)
{
    history->pools -= series->fine != NULL;
    history->servers -= series->coarse != NULL && series->fine == NULL;
    history->count--;
    free(series->fine);
    free(series->coarse);
    free(series);
}

void history_free(struct history **history)
{
    struct history *h = *history;
    *history = NULL;
    for (size_t i = 0; i <= h->mask; i++) {
        if (h->slots[i] != NULL) {
            series_free(h, h->slots[i]);
        }
    }
    free(h->slots);
    free(h);
}

struct series *history_find(const struct history *history, uint64_t key)
{
    for (size_t i = key & history->mask;; i = (i + 1) & history->mask) {
        struct series *series = history->slots[i];
        if (series == NULL || series->key == key) {
            return series;
        }
    }
}

static void place(struct history *history, struct series *series)
{
    size_t i = series->key & history->mask;
    while (history->slots[i] != NULL) {
        i = (i + 1) & history->mask;
    }
    history->slots[i] = series;
}

/* A table anew: larger, or (`forget`) without what has not been seen for an hour. */
static void rehash(struct history *history, size_t mask, bool forget)
{
    struct series **old = history->slots;
    size_t old_mask = history->mask;

    history->mask = mask;
    history->slots = base_zalloc((mask + 1) * sizeof(struct series *));
    for (size_t i = 0; i <= old_mask; i++) {
        if (forget && old[i] != NULL && history->second - old[i]->second > 3600) {
            series_free(history, old[i]);
        } else if (old[i] != NULL) {
            place(history, old[i]);
        }
    }
    free(old);
}

static struct sample *samples_new(size_t count)
{
    struct sample *samples = base_alloc(count * sizeof(*samples));
    for (size_t i = 0; i < count; i++) {
        samples[i] = nothing;
    }
    return samples;
}

static struct series *series_of(struct history *history, uint64_t key, enum series_kind kind)
{
    struct series *series = history_find(history, key);

    if (series != NULL || history->count >= HISTORY_SERIES_MAX) {
        return series;
    }
    if (history->count * 2 > history->mask) {
        rehash(history, history->mask * 2 + 1, false);
    }
    series = base_zalloc(sizeof(*series));
    series->key = key;
    if (kind == SERIES_POOL && history->pools < HISTORY_POOLS_MAX) {
        history->pools++;
        series->fine = samples_new(HISTORY_SECONDS);
        series->coarse = samples_new(HISTORY_COARSE);
    } else if (kind == SERIES_SERVER && history->servers < HISTORY_SERVERS_MAX) {
        history->servers++;
        series->coarse = samples_new(HISTORY_COARSE);
    }
    history->count++;
    place(history, series);
    return series;
}

/* ---- reading counters ---- */

static uint64_t load(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void add_counters(struct counters *to, const struct traffic *from)
{
    uint64_t lost = load(&from->status[0]), gone = load(&from->errors[REASON_CLIENT_GONE]);
    to->requests += load(&from->requests);
    to->errors += load(&from->status[5]) + (lost > gone ? lost - gone : 0);
    to->bytes_in += load(&from->bytes_in);
    to->bytes_out += load(&from->bytes_out);
}

static void add_buckets(uint32_t *to, const struct traffic *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        to[i] += __atomic_load_n(&from->total.buckets[i], __ATOMIC_RELAXED);
    }
}

static void read_traffic(struct mark *now, const struct traffic *traffic, bool buckets)
{
    add_counters(&now->counters, traffic);
    if (buckets) {
        add_buckets(now->buckets, traffic);
    }
}

/* What was counted between two readings; none where the later one is smaller, which it may be by a
 * request that was just being counted. */
static uint64_t since(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

/* ---- sampling ---- */

static struct latency latency_between(const struct mark *from, const struct mark *to)
{
    struct histogram histogram = {{0}, 0, 0};
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        histogram.buckets[i] = to->buckets[i] - from->buckets[i];
        histogram.count += histogram.buckets[i];
    }
    if (histogram.count == 0) {
        return (struct latency){NAN, NAN, NAN};
    }
    return (struct latency){histogram_quantile_ms(&histogram, 0.5),
                            histogram_quantile_ms(&histogram, 0.95),
                            histogram_quantile_ms(&histogram, 0.99)};
}

static struct sample sample_between(const struct mark *from, const struct mark *to, double seconds,
                                    uint32_t in_flight)
{
    struct latency latency = latency_between(from, to);
    return (struct sample){
        .rate = (float)((double)since(from->counters.requests, to->counters.requests) / seconds),
        .errors_rate = (float)((double)since(from->counters.errors, to->counters.errors) / seconds),
        .in_flight = (float)in_flight,
        .p50 = (float)latency.p50,
        .p95 = (float)latency.p95,
        .p99 = (float)latency.p99,
    };
}

/* Who bears the name now is not who bore it before: a server that was removed and added again, say,
 * began to count at zero. What is kept of the hour stays; differences begin anew. */
static void notice_successor(struct series *series, const struct mark *now)
{
    const struct counters *last = &series->last.counters;

    if (now->counters.requests < last->requests || now->counters.bytes_in < last->bytes_in ||
        now->counters.bytes_out < last->bytes_out) {
        memset(series->recent, 0, sizeof(series->recent));
        memset(series->marks, 0, sizeof(series->marks));
        memset(&series->last, 0, sizeof(series->last));
    }
}

/* Takes what was read now. `buckets`: the histogram too, which is so at least on each step. */
static void series_take(struct history *history, struct series *series, const struct mark *now,
                        uint32_t in_flight)
{
    uint64_t second = history->second;

    notice_successor(series, now);
    if (series->second == 0) { /* new, and so is what it counts: it began at zero a second ago */
        series->second = second - 1;
    }
    bool step = second / HISTORY_STEP != series->second / HISTORY_STEP;
    uint64_t passed = second - series->second;
    if (series->fine != NULL) {
        for (uint64_t s = series->second + 1; s < second && s < series->second + HISTORY_SECONDS;
             s++) {
            series->fine[s % HISTORY_SECONDS] = nothing;
        }
        series->fine[second % HISTORY_SECONDS] =
            sample_between(&series->last, now, (double)passed, in_flight);
    }
    series->last = *now;
    for (uint64_t s = 1; s <= passed && s <= RECENT_COUNTERS; s++) {
        series->recent[(series->second + s) % RECENT_COUNTERS] = now->counters;
    }
    if (step) {
        uint64_t at = second / HISTORY_STEP, before = series->second / HISTORY_STEP;
        const struct mark *mark = &series->marks[before % HISTORY_MARKS];
        if (series->coarse != NULL) {
            for (uint64_t s = before + 1; s < at && s < before + HISTORY_COARSE; s++) {
                series->coarse[s % HISTORY_COARSE] = nothing;
            }
            series->coarse[at % HISTORY_COARSE] =
                sample_between(mark, now, (double)((at - before) * HISTORY_STEP), in_flight);
        }
        for (uint64_t s = before + 1; s <= at && s <= before + HISTORY_MARKS; s++) {
            series->marks[s % HISTORY_MARKS] = *now;
        }
    }
    series->second = second;
}

static void sample_server(struct history *history, struct server *server)
{
    struct series *series = series_of(history, server->id, SERIES_SERVER);
    struct mark now = {{0, 0, 0, 0}, {0}};

    if (series == NULL) {
        return;
    }
    bool buckets =
        series->second == 0 || history->second / HISTORY_STEP != series->second / HISTORY_STEP;
    for (unsigned i = 0; i < server->loops; i++) {
        read_traffic(&now, &server->locals[i].traffic, buckets);
    }
    series_take(history, series, &now, __atomic_load_n(&server->in_flight, __ATOMIC_RELAXED));
}

static void sample_pools(struct history *history, const struct generation *g, uint32_t *in_flight)
{
    for (size_t i = 0; i < g->plan->pool_count; i++) {
        const struct pool_plan *plan = &g->plan->pools[i];
        struct mark now = {{0, 0, 0, 0}, {0}};
        uint32_t running = 0;
        for (size_t k = 0; k < plan->server_count; k++) {
            running += __atomic_load_n(&plan->servers[k]->in_flight, __ATOMIC_RELAXED);
            sample_server(history, plan->servers[k]);
        }
        for (unsigned k = 0; k < plan->pool->loops; k++) {
            read_traffic(&now, &plan->pool->locals[k].traffic, true);
        }
        /* Only now: a new series of a server may have made the table anew, and freed what looked
         * gone. */
        struct series *series = series_of(history, history_key_pool(plan->pool->name), SERIES_POOL);
        if (series != NULL) {
            series_take(history, series, &now, running);
        }
        *in_flight += running;
    }
}

static void sample_routes(struct history *history, const struct generation *g)
{
    for (size_t i = 0; i < g->plan->route_count; i++) {
        struct route *route = g->plan->routes[i]->route;
        struct series *series = series_of(history, history_key_route(route->name), SERIES_OTHER);
        struct mark now = {{0, 0, 0, 0}, {0}};
        for (unsigned k = 0; k < route->loops; k++) {
            read_traffic(&now, traffic_on(route->traffic, k), true);
        }
        if (series != NULL) {
            series_take(history, series, &now, 0);
        }
    }
}

/* The total goes on where listeners come and go. */
static void add_to_total(struct mark *total, const struct mark *from, const struct mark *to)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        total->buckets[i] += (uint32_t)since(from->buckets[i], to->buckets[i]);
    }
    total->counters.requests += since(from->counters.requests, to->counters.requests);
    total->counters.errors += since(from->counters.errors, to->counters.errors);
    total->counters.bytes_in += since(from->counters.bytes_in, to->counters.bytes_in);
    total->counters.bytes_out += since(from->counters.bytes_out, to->counters.bytes_out);
}

static void sample_listeners(struct history *history, const struct generation *g)
{
    for (size_t i = 0; i < g->plan->listener_count; i++) {
        const struct listener *listener = g->plan->listeners[i].listener;
        struct series *series =
            series_of(history, history_key_listener(listener->name), SERIES_OTHER);
        struct mark now = {{0, 0, 0, 0}, {0}};
        for (unsigned k = 0; k < listener->loops; k++) {
            read_traffic(&now, &listener->locals[k].traffic, true);
        }
        if (series == NULL) {
            continue;
        }
        notice_successor(series, &now);
        if (!listener_plan_on_control(&g->plan->listeners[i])) {
            add_to_total(&history->total, &series->last, &now);
        }
        series_take(history, series, &now, 0);
    }
}

void history_sample(struct history *history, const struct generation *generation, uint64_t second,
                    uint64_t wall_ms)
{
    uint32_t in_flight = 0;

    if (second <= history->second) {
        return;
    }
    bool step = second / HISTORY_STEP != history->second / HISTORY_STEP;
    history->second = second;
    history->wall_ms = wall_ms;
    if (second % 600 < HISTORY_STEP && step) {
        rehash(history, history->mask, true);
    }
    sample_pools(history, generation, &in_flight);
    sample_routes(history, generation);
    sample_listeners(history, generation);
    struct series *series = series_of(history, HISTORY_TOTAL, SERIES_POOL);
    if (series != NULL) {
        series_take(history, series, &history->total, in_flight);
    }
}

/* ---- reading what is kept ---- */

struct rates history_rates(const struct history *history, uint64_t key)
{
    const struct series *series = history_find(history, key);
    if (series == NULL || series->second == 0) {
        return (struct rates){0, 0, 0, 0};
    }
    const struct counters *now = &series->recent[series->second % RECENT_COUNTERS];
    const struct counters *then = &series->recent[(series->second + 1) % RECENT_COUNTERS];
    double seconds = RECENT_COUNTERS - 1;
    return (struct rates){(double)since(then->requests, now->requests) / seconds,
                          (double)since(then->errors, now->errors) / seconds,
                          (double)since(then->bytes_in, now->bytes_in) / seconds,
                          (double)since(then->bytes_out, now->bytes_out) / seconds};
}

static const struct mark *mark_back(const struct series *series, unsigned steps)
{
    return &series->marks[(series->second / HISTORY_STEP + HISTORY_MARKS - steps) % HISTORY_MARKS];
}

struct latency history_minute(const struct history *history, uint64_t key)
{
    const struct series *series = history_find(history, key);
    if (series == NULL || series->second == 0) {
        return (struct latency){NAN, NAN, NAN};
    }
    return latency_between(mark_back(series, HISTORY_MARKS - 1), mark_back(series, 0));
}

struct latency history_recent(const struct history *history, uint64_t key)
{
    const struct series *series = history_find(history, key);
    if (series == NULL || series->second == 0) {
        return (struct latency){NAN, NAN, NAN};
    }
    if (series->fine != NULL) {
        return latency_between(mark_back(series, 1), &series->last);
    }
    return latency_between(mark_back(series, 1), mark_back(series, 0));
}

double history_error_share(const struct history *history, uint64_t key)
{
    const struct series *series = history_find(history, key);
    if (series == NULL || series->second == 0) {
        return NAN;
    }
    const struct counters *now = &series->recent[series->second % RECENT_COUNTERS];
    const struct counters *then = &mark_back(series, HISTORY_MARKS - 1)->counters;
    uint64_t requests = since(then->requests, now->requests);
    return requests > 0 ? (double)since(then->errors, now->errors) / (double)requests : NAN;
}

bool history_quiet(const struct history *history, uint64_t key)
{
    const struct series *series = history_find(history, key);
    return series == NULL || series->second == 0 ||
           series->recent[series->second % RECENT_COUNTERS].requests ==
               mark_back(series, HISTORY_MARKS - 1)->counters.requests;
}

/* Names of different things do not meet: no pool has such a name. */
static uint64_t key_of(const char *kind, const char *name)
{
    return server_id_of(str_from(kind), str_from(name));
}

uint64_t history_key_pool(const char *pool)
{
    return key_of("\001pool", pool);
}

uint64_t history_key_listener(const char *name)
{
    return key_of("\001listener", name);
}

uint64_t history_key_route(const char *name)
{
    return key_of("\001route", name);
}
