/* SPDX-License-Identifier: MIT */
/*
 * The table of metrics, and how each type is written.
 *
 * One request is counted once a level: by listener, by route, by pool and by server. Each level has
 * metrics of its own, so that a sum over all labels of any metric means something.
 */
#include "families.h"

#include <math.h>
#include <string.h>

#include "process.h"

enum type { COUNTER, GAUGE, HISTOGRAM, INFO };

/* The state of writing a family. */
struct writing {
    struct weir_buffer *out;
    const struct snapshot *snapshot;
    const struct family *family;
    enum format format;
};

struct family {
    const char *name; /* without the ending of its type (_total, _info) */
    enum type type;
    enum weir_stats_kind kind;
    const char *help;
    void (*write)(const struct writing *writing, const struct object *object);
    size_t at; /* of the member that it writes; else 0 */
};

/* ---- samples ---- */

void out_real(struct weir_buffer *out, double number)
{
    if (isfinite(number)) {
        weir_buffer_real(out, number);
    } else {
        weir_buffer_text(out, isnan(number) ? "NaN" : number > 0 ? "+Inf" : "-Inf");
    }
}

static void begin_sample(const struct writing *w, const char *ending, const struct object *object,
                         const char *label, struct weir_str value)
{
    struct weir_buffer *out = w->out;
    const char *before = "{";

    weir_buffer_text(out, w->family->name);
    weir_buffer_text(out, ending);
    if (object->label_len > 0) {
        weir_buffer_text(out, before);
        weir_buffer_add(out, w->snapshot->labels.data + object->label_at, object->label_len);
        before = ",";
    }
    if (label != NULL) {
        weir_buffer_text(out, before);
        weir_buffer_text(out, label);
        weir_buffer_text(out, "=\"");
        weir_buffer_add(out, value.ptr, value.len);
        weir_buffer_text(out, "\"");
        before = ",";
    }
    weir_buffer_text(out, *before == ',' ? "} " : " ");
}

static void sample(const struct writing *w, const struct object *object, const char *label,
                   const char *value, double number)
{
    struct weir_str text = {value, value != NULL ? strlen(value) : 0};

    begin_sample(w, w->family->type == COUNTER ? "_total" : "", object, label, text);
    out_real(w->out, number);
    weir_buffer_text(w->out, "\n");
}

static void counter(const struct writing *w, const struct object *object, const char *label,
                    struct weir_str value, uint64_t number)
{
    begin_sample(w, "_total", object, label, value);
    weir_buffer_number(w->out, number);
    weir_buffer_text(w->out, "\n");
}

static void plain_counter(const struct writing *w, const struct object *object, uint64_t number)
{
    struct weir_str none = {NULL, 0};
    counter(w, object, NULL, none, number);
}

static void gauge(const struct writing *w, const struct object *object, double number)
{
    sample(w, object, NULL, NULL, number);
}

/* A bound is written as a real number in OpenMetrics: 1.0, not 1. */
static void add_bound(const struct writing *w, double bound)
{
    out_real(w->out, bound);
    if (w->format == FORMAT_OPENMETRICS && bound == floor(bound)) {
        weir_buffer_text(w->out, ".0");
    }
}

static void histogram(const struct writing *w, const struct object *object,
                      const struct buckets *buckets)
{
    struct weir_buffer *out = w->out;
    struct weir_str none = {NULL, 0};

    for (size_t i = 0; i <= w->snapshot->bound_count; i++) {
        bool last = i == w->snapshot->bound_count;
        weir_buffer_text(out, w->family->name);
        weir_buffer_text(out, "_bucket{");
        weir_buffer_add(out, w->snapshot->labels.data + object->label_at, object->label_len);
        weir_buffer_text(out, object->label_len > 0 ? ",le=\"" : "le=\"");
        if (last) {
            weir_buffer_text(out, "+Inf");
        } else {
            add_bound(w, w->snapshot->bounds[i]);
        }
        weir_buffer_text(out, "\"} ");
        weir_buffer_number(out, last ? buckets->count : buckets->below[i]);
        weir_buffer_text(out, "\n");
    }
    begin_sample(w, "_sum", object, NULL, none);
    out_real(out, buckets->sum);
    weir_buffer_text(out, "\n");
    begin_sample(w, "_count", object, NULL, none);
    weir_buffer_number(out, buckets->count);
    weir_buffer_text(out, "\n");
}

