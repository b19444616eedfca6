/* SPDX-License-Identifier: MIT */
/*
 * Pools and servers as JSON: settings, live state, counters, rates.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/json.h>
#include <weir/stats.h>

#include "control/api/show.h"
#include "control/api/totals.h"
#include "proxy/pool/shadow.h"
#include "proxy/upstream/names.h"

static void add_reasons(cJSON *object, const struct traffic *traffic)
{
    cJSON *errors = cJSON_AddObjectToObject(object, "errors");
    for (unsigned i = 1; i < REASON_COUNT; i++) {
        if (traffic->errors[i] > 0) {
            json_set_number(errors, reason_word((enum reason)i).ptr, (double)traffic->errors[i]);
        }
    }
}

/* Those that were spoken. */
static void add_protocols(cJSON *object, const struct traffic *traffic)
{
    cJSON *protocols = cJSON_AddObjectToObject(object, "protocols");
    for (uint32_t i = 0; i < HTTP_VERSIONS; i++) {
        if (traffic->protocols[i] > 0) {
            json_set_number(protocols, weir_protocol_name(i).ptr, (double)traffic->protocols[i]);
        }
    }
}

void show_grpc(cJSON *object, const struct traffic *traffic)
{
    cJSON *grpc = cJSON_AddObjectToObject(object, "grpc");
    for (uint32_t i = 0; i < GRPC_ENDS; i++) {
        if (traffic->grpc[i] > 0) {
            json_set_number(grpc, weir_grpc_name(i).ptr, (double)traffic->grpc[i]);
        }
    }
}

void show_http2(cJSON *object, const struct traffic *traffic)
{
    cJSON *http2 = cJSON_AddObjectToObject(object, "http2");
    json_set_number(http2, "connections", (double)traffic->h2_open);
    json_set_number(http2, "streams", (double)traffic->h2_streams);
    json_set_number(http2, "opened", (double)traffic->h2_connections);
}

void show_offers(cJSON *object, const struct listener_plan *plan)
{
    const struct tls_listener_conf *tls =
        plan->settings->tls.count > 0 ? plan->settings->tls.items : NULL;
    cJSON *alpn = cJSON_AddArrayToObject(object, "alpn");

    for (size_t i = 0; tls != NULL && i < tls->alpn.count; i++) {
        const struct weir_str *names = tls->alpn.items;
        cJSON_AddItemToArray(alpn, cJSON_CreateString(names[i].ptr));
    }
    cJSON_AddBoolToObject(object, "h2c", plan->http.h2c);
}

void show_counters(cJSON *object, const struct traffic *traffic)
{
    static const char *const classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    json_set_number(object, "requests", (double)traffic->requests);
    cJSON *responses = cJSON_AddObjectToObject(object, "responses");
    for (size_t i = 0; i < ARRAY_COUNT(classes); i++) {
        json_set_number(responses, classes[i], (double)traffic->status[i]);
    }
    add_reasons(object, traffic);
    add_protocols(object, traffic);
    json_set_number(object, "retries", (double)traffic->retries);
    json_set_number(object, "bytes_in", (double)traffic->bytes_in);
    json_set_number(object, "bytes_out", (double)traffic->bytes_out);
}

/* As a module knows them; NaN, which is null, where none does. */
static struct weir_rates rates_of(const struct plane *plane, enum weir_stats_kind kind,
                                  const char *pool, const char *name)
{
    struct provider *provider = provider_with(&plane->providers, rates);
    struct weir_rates out = {sizeof(out),     NAN, NAN, NAN, NAN, {NAN, NAN, NAN},
                             {NAN, NAN, NAN}, NAN};

    if (provider != NULL) {
        provider->ops->rates(provider_context(provider), provider->instance, kind, str_from(pool),
                             str_from(name), &out);
    }
    return out;
}

static void set_times(cJSON *object, const double times[3])
{
    json_set_rate(object, "p50", times[0]);
    json_set_rate(object, "p95", times[1]);
    json_set_rate(object, "p99", times[2]);
}

static void set_rates(cJSON *object, const struct weir_rates *rates)
{
    cJSON *out = cJSON_AddObjectToObject(object, "rates");
    json_set_rate(out, "requests", rates->requests);
    json_set_rate(out, "errors", rates->errors);
    json_set_rate(out, "bytes_in", rates->bytes_in);
    json_set_rate(out, "bytes_out", rates->bytes_out);
    set_times(cJSON_AddObjectToObject(object, "latency_ms"), rates->minute);
}

