/* SPDX-License-Identifier: MIT */
/*
 * Copying statistics for a scrape.
 */
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>

/* The label of what is above the limit. */
static const struct weir_str other_name = WEIR_STR_INIT("other");

struct taking {
    struct weir_context *ctx;
    struct snapshot *snapshot;
    uint64_t limit;
    uint64_t named[KIND_COUNT]; /* objects with names of their own so far */
    struct object others[KIND_COUNT];
    bool failed;
};

/* ---- histograms ---- */

/* Takes bounds from the host's that are a power of two or so apart, from a millisecond on: each
 * of the host's buckets lies in one of ours as a whole, so that no count is estimated. */
static void choose_bounds(struct snapshot *snapshot, const struct weir_histogram *histogram)
{
    double wanted = 0.001;

    for (uint32_t i = 0; i < histogram->bound_count && snapshot->bound_count < BUCKET_LIMIT; i++) {
        if (histogram->bounds[i] >= wanted) {
            snapshot->bounds[snapshot->bound_count++] = histogram->bounds[i];
            wanted = histogram->bounds[i] * 1.99;
        }
    }
}

static void add_histogram(struct snapshot *snapshot, struct buckets *to,
                          const struct weir_histogram *from)
{
    uint64_t below = 0;
    size_t bound = 0;

    if (from == NULL) {
        return;
    }
    if (snapshot->bound_count == 0) {
        choose_bounds(snapshot, from);
    }
    uint64_t all = 0;
    for (uint32_t i = 0; i < from->bound_count; i++) {
        below += from->counts[i];
        if (bound < snapshot->bound_count && from->bounds[i] >= snapshot->bounds[bound]) {
            to->below[bound++] += below;
        }
    }
    all = below + from->counts[from->bound_count];
    /* Summed from the buckets, so that the last one never exceeds the count. */
    to->count += all;
    to->sum += from->sum;
}

/* ---- objects ---- */

static void add_traffic(struct taking *taking, struct object *to, const struct weir_traffic *from)
{
    struct snapshot *snapshot = taking->snapshot;

    if (from == NULL) {
        return;
    }
    to->requests += from->requests;
    for (size_t i = 0; i < 6; i++) {
        to->status[i] += from->status[i];
    }
    for (uint32_t i = 1; i < from->reason_count && i < REASON_LIMIT; i++) {
        to->errors[i] += from->errors[i];
        if (i >= snapshot->reason_count) {
            snapshot->reasons[i] = weir_reason_name(taking->ctx, i);
            snapshot->reason_count = i + 1;
        }
    }
    to->bytes_in += from->bytes_in;
    to->bytes_out += from->bytes_out;
    to->retries += from->retries;
    to->connections += from->connections;
    if (from->size >= sizeof(*from)) {
        to->abusive += from->abusive;
        to->odd_points += from->odd_points;
        to->h2_connections += from->h2_connections;
        to->h2_open += from->h2_open;
        to->h2_streams += from->h2_streams;
        for (size_t i = 0; i < WEIR_PROTOCOLS; i++) {
            to->protocols[i] += from->protocols[i];
        }
        for (size_t i = 0; i < WEIR_GRPC_ENDS; i++) {
            to->grpc[i] += from->grpc[i];
        }
    }
    add_histogram(snapshot, &to->total, from->total);
    add_histogram(snapshot, &to->first_byte, from->first_byte);
    add_histogram(snapshot, &to->connect, from->connect);
}

static struct object *add_object(struct taking *taking)
{
    struct snapshot *snapshot = taking->snapshot;

    if (snapshot->count == snapshot->room) {
        size_t room = snapshot->room * 2 + 16;
        struct object *grown = realloc(snapshot->objects, room * sizeof(*grown));
        if (grown == NULL) {
            taking->failed = true;
            return NULL;
        }
        snapshot->objects = grown;
        snapshot->room = room;
    }
    struct object *object = &snapshot->objects[snapshot->count++];
    memset(object, 0, sizeof(*object));
    return object;
}

static void add_labels(struct snapshot *snapshot, struct object *object, struct weir_str name,
                       struct weir_str pool)
{
    static const char *const labels[KIND_COUNT] = {
        [WEIR_STATS_PROCESS] = "",      [WEIR_STATS_LISTENER] = "listener",
        [WEIR_STATS_ROUTE] = "route",   [WEIR_STATS_POOL] = "pool",
        [WEIR_STATS_SERVER] = "server",
    };
    struct weir_buffer *out = &snapshot->labels;