/* ---- what each family takes from an object ---- */

static const void *value_at(const struct writing *w, const struct object *object)
{
    return (const char *)object + w->family->at;
}

static void write_counter(const struct writing *w, const struct object *object)
{
    plain_counter(w, object, *(const uint64_t *)value_at(w, object));
}

static void write_gauge(const struct writing *w, const struct object *object)
{
    gauge(w, object, (double)*(const uint64_t *)value_at(w, object));
}

static void write_histogram(const struct writing *w, const struct object *object)
{
    histogram(w, object, value_at(w, object));
}

static void write_responses(const struct writing *w, const struct object *object)
{
    static const struct weir_str classes[6] = {
        WEIR_STR_INIT("none"), WEIR_STR_INIT("1xx"), WEIR_STR_INIT("2xx"),
        WEIR_STR_INIT("3xx"),  WEIR_STR_INIT("4xx"), WEIR_STR_INIT("5xx"),
    };

    for (size_t i = 0; i < 6; i++) {
        counter(w, object, "class", classes[i], object->status[i]);
    }
}

/* Reasons that never happened are left out: most of them, for most servers. */
static void write_errors(const struct writing *w, const struct object *object)
{
    for (size_t i = 1; i < w->snapshot->reason_count; i++) {
        if (object->errors[i] > 0) {
            counter(w, object, "reason", w->snapshot->reasons[i], object->errors[i]);
        }
    }
}

/* Protocols that were never spoken are left out, but for the two that most speak. */
static void write_protocols(const struct writing *w, const struct object *object)
{
    for (uint32_t i = 0; i < WEIR_PROTOCOLS; i++) {
        if (object->protocols[i] > 0 || i >= WEIR_PROTOCOL_HTTP_1_1) {
            counter(w, object, "protocol", weir_protocol_name(i), object->protocols[i]);
        }
    }
}

/* Statuses that never were are left out: all of them, where no gRPC goes. */
static void write_grpc(const struct writing *w, const struct object *object)
{
    for (uint32_t i = 0; i < WEIR_GRPC_ENDS; i++) {
        if (object->grpc[i] > 0) {
            counter(w, object, "status", weir_grpc_name(i), object->grpc[i]);
        }
    }
}

static void write_up(const struct writing *w, const struct object *object)
{
    if (!object->other) {
        gauge(w, object, object->health != WEIR_STATS_HEALTH_DOWN);
    }
}

static void write_state(const struct writing *w, const struct object *object)
{
    static const char *const states[] = {"ready", "drain", "maintenance"};

    for (size_t i = 0; i < 3 && !object->other; i++) {
        sample(w, object, "state", states[i], (size_t)object->state == i);
    }
}

static void write_weight(const struct writing *w, const struct object *object)
{
    if (!object->other) {
        gauge(w, object, object->weight);
    }
}

static void write_effective_weight(const struct writing *w, const struct object *object)
{
    if (!object->other) {
        gauge(w, object, object->effective_weight);
    }
}

static void write_limit(const struct writing *w, const struct object *object)
{
    if (!object->other) {
        gauge(w, object, (double)object->max_connections);
    }
}

static void write_sessions(const struct writing *w, const struct object *object)
{
    if (object->sticky) {
        gauge(w, object, (double)object->sessions);
    }
}

/* ---- shadows: pools that have none are left out ---- */

static void write_shadow(const struct writing *w, const struct object *object)
{
    if (object->has_shadow) {
        (w->family->type == COUNTER ? write_counter : write_gauge)(w, object);
    }
}

static void write_shadow_wait(const struct writing *w, const struct object *object)
{
    const struct weir_shadow_stats *shadow = &object->shadow;
    bool means = object->kind == WEIR_STATS_POOL || !object->other;

    if (object->has_shadow && means && !isnan(shadow->wait)) {
        sample(w, object, "choice", "real", shadow->wait);
        sample(w, object, "choice", "shadow", shadow->predicted_wait);
    }
}

/* ---- the process ---- */

static void write_build(const struct writing *w, const struct object *object)
{
    (void)object;
    weir_buffer_text(w->out, "weir_build_info{version=\"");
    weir_buffer_add(w->out, w->snapshot->labels.data + w->snapshot->version_at,
                    w->snapshot->version_len);
    weir_buffer_text(w->out, "\"} 1\n");
}