void show_rates(cJSON *object, const struct plane *plane, enum weir_stats_kind kind,
                const char *name)
{
    struct weir_rates rates = rates_of(plane, kind, "", name);
    set_rates(object, &rates);
}

/* As text, since there are twenty a server: as objects they would be most of what a list of ten
 * thousand servers costs. */
static void add_probes(cJSON *health, struct server *server)
{
    struct probe_record records[PROBE_RECORDS];
    char bytes[PROBE_RECORDS * (6 * sizeof(records[0].reason) + 96)];
    struct weir_buffer text = {bytes, 0, sizeof(bytes), true, false};
    struct weir_json json = {&text, false};
    size_t count = server_probes(server, records);

    weir_json_open(&json, NULL, '[');
    for (size_t i = 0; i < count; i++) {
        weir_json_open(&json, NULL, '{');
        weir_json_number(&json, "at", records[i].at_ms);
        weir_json_bool(&json, "ok", records[i].good);
        weir_json_real(&json, "ms", records[i].took_us / 1000.0);
        weir_json_text(&json, "reason", records[i].reason);
        weir_json_close(&json, '}');
    }
    weir_json_close(&json, ']');
    weir_buffer_byte(&text, '\0');
    cJSON_AddRawToObject(health, "probes", bytes);
}

const char *show_health_word(const struct server *server)
{
    return server_is_well(server) ? server_health_word((enum server_health)server->health) : "down";
}

static void add_health(cJSON *object, struct server *server, bool checked)
{
    char reason[sizeof(server->reason)];
    cJSON *health = cJSON_AddObjectToObject(object, "health");

    server_reason(server, reason, sizeof(reason));
    pthread_mutex_lock(&server->lock);
    uint64_t since = server->health_since_ms;
    pthread_mutex_unlock(&server->lock);
    json_set(health, "status", show_health_word(server));
    json_set(health, "reason",
             !server_is_well(server) || checked || server->health != HEALTH_UNKNOWN
                 ? reason
                 : "no health check");
    json_set_number(health, "since", (double)since);
    add_probes(health, server);
}

static void add_drift(cJSON *object, const struct server *server,
                      const struct server_settings *settings)
{
    cJSON *drift = cJSON_AddArrayToObject(object, "drift");
    if (settings->runtime) {
        return;
    }
    if (server->weight != settings->file_weight) {
        cJSON_AddItemToArray(drift, cJSON_CreateString("weight"));
    }
    if (server->max_connections != settings->file_max_connections) {
        cJSON_AddItemToArray(drift, cJSON_CreateString("max_requests"));
    }
    if (server->admin != (uint32_t)settings->state) {
        cJSON_AddItemToArray(drift, cJSON_CreateString("state"));
    }
}

static struct server_note note_of(const struct plane *plane, const struct server *server)
{
    return plane->note != NULL ? plane->note(plane, server) : (struct server_note){false, 0};
}

/* `drain_deadline`, where it drains towards one. */
static void add_state(cJSON *object, const struct plane *plane, struct server *server)
{
    struct server_note note = note_of(plane, server);

    pthread_mutex_lock(&server->lock);
    uint64_t since = server->admin_since_ms;
    pthread_mutex_unlock(&server->lock);
    json_set(object, "state", server_admin_word((enum server_admin)server->admin));
    json_set_number(object, "state_since", (double)since);
    bool until = note.drain_deadline_ms > 0 && server->admin == ADMIN_DRAIN;
    json_set_number(object, "drain_deadline", until ? (double)note.drain_deadline_ms : NAN);
    cJSON_AddBoolToObject(object, "leaving", note.leaving);
}

