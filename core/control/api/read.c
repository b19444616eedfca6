/* SPDX-License-Identifier: MIT */
/*
 * The reading commands: pools, servers, routes, listeners, modules, certificates, status,
 * statistics.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/logfile.h"
#include "control/api/find.h"
#include "control/api/show.h"
#include "control/api/totals.h"
#include "net/tls.h"

static void run_pools(struct operation *operation)
{
    const struct generation *g = operation->plane->runtime->current;
    cJSON *entries = operation_entries(operation);
    for (size_t i = 0; i < g->plan->pool_count; i++) {
        cJSON_AddItemToArray(entries, show_pool(operation->plane, &g->plan->pools[i]));
    }
}

static void run_pool(struct operation *operation)
{
    const struct pool_plan *plan = find_pool_of(operation);
    if (plan != NULL) {
        operation_succeed(operation, 200, show_pool(operation->plane, plan));
        operation->etag = show_pool_tag(operation->plane, plan);
    }
}

static void add_servers(struct operation *operation, cJSON *entries, const struct pool_plan *plan)
{
    for (size_t i = 0; i < plan->server_count; i++) {
        cJSON_AddItemToArray(entries, show_server(operation->plane, plan, i));
    }
}

static void run_servers(struct operation *operation)
{
    const struct generation *g = operation->plane->runtime->current;
    cJSON *entries = operation_entries(operation);
    for (size_t i = 0; i < g->plan->pool_count; i++) {
        add_servers(operation, entries, &g->plan->pools[i]);
    }
}

static void run_pool_servers(struct operation *operation)
{
    const struct pool_plan *plan = find_pool_of(operation);
    if (plan != NULL) {
        add_servers(operation, operation_entries(operation), plan);
    }
}

static void run_server(struct operation *operation)
{
    struct found found;

    if (find_server_of(operation, &found) != NULL) {
        operation_succeed(operation, 200, show_server(operation->plane, found.plan, found.index));
        operation->etag = show_server_tag(operation->plane, found.plan, found.index);
    }
}

/* The setting of that name at that place, where no block made the route known: `default =
 * "web"`. */
static const struct conf_node *setting_at(const struct conf_node *nodes, const char *name,
                                          const struct place *place)
{
    const struct conf_node *found = NULL;

    for (const struct conf_node *node = nodes; node != NULL && found == NULL; node = node->next) {
        if (node->kind == CONF_BLOCK) {
            found = setting_at(node->children, name, place);
        } else if (node->place.line == place->line && str_equal(node->name, str_from(name)) &&
                   place->file != NULL && strcmp(node->place.file, place->file) == 0) {
            found = node;
        }
    }
    return found;
}

/* The setting's values, with commas between them; NULL: it is not there. The caller frees it. */
static char *values_text(const struct conf_node *setting)
{
    char *text = NULL;

    for (size_t i = 0; setting != NULL && i < setting->value_count; i++) {
        text_join(&text, setting->values[i].text.ptr);
    }
    return text;
}

/* What any router calls host, match, pool and redirect in its own block, and the block's title, the
 * path. */
static void add_rule(cJSON *object, const struct conf_node *block)
{
    static const char *const names[] = {"host", "match", "pool", "redirect"};

    json_set(object, "path", block != NULL ? block->title.text.ptr : NULL);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const struct conf_node *node = block != NULL ? block->children : NULL;
        while (node != NULL &&
               (node->kind != CONF_SETTING || !str_equal(node->name, str_from(names[i])))) {
            node = node->next;
        }
        char *text = values_text(node);
        json_set(object, names[i], text);
        free(text);
    }
}

static void add_route(struct operation *operation, cJSON *entries, const struct generation *g,
                      size_t index)
{
    const struct route *route = g->plan->routes[index]->route;
    const struct place *place = &g->plan->routes[index]->place;
    struct traffic traffic = traffic_total(route->traffic, route->loops);
    cJSON *object = json_append(entries);
    char where[512] = "";

    if (place->file != NULL) {
        snprintf(where, sizeof(where), "%s:%u", place->file, place->line);
    }
    json_set(object, "name", route->name);
    add_rule(object, g->plan->routes[index]->block);
    if (g->plan->routes[index]->block == NULL) {
        char *pool = values_text(setting_at(g->plan->tree.root.children, route->name, place));
        cJSON_ReplaceItemInObjectCaseSensitive(
            object, "pool", pool != NULL ? cJSON_CreateString(pool) : cJSON_CreateNull());
        free(pool);
    }
    json_set(object, "place", where);
    show_counters(object, &traffic);
    show_grpc(object, &traffic);
    show_rates(object, operation->plane, WEIR_STATS_ROUTE, route->name);
}