static void write_generation(const struct writing *w, const struct object *object)
{
    gauge(w, object, (double)w->snapshot->generation);
}

static void write_reloads(const struct writing *w, const struct object *object)
{
    static const struct weir_str done = WEIR_STR_INIT("done"), refused = WEIR_STR_INIT("refused");

    counter(w, object, "result", done, w->snapshot->reloads);
    counter(w, object, "result", refused, w->snapshot->reloads_refused);
}

static void write_reload_good(const struct writing *w, const struct object *object)
{
    gauge(w, object, w->snapshot->reload_refused ? 0 : 1);
}

static void write_reload_time(const struct writing *w, const struct object *object)
{
    gauge(w, object, (double)w->snapshot->reloaded_wall_ms / 1000.0);
}

static void write_workers(const struct writing *w, const struct object *object)
{
    gauge(w, object, w->snapshot->workers);
}

static void write_log_dropped(const struct writing *w, const struct object *object)
{
    plain_counter(w, object, w->snapshot->log_dropped);
}

static void write_summed(const struct writing *w, const struct object *object)
{
    static const char *const kinds[KIND_COUNT] = {"", "listener", "route", "pool", "server"};

    for (size_t i = 1; i < KIND_COUNT; i++) {
        sample(w, object, "kind", kinds[i], (double)w->snapshot->summed[i]);
    }
}

static void write_start_time(const struct writing *w, const struct object *object)
{
    gauge(w, object, (double)w->snapshot->start_wall_ms / 1000.0);
}

/* Values that the system does not provide are left out. */
static void write_process(const struct writing *w, const struct object *object)
{
    double value = process_value(w->family->name);

    if (!isnan(value)) {
        sample(w, object, NULL, NULL, value);
    }
}

/* ---- the table ---- */

/* How a row is written: from a member of the object, or by a function of its own. */
#define COUNTS(member) write_counter, offsetof(struct object, member)
#define GAUGES(member) write_gauge, offsetof(struct object, member)
#define TIMES(member)  write_histogram, offsetof(struct object, member)
#define BY(function)   function, 0
#define SHADOW(member) write_shadow, offsetof(struct object, member)

#define LEVEL(prefix, kind, of)                                                                   \
    {prefix "requests", COUNTER, kind, "Requests " of " that have ended.", COUNTS(requests)},     \
        {prefix "responses", COUNTER, kind,                                                       \
         "Responses " of ", by class of their status (none: ended without a response).",          \
         BY(write_responses)},                                                                    \
        {prefix "errors", COUNTER, kind,                                                          \
         "Requests " of " that Weir answered itself or broke off, by reason.", BY(write_errors)}, \
        {prefix "request_bytes", COUNTER, kind, "Bytes of requests " of ", heads included.",      \
         COUNTS(bytes_in)},                                                                       \
        {prefix "response_bytes", COUNTER, kind, "Bytes of responses " of ", heads included.",    \
         COUNTS(bytes_out)},                                                                      \
    {                                                                                             \
        prefix "request_duration_seconds", HISTOGRAM, kind,                                       \
            "Time of requests " of ", from their first byte to their end.", TIMES(total)          \
    }

/* What clients spoke there. */
#define CLIENTS(prefix, kind, of)                                                              \
    {prefix "protocol_requests", COUNTER, kind,                                                \
     "Requests " of ", by the protocol that the client spoke.", BY(write_protocols)},          \
    {                                                                                          \
        prefix "grpc_calls", COUNTER, kind,                                                    \
            "gRPC calls " of ", by the status that the client got (none: ended without one).", \
            BY(write_grpc)                                                                     \
    }

