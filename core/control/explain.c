/* SPDX-License-Identifier: MIT */
/*
 * A dry run of a request: the control thread is a loop as the workers are, with instances of its own of
 * routers, stickiness and balancers, so that asking them changes nothing for anybody. Filters are left
 * aside: they may count what they see.
 */
#include <math.h>
#include <stdlib.h>

#include "control/plane.h"
#include "http/uri.h"
#include "proxy/stream.h"

#define EXPLAIN_MEMORY (256u * 1024)

struct explain {
    struct operation *operation;
    struct stream stream;
    struct client client;
    struct weir_route_result route;
    cJSON *answer;
};

/* ---- the request ---- */

static struct weir_str copy(struct explain *explain, struct weir_str text)
{
    return arena_copy(&explain->stream.exchange.arena, text);
}

/* Splits scheme://authority/path?query. false: 422 is the answer. */
static bool read_url(struct explain *explain)
{
    struct http_request_head *head = &explain->stream.exchange.request;
    const char *text = operation_text(explain->operation->body, "url");
    uint16_t port = 0;

    explain->stream.https = strncasecmp(text, "https://", 8) == 0;
    if (!explain->stream.https && strncasecmp(text, "http://", 7) != 0) {
        operation_invalid(explain->operation, "/url",
                          "it must be absolute: http://HOST/PATH or https://HOST/PATH");
        return false;
    }
    struct weir_str rest = copy(explain, str_from(text + (explain->stream.https ? 8 : 7)));
    head->authority = (struct weir_str){rest.ptr, strcspn(rest.ptr, "/?#")};
    rest.ptr += head->authority.len;
    rest.len = strcspn(rest.ptr, "#");
    size_t path = strcspn(rest.ptr, "?#");
    head->target = (struct weir_str){rest.ptr, rest.len};
    head->query = (struct weir_str){rest.ptr + path, rest.len - path};
    if (head->query.len > 0) {
        head->has_query = true;
        head->query.ptr++;
        head->query.len--;
    }
    struct weir_str raw = path > 0 ? (struct weir_str){rest.ptr, path} : STR("/");
    if (!uri_parse_authority(head->authority, &explain->stream.exchange.arena, &head->host,
                             &port) ||
        !uri_normalise_path(raw, &explain->stream.exchange.arena, &head->path) ||
        !uri_query_valid(head->query)) {
        operation_invalid(explain->operation, "/url", "it has bytes that a URL cannot have");
        return false;
    }
    return true;
}

static bool add_field(struct explain *explain, const char *name, const char *value)
{
    struct http_request_head *head = &explain->stream.exchange.request;
    if (!field_name_valid(str_from(name)) || !field_value_valid(str_from(value)) ||
        !fields_add(&head->fields, &explain->stream.exchange.arena, copy(explain, str_from(name)),
                    copy(explain, str_from(value)))) {
        operation_invalid(explain->operation, "/headers", "\"%.60s\" is not a legal field", name);
        return false;
    }
    return true;
}

static bool read_request(struct explain *explain)
{
    const cJSON *body = explain->operation->body;
    struct http_request_head *head = &explain->stream.exchange.request;
    const char *method = operation_text(body, "method");
    const char *client = operation_text(body, "client");
    const cJSON *field = NULL;

    if (!read_url(explain)) {
        return false;
    }
    head->method_name = copy(explain, str_from(method != NULL ? method : "GET"));
    head->method = method_of(head->method_name);
    head->minor = 1;
    cJSON_ArrayForEach(field, cJSON_GetObjectItemCaseSensitive(body, "headers"))
    {
        if (!add_field(explain, field->string, cJSON_GetStringValue(field))) {
            return false;
        }
    }
    if (!fields_have(&head->fields, FIELD_HOST)) {
        char *authority = base_strndup(head->authority.ptr, head->authority.len);
        bool good = add_field(explain, "Host", authority);
        free(authority);
        if (!good) {
            return false;
        }
    }
    client = client != NULL ? client : "127.0.0.1";
    struct address address;
    if (!address_from_host(&address, str_from(client), 40000)) {
        operation_invalid(explain->operation, "/client", "\"%s\" is no address", client);
        return false;
    }
    explain->stream.peer = (struct weir_peer){copy(explain, str_from(client)), 40000};
    return true;
}