cJSON *show_server(const struct plane *plane, const struct pool_plan *plan, size_t index)
{
    struct server *server = plan->servers[index];
    const struct server_settings *settings =
        (const struct server_settings *)plan->settings->servers.items + index;
    struct traffic traffic = totals_sum(TOTALS_OF(server));
    cJSON *object = cJSON_CreateObject();

    json_set(object, "id", server->name);
    json_set(object, "pool", server->pool_name);
    json_set_str(object, "url", server->url.text);
    json_set(object, "origin", settings->runtime ? "runtime" : "file");
    add_drift(object, server, settings);
    add_state(object, plane, server);
    add_health(object, server, plan->health != NULL);
    json_set_number(object, "weight", server->weight);
    json_set_rate(object, "effective_weight", (double)server->effective / WEIR_WEIGHT_ONE);
    json_set_number(object, "configured_weight",
                    settings->runtime ? NAN : (double)settings->file_weight);
    json_set_number(object, "max_requests", server->max_connections);
    json_set_number(object, "max_connections", server->max_connections); /* its earlier name */
    cJSON_AddBoolToObject(object, "backup", server->backup);
    json_set_number(object, "in_flight", totals_server_in_flight(server));
    json_set_number(object, "sessions",
                    plan->sticky != NULL
                        ? (double)sessions_count(server, loop_now_ns(plane->self->loop))
                        : NAN);
    show_counters(object, &traffic);
    json_set_number(object, "connections", (double)traffic.connections);
    show_http2(object, &traffic);
    json_set_number(object, "abusive", (double)traffic.abusive);
    json_set_number(object, "odd_points", (double)traffic.odd_points);
    struct weir_rates rates = rates_of(plane, WEIR_STATS_SERVER, server->pool_name, server->name);
    json_set_rate(object, "error_share", rates.error_share);
    set_rates(object, &rates);
    json_set_number(object, "ejected_until",
                    server->ejected ? (double)server->ejected_until_ms : NAN);
    return object;
}

/* "least_conn" of the module balance_least_conn. */
static const char *use_name(const struct use *use)
{
    return use != NULL && use->block->title.text.len > 0 ? use->block->title.text.ptr : NULL;
}

/* Blocks that stand for several servers. */
static void add_names(cJSON *object, const struct plane *plane, const struct pool_plan *plan)
{
    cJSON *names = cJSON_AddArrayToObject(object, "names");
    const struct server_settings *blocks = plan->settings->blocks.items;

    for (size_t i = 0; i < plan->settings->blocks.count; i++) {
        if (blocks[i].resolve == RESOLVE_FIRST) {
            continue;
        }
        struct names_report report = names_report(plane->runtime->names, &blocks[i]);
        cJSON *name = json_append(names);
        json_set_str(name, "id", blocks[i].id);
        json_set_str(name, "host", blocks[i].url.host);
        json_set(name, "resolve", blocks[i].resolve == RESOLVE_SRV ? "srv" : "all");
        json_set_number(name, "servers", (double)report.servers);
        json_set_number(name, "left_out", (double)report.left_out);
    }
}

/* Negative: it is not known. */
static void set_wait(cJSON *object, const char *name, double ms)
{
    json_set_rate(object, name, ms >= 0 ? ms : NAN);
}

/* `asked`: of the pool, read before; more than these are not shown, though loops count on, or have
 * begun anew since. */
static void add_shadow_server(cJSON *servers, const struct server *server, uint64_t asked)
{
    struct shadow_choices sum = shadow_sum_of(server);
    cJSON *object = json_append(servers);

    json_set(object, "id", server->name);
    json_set_number(object, "picked", (double)(sum.picked < asked ? sum.picked : asked));
    json_set_number(object, "chosen", (double)(sum.chosen < asked ? sum.chosen : asked));
    json_set_number(object, "in_flight", totals_server_in_flight(server));
    json_set_number(object, "predicted_in_flight", shadow_in_flight(server));
    set_wait(object, "wait_ms", shadow_wait_ms(&sum));
    set_wait(object, "predicted_wait_ms", shadow_predicted_ms(server, &sum));
}

static cJSON *show_shadow(const struct pool_plan *plan)
{
    if (plan->shadow == NULL) {
        return cJSON_CreateNull();
    }
    struct shadow_counts sum = shadow_sum(plan->pool);
    struct shadow_out out = shadow_out(plan);
    cJSON *object = cJSON_CreateObject();

    json_set(object, "balancer", use_name(plan->shadow));
    cJSON_AddBoolToObject(object, "out", out.reason[0] != '\0');
    json_set(object, "reason", out.reason[0] != '\0' ? out.reason : NULL);
    json_set_number(object, "since", (double)sum.since_ms);
    json_set_number(object, "asked", (double)sum.asked);
    json_set_number(object, "agreed", (double)sum.agreed);
    json_set_number(object, "none", (double)sum.none);
    set_wait(object, "wait_ms", shadow_mean_ms(&sum, true));
    set_wait(object, "predicted_wait_ms", shadow_mean_ms(&sum, false));
    cJSON *servers = cJSON_AddArrayToObject(object, "servers");
    for (size_t i = 0; i < plan->server_count; i++) {
        add_shadow_server(servers, plan->servers[i], sum.asked);
    }
    return object;
}

