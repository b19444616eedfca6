/* SPDX-License-Identifier: MIT */
/* The shop's HTTP: finds the route, reads what came, plays the faults, and sends the answers. */
#include "shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <weir/text.h>

enum { VISIT_ID_LIMIT = 64, BODY_LIMIT = 64 * 1024, VALUE_LIMIT = 200 };

/* evhttp frees a request with its connection, so `http` is given up when that closes. */
struct waiting {
    struct shop *shop;
    struct evhttp_request *http;
    struct event *timer;
    bool drop; /* close without an answer */
    bool fail; /* answer 500 */
    LIST_ENTRY(waiting) link;
};

struct evbuffer *shop_buffer(void)
{
    struct evbuffer *buffer = evbuffer_new();
    if (buffer == NULL) {
        fputs("weir-shop: no memory for an answer\n", stderr);
        exit(1);
    }
    return buffer;
}

void shop_add_header(struct shop_request *rq, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(rq->http), name, value);
}

const char *shop_header(struct shop_request *rq, const char *name)
{
    const char *value = evhttp_find_header(evhttp_request_get_input_headers(rq->http), name);
    return value != NULL ? value : "";
}

/* ---- answers ---- */

/* Adds what each answer carries. `body` may be NULL. */
void shop_send(struct shop_request *rq, int status, const char *type, struct evbuffer *body)
{
    const char *visit = shop_header(rq, "X-Visit-Id");
    shop_add_header(rq, "X-Served-By", rq->shop->name);
    shop_add_header(rq, "X-Shop-Instance", rq->shop->instance);
    if (*visit != '\0' && strlen(visit) <= VISIT_ID_LIMIT &&
        visit[strspn(visit, "0123456789abcdefghijklmnopqrstuvwxyz-")] == '\0') {
        shop_add_header(rq, "X-Visit-Id", visit);
    }
    if (rq->shop->stopping) {
        shop_add_header(rq, "Connection", "close");
    }
    if (body != NULL) {
        shop_add_header(rq, "Content-Type", type);
        shop_add_header(rq, "X-Content-Type-Options", "nosniff");
        /* evhttp writes a body after HEAD if it is given one, so only its length is told. */
        if (evhttp_request_get_command(rq->http) == EVHTTP_REQ_HEAD) {
            char length[24];
            snprintf(length, sizeof length, "%zu", evbuffer_get_length(body));
            shop_add_header(rq, "Content-Length", length);
            evbuffer_drain(body, evbuffer_get_length(body));
        }
    }
    evhttp_send_reply(rq->http, status, NULL, body);
    if (body != NULL) {
        evbuffer_free(body);
    }
}

static void send_json(struct shop_request *rq, int status, const char *type, const cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    struct evbuffer *body = shop_buffer();
    evbuffer_add_printf(body, "%s\n", text != NULL ? text : "");
    cJSON_free(text);
    shop_add_header(rq, "Cache-Control", "no-store");
    shop_send(rq, text != NULL ? status : 500, type, body);
}

static void send_page(struct shop_request *rq, int status, const char *name, const cJSON *content)
{
    shop_add_header(rq, "Cache-Control", "no-store");
    shop_add_header(rq, "Referrer-Policy", "same-origin");
    shop_add_header(rq, "Content-Security-Policy",
                    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
                    "base-uri 'none'; frame-ancestors 'none'");
    shop_send(rq, status, "text/html; charset=utf-8", page_make(rq, name, content));
}

void shop_answer(struct shop_request *rq, int status, cJSON *json)
{
    const struct shop_route *route = rq->route;
    const char *next = *rq->next != '\0' ? rq->next : route->next;
    if (next != NULL) {
        shop_add_header(rq, "Location", next);
    }
    if (json == NULL || (next != NULL && rq->shop->web)) {
        shop_send(rq, rq->shop->web ? 303 : status, NULL, NULL);
    } else if (route->page != NULL) {
        send_page(rq, status, route->page, json);
    } else {
        send_json(rq, status, "application/json", json);
    }
    cJSON_Delete(json);
}

void shop_error(struct shop_request *rq, int status, const char *detail)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "type", "about:blank");
    cJSON_AddNumberToObject(json, "status", status);
    cJSON_AddStringToObject(json, "detail", detail);
    if (rq->shop->web) {
        cJSON_AddBoolToObject(json, "missing", status == 404);
        send_page(rq, status, status == 401 ? "login.html" : "error.html", json);
    } else {
        send_json(rq, status, "application/problem+json", json);
    }
    cJSON_Delete(json);
}

