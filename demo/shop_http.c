/* SPDX-License-Identifier: MIT */
/* The shop's HTTP: finds the route, plays the faults, reads what came and sends the answers. */
#include "shop.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <time.h>

enum { VISIT_ID_LIMIT = 64 };

/* evhttp frees a request with its connection, so `http` is given up when that closes. */
struct shop_waiting {
    struct shop *shop;
    struct evhttp_request *http;
    struct event *timer;
    bool drop; /* close without an answer */
    bool fail; /* answer 500 */
    struct shop_waiting *next;
    struct shop_waiting **link; /* what points here */
};

uint64_t shop_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* xorshift64*: for faults, not for secrets. */
double shop_random(struct shop *shop)
{
    shop->random_state ^= shop->random_state >> 12;
    shop->random_state ^= shop->random_state << 25;
    shop->random_state ^= shop->random_state >> 27;
    uint64_t bits = shop->random_state * UINT64_C(2685821657736338717);
    return (double)(bits >> 11) / (double)(UINT64_C(1) << 53);
}

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

static const char *reason_of(int status)
{
    switch (status) {
    case 303: return "See Other";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    default: return NULL;
    }
}

/* Puts what each answer carries, and sends it. */
static void send_answer(struct shop_request *rq, int status, struct evbuffer *body)
{
    struct shop *shop = rq->shop;
    struct evkeyvalq *in = evhttp_request_get_input_headers(rq->http);
    shop_add_header(rq, "X-Served-By", shop->name);
    shop_add_header(rq, "X-Shop-Instance", shop->instance);
    const char *visit = evhttp_find_header(in, "X-Visit-Id");
    if (visit != NULL && *visit != '\0' && strlen(visit) <= VISIT_ID_LIMIT &&
        visit[strspn(visit, "0123456789abcdefghijklmnopqrstuvwxyz-")] == '\0') {
        shop_add_header(rq, "X-Visit-Id", visit);
    }
    if (shop->stopping) {
        shop_add_header(rq, "Connection", "close");
    }
    /* evhttp writes a body after HEAD if it is given one, so only its length is told. */
    if (rq->head && body != NULL) {
        char length[24];
        snprintf(length, sizeof length, "%zu", evbuffer_get_length(body));
        shop_add_header(rq, "Content-Length", length);
        evbuffer_drain(body, evbuffer_get_length(body));
    }
    evhttp_send_reply(rq->http, status, reason_of(status), body);
}

void shop_answer(struct shop_request *rq, int status, const char *type, struct evbuffer *body)
{
    if (body != NULL) {
        shop_add_header(rq, "Content-Type", type);
        shop_add_header(rq, "X-Content-Type-Options", "nosniff");
    }
    send_answer(rq, status, body);
    if (body != NULL) {
        evbuffer_free(body);
    }
}

void shop_error(struct shop_request *rq, int status, const char *detail)
{
    (rq->shop->role == SHOP_API ? shop_api_error : shop_web_error)(rq, status, detail);
}

/* A pattern's star takes the rest of the path when that is one non-empty segment. */
static const char *match(const char *pattern, const char *path)
{
    size_t len = strcspn(pattern, "*");
    if (strncmp(pattern, path, len) != 0) {
        return NULL;
    }
    const char *tail = path + len;
    if (pattern[len] == '*') {
        return *tail != '\0' && strchr(tail, '/') == NULL ? tail : NULL;
    }
    return *tail == '\0' ? tail : NULL;
}

static const struct shop_route *routes_of(const struct shop *shop)
{
    return shop->role == SHOP_API ? shop_api_routes : shop_web_routes;
}

static const char *method_name(enum evhttp_cmd_type method)
{
    switch (method) {
    case EVHTTP_REQ_GET: return "GET, HEAD";
    case EVHTTP_REQ_POST: return "POST";
    case EVHTTP_REQ_PATCH: return "PATCH";
    case EVHTTP_REQ_DELETE: return "DELETE";
    default: return "";
    }
}

static void route_request(struct shop_request *rq)
{
    char allow[80] = "";
    for (const struct shop_route *route = routes_of(rq->shop); route->pattern != NULL; route++) {
        const char *tail = match(route->pattern, rq->path);
        if (tail == NULL) {
            continue;
        }
        if (route->method == rq->method) {
            rq->tail = tail;
            rq->session = shop_known_session(rq);
            route->handle(rq);
            return;
        }
        size_t len = strlen(allow);
        snprintf(allow + len, sizeof allow - len, "%s%s", len > 0 ? ", " : "",
                 method_name(route->method));
    }
    if (*allow != '\0') {
        shop_add_header(rq, "Allow", allow);
        shop_error(rq, 405, "This address does not take that method.");
    } else {
        shop_error(rq, 404, "There is nothing at this address.");
    }
}

