/* SPDX-License-Identifier: MIT */
/*
 * Probes over HTTP/2. See probe_http.h.
 */
#include "proxy/upstream/probe_http.h"

#include <stdlib.h>

#include "http/h1_parse.h"
#include "http/h1_write.h"

/* Fields of a request. */
#define PROBE_FIELDS_MAX 256u

struct probe_http {
    struct exchange exchange;
    struct loop *loop;
    struct up_conn *c; /* NULL: closed */
    struct probe_answer *answer;
    const struct probe_http_events *events;
    void *arg;
    bool chunked, last_chunk; /* how the answer's body is told; its last chunk has been */
    struct freed freed;
};

static struct probe_http *http_of(struct exchange *exchange)
{
    return container_of(exchange, struct probe_http, exchange);
}

/* ---- the answer, as text ---- */

/* What does not fit is cut, and says by filling it that there was more. */
static void tell(struct probe_http *http, const char *text, size_t len)
{
    struct probe_answer *answer = http->answer;
    size_t room = PROBE_ANSWER_MAX - answer->len;

    len = len < room ? len : room;
    if (len > 0) {
        memcpy(answer->text + answer->len, text, len);
        answer->len += len;
    }
}

static void tell_str(struct probe_http *http, struct weir_str text)
{
    tell(http, text.ptr, text.len);
}

static void tell_last_chunk(struct probe_http *http)
{
    if (!http->last_chunk) {
        http->last_chunk = true;
        tell_str(http, STR("0\r\n"));
    }
}

static void on_interim(struct exchange *exchange, struct http_response_head *head)
{
    (void)exchange; /* the answer that counts follows */
    (void)head;
}

static void on_response(struct exchange *exchange)
{
    struct probe_http *http = http_of(exchange);
    const struct http_response_head *head = &exchange->response;
    size_t size = h1_response_size(head);
    char *text = malloc(size);

    http->chunked = head->body == BODY_CHUNKED;
    const struct h1_response_shape shape = {.client_version = HTTP_1_1, .chunked = http->chunked};
    size_t len = text != NULL ? h1_write_response(text, size, head, &shape) : 0;
    tell(http, text, len);
    free(text);
    if (len > 0) {
        http->events->on_answer(http->arg, false);
    } else {
        http->events->on_failed(http->arg, NULL, "the answer's head cannot be read");
    }
}

static void on_data(struct exchange *exchange, const char *data, size_t len)
{
    struct probe_http *http = http_of(exchange);
    char line[H1_CHUNK_LINE_SIZE];

    if (http->chunked) {
        tell(http, line, h1_write_chunk_line(line, len));
    }
    tell(http, data, len);
    if (http->chunked) {
        tell_str(http, STR("\r\n"));
    }
    http->events->on_answer(http->arg, false);
}

static void on_trailer(struct exchange *exchange, struct weir_str name, struct weir_str value)
{
    struct probe_http *http = http_of(exchange);

    if (http->chunked) {
        tell_last_chunk(http);
        tell_str(http, name);
        tell_str(http, STR(": "));
        tell_str(http, value);
        tell_str(http, STR("\r\n"));
    }
}

static void on_response_end(struct exchange *exchange)
{
    struct probe_http *http = http_of(exchange);

    if (http->chunked) {
        tell_last_chunk(http);
        tell_str(http, STR("\r\n"));
    }
    http->events->on_answer(http->arg, true);
}

static void on_quiet(struct exchange *exchange)
{
    (void)exchange;
}

static void on_failed(struct exchange *exchange, enum up_failure failure)
{
    struct probe_http *http = http_of(exchange);
    const char *why = failure == UP_MALFORMED || failure == UP_STRAY ? exchange->error.reason
                      : failure == UP_FOREIGN                        ? PROBE_NOT_HTTP2
                      : failure == UP_TRUNCATED                      ? "the answer was cut short"
                                                                     : "closed without an answer";

    http->events->on_failed(http->arg, http->c != NULL ? http->c->conn : NULL, why);
}

static const struct up_events exchange_events = {
    .on_interim = on_interim,
    .on_response = on_response,
    .on_data = on_data,
    .on_trailer = on_trailer,
    .on_response_end = on_response_end,
    .on_flushed = on_quiet,
    .on_drained = on_quiet,
    .on_failed = on_failed,
};