/* ---- what came ---- */

const char *shop_value(const struct shop_request *rq, const char *name)
{
    const char *value = evhttp_find_header(&rq->values, name);
    return value != NULL ? value : "";
}

/* A JSON object's members as values; what is no text and no whole number is no value of ours. */
static bool read_json(struct shop_request *rq, const char *body)
{
    cJSON *json = cJSON_ParseWithOpts(body, NULL, true);
    bool good = cJSON_IsObject(json);
    const cJSON *member;
    cJSON_ArrayForEach(member, json)
    {
        char number[32] = "?";
        if (cJSON_IsNumber(member) && member->valuedouble == (unsigned)member->valuedouble) {
            snprintf(number, sizeof number, "%u", (unsigned)member->valuedouble);
        }
        const char *value = cJSON_IsString(member) ? member->valuestring : number;
        good = good && evhttp_find_header(&rq->values, member->string) == NULL &&
               evhttp_add_header(&rq->values, member->string, value) == 0;
    }
    cJSON_Delete(json);
    return good;
}

static bool refuse(struct shop_request *rq, int status, const char *detail)
{
    shop_error(rq, status, detail);
    return false;
}

bool shop_read_values(struct shop_request *rq)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(rq->http);
    const char *text = uri != NULL ? evhttp_uri_get_query(uri) : NULL;
    struct evkeyval *value;
    bool body = rq->route != NULL && rq->route->body;
    if (body) {
        struct evbuffer *in = evhttp_request_get_input_buffer(rq->http);
        if (evbuffer_get_length(in) > BODY_LIMIT) {
            return refuse(rq, 413, "The body is larger than 64 KiB.");
        }
        evbuffer_add(in, "", 1);
        text = (const char *)evbuffer_pullup(in, -1);
    }
    if (body && !rq->shop->web && !read_json(rq, text)) {
        return refuse(rq, 400, "The body is no JSON object, or has a member twice.");
    }
    if (text != NULL && (!body || rq->shop->web) &&
        evhttp_parse_query_str(text, &rq->values) != 0 &&
        body) { /* what is not name=value of a query has no meaning here and is passed over */
        return refuse(rq, 400, "The form is not well-formed.");
    }
    TAILQ_FOREACH (value, &rq->values, next) {
        if (!weir_str_is_utf8(weir_str_of(value->value)) || strlen(value->value) > VALUE_LIMIT) {
            return refuse(rq, 400, "A value is not UTF-8 text, or longer than 200 bytes.");
        }
    }
    return true;
}

/* ---- routes ---- */

/* Browsers name the page that a request comes from; a form on a stranger's page is refused. What
 * sends neither header is no browser and carries nobody's cookies but its own. */
bool shop_same_site(struct shop_request *rq)
{
    const char *site = shop_header(rq, "Sec-Fetch-Site");
    const char *authority = strstr(shop_header(rq, "Origin"), "://");
    if (*site != '\0') {
        return strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
    }
    return *shop_header(rq, "Origin") == '\0' ||
           (authority != NULL && strcasecmp(authority + 3, shop_header(rq, "Host")) == 0);
}

/* A pattern's star takes the rest of the path when that is one non-empty segment. */
static const char *match(const char *pattern, const char *path)
{
    size_t len = strcspn(pattern, "*");
    const char *tail = path + len;
    if (strncmp(pattern, path, len) != 0) {
        return NULL;
    }
    if (pattern[len] == '*') {
        return *tail != '\0' && strchr(tail, '/') == NULL ? tail : NULL;
    }
    return *tail == '\0' ? tail : NULL;
}

static bool is_side(const struct shop *shop, const struct shop_route *route)
{
    bool api = strncmp(route->pattern, "/api/", 5) == 0;
    return strcmp(route->pattern, "/health") == 0 || api != shop->web;
}