    object->label_at = out->len;
    if (object->kind == WEIR_STATS_SERVER) {
        weir_buffer_text(out, "pool=\"");
        weir_buffer_escaped(out, pool, WEIR_ESCAPE_LABEL, SIZE_MAX);
        weir_buffer_text(out, "\",");
    }
    if (object->kind != WEIR_STATS_PROCESS) {
        weir_buffer_text(out, labels[object->kind]);
        weir_buffer_text(out, "=\"");
        weir_buffer_escaped(out, name, WEIR_ESCAPE_LABEL, SIZE_MAX);
        weir_buffer_text(out, "\"");
    }
    object->label_len = out->len - object->label_at;
}

/* Of the rest above the limit, sums: how long one waits at its servers is unknown then. */
static void take_shadow(struct object *object, const struct weir_stats_row *row)
{
    const struct weir_shadow_stats *from = row->shadow;
    struct weir_shadow_stats *to = &object->shadow;

    if (row->size < sizeof(*row) || from == NULL) {
        return;
    }
    object->has_shadow = true;
    object->shadow_out += from->out;
    to->asked += from->asked;
    to->agreed += from->agreed;
    to->none += from->none;
    to->waits += from->waits;
    to->picked += from->picked;
    to->chosen += from->chosen;
    to->in_flight += from->in_flight;
    to->wait += from->wait;
    to->predicted_wait += from->predicted_wait;
}

static void take_gauges(struct object *object, const struct weir_stats_row *row)
{
    object->in_flight += row->in_flight;
    object->queued += row->queued;
    object->open += row->open;
    object->servers += row->servers;
    object->servers_up += row->servers_up;
    object->health = row->health;
    object->state = row->state;
    object->weight = row->weight;
    object->effective_weight = row->effective_weight;
    object->max_connections = row->max_connections;
    object->sticky |= row->sticky;
    object->sessions += row->sessions;
}

/* The process's row comes first. */
static void take_process(struct snapshot *snapshot, const struct weir_stats_row *row)
{
    snapshot->version_at = snapshot->labels.len;
    weir_buffer_escaped(&snapshot->labels, row->name, WEIR_ESCAPE_LABEL, SIZE_MAX);
    snapshot->version_len = snapshot->labels.len - snapshot->version_at;
    snapshot->start_wall_ms = row->start_wall_ms;
    snapshot->generation = row->generation;
    snapshot->workers = row->workers;
    snapshot->log_dropped = row->log_dropped;
    snapshot->reloads = row->reloads;
    snapshot->reloads_refused = row->reloads_refused;
    snapshot->reloaded_wall_ms = row->reloaded_wall_ms;
    snapshot->reload_refused = row->reload_refused;
}

/* One that is called like the rest is put there too: two series of one name would spoil the
 * scrape. */
static bool take_row(void *arg, const struct weir_stats_row *row)
{
    struct taking *taking = arg;
    struct object *object = NULL;

    if (row->kind == WEIR_STATS_PROCESS) {
        take_process(taking->snapshot, row);
    }
    if (row->kind >= KIND_COUNT) {
        return true;
    }
    bool above =
        taking->named[row->kind] >= taking->limit ||
        (row->kind != WEIR_STATS_PROCESS &&
         weir_str_equal(row->kind == WEIR_STATS_SERVER ? row->pool : row->name, other_name));
    if (above) {
        object = &taking->others[row->kind];
        object->other = true;
        taking->snapshot->summed[row->kind]++;
    } else {
        object = add_object(taking);
        if (object == NULL) {
            return false;
        }
        object->kind = row->kind;
        taking->named[row->kind]++;
        add_labels(taking->snapshot, object, row->name, row->pool);
    }
    add_traffic(taking, object, row->traffic);
    take_gauges(object, row);
    take_shadow(object, row);
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct object *left = a;
    const struct object *right = b;

    if (left->kind != right->kind) {
        return left->kind < right->kind ? -1 : 1;
    }
    return left->label_at < right->label_at ? -1 : left->label_at > right->label_at;
}