/* ---- its connection ---- */

static void on_open(struct up_conn *c, uint64_t took_ns)
{
    (void)c;
    (void)took_ns;
}

/* It serves one exchange. */
static void on_room(struct up_conn *c)
{
    if (c->running == 0 && c->served > 0) {
        up_conn_close(c);
    }
}

static void on_closed(struct up_conn *c)
{
    struct probe_http *http = c->user;
    http->c = NULL;
}

static const struct up_owner conn_owner = {
    .events = &exchange_events,
    .on_open = on_open,
    .on_room = on_room,
    .on_closed = on_closed,
};

/* ---- beginning and end ---- */

/* Reads the request; its text is in the arena. false: *why, NULL: out of memory. */
static bool read_request(struct exchange *exchange, struct weir_str request,
                         struct weir_str *content, const char **why)
{
    const struct http_limits limits = {
        .head = PROBE_REQUEST_MAX, .fields = PROBE_FIELDS_MAX, .target = PROBE_REQUEST_MAX};
    struct http_request_head *head = &exchange->request;
    struct weir_str text = arena_copy(&exchange->arena, request);
    struct h1_scan scan = {0};
    struct http_error error = {0};
    size_t used = 0;

    *why = NULL;
    if (text.ptr == NULL) {
        return false;
    }
    if (h1_parse_request(text.ptr, text.len, &limits, &scan, &exchange->arena, head, &used,
                         &error) != H1_DONE) {
        *why = "the module's request is none of HTTP/1.1, and HTTP/2 is spoken here";
        return false;
    }
    *content = (struct weir_str){text.ptr + used, text.len - used};
    if (head->upgrade_websocket || head->body == BODY_CHUNKED ||
        (head->body == BODY_LENGTH ? head->content_length : 0) != content->len) {
        *why = "the module's request has content that Content-Length does not tell";
        return false;
    }
    fields_drop_hop_by_hop(&head->fields);
    return true;
}

static void http_free(struct freed *freed)
{
    struct probe_http *http = container_of(freed, struct probe_http, freed);

    arena_reset(&http->exchange.arena);
    free(http);
}

struct probe_http *probe_http_begin(struct conn *conn, struct batch *batch,
                                    const struct http_limits *limits, struct weir_str request,
                                    struct probe_answer *answer,
                                    const struct probe_http_events *events, void *arg,
                                    const char **why)
{
    struct probe_http *http = base_zalloc(sizeof(*http));
    struct exchange *exchange = &http->exchange;
    struct weir_str content = {NULL, 0};

    http->loop = conn->loop;
    http->answer = answer;
    http->events = events;
    http->arg = arg;
    arena_init(&exchange->arena, NULL, 0);
    if (!read_request(exchange, request, &content, why)) {
        conn_close(&conn, false);
        http_free(&http->freed);
        return NULL;
    }
    http->c = up_conn_open(up_protocol_codec(UP_HTTP_2, conn_ssl(conn) != NULL), conn, batch,
                           limits, &conn_owner, http);
    if (http->c == NULL) {
        http_free(&http->freed);
        return NULL;
    }
    exchange->request_whole = true;
    struct up *up = up_conn_use(http->c, exchange, false) ? exchange->up : NULL;
    if (up == NULL || !up->ops->head(up, NULL, 0)) {
        *why = up == NULL ? "closed without an answer" : NULL;
        probe_http_end(&http);
        return NULL;
    }
    if (content.len > 0) {
        up->ops->data(up, content.ptr, content.len);
    }
    if (exchange->request.body != BODY_NONE) {
        up->ops->end(up);
    }
    conn_resume_read(http->c->conn);
    batch_flush(batch);
    return http;
}

void probe_http_end(struct probe_http **ended)
{
    struct probe_http *http = *ended;

    *ended = NULL;
    if (http == NULL) {
        return;
    }
    struct up *up = http->exchange.up;
    if (up != NULL) {
        up->ops->release(up); /* closes the connection, unless it does so itself */
    }
    loop_free_later(http->loop, &http->freed, http_free);
}