static const struct family families[] = {
    {"weir_build", INFO, WEIR_STATS_PROCESS, "What runs.", BY(write_build)},
    {"weir_config_generation", GAUGE, WEIR_STATS_PROCESS,
     "Number of the configuration that runs; a reload takes the next.", BY(write_generation)},
    {"weir_config_reloads", COUNTER, WEIR_STATS_PROCESS,
     "Reloads since the start, that came into force (done) or did not (refused).",
     BY(write_reloads)},
    {"weir_config_last_reload_successful", GAUGE, WEIR_STATS_PROCESS,
     "0: the last reload was refused, and what ran before goes on.", BY(write_reload_good)},
    {"weir_config_last_reload_success_timestamp_seconds", GAUGE, WEIR_STATS_PROCESS,
     "When the configuration that runs was read, seconds since 1970.", BY(write_reload_time)},
    {"weir_workers", GAUGE, WEIR_STATS_PROCESS, "Threads that carry traffic.", BY(write_workers)},
    {"weir_log_dropped_lines", COUNTER, WEIR_STATS_PROCESS,
     "Lines of all logs that were dropped: nobody took them in time.", BY(write_log_dropped)},
    {"weir_metrics_summed", GAUGE, WEIR_STATS_PROCESS,
     "Listeners, routes, pools and servers above series_limit, whose numbers are under \"other\".",
     BY(write_summed)},
    {"process_cpu_seconds", COUNTER, WEIR_STATS_PROCESS, "Processor time used, user and system.",
     BY(write_process)},
    {"process_resident_memory_bytes", GAUGE, WEIR_STATS_PROCESS, "Resident memory.",
     BY(write_process)},
    {"process_virtual_memory_bytes", GAUGE, WEIR_STATS_PROCESS, "Virtual memory.",
     BY(write_process)},
    {"process_open_fds", GAUGE, WEIR_STATS_PROCESS, "Open descriptors.", BY(write_process)},
    {"process_max_fds", GAUGE, WEIR_STATS_PROCESS, "Descriptors that may be open.",
     BY(write_process)},
    {"process_start_time_seconds", GAUGE, WEIR_STATS_PROCESS,
     "When the program began, seconds since 1970.", BY(write_start_time)},

    LEVEL("weir_", WEIR_STATS_LISTENER, "by listener"),
    CLIENTS("weir_", WEIR_STATS_LISTENER, "by listener"),
    {"weir_connections", COUNTER, WEIR_STATS_LISTENER, "Connections accepted.",
     COUNTS(connections)},
    {"weir_connections_open", GAUGE, WEIR_STATS_LISTENER, "Connections that are open now.",
     GAUGES(open)},
    {"weir_http2_connections", COUNTER, WEIR_STATS_LISTENER, "Connections accepted of HTTP/2.",
     COUNTS(h2_connections)},
    {"weir_http2_connections_open", GAUGE, WEIR_STATS_LISTENER,
     "Connections of HTTP/2 that are open now.", GAUGES(h2_open)},
    {"weir_http2_streams_open", GAUGE, WEIR_STATS_LISTENER,
     "Requests that run on connections of HTTP/2 now.", GAUGES(h2_streams)},
    {"weir_connections_abusive", COUNTER, WEIR_STATS_LISTENER,
     "Connections that ended for abuse (abuse_limit).", COUNTS(abusive)},
    {"weir_odd_points", COUNTER, WEIR_STATS_LISTENER,
     "What clients did that counts towards abuse_limit.", COUNTS(odd_points)},

    LEVEL("weir_route_", WEIR_STATS_ROUTE, "by route"),
    CLIENTS("weir_route_", WEIR_STATS_ROUTE, "by route"),

    LEVEL("weir_pool_", WEIR_STATS_POOL, "by pool"),
    CLIENTS("weir_pool_", WEIR_STATS_POOL, "by pool"),
    {"weir_pool_retries", COUNTER, WEIR_STATS_POOL, "Attempts on another server.", COUNTS(retries)},
    {"weir_pool_connect_duration_seconds", HISTOGRAM, WEIR_STATS_POOL,
     "Time to open connections to servers.", TIMES(connect)},
    {"weir_pool_first_byte_duration_seconds", HISTOGRAM, WEIR_STATS_POOL,
     "Time from the choice of a server to the first byte of its response.", TIMES(first_byte)},
    {"weir_pool_requests_in_flight", GAUGE, WEIR_STATS_POOL, "Requests that run now.",
     GAUGES(in_flight)},
    {"weir_pool_requests_queued", GAUGE, WEIR_STATS_POOL, "Requests that wait for a server now.",
     GAUGES(queued)},
    {"weir_pool_servers", GAUGE, WEIR_STATS_POOL, "Servers of the pool.", GAUGES(servers)},
    {"weir_pool_servers_up", GAUGE, WEIR_STATS_POOL, "Servers that are ready and not down.",
     GAUGES(servers_up)},
    {"weir_pool_shadow_asked", COUNTER, WEIR_STATS_POOL,
     "Picks of the pool's balancer for which its shadow was asked as well.", SHADOW(shadow.asked)},
    {"weir_pool_shadow_agreed", COUNTER, WEIR_STATS_POOL,
     "Those of them for which the shadow chose the same server.", SHADOW(shadow.agreed)},
    {"weir_pool_shadow_none", COUNTER, WEIR_STATS_POOL,
     "Those for which it chose nobody, or gave a wrong answer.", SHADOW(shadow.none)},
    {"weir_pool_shadow_waits", COUNTER, WEIR_STATS_POOL,
     "Those that weir_pool_shadow_wait_seconds_total is of.", SHADOW(shadow.waits)},
    {"weir_pool_shadow_wait_seconds", COUNTER, WEIR_STATS_POOL,
     "Time to the first byte that one waits lately at the servers that were picked (real), and "
     "would wait at those that the shadow chose, added up over picks.",
     BY(write_shadow_wait)},
    {"weir_pool_shadow_out", GAUGE, WEIR_STATS_POOL,
     "1 while the shadow is not asked: too many strikes, quarantine, or a hook that failed.",
     SHADOW(shadow_out)},

    LEVEL("weir_server_", WEIR_STATS_SERVER, "by server"),
    {"weir_server_connections", COUNTER, WEIR_STATS_SERVER, "Connections opened to the server.",
     COUNTS(connections)},
    {"weir_server_protocol_requests", COUNTER, WEIR_STATS_SERVER,
     "Requests that began at the server, by the protocol that it is spoken to.",
     BY(write_protocols)},
    {"weir_server_http2_connections", COUNTER, WEIR_STATS_SERVER,
     "Connections opened to the server that speak HTTP/2.", COUNTS(h2_connections)},
    {"weir_server_http2_connections_open", GAUGE, WEIR_STATS_SERVER,
     "Connections of HTTP/2 to the server that are open now.", GAUGES(h2_open)},
    {"weir_server_http2_streams_open", GAUGE, WEIR_STATS_SERVER,
     "Requests that run on connections of HTTP/2 to the server now.", GAUGES(h2_streams)},
    {"weir_server_connections_abusive", COUNTER, WEIR_STATS_SERVER,
     "Connections that ended for the server's abuse.", COUNTS(abusive)},
    {"weir_server_odd_points", COUNTER, WEIR_STATS_SERVER,
     "What the server did that counts towards it.", COUNTS(odd_points)},
    {"weir_server_retries", COUNTER, WEIR_STATS_SERVER,
     "Attempts that came here from another server.", COUNTS(retries)},
    {"weir_server_requests_in_flight", GAUGE, WEIR_STATS_SERVER, "Requests that run now.",
     GAUGES(in_flight)},
    {"weir_server_up", GAUGE, WEIR_STATS_SERVER, "1, or 0 where its health is down.", BY(write_up)},
    {"weir_server_state", GAUGE, WEIR_STATS_SERVER,
     "1 for the administrative state that it is in, 0 for the others.", BY(write_state)},
    {"weir_server_weight", GAUGE, WEIR_STATS_SERVER, "Its weight.", BY(write_weight)},
    {"weir_server_effective_weight", GAUGE, WEIR_STATS_SERVER,
     "Its weight as it counts now; slow start lowers it.", BY(write_effective_weight)},
    {"weir_server_max_requests", GAUGE, WEIR_STATS_SERVER,
     "Limit of requests in flight; 0 is none.", BY(write_limit)},
    {"weir_server_max_connections", GAUGE, WEIR_STATS_SERVER,
     "The same as weir_server_max_requests, by its earlier name.", BY(write_limit)},
    {"weir_server_shadow_picked", COUNTER, WEIR_STATS_SERVER,
     "Picks of the pool's balancer for which its shadow was asked as well.", SHADOW(shadow.picked)},
    {"weir_server_shadow_chosen", COUNTER, WEIR_STATS_SERVER, "Choices of the pool's shadow.",
     SHADOW(shadow.chosen)},
    {"weir_server_shadow_requests_in_flight", GAUGE, WEIR_STATS_SERVER,
     "Requests that would run now if the shadow were obeyed.", SHADOW(shadow.in_flight)},
    {"weir_server_shadow_wait_seconds", GAUGE, WEIR_STATS_SERVER,
     "Time to the first byte that one waits lately (real), and would wait if the shadow were "
     "obeyed.",
     BY(write_shadow_wait)},
    {"weir_server_sessions", GAUGE, WEIR_STATS_SERVER,
     "About how many sticky sessions had a response of it within five minutes.",
     BY(write_sessions)},
};

