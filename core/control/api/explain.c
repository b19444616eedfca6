/* SPDX-License-Identifier: MIT */
/*
 * A dry run of a request: reads what is asked. The control thread is a loop as the workers are,
 * with instances of its own of routers, stickiness and balancers, so that asking them changes
 * nothing for anybody. Filters are asked by a hook of their own; one that has none is left aside,
 * and named: it may count what it sees.
 */
#include "control/api/explain.h"

#include <stdlib.h>

#include "http/uri.h"

#define EXPLAIN_MEMORY (256u * 1024)

/* ---- the request ---- */

static struct weir_str copy(struct explain *explain, struct weir_str text)
{
    return arena_copy(&explain->stream.exchange.arena, text);
}

/* Splits scheme://authority/path?query. false: 422 is the answer. */
static bool read_url(struct explain *explain)
{
    struct http_request_head *head = &explain->stream.exchange.request;
    const char *text = json_text(explain->operation->body, "url");
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
    const char *method = json_text(body, "method");
    const char *client = json_text(body, "client");
    const cJSON *field = NULL;

    if (!read_url(explain)) {
        return false;
    }
    head->method_name = copy(explain, str_from(method != NULL ? method : "GET"));
    head->method = method_of(head->method_name);
    head->version = HTTP_1_1;
    cJSON_ArrayForEach(field, json_get(body, "headers"))
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
        operation_invalid(explain->operation, "/client", "\"%s\" is not an address", client);
        return false;
    }
    explain->stream.peer = (struct weir_peer){copy(explain, str_from(client)), 40000};
    return true;
}

/* The listener that is named, or the first that is routed and fits the scheme. */
static bool find_listener(struct explain *explain, const struct plan *current)
{
    const char *name = json_text(explain->operation->body, "listener");

    for (unsigned pass = 0; pass < 2 && explain->stream.listener == NULL; pass++) {
        for (size_t i = 0; i < current->listener_count && explain->stream.listener == NULL; i++) {
            struct listener_plan *plan = &current->listeners[i];
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
        &explain->stream.listener->listener->locals[stream_loop(&explain->stream)->index];
    return true;
}

static void run_explain(struct operation *operation)
{
    struct plane *plane = operation->plane;
    const struct plan *current = plane->self->plan; /* whose instances live on this loop */

    if (current == NULL) {
        operation_problem(operation, 503, PLANE_STOPS);
        return;
    }
    struct explain *explain = base_zalloc(sizeof(*explain));
    struct stream *stream = &explain->stream;

    explain->operation = operation;
    stream->magic = STREAM_MAGIC;
    stream->request_open = true; /* filters may change it */
    stream->home = &plane->self->streams;
    stream->downstream = &explain->client;
    stream->plan = plane->self->plan;
    stream->request_handle.host = plane->runtime->host;
    stream->response_handle.host = plane->runtime->host;
    stream->start_ns = loop_now_ns(plane->self->loop);
    arena_init(&stream->exchange.arena, NULL, EXPLAIN_MEMORY);
    if (read_request(explain) && find_listener(explain, current)) {
        explain_answer(explain, current);
    }
    arena_reset(&stream->exchange.arena);
    free(explain);
}

static const struct weir_argument explain_body[] = {
    {"url", WEIR_ARGUMENT_STRING, true, 1, 8192, NULL, "Absolute URL of the request."},
    {"method", WEIR_ARGUMENT_STRING, false, 1, 32, NULL, "GET if not given."},
    {"headers", WEIR_ARGUMENT_TEXTS, false, 0, 0, NULL, "Its header fields, by name."},
    {"client", WEIR_ARGUMENT_STRING, false, 1, 64, NULL,
     "The client's address; 127.0.0.1 if not given."},
    {"listener", WEIR_ARGUMENT_STRING, false, 1, 256, NULL,
     "Name of the listener; the first that fits the URL's scheme if not given."},
    WEIR_ARGUMENTS_END,
};

const struct command explain_commands[] = {
    READ_AS("explain", OPERATOR, "POST", "/explain", explain_body, NULL, "Explanation", run_explain,
            "What would happen to a request: route, pool, session, candidates, pick."),
    COMMANDS_END,
};
