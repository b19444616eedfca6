/* SPDX-License-Identifier: MIT */
/*
 * Sampling and keeping. See history.h. A series is found by its key in an open-addressed table; one
 * that is not seen for an hour goes.
 */
#include "history.h"

#include <math.h>
#include <stdlib.h>

#include <weir/text.h>

#define BUCKETS_MAX 96u
/* The present second, and five before it. */
#define RECENT_COUNTERS 6u

/* One second, or HISTORY_STEP of them. NaN: there was nothing to know. */
struct sample {
    float rate, errors_rate, in_flight, times[3];
};
static const struct sample nothing = {NAN, NAN, NAN, {NAN, NAN, NAN}};

struct counters {
    uint64_t requests, errors, bytes_in, bytes_out;
};

struct mark {
    struct counters counters;
    uint32_t buckets[BUCKETS_MAX];
};

struct series {
    uint64_t key;
    uint64_t second;                         /* of the last sample; 0: none yet */
    struct counters recent[RECENT_COUNTERS]; /* by second */
    struct mark marks[HISTORY_MARKS]; /* by step; of servers the histogram is read at steps */
    struct mark last;                 /* of the last second; of servers without the histogram */
    struct sample *fine;              /* HISTORY_SECONDS, by second; NULL: not kept */
    struct sample *coarse;            /* HISTORY_COARSE, by step; NULL: not kept */
};

struct history {
    struct series **slots;
    size_t mask;
    size_t count, pools, servers;
    uint64_t second;
    uint64_t wall_ms;  /* at `second` */
    struct mark total; /* of all listeners that ever were there */
    /* Of the histograms; known with the first one. */
    unsigned bound_count;
    double bounds_ms[BUCKETS_MAX];
    uint32_t gone_reason; /* clients that left: not counted as errors */
    /* While a second is sampled: */
    struct weir_context *ctx;
    bool step;
    uint64_t in_flight; /* of all pools */
};

struct history *history_new(void)
{
    struct history *history = calloc(1, sizeof(*history));

    if (history != NULL) {
        history->mask = 255;
        history->slots = calloc(history->mask + 1, sizeof(struct series *));
    }
    if (history != NULL && history->slots == NULL) {
        free(history);
        return NULL;
    }
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

void history_free(struct history *history)
{
    for (size_t i = 0; i <= history->mask; i++) {
        if (history->slots[i] != NULL) {
            series_free(history, history->slots[i]);
        }
    }
    free(history->slots);
    free(history);
}

/* ---- the table ---- */

static uint64_t hash(uint64_t seed, struct weir_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        seed = (seed ^ (uint8_t)text.ptr[i]) * UINT64_C(0x100000001b3);
    }
    return (seed ^ 0xff) * UINT64_C(0x100000001b3); /* the end: "a", "bc" is not "ab", "c" */
}

static uint64_t key_of(enum weir_stats_kind kind, struct weir_str pool, struct weir_str name)
{
    uint64_t seed = (UINT64_C(0xcbf29ce484222325) ^ (uint64_t)kind) * UINT64_C(0x100000001b3);
    return kind == WEIR_STATS_PROCESS ? 1 : hash(hash(seed, pool), name);
}

/* NULL: there is none. */
static struct series *find(const struct history *history, uint64_t key)
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

/* A table anew: larger, or (`forget`) without what has not been seen for an hour. No memory: as it
 * was. */
static void rehash(struct history *history, size_t mask, bool forget)
{
    struct series **old = history->slots, **slots = calloc(mask + 1, sizeof(*slots));
    size_t old_mask = history->mask;

    if (slots == NULL) {
        return;
    }
    history->mask = mask;
    history->slots = slots;
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
    struct sample *samples = malloc(count * sizeof(*samples));
    for (size_t i = 0; samples != NULL && i < count; i++) {
        samples[i] = nothing;
    }
    return samples;
}

/* The series, created on demand. NULL: there is no room for it. */
static struct series *series_of(struct history *history, uint64_t key, enum weir_stats_kind kind)
{
    struct series *series = find(history, key);
    bool whole = kind == WEIR_STATS_PROCESS || kind == WEIR_STATS_POOL;

    if (series != NULL || history->count >= HISTORY_SERIES_MAX) {
        return series;
    }
    if (history->count * 2 > history->mask) {
        rehash(history, history->mask * 2 + 1, false);
    }
    series = history->count < history->mask ? calloc(1, sizeof(*series)) : NULL;
    if (series == NULL) {
        return NULL;
    }
    series->key = key;
    if (whole && history->pools < HISTORY_POOLS_MAX) {
        series->fine = samples_new(HISTORY_SECONDS);
        series->coarse = samples_new(HISTORY_COARSE);
    } else if (kind == WEIR_STATS_SERVER && history->servers < HISTORY_SERVERS_MAX) {
        series->coarse = samples_new(HISTORY_COARSE);
    }
    history->pools += series->fine != NULL;
    history->servers += series->coarse != NULL && series->fine == NULL;
    history->count++;
    place(history, series);
    return series;
}