#define FAMILY_COUNT (sizeof(families) / sizeof(families[0]))

/* ---- writing ---- */

static bool ends_with(const char *text, const char *ending)
{
    size_t len = strlen(text);
    size_t ending_len = strlen(ending);
    return len > ending_len && strcmp(text + len - ending_len, ending) == 0;
}

/* OpenMetrics names a family without its type's ending and knows units and infos; the older format
 * takes an info for a gauge. */
static void write_head(const struct writing *w)
{
    static const char *const types[] = {"counter", "gauge", "histogram", "info"};
    static const char *const units[] = {"seconds", "bytes"};
    const struct family *family = w->family;
    bool open = w->format == FORMAT_OPENMETRICS;
    const char *ending = open                      ? ""
                         : family->type == COUNTER ? "_total"
                         : family->type == INFO    ? "_info"
                                                   : "";
    const char *type = family->type == INFO && !open ? "gauge" : types[family->type];

    weir_buffer_text(w->out, "# HELP ");
    weir_buffer_text(w->out, family->name);
    weir_buffer_text(w->out, ending);
    weir_buffer_text(w->out, " ");
    for (const char *at = family->help; *at != '\0'; at++) {
        /* Only OpenMetrics escapes quotes here. */
        weir_buffer_text(w->out, *at == '\\' || (*at == '"' && open) ? "\\" : "");
        weir_buffer_add(w->out, at, 1);
    }
    weir_buffer_text(w->out, "\n# TYPE ");
    weir_buffer_text(w->out, family->name);
    weir_buffer_text(w->out, ending);
    weir_buffer_text(w->out, " ");
    weir_buffer_text(w->out, type);
    weir_buffer_text(w->out, "\n");
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && open; i++) {
        if (ends_with(family->name, units[i])) {
            weir_buffer_text(w->out, "# UNIT ");
            weir_buffer_text(w->out, family->name);
            weir_buffer_text(w->out, " ");
            weir_buffer_text(w->out, units[i]);
            weir_buffer_text(w->out, "\n");
        }
    }
}