/* The listener that is named, or the first that is routed and fits the scheme. */
static bool find_listener(struct explain *explain, const struct generation *g)
{
    const char *name = operation_text(explain->operation->body, "listener");

    for (unsigned pass = 0; pass < 2 && explain->stream.listener == NULL; pass++) {
        for (size_t i = 0; i < g->listener_count && explain->stream.listener == NULL; i++) {
            struct listener_plan *plan = &g->listeners[i];
            bool fits = name != NULL
                            ? strcmp(plan->listener->name, name) == 0
                            : plan->handler_count == 0 &&
                                  (pass == 1 || (plan->tls != NULL) == explain->stream.https);
            if (fits) {
                explain->stream.listener = plan;
            }
        }
    }
    if (explain->stream.listener == NULL) {
        operation_invalid(explain->operation, "/listener",
                          name != NULL ? "there is no listener \"%s\"" : "no listener is routed%s",
                          name != NULL ? name : "");
        return false;
    }
    explain->client.local =
        &explain->stream.listener->listener->locals[explain->stream.worker->index];
    return true;
}

/* ---- what becomes of it ---- */

static void set_answer(struct explain *explain, unsigned status, const char *reason)
{
    cJSON_DeleteItemFromObjectCaseSensitive(explain->answer, "answer");
    cJSON *answer = cJSON_AddObjectToObject(explain->answer, "answer");
    json_set_number(answer, "status", status);
    json_set(answer, "reason", reason);
}

/* Asks the routers one by one. false: it ends here. */
static bool explain_route(struct explain *explain, struct generation *g)
{
    enum weir_status status = WEIR_DECLINED;
    cJSON *route = cJSON_AddObjectToObject(explain->answer, "route");
    cJSON *tried = cJSON_CreateArray();

    explain->route = (struct weir_route_result){
        .size = sizeof(explain->route), .pool = WEIR_NO_REF, .route = WEIR_NO_REF};
    for (size_t i = 0; i < g->routers.count && status == WEIR_DECLINED; i++) {
        const struct use *use = g->routers.items[i];
        struct instance *instance = use_on(use, explain->stream.worker->index);
        status =
            use->module->descriptor.router->route(&instance->context.base, instance->data,
                                                  &explain->stream.request_handle, &explain->route);
        cJSON *one = cJSON_CreateObject();
        json_set(one, "name", use->module->name);
        cJSON_AddBoolToObject(one, "match", status == WEIR_OK);
        json_set(one, "why",
                 status == WEIR_OK         ? "one of its rules fits"
                 : status == WEIR_DECLINED ? "none of its rules fits"
                                           : "it failed");
        cJSON_AddItemToArray(tried, one);
    }
    bool known = status == WEIR_OK && explain->route.route < g->route_count;
    json_set(route, "name", known ? g->routes[explain->route.route]->name : NULL);
    cJSON_AddItemToObject(route, "tried", tried);
    if (status == WEIR_DECLINED) {
        set_answer(explain, 404, "no_route");
    } else if (status != WEIR_OK ||
               (explain->route.status == 0 && explain->route.pool >= g->pool_count)) {
        set_answer(explain, 500, "module_failed");
    } else if (explain->route.status != 0) {
        char *text =
            base_printf("%s%.*s", explain->route.location.len > 0 ? "redirect to " : "rule",
                        STR_ARGS(explain->route.location));
        set_answer(explain, explain->route.status, text);
        free(text);
    } else {
        return true;
    }
    return false;
}

static const char *why_not(const struct pool_local *local, const struct server *server)
{
    if (server->admin == ADMIN_MAINTENANCE) {
        return "it is in maintenance";
    }
    if (server->admin == ADMIN_DRAIN) {
        return "it drains: no new sessions";
    }
    if (server->effective == 0) {
        return "its weight is 0";
    }
    if (server->ejected) {
        return "it is ejected for a time";
    }
    if (server->health == HEALTH_DOWN) {
        return "it is down";
    }
    if (server->held) {
        return "it waits for its first probe";
    }
    if (!server_has_room(server)) {
        return "it is at its limit";
    }
    return server->locals[local->worker->index].candidate == UINT32_MAX
               ? "a backup, for when no other can serve"
               : NULL;
}

/* The workers' mean; 0: none has one. */
static double latency_ms(const struct server *server)
{
    uint64_t sum = 0, count = 0;
    for (unsigned i = 0; i < server->loops; i++) {
        uint32_t latency = __atomic_load_n(&server->locals[i].latency_us, __ATOMIC_RELAXED);
        sum += latency;
        count += latency > 0;
    }
    return count > 0 ? (double)sum / (double)count / 1000 : NAN;
}