static bool query_is_text(const struct evkeyvalq *query)
{
    struct evkeyval *value;
    TAILQ_FOREACH (value, query, next) {
        if (!shop_utf8(value->value)) {
            return false;
        }
    }
    return true;
}

/* Builds the request on the stack and has it answered by `handle`. */
static void answer_with(struct shop *shop, struct evhttp_request *http,
                        void (*handle)(struct shop_request *rq))
{
    struct shop_request rq = {.shop = shop, .http = http, .tail = ""};
    TAILQ_INIT(&rq.query);
    rq.method = evhttp_request_get_command(http);
    rq.head = rq.method == EVHTTP_REQ_HEAD;
    rq.method = rq.head ? EVHTTP_REQ_GET : rq.method;
    rq.path = "";
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
    const char *raw = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
    const char *query = uri != NULL ? evhttp_uri_get_query(uri) : NULL;
    size_t len = 0;
    char *path = raw != NULL ? evhttp_uridecode(raw, 0, &len) : NULL;
    if (query != NULL) {
        /* What is not name=value has no meaning here and is passed over. */
        (void)evhttp_parse_query_str(query, &rq.query);
    }
    if (path == NULL || strlen(path) != len || !shop_utf8(path) || !query_is_text(&rq.query)) {
        shop_error(&rq, 400, "The address is not UTF-8 text.");
    } else {
        rq.path = *path != '\0' ? path : "/";
        handle(&rq);
    }
    evhttp_clear_headers(&rq.query);
    free(path);
}

static void fail_request(struct shop_request *rq)
{
    shop_error(rq, 500, "The shop was told to fail (see /_control).");
}

static void waiting_free(struct shop_waiting *waiting)
{
    *waiting->link = waiting->next;
    if (waiting->next != NULL) {
        waiting->next->link = waiting->link;
    }
    event_free(waiting->timer);
    free(waiting);
}

static void on_waited(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct shop_waiting *waiting = arg;
    struct shop *shop = waiting->shop;
    struct evhttp_request *http = waiting->http;
    bool drop = waiting->drop;
    bool fail = waiting->fail;
    waiting_free(waiting);
    if (http == NULL) {
        return;
    }
    struct evhttp_connection *connection = evhttp_request_get_connection(http);
    evhttp_connection_set_closecb(connection, NULL, NULL);
    if (drop) {
        evhttp_connection_free(connection);
    } else {
        answer_with(shop, http, fail ? fail_request : route_request);
    }
}

static void on_client_gone(struct evhttp_connection *connection, void *arg)
{
    (void)connection;
    struct shop_waiting *waiting = arg;
    waiting->http = NULL;
}

/* Answers later; false when there is no memory for that. */
static bool answer_later(struct shop *shop, struct evhttp_request *http, bool drop, bool fail)
{
    struct shop_waiting *waiting = calloc(1, sizeof *waiting);
    if (waiting == NULL) {
        return false;
    }
    waiting->timer = evtimer_new(shop->base, on_waited, waiting);
    if (waiting->timer == NULL) {
        free(waiting);
        return false;
    }
    waiting->shop = shop;
    waiting->http = http;
    waiting->drop = drop;
    waiting->fail = fail;
    waiting->next = shop->waiting;
    waiting->link = &shop->waiting;
    if (waiting->next != NULL) {
        waiting->next->link = &waiting->next;
    }
    shop->waiting = waiting;
    struct timeval delay = {.tv_sec = (time_t)(shop->faults.slow_ms / 1000),
                            .tv_usec = (suseconds_t)(shop->faults.slow_ms % 1000) * 1000};
    evtimer_add(waiting->timer, &delay);
    evhttp_connection_set_closecb(evhttp_request_get_connection(http), on_client_gone, waiting);
    return true;
}

void shop_forget_waiting(struct shop *shop)
{
    while (shop->waiting != NULL) {
        if (shop->waiting->http != NULL) {
            evhttp_connection_set_closecb(evhttp_request_get_connection(shop->waiting->http), NULL,
                                          NULL);
        }
        waiting_free(shop->waiting);
    }
}

static bool is_control(struct evhttp_request *http)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
    const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
    return path != NULL && strcmp(path, "/_control") == 0;
}

void shop_handle(struct evhttp_request *http, void *arg)
{
    struct shop *shop = arg;
    if (is_control(http)) {
        answer_with(shop, http, shop_handle_control);
        return;
    }
    shop->requests++;
    bool drop = shop->faults.drop_share > 0 && shop_random(shop) < shop->faults.drop_share;
    bool fail = shop->faults.fail_share > 0 && shop_random(shop) < shop->faults.fail_share;
    if ((drop || shop->faults.slow_ms > 0) && answer_later(shop, http, drop, fail)) {
        return;
    }
    answer_with(shop, http, fail ? fail_request : route_request);
}