static void write_metric(struct weir_buffer *out, const struct snapshot *snapshot,
                         enum format format, const struct metric *metric)
{
    const struct object labels = {.label_at = metric->label_at, .label_len = metric->label_len};
    const char *texts = snapshot->labels.data;
    bool counts = metric->type == WEIR_COUNTER;
    const struct family family = {texts + metric->name_at, counts ? COUNTER : GAUGE,
                                  WEIR_STATS_PROCESS, texts + metric->help_at, BY(NULL)};
    const struct writing w = {out, snapshot, &family, format};

    if (!metric->follows) {
        write_head(&w);
    }
    if (!metric->own) {
        gauge(&w, &labels, metric->number); /* with the ending of a counter */
    } else if (counts) {
        plain_counter(&w, &labels, (uint64_t)metric->value);
    } else {
        gauge(&w, &labels, (double)metric->value);
    }
}

void families_write(struct weir_buffer *out, const struct snapshot *snapshot, enum format format,
                    struct position *position, size_t enough)
{
    for (; position->family < FAMILY_COUNT; position->family++, position->object = 0) {
        const struct family *family = &families[position->family];
        struct writing writing = {out, snapshot, family, format};
        size_t first = snapshot->first[family->kind];
        size_t count = snapshot->first[family->kind + 1] - first;
        if (out->len >= enough) {
            return;
        }
        if (position->object == 0 && count > 0) {
            write_head(&writing);
        }
        /* A head is followed by a sample at once, so that it is not written again. */
        while (position->object < count) {
            family->write(&writing, &snapshot->objects[first + position->object]);
            position->object++;
            if (out->len >= enough && position->object < count) {
                return;
            }
        }
    }
    for (; position->object < snapshot->metric_count; position->object++) {
        if (out->len >= enough) {
            return;
        }
        write_metric(out, snapshot, format, &snapshot->metrics[position->object]);
    }
    if (!position->done && format == FORMAT_OPENMETRICS) {
        weir_buffer_text(out, "# EOF\n");
    }
    position->done = true;
}