cJSON *show_pool(const struct plane *plane, const struct pool_plan *plan)
{
    struct traffic traffic = pool_total(plan->pool);
    cJSON *object = cJSON_CreateObject();

    json_set(object, "name", plan->pool->name);
    json_set(object, "policy", use_name(plan->balance));
    cJSON *set = plane->pool_change != NULL ? plane->pool_change(plane, plan->pool->name) : NULL;
    cJSON_AddItemToObject(object, "policy_set", set != NULL ? set : cJSON_CreateNull());
    cJSON *swap = plane->pool_swap != NULL ? plane->pool_swap(plane, plan->pool->name) : NULL;
    cJSON_AddItemToObject(object, "swap", swap != NULL ? swap : cJSON_CreateNull());
    cJSON_AddItemToObject(object, "shadow", show_shadow(plan));
    json_set(object, "sticky", use_name(plan->sticky));
    json_set(object, "health_check", use_name(plan->health));
    json_set(object, "protocol", pool_protocol_word(plan->settings->protocol));
    json_set_number(object, "h2_streams", (double)plan->settings->h2_streams);
    json_set_number(object, "h2_window", (double)plan->settings->h2_window);
    json_set_number(object, "connection_age", (double)(plan->settings->connection_age / NS_PER_MS));
    cJSON *servers = cJSON_AddArrayToObject(object, "servers");
    for (size_t i = 0; i < plan->server_count; i++) {
        cJSON_AddItemToArray(servers, show_server(plane, plan, i));
    }
    add_names(object, plane, plan);
    json_set_number(object, "up", totals_servers_up(plan));
    json_set_number(object, "total", (double)plan->server_count);
    json_set_number(object, "in_flight", totals_in_flight(plan));
    json_set_number(object, "queued", plan->pool->queue.waiting);
    cJSON *totals = cJSON_AddObjectToObject(object, "totals");
    show_counters(totals, &traffic);
    show_grpc(totals, &traffic);
    show_rates(object, plane, WEIR_STATS_POOL, plan->pool->name);
    return object;
}

/* ---- tags ---- */

static uint64_t server_hash(const struct plane *plane, const struct pool_plan *plan, size_t index)
{
    const struct server *server = plan->servers[index];
    char text[160];

    snprintf(text, sizeof(text), "%u %u %u %u %d", (unsigned)server->weight,
             (unsigned)server->max_connections, (unsigned)server->admin, (unsigned)server->backup,
             note_of(plane, server).leaving);
    uint64_t hash = table_hash_more(table_hash(str_from(text)), str_from(server->name));
    return table_hash_more(hash, server->url.text);
}

char *show_server_tag(const struct plane *plane, const struct pool_plan *plan, size_t index)
{
    return base_printf("%016llx", (unsigned long long)server_hash(plane, plan, index));
}

/* Goes on with the members of an object that say what runs, not what is counted. */
static uint64_t hash_members(uint64_t hash, const cJSON *object)
{
    static const char *const members[] = {"balance", "options", "state", "began", "ended"};

    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        const cJSON *member = json_get(object, members[i]);
        char *text = member != NULL ? json_print(member) : NULL;
        hash = table_hash_more(hash, str_from(text != NULL ? text : "null"));
        free(text);
    }
    return hash;
}

/* The balancer, what was set of it at run time, and the state of its last trial. */
static uint64_t balance_hash(const struct plane *plane, const struct pool_plan *plan)
{
    const char *pool = plan->pool->name;
    cJSON *set = plane->pool_change != NULL ? plane->pool_change(plane, pool) : NULL;
    cJSON *swap = plane->pool_swap != NULL ? plane->pool_swap(plane, pool) : NULL;
    uint64_t hash = table_hash_more(table_hash(str_from(pool)), str_from(use_name(plan->balance)));

    hash = hash_members(hash_members(hash, set), swap);
    cJSON_Delete(set);
    cJSON_Delete(swap);
    return hash;
}

char *show_pool_tag(const struct plane *plane, const struct pool_plan *plan)
{
    uint64_t hash = balance_hash(plane, plan);
    for (size_t i = 0; i < plan->server_count; i++) {
        hash = (hash * 31) ^ server_hash(plane, plan, i);
    }
    return base_printf("%016llx", (unsigned long long)hash);
}

/* ---- /stats ---- */

static void add_recent(cJSON *object, const struct plane *plane, enum weir_stats_kind kind,
                       const char *pool, const char *name)
{
    struct weir_rates rates = rates_of(plane, kind, pool, name);
    json_set_rate(object, "rate", rates.requests);
    json_set_rate(object, "errors_rate", rates.errors);
    set_times(object, rates.recent);
}