static void explain_candidates(struct explain *explain, const struct pool_local *local)
{
    cJSON *candidates = cJSON_AddArrayToObject(explain->answer, "candidates");

    for (size_t i = 0; i < local->plan->server_count; i++) {
        const struct server *server = local->plan->servers[i];
        const char *why = why_not(local, server);
        cJSON *one = cJSON_CreateObject();
        json_set(one, "id", server->name);
        cJSON_AddBoolToObject(one, "eligible", why == NULL);
        json_set(one, "why", why != NULL ? why : "it can serve");
        json_set_rate(one, "weight", (double)server->effective / WEIR_WEIGHT_ONE);
        json_set_number(one, "in_flight", __atomic_load_n(&server->in_flight, __ATOMIC_RELAXED));
        json_set_rate(one, "latency_ms", latency_ms(server));
        json_set(one, "score", NULL); /* a balancer ranks, it gives no numbers */
        cJSON_AddItemToArray(candidates, one);
    }
}

static void explain_pick(struct explain *explain, struct generation *g)
{
    struct pool_plan *plan = &g->pools[explain->route.pool];
    struct pool_local *local = &plan->pool->locals[explain->stream.worker->index];
    struct server *session = NULL;

    explain->stream.pool = plan;
    json_set(explain->answer, "pool", plan->pool->name);
    struct server_local *chosen = pool_would_pick(local, &explain->stream, &session);
    bool named = explain->stream.sticky_id != WEIR_NO_SERVER;
    bool kept = session != NULL && chosen != NULL && chosen->server == session;
    cJSON *sticky = cJSON_AddObjectToObject(explain->answer, "sticky");
    json_set(sticky, "verdict", !named ? "none" : kept ? "known" : "lost");
    json_set(sticky, "server", session != NULL ? session->name : NULL);
    explain_candidates(explain, local);
    json_set(explain->answer, "pick", chosen != NULL ? chosen->server->name : NULL);
    if (chosen == NULL && pool_local_has_untried(local, &explain->stream)) {
        set_answer(explain, 503, "queued: all that could serve are busy, and then queue_timeout");
    } else if (chosen == NULL) {
        set_answer(explain, 503, "no_server");
    }
}

static void explain_all(struct explain *explain, struct generation *g)
{
    explain->answer = cJSON_CreateObject();
    json_set(explain->answer, "listener", explain->stream.listener->listener->name);
    if (explain->stream.listener->handler_count > 0) {
        const struct use *use =
            listener_plan_handler(explain->stream.listener, explain->stream.exchange.request.path);
        json_set(explain->answer, "handler", use != NULL ? use->module->name : NULL);
        json_set(explain->answer, "route", NULL);
    } else if (explain_route(explain, g)) {
        explain_pick(explain, g);
    }
    static const char *const always[] = {"pool", "pick", "answer"};
    for (size_t i = 0; i < ARRAY_COUNT(always); i++) {
        if (!cJSON_HasObjectItem(explain->answer, always[i])) {
            json_set(explain->answer, always[i], NULL);
        }
    }
    if (!cJSON_HasObjectItem(explain->answer, "sticky")) {
        cJSON *sticky = cJSON_AddObjectToObject(explain->answer, "sticky");
        json_set(sticky, "verdict", "none");
        json_set(sticky, "server", NULL);
        cJSON_AddArrayToObject(explain->answer, "candidates");
    }
    operation_succeed(explain->operation, 200, explain->answer);
}

void run_explain(struct operation *operation)
{
    struct plane *plane = operation->plane;
    struct generation *g = plane->runtime->current;
    struct explain *explain = base_zalloc(sizeof(*explain));
    struct stream *stream = &explain->stream;

    explain->operation = operation;
    stream->magic = STREAM_MAGIC;
    stream->worker = plane->self;
    stream->client = &explain->client;
    stream->generation = g;
    stream->request_handle.host = plane->runtime->host;
    stream->response_handle.host = plane->runtime->host;
    stream->start_ns = loop_now_ns(plane->self->loop);
    arena_init(&stream->exchange.arena, NULL, EXPLAIN_MEMORY);
    if (read_request(explain) && find_listener(explain, g)) {
        explain_all(explain, g);
    }
    arena_reset(&stream->exchange.arena);
    free(explain);
}