static void run_routes(struct operation *operation)
{
    const struct generation *g = operation->plane->runtime->current;
    cJSON *entries = operation_entries(operation);
    for (size_t i = 0; i < g->plan->route_count; i++) {
        add_route(operation, entries, g, i);
    }
}

/* The modules of its handlers: `admin, metrics_prometheus`; the caller frees it. NULL: it is a
 * proxy. */
static char *handler_names(const struct listener_plan *plan)
{
    char *names = NULL;
    for (size_t i = 0; i < plan->handler_count; i++) {
        text_join(&names, plan->handlers[i].use->module->name);
    }
    return names;
}

static void add_listener(struct operation *operation, cJSON *entries,
                         const struct listener_plan *plan)
{
    struct traffic traffic = totals_sum(TOTALS_OF(plan->listener));
    cJSON *object = json_append(entries);

    json_set(object, "name", plan->listener->name);
    cJSON *addresses = cJSON_AddArrayToObject(object, "addresses");
    for (size_t i = 0; i < plan->socket_count; i++) {
        cJSON_AddItemToArray(addresses, cJSON_CreateString(plan->sockets[i]->text));
    }
    cJSON_AddBoolToObject(object, "tls", plan->tls != NULL);
    char *handlers = handler_names(plan);
    json_set(object, "handler", handlers);
    free(handlers);
    show_offers(object, plan);
    json_set_number(object, "connections", plan->listener->open);
    show_http2(object, &traffic);
    json_set_number(object, "abusive", (double)traffic.abusive);
    json_set_number(object, "odd_points", (double)traffic.odd_points);
    show_counters(object, &traffic);
    show_grpc(object, &traffic);
    show_rates(object, operation->plane, WEIR_STATS_LISTENER, plan->listener->name);
}

static void run_listeners(struct operation *operation)
{
    const struct generation *g = operation->plane->runtime->current;
    cJSON *entries = operation_entries(operation);
    for (size_t i = 0; i < g->plan->listener_count; i++) {
        add_listener(operation, entries, &g->plan->listeners[i]);
    }
}

static void add_certificate(cJSON *entries, const char *listener,
                            const struct tls_certificate_info *info)
{
    cJSON *object = json_append(entries);
    double left = (double)info->not_after * 1000 - (double)loop_wall_ms();
    char *names = base_strdup(info->names), *rest = NULL;

    json_set(object, "listener", listener);
    json_set(object, "name", info->name);
    json_set(object, "subject", info->subject);
    json_set(object, "issuer", info->issuer);
    json_set(object, "serial", info->serial);
    cJSON *list = cJSON_AddArrayToObject(object, "names");
    for (char *name = strtok_r(names, ", ", &rest); name != NULL;
         name = strtok_r(NULL, ", ", &rest)) {
        cJSON_AddItemToArray(list, cJSON_CreateString(name));
    }
    json_set_number(object, "not_before", (double)info->not_before * 1000);
    json_set_number(object, "not_after", (double)info->not_after * 1000);
    json_set_number(object, "days_left", floor(left / 86400000));
    free(names);
}

static void run_certificates(struct operation *operation)
{
    const struct generation *g = operation->plane->runtime->current;
    cJSON *entries = operation_entries(operation);

    for (size_t i = 0; i < g->plan->listener_count; i++) {
        const struct tls_certificate_info *infos = NULL;
        size_t count = g->plan->listeners[i].tls != NULL
                           ? tls_listener_certificates(g->plan->listeners[i].tls, &infos)
                           : 0;
        for (size_t k = 0; k < count; k++) {
            add_certificate(entries, g->plan->listeners[i].listener->name, &infos[k]);
        }
    }
}

static void run_stats(struct operation *operation)
{
    operation_succeed(operation, 200, show_stats(operation->plane));
}

/* ---- the table ---- */

const struct command read_commands[] = {
    READ("pools.list", "/pools", NULL, "Pools", run_pools,
         "All pools with their servers, totals, rates and latency."),
    READ("pools.show", "/pools/{pool}", NULL, "Pool", run_pool, "One pool."),
    READ("servers.list", "/servers", NULL, "Servers", run_servers, "The servers of all pools."),
    READ("pool.servers", "/pools/{pool}/servers", NULL, "Servers", run_pool_servers,
         "The servers of one pool."),
    READ("servers.show", "/pools/{pool}/servers/{server}", NULL, "Server", run_server,
         "One server."),
    READ("routes.list", "/routes", NULL, "Routes", run_routes, "The routes, with their traffic."),
    READ("listeners.list", "/listeners", NULL, "Listeners", run_listeners,
         "The listeners, with their traffic."),
    READ("certificates.list", "/certificates", NULL, "Certificates", run_certificates,
         "The listeners' certificates, and when they expire."),
    READ("stats.show", "/stats", NULL, "Stats", run_stats, "Current statistics."),
    COMMANDS_END,
};