static void add_server_stats(cJSON *servers, const struct plane *plane, struct server *server)
{
    cJSON *object = cJSON_AddObjectToObject(servers, server->name);

    json_set_number(object, "requests", (double)totals_requests(TOTALS_OF(server)));
    add_recent(object, plane, WEIR_STATS_SERVER, server->pool_name, server->name);
    json_set_number(object, "in_flight", totals_server_in_flight(server));
    json_set(object, "health", show_health_word(server));
    json_set(object, "state", server_admin_word((enum server_admin)server->admin));
    json_set_number(object, "weight", server->weight);
}

static uint32_t add_pool_stats(cJSON *pools, const struct plane *plane,
                               const struct pool_plan *plan)
{
    cJSON *object = cJSON_AddObjectToObject(pools, plan->pool->name);
    uint32_t in_flight = totals_in_flight(plan);

    struct traffic traffic = totals_counters(TOTALS_OF(plan->pool));

    json_set_number(object, "requests", (double)traffic.requests);
    add_protocols(object, &traffic);
    add_recent(object, plane, WEIR_STATS_POOL, "", plan->pool->name);
    json_set_number(object, "in_flight", in_flight);
    json_set_number(object, "queued", plan->pool->queue.waiting);
    cJSON *servers = cJSON_AddObjectToObject(object, "servers");
    for (size_t i = 0; i < plan->server_count; i++) {
        add_server_stats(servers, plane, plan->servers[i]);
    }
    return in_flight;
}

/* Returns its counters. */
static struct traffic add_listener_stats(cJSON *listeners, const struct plane *plane,
                                         const struct listener *listener)
{
    cJSON *object = cJSON_AddObjectToObject(listeners, listener->name);
    struct traffic traffic = totals_counters(TOTALS_OF(listener));

    json_set_number(object, "requests", (double)traffic.requests);
    add_recent(object, plane, WEIR_STATS_LISTENER, "", listener->name);
    json_set_number(object, "connections", listener->open);
    show_http2(object, &traffic);
    return traffic;
}

cJSON *show_stats(const struct plane *plane)
{
    const struct generation *g = plane->runtime->current;
    cJSON *object = cJSON_CreateObject();
    struct traffic all = {0}; /* what is proxied */
    uint64_t connections = 0;
    uint32_t in_flight = 0;

    json_set_number(object, "time", (double)loop_wall_ms());
    cJSON *total = cJSON_AddObjectToObject(object, "total");
    cJSON *listeners = cJSON_AddObjectToObject(object, "listeners");
    for (size_t i = 0; i < g->plan->listener_count; i++) {
        struct traffic here = add_listener_stats(listeners, plane, g->plan->listeners[i].listener);
        if (!listener_plan_on_control(&g->plan->listeners[i])) {
            traffic_sum_counters(&all, &here);
        }
        connections += g->plan->listeners[i].listener->open;
    }
    cJSON *pools = cJSON_AddObjectToObject(object, "pools");
    for (size_t i = 0; i < g->plan->pool_count; i++) {
        in_flight += add_pool_stats(pools, plane, &g->plan->pools[i]);
    }
    json_set_number(total, "requests", (double)all.requests);
    add_protocols(total, &all);
    show_grpc(total, &all);
    show_http2(total, &all);
    json_set_number(total, "abusive", (double)all.abusive);
    add_recent(total, plane, WEIR_STATS_PROCESS, "", "");
    json_set_number(total, "in_flight", in_flight);
    json_set_number(total, "connections", (double)connections);
    return object;
}

/* ---- of configurations ---- */

/* An empty list for no texts, of which cJSON_CreateStringArray makes none without an array. */
static cJSON *list_of(const char *const *texts, size_t count)
{
    return count > 0 ? cJSON_CreateStringArray(texts, (int)count) : cJSON_CreateArray();
}

cJSON *show_restart(const struct generation *g)
{
    return list_of(g->plan->restart, g->plan->restart_count);
}

cJSON *show_mistakes(const struct mistakes *mistakes, size_t limit)
{
    size_t count = mistakes == NULL ? 0 : mistakes->count < limit ? mistakes->count : limit;
    return list_of(count > 0 ? (const char *const *)mistakes->texts : NULL, count);
}

void show_file(cJSON *files, const char *path, char *text)
{
    cJSON *file = json_append(files);
    json_set(file, "path", path);
    json_set(file, "text", text);
    free(text);
}