/* ---- what came between two readings ---- */

/* 0 where the later one is smaller, which a request that is just being counted can cause. */
static uint64_t since(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

/* p50, p95 and p99 in milliseconds; NaN: nothing was measured. */
static void times_between(const struct history *history, const struct mark *from,
                          const struct mark *to, double out[3])
{
    static const double shares[3] = {0.5, 0.95, 0.99};
    const double *bounds = history->bounds_ms;
    double all = 0;

    for (unsigned i = 0; i <= history->bound_count; i++) {
        all += (uint32_t)(to->buckets[i] - from->buckets[i]);
    }
    for (unsigned k = 0; k < 3; k++) {
        double want = shares[k] * all, below = 0;
        out[k] = NAN;
        for (unsigned i = 0; i <= history->bound_count && all > 0; i++) {
            double here = (uint32_t)(to->buckets[i] - from->buckets[i]);
            if (here > 0 && below + here >= want) {
                double low = i > 0 ? bounds[i - 1] : 0;
                double high = i < history->bound_count ? bounds[i] : low * 2;
                out[k] = low + (high - low) * (want - below) / here;
                break;
            }
            below += here;
        }
    }
}

static struct sample sample_between(const struct history *history, const struct mark *from,
                                    const struct mark *to, double seconds, uint64_t in_flight)
{
    double times[3];

    times_between(history, from, to, times);
    return (struct sample){
        .rate = (float)((double)since(from->counters.requests, to->counters.requests) / seconds),
        .errors_rate = (float)((double)since(from->counters.errors, to->counters.errors) / seconds),
        .in_flight = (float)in_flight,
        .times = {(float)times[0], (float)times[1], (float)times[2]},
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

/* Takes what was read now; at least on each step that has the histogram. */
static void take(struct history *history, struct series *series, const struct mark *now,
                 uint64_t in_flight)
{
    uint64_t second = history->second;

    notice_successor(series, now);
    if (series->second == 0) { /* new, and so are its counters: zero a second ago */
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
            sample_between(history, &series->last, now, (double)passed, in_flight);
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
            series->coarse[at % HISTORY_COARSE] = sample_between(
                history, mark, now, (double)((at - before) * HISTORY_STEP), in_flight);
        }
        for (uint64_t s = before + 1; s <= at && s <= before + HISTORY_MARKS; s++) {
            series->marks[s % HISTORY_MARKS] = *now;
        }
    }
    series->second = second;
}

/* ---- sampling ---- */

static struct mark read_row(struct history *history, const struct weir_traffic *traffic)
{
    const struct weir_histogram *total = traffic->total;
    uint64_t gone = history->gone_reason > 0 ? traffic->errors[history->gone_reason] : 0;
    struct mark now = {.counters = {.requests = traffic->requests,
                                    .errors = traffic->status[5] + since(gone, traffic->status[0]),
                                    .bytes_in = traffic->bytes_in,
                                    .bytes_out = traffic->bytes_out}};

    if (total == NULL) {
        return now;
    }
    if (history->bound_count == 0) {
        history->bound_count =
            total->bound_count < BUCKETS_MAX ? total->bound_count : BUCKETS_MAX - 1;
        for (unsigned i = 0; i < history->bound_count; i++) {
            history->bounds_ms[i] = total->bounds[i] * 1000;
        }
    }
    for (unsigned i = 0; i <= history->bound_count; i++) {
        now.buckets[i] = (uint32_t)total->counts[i];
    }
    return now;
}

/* The total survives listeners that go. */
static void add_to_total(struct history *history, const struct mark *from, const struct mark *to)
{
    struct mark *total = &history->total;

    for (unsigned i = 0; i <= history->bound_count; i++) {
        total->buckets[i] += (uint32_t)since(from->buckets[i], to->buckets[i]);
    }
    total->counters.requests += since(from->counters.requests, to->counters.requests);
    total->counters.errors += since(from->counters.errors, to->counters.errors);
    total->counters.bytes_in += since(from->counters.bytes_in, to->counters.bytes_in);
    total->counters.bytes_out += since(from->counters.bytes_out, to->counters.bytes_out);
}

static bool sample_row(void *arg, const struct weir_stats_row *row)
{
    struct history *history = arg;

    if (row->kind == WEIR_STATS_PROCESS) {
        history->in_flight = row->in_flight;
        return true;
    }
    struct series *series = series_of(history, key_of(row->kind, row->pool, row->name), row->kind);
    if (series == NULL) {
        return true;
    }
    bool step = series->second / HISTORY_STEP != history->second / HISTORY_STEP;
    if (series->second != 0 && step && row->traffic->total == NULL) {
        return true; /* back after a pause: the next step has its histogram */
    }
    struct mark now = read_row(history, row->traffic);
    if (row->kind == WEIR_STATS_LISTENER) {
        notice_successor(series, &now);
        if (!row->handler) {
            add_to_total(history, &series->last, &now);
        }
    }
    take(history, series, &now, row->in_flight);
    return true;
}

static uint32_t reason_of(struct weir_context *ctx, const char *word)
{
    for (uint32_t i = 1; weir_reason_name(ctx, i).len > 0; i++) {
        if (weir_str_is(weir_reason_name(ctx, i), word)) {
            return i;
        }
    }
    return 0;
}

void history_sample(struct history *history, struct weir_context *ctx, uint64_t second,
                    uint64_t wall_ms)
{
    bool step = second / HISTORY_STEP != history->second / HISTORY_STEP;
    uint32_t times = 1u << WEIR_STATS_LISTENER | 1u << WEIR_STATS_ROUTE | 1u << WEIR_STATS_POOL;

    if (second <= history->second) {
        return;
    }
    if (history->second == 0) {
        history->gone_reason = reason_of(ctx, "client_gone");
        times |= 1u << WEIR_STATS_SERVER;
    }
    history->second = second;
    history->wall_ms = wall_ms;
    if (second % 600 < HISTORY_STEP && step) {
        rehash(history, history->mask, true);
    }
    weir_stats_counters(ctx, times | (step ? 1u << WEIR_STATS_SERVER : 0), sample_row, history);
    struct series *series = series_of(history, 1, WEIR_STATS_PROCESS);
    if (series != NULL) {
        take(history, series, &history->total, history->in_flight);
    }
}

/* ---- reading what is kept ---- */

static const struct mark *mark_back(const struct series *series, unsigned steps)
{
    return &series->marks[(series->second / HISTORY_STEP + HISTORY_MARKS - steps) % HISTORY_MARKS];
}

void history_rates(const struct history *history, enum weir_stats_kind kind, struct weir_str pool,
                   struct weir_str name, struct weir_rates *out)
{
    const struct series *series = find(history, key_of(kind, pool, name));
    double seconds = RECENT_COUNTERS - 1;

    *out = (struct weir_rates){.size = sizeof(*out),
                               .minute = {NAN, NAN, NAN},
                               .recent = {NAN, NAN, NAN},
                               .error_share = NAN};
    if (series == NULL || series->second == 0) {
        return;
    }
    const struct counters *now = &series->recent[series->second % RECENT_COUNTERS];
    const struct counters *then = &series->recent[(series->second + 1) % RECENT_COUNTERS];
    const struct mark *minute = mark_back(series, HISTORY_MARKS - 1);
    uint64_t requests = since(minute->counters.requests, now->requests);
    out->requests = (double)since(then->requests, now->requests) / seconds;
    out->errors = (double)since(then->errors, now->errors) / seconds;
    out->bytes_in = (double)since(then->bytes_in, now->bytes_in) / seconds;
    out->bytes_out = (double)since(then->bytes_out, now->bytes_out) / seconds;
    times_between(history, minute, mark_back(series, 0), out->minute);
    times_between(history, mark_back(series, 1),
                  series->fine != NULL ? &series->last : mark_back(series, 0), out->recent);
    if (requests > 0) {
        out->error_share = (double)since(minute->counters.errors, now->errors) / (double)requests;
    }
}

/* ---- the last hour as JSON ---- */

enum metric { REQUESTS, RATE, ERRORS, IN_FLIGHT, P50, P95, P99, METRICS };
static const char *const metric_words[METRICS] = {"requests", "rate", "errors_rate", "in_flight",
                                                  "p50",      "p95",  "p99"};

static double value_of(const struct sample *sample, enum metric metric, double seconds)
{
    switch (metric) {
    case REQUESTS: return round((double)sample->rate * seconds);
    case RATE: return (double)sample->rate;
    case ERRORS: return (double)sample->errors_rate;
    case IN_FLIGHT: return (double)sample->in_flight;
    default: return (double)sample->times[metric - P50];
    }
}

/* total.rate, pool:NAME.rate, server:POOL/ID.rate; names may have dots. */
static bool parse_series(struct weir_str text, uint64_t *key, enum metric *metric)
{
    struct weir_str none = {NULL, 0}, name = text;

    while (name.len > 0 && name.ptr[name.len - 1] != '.') {
        name.len--;
    }
    struct weir_str word = {name.ptr + name.len, text.len - name.len};
    for (*metric = 0; *metric < METRICS && !weir_str_is(word, metric_words[*metric]); (*metric)++) {
    }
    if (name.len == 0 || *metric == METRICS) {
        return false;
    }
    name.len--;
    const char *slash = memchr(name.ptr, '/', name.len);
    if (weir_str_is(name, "total")) {
        *key = key_of(WEIR_STATS_PROCESS, none, none);
    } else if (weir_str_starts(name, "pool:")) {
        *key = key_of(WEIR_STATS_POOL, none, (struct weir_str){name.ptr + 5, name.len - 5});
    } else if (weir_str_starts(name, "server:") && slash != NULL) {
        const char *end = name.ptr + name.len;
        *key = key_of(WEIR_STATS_SERVER,
                      (struct weir_str){name.ptr + 7, (size_t)(slash - name.ptr) - 7},
                      (struct weir_str){slash + 1, (size_t)(end - slash) - 1});
    } else {
        return false;
    }
    return true;
}

/* `at` may lie before the clock's zero, which is when the machine was started. */
static double value_at(const struct history *history, const struct series *series, int64_t at,
                       bool fine, enum metric metric)
{
    uint64_t second = fine ? (uint64_t)at : (uint64_t)at * HISTORY_STEP;
    if (series == NULL || at < 0 || second > history->second) {
        return NAN;
    }
    if (fine && series->fine != NULL) {
        return second > series->second || second + HISTORY_SECONDS <= series->second
                   ? NAN
                   : value_of(&series->fine[second % HISTORY_SECONDS], metric, 1);
    }
    uint64_t step = second / HISTORY_STEP, last = series->second / HISTORY_STEP;
    /* Of what is kept in steps, the present one is not there yet: the last one stands for it. */
    if (fine && step == last + 1) {
        step = last;
    }
    if (series->coarse == NULL || step > last || step + HISTORY_COARSE <= last) {
        return NAN;
    }
    return value_of(&series->coarse[step % HISTORY_COARSE], metric, fine ? 1 : HISTORY_STEP);
}

static bool next_name(struct weir_str *rest, struct weir_str *name)
{
    do {
        *name = weir_str_cut(rest, ',');
    } while (name->len == 0 && rest->len > 0);
    return name->len > 0;
}

/* Whether `name` stands in the list before `end`. */
static bool is_repeated(struct weir_str list, struct weir_str name)
{
    struct weir_str rest = {list.ptr, (size_t)(name.ptr - list.ptr)}, each;
    while (next_name(&rest, &each)) {
        if (weir_str_equal(each, name)) {
            return true;
        }
    }
    return false;
}

bool history_json(const struct history *history, struct weir_str series, unsigned seconds,
                  struct weir_buffer *out, char *error, size_t error_size)
{
    bool fine = seconds <= HISTORY_SECONDS;
    int64_t step = fine ? 1 : HISTORY_STEP;
    int64_t count = (int64_t)seconds / step;
    int64_t first = (int64_t)history->second / step + 1 - count; /* the last one is whole */
    struct weir_json json = {out, false};
    struct weir_str rest = series, name;

    weir_json_open(&json, NULL, '{');
    weir_json_number(&json, "step_ms", (uint64_t)step * 1000);
    weir_json_name(&json, "start");
    weir_buffer_real(out, (double)history->wall_ms -
                              (double)((int64_t)history->second - first * step) * 1000);
    weir_json_open(&json, "series", '{');
    while (next_name(&rest, &name)) {
        enum metric metric = METRICS;
        uint64_t key = 0;
        if (!parse_series(name, &key, &metric)) {
            snprintf(error, error_size,
                     "\"%.*s\" is no series; write for example total.rate, pool:web_servers.p95 or "
                     "server:web_servers/web-1.in_flight",
                     (int)(name.len < 80 ? name.len : 80), name.ptr);
            return false;
        }
        if (is_repeated(series, name)) {
            continue;
        }
        const struct series *kept = find(history, key);
        weir_json_key(&json, name);
        weir_json_open(&json, NULL, '[');
        for (int64_t i = 0; i < count; i++) {
            weir_json_real(&json, NULL,
                           round(value_at(history, kept, first + i, fine, metric) * 1000) / 1000);
        }
        weir_json_close(&json, ']');
    }
    weir_json_close(&json, '}');
    weir_json_close(&json, '}');
    return true;
}