/* Rows come pool by pool; metrics go kind by kind. */
static void sort(struct snapshot *snapshot)
{
    if (snapshot->count > 0) {
        qsort(snapshot->objects, snapshot->count, sizeof(struct object), compare);
    }
    size_t at = 0;
    for (size_t kind = 0; kind <= KIND_COUNT; kind++) {
        while (at < snapshot->count && snapshot->objects[at].kind < kind) {
            at++;
        }
        snapshot->first[kind] = at;
    }
}

/* ---- modules' own metrics ---- */

static void add_text(struct weir_buffer *out, struct weir_str text)
{
    weir_buffer_add(out, text.ptr, text.len);
    weir_buffer_byte(out, '\0');
}

/* Names can meet ("a" of "b_c", "a_b" of "c"): the first one stays, since a family that comes twice
 * would spoil the scrape. */
static bool take_metric(void *arg, const struct weir_metric_row *row)
{
    struct taking *taking = arg;
    struct snapshot *snapshot = taking->snapshot;
    struct weir_buffer *texts = &snapshot->labels;
    struct metric metric = {
        .name_at = texts->len, .type = row->type, .value = row->value, .own = true};
    struct metric *grown =
        realloc(snapshot->metrics, (snapshot->metric_count + 1) * sizeof(*grown));

    if (grown == NULL) {
        taking->failed = true;
        return false;
    }
    snapshot->metrics = grown;
    weir_buffer_text(texts, "weir_module_");
    weir_buffer_add(texts, row->module.ptr, row->module.len);
    weir_buffer_text(texts, "_");
    add_text(texts, row->name);
    metric.help_at = texts->len;
    add_text(texts, row->help);
    bool known = texts->failed;
    for (size_t i = 0; i < snapshot->metric_count && !known; i++) {
        known = strcmp(texts->data + grown[i].name_at, texts->data + metric.name_at) == 0;
    }
    if (!known) {
        grown[snapshot->metric_count++] = metric;
    }
    return true;
}

/* What the host has counted of modules: they come name by name. */
static bool take_module(void *arg, const struct weir_module_row *row)
{
    struct taking *taking = arg;
    struct snapshot *snapshot = taking->snapshot;
    struct weir_buffer *texts = &snapshot->labels;
    struct metric metric = {.name_at = texts->len, .type = row->type, .number = row->value};
    struct metric *grown =
        realloc(snapshot->metrics, (snapshot->metric_count + 1) * sizeof(*grown));

    if (grown == NULL) {
        taking->failed = true;
        return false;
    }
    snapshot->metrics = grown;
    weir_buffer_text(texts, "weir_module_");
    add_text(texts, row->name);
    metric.help_at = texts->len;
    add_text(texts, row->help);
    metric.label_at = texts->len;
    metric.label_len = row->labels.len;
    add_text(texts, row->labels);
    const struct metric *last =
        snapshot->metric_count > 0 ? &grown[snapshot->metric_count - 1] : NULL;
    metric.follows = last != NULL && !texts->failed &&
                     strcmp(texts->data + last->name_at, texts->data + metric.name_at) == 0;
    grown[snapshot->metric_count++] = metric;
    return true;
}

struct snapshot *snapshot_take(struct weir_context *ctx, uint64_t limit)
{
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    struct taking *taking = calloc(1, sizeof(*taking));

    if (snapshot == NULL || taking == NULL) {
        free(snapshot);
        free(taking);
        return NULL;
    }
    taking->ctx = ctx;
    taking->snapshot = snapshot;
    taking->limit = limit;
    taking->failed = weir_stats_visit(ctx, take_row, taking) != WEIR_OK || taking->failed;
    for (size_t kind = 0; kind < KIND_COUNT && !taking->failed; kind++) {
        struct object *object = taking->others[kind].other ? add_object(taking) : NULL;
        if (object != NULL) {
            *object = taking->others[kind];
            object->kind = (enum weir_stats_kind)kind;
            add_labels(snapshot, object, other_name, other_name);
        }
    }
    sort(snapshot);
    weir_stats_modules(ctx, take_module, taking);
    weir_stats_metrics(ctx, take_metric, taking);
    bool failed = taking->failed || snapshot->labels.failed;
    free(taking);
    if (failed) {
        snapshot_free(&snapshot);
    }
    return snapshot;
}

void snapshot_free(struct snapshot **snapshot)
{
    if (*snapshot != NULL) {
        weir_buffer_free(&(*snapshot)->labels);
        free((*snapshot)->objects);
        free((*snapshot)->metrics);
        free(*snapshot);
        *snapshot = NULL;
    }
}