static void route_request(struct shop_request *rq)
{
    char allow[80] = "";
    for (const struct shop_route *route = shop_routes; route->pattern != NULL; route++) {
        const char *tail = is_side(rq->shop, route) ? match(route->pattern, rq->path) : NULL;
        if (tail == NULL) {
            continue;
        }
        if (route->method == rq->method) {
            rq->route = route;
            rq->tail = tail;
            rq->session = session_known(rq);
            if (rq->method != EVHTTP_REQ_GET && !shop_same_site(rq)) {
                shop_error(rq, 403, "This was sent from another site.");
            } else if (shop_read_values(rq)) {
                route->handle(rq);
            }
            return;
        }
        size_t len = strlen(allow);
        snprintf(allow + len, sizeof allow - len, "%s%s", len > 0 ? ", " : "",
                 route->method == EVHTTP_REQ_GET     ? "GET, HEAD"
                 : route->method == EVHTTP_REQ_POST  ? "POST"
                 : route->method == EVHTTP_REQ_PATCH ? "PATCH"
                                                     : "DELETE");
    }
    if (*allow != '\0') {
        shop_add_header(rq, "Allow", allow);
        shop_error(rq, 405, "This address does not take that method.");
    } else {
        shop_error(rq, 404, "There is nothing at this address.");
    }
}

static void fail_request(struct shop_request *rq)
{
    shop_error(rq, 500, "The shop was told to fail (see /_control).");
}

static const char *path_of(struct evhttp_request *http)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
    const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
    return path != NULL && *path != '\0' ? path : "/";
}

/* Has a request answered by `handle`. */
static void answer_with(struct shop *shop, struct evhttp_request *http,
                        void (*handle)(struct shop_request *rq))
{
    struct shop_request rq = {.shop = shop,
                              .http = http,
                              .path = path_of(http),
                              .tail = "",
                              .method = evhttp_request_get_command(http)};
    TAILQ_INIT(&rq.values);
    rq.method = rq.method == EVHTTP_REQ_HEAD ? EVHTTP_REQ_GET : rq.method;
    handle(&rq);
    evhttp_clear_headers(&rq.values);
}

/* ---- slow answers ---- */

static void waiting_free(struct waiting *waiting)
{
    LIST_REMOVE(waiting, link);
    event_free(waiting->timer);
    free(waiting);
}

static void on_waited(evutil_socket_t fd, short what, void *arg)
{
    struct waiting *waiting = arg, was = *waiting;
    (void)fd;
    (void)what;
    waiting_free(waiting);
    if (was.http == NULL) {
        return;
    }
    struct evhttp_connection *connection = evhttp_request_get_connection(was.http);
    evhttp_connection_set_closecb(connection, NULL, NULL);
    if (was.drop) {
        evhttp_connection_free(connection);
    } else {
        answer_with(was.shop, was.http, was.fail ? fail_request : route_request);
    }
}

static void on_client_gone(struct evhttp_connection *connection, void *arg)
{
    (void)connection;
    ((struct waiting *)arg)->http = NULL;
}

/* Answers later; false when there is no memory for that. */
static bool answer_later(struct shop *shop, struct evhttp_request *http, bool drop, bool fail)
{
    struct timeval delay = {.tv_sec = (time_t)(shop->faults.slow_ms / 1000),
                            .tv_usec = (suseconds_t)(shop->faults.slow_ms % 1000) * 1000};
    struct waiting *waiting = calloc(1, sizeof *waiting);
    struct event *timer = waiting != NULL ? evtimer_new(shop->base, on_waited, waiting) : NULL;
    if (timer == NULL) {
        free(waiting);
        return false;
    }
    *waiting =
        (struct waiting){.shop = shop, .http = http, .timer = timer, .drop = drop, .fail = fail};
    LIST_INSERT_HEAD(&shop->waiting, waiting, link);
    evtimer_add(timer, &delay);
    evhttp_connection_set_closecb(evhttp_request_get_connection(http), on_client_gone, waiting);
    return true;
}

void shop_forget_waiting(struct shop *shop)
{
    struct waiting *waiting;
    while ((waiting = LIST_FIRST(&shop->waiting)) != NULL) {
        if (waiting->http != NULL) {
            evhttp_connection_set_closecb(evhttp_request_get_connection(waiting->http), NULL, NULL);
        }
        waiting_free(waiting);
    }
}

/* The callback of evhttp: answers one request. */
void shop_handle(struct evhttp_request *http, void *arg)
{
    struct shop *shop = arg;
    const struct shop_faults *faults = &shop->faults;
    if (strcmp(path_of(http), "/_control") == 0) {
        answer_with(shop, http, shop_handle_control);
        return;
    }
    shop->requests++;
    bool drop = drand48() < faults->drop_share;
    bool fail = drand48() < faults->fail_share;
    if ((!drop && faults->slow_ms == 0) || !answer_later(shop, http, drop, fail)) {
        answer_with(shop, http, fail ? fail_request : route_request);
    }
}
