/* SPDX-License-Identifier: MIT */
/*
 * HTTP/2 towards servers: an exchange and its stream. See h2_up.c.
 *
 * A stream's state is in its exchange's arena, which may go when the exchange was released or has
 * failed, and the event that led to it has returned: from then on neither nghttp2 nor this file
 * refers to it.
 */
#include "http/h2_up_parts.h"
#include "http/syntax.h"
#include "http/websocket.h"

/* A connection that has served so many is replaced: the numbers of streams are finite. */
#define SERVED_MOST (UINT64_C(1) << 29)
/* The most 1xx responses per exchange; some servers report progress by them. */
#define INTERIM_MAX 100
/* What a server has taken counts as progress in steps of so many bytes. */
#define PROGRESS_LEAST 1024u

static struct h2_asking *asking_of(struct up *up)
{
    return container_of(up, struct h2_asking, up);
}

static struct h2_asking *asking_of_stream(struct h2_stream *stream)
{
    return container_of(stream, struct h2_asking, stream);
}

static const struct up_events *events_of(const struct h2_asking *x)
{
    return x->owner->c.owner->events;
}

/* ---- beginning and end ---- */

void h2_up_set_room(struct h2_up *u)
{
    uint32_t most = u->c.expected > 0 ? u->c.expected : H2_UP_ROOM_FIRST;

    if (u->settled) {
        most = nghttp2_session_get_remote_settings(u->h2.session,
                                                   NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
        u->c.most = most = most < u->streams ? most : u->streams;
    }
    most = most < u->streams ? most : u->streams;
    if (u->leaving || u->c.served >= SERVED_MOST) {
        most = 0;
    }
    u->c.room = most > u->c.running ? most - u->c.running : 0;
}

struct exchange *h2_up_detach(struct h2_asking *x, uint32_t code)
{
    struct h2_up *u = x->owner;
    struct exchange *exchange = x->up.exchange;

    exchange->up = NULL;
    x->up.exchange = NULL;
    list_remove(&x->link);
    task_cancel(&x->refusal);
    if (x->stream.id != 0) {
        h2_stream_leave(&x->stream, code);
    }
    u->c.running--;
    if (u->c.running == 0) {
        u->c.idle_since_ns = loop_now_ns(u->c.conn->loop);
    }
    h2_up_set_room(u);
    if (!u->broken) {
        u->c.owner->on_room(&u->c);
    }
    return exchange;
}

void h2_up_fail(struct h2_asking *x, enum up_failure why)
{
    const struct up_events *events = events_of(x);
    struct exchange *exchange = h2_up_detach(x, NGHTTP2_CANCEL);

    events->on_failed(exchange, why);
}

static void malformed(struct h2_asking *x, const char *reason)
{
    x->up.exchange->error = (struct http_error){502, reason};
    h2_up_fail(x, UP_MALFORMED);
}

/* Why a stream without an answer has ended. What GOAWAY leaves unread is no refusal if the server
 * has served something on this connection, nor is what was too much only by our guess. */
static enum up_failure failure_of(const struct h2_asking *x, uint32_t code, bool by_peer)
{
    const struct h2_up *u = x->owner;

    if (u->h2.foreign) {
        return UP_FOREIGN;
    }
    if (code == NGHTTP2_REFUSED_STREAM) {
        return (by_peer ? x->early && u->overdrawn : u->answers) ? UP_LEFT : UP_REFUSED;
    }
    if (!x->stream.sent_head) {
        return UP_UNREAD;
    }
    if (!u->broken || x->interims > 0) {
        return UP_RESET;
    }
    return conn_unread(u->c.conn, x->taken) ? UP_UNREAD : x->may_be_stale ? UP_STALE : UP_RESET;
}

void h2_up_on_closed(struct h2_stream *stream, uint32_t code, bool by_peer)
{
    struct h2_asking *x = asking_of_stream(stream);

    if (x->whole && (!x->tunnel || code == NGHTTP2_NO_ERROR)) {
        return; /* the answer stands; a server may want no more of the request (section 8.1) */
    }
    if (x->whole) {
        h2_up_fail(x, UP_OVER);
    } else if (!by_peer && code != NGHTTP2_REFUSED_STREAM && x->stream.sent_head) {
        malformed(x, "bad_frames"); /* nghttp2 has reset it */
    } else {
        h2_up_fail(x, x->head_done ? UP_TRUNCATED : failure_of(x, code, by_peer));
    }
}

/* ---- responses ---- */

/* A success of extended CONNECT (RFC 8441 section 5) is HTTP/1's 101 for everyone else. */
static bool switched(struct h2_asking *x, struct http_response_head *head)
{
    struct exchange *exchange = x->up.exchange;
    const struct http_field *key = fields_find_name(&exchange->request.fields, WEBSOCKET_KEY);

    head->status = 101;
    head->body = BODY_TUNNEL;
    head->has_content_length = false;
    x->tunnel = true;
    if (key == NULL) {
        return true;
    }
    struct weir_str accept = websocket_accept(key->value, &exchange->arena);
    return accept.ptr != NULL &&
           fields_set(&head->fields, &exchange->arena, WEBSOCKET_ACCEPT, accept);
}

static void take_trailers(struct h2_asking *x, const struct http_fields *fields)
{
    struct h2 *h2 = x->stream.h2;

    h2->passing = &x->stream;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (field_may_trail(&fields->items[i])) {
            events_of(x)->on_trailer(x->up.exchange, fields->items[i].name, fields->items[i].value);
            if (h2->passing == NULL) {
                return;
            }
        }
    }
}

void h2_up_on_head(struct h2_stream *stream, bool trailers, bool end)
{
    struct h2_asking *x = asking_of_stream(stream);
    struct exchange *exchange = x->up.exchange;
    struct http_response_head head;
    struct http_error error = {0};

    (void)trailers;  /* a head behind an interim one is none of them */
    if (x->tunnel) { /* nothing but DATA (section 8.5) */
        malformed(x, "trailers_in_tunnel");
    } else if (x->head_done && stream->section->refused.status != 0) {
        malformed(x, "trailers_too_long");
    } else if (x->head_done) {
        take_trailers(x, &stream->section->fields);
    } else if (!h2_response_head(stream->section, end, exchange->request.method, &head, &error)) {
        malformed(x, error.reason);
    } else if (head.status < 200) {
        if (++x->interims > INTERIM_MAX) {
            malformed(x, "too_many_interim_responses");
        } else {
            events_of(x)->on_interim(exchange, &head);
        }
    } else if (x->upgrade && head.status < 300 && !switched(x, &head)) {
        malformed(x, "response_head_too_large");
    } else {
        x->head_done = x->owner->answers = true;
        exchange->response = head;
        if (head.body == BODY_LENGTH) {
            h2_stream_expect(stream, head.content_length);
        }
        events_of(x)->on_response(exchange);
    }
}

void h2_up_on_data(struct h2_stream *stream, const char *data, size_t len)
{
    struct h2_asking *x = asking_of_stream(stream);

    if (x->head_done && len > 0 && x->up.exchange->response.body != BODY_NONE) {
        events_of(x)->on_data(x->up.exchange, data, len);
    }
}

void h2_up_on_end(struct h2_stream *stream)
{
    struct h2_asking *x = asking_of_stream(stream);

    if (!x->head_done) { /* it did not fit */
        malformed(x, "response_head_too_large");
        return;
    }
    x->whole = true;
    events_of(x)->on_response_end(x->up.exchange);
}

void h2_up_on_flushed(struct h2_stream *stream)
{
    struct h2_asking *x = asking_of_stream(stream);

    if (x->head_done) {
        events_of(x)->on_flushed(x->up.exchange);
    }
}

void h2_up_on_drained(struct h2_stream *stream)
{
    struct h2_asking *x = asking_of_stream(stream);

    events_of(x)->on_drained(x->up.exchange);
}

/* ---- requests ---- */

static bool submit(struct h2_asking *x)
{
    struct h2_up *u = x->owner;
    const nghttp2_data_provider provider = {.source.ptr = &x->stream, .read_callback = h2_source};
    const nghttp2_data_provider *source = x->stream.has_source ? &provider : NULL;
    struct weir_str name = x->upgrade ? STR("CONNECT") : x->up.exchange->request.method_name;
    /* The one field that nghttp2 looks at. */
    const nghttp2_nv method = {
        .name = (uint8_t *)(uintptr_t) ":method",
        .value = (uint8_t *)(uintptr_t)name.ptr,
        .namelen = sizeof(":method") - 1,
        .valuelen = name.len,
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME,
    };
    int32_t id = nghttp2_submit_request(u->h2.session, NULL, &method, 1, source, &x->stream);

    if (id < 0) {
        return false;
    }
    h2_stream_begin(&u->h2, &x->stream, id);
    h2_stream_block(&x->stream, x->head);
    h2_wake(&u->h2);
    return true;
}

/* Whether the server takes WebSockets; known with its SETTINGS. */
static bool takes_websockets(const struct h2_up *u)
{
    return nghttp2_session_get_remote_settings(u->h2.session,
                                               NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

static void refuse(struct task *task)
{
    struct h2_asking *x = container_of(task, struct h2_asking, refusal);
    struct batch *batch = x->owner->c.batch;

    malformed(x, "websocket_not_taken");
    batch_flush(batch);
}

void h2_up_settled(struct h2_up *u)
{
    list_each(link, &u->asking)
    {
        struct h2_asking *x = container_of(link, struct h2_asking, link);
        if (x->stream.id == 0 && x->head != NULL && (!takes_websockets(u) || !submit(x))) {
            task_queue(u->c.conn->loop, &x->refusal);
        }
    }
}

/* A filter may have set what must not go out. */
static bool head_valid(const struct http_request_head *head)
{
    return field_name_valid(head->method_name) && head->path.len > 0 &&
           syntax_visible(head->path, '?') && syntax_visible(head->query, '#') &&
           syntax_visible(head->authority, '/');
}

static bool up_head(struct up *up, const struct http_extra *extra, size_t extra_count)
{
    struct h2_asking *x = asking_of(up);
    struct h2_up *u = x->owner;
    const struct http_request_head *head = &up->exchange->request;

    x->upgrade = head->upgrade_websocket;
    x->stream.has_source = x->upgrade || head->body == BODY_CHUNKED ||
                           (head->body == BODY_LENGTH && head->content_length > 0);
    if (!head_valid(head)) {
        return false;
    }
    x->head =
        h2_request_block(x->stream.arena, head, conn_ssl(u->c.conn) != NULL, extra, extra_count);
    if (x->head == NULL) {
        return false;
    }
    if (likely(!x->upgrade)) {
        return submit(x);
    }
    if (u->settled && !takes_websockets(u)) {
        task_queue(u->c.conn->loop, &x->refusal);
        return true;
    }
    return !u->settled || submit(x);
}

static void up_data(struct up *up, const char *data, size_t len)
{
    struct h2_asking *x = asking_of(up);

    if (x->stream.id != 0 && x->stream.has_source && (!x->upgrade || x->tunnel)) {
        h2_stream_data(&x->stream, data, len);
    }
}

static void up_trailer(struct up *up, struct weir_str name, struct weir_str value)
{
    struct h2_asking *x = asking_of(up);

    if (x->stream.has_source) {
        h2_stream_trailer(&x->stream, name, value);
    }
}

static void up_end(struct up *up)
{
    struct h2_asking *x = asking_of(up);

    if (x->stream.id != 0 && x->stream.has_source) {
        h2_stream_end(&x->stream);
    }
}

static void up_pause(struct up *up)
{
    h2_stream_pause(&asking_of(up)->stream);
}

static void up_resume(struct up *up)
{
    struct h2_asking *x = asking_of(up);

    if (x->stream.paused) {
        h2_stream_resume(&x->stream);
    }
}

static size_t up_waiting(struct up *up)
{
    struct h2_asking *x = asking_of(up);
    return x->stream.id != 0 ? h2_stream_blocked(&x->stream) : 0;
}

/* What windows hold back moves as they open; what the socket holds back, as the kernel takes it. */
static uint64_t up_taken_mark(struct up *up)
{
    struct h2_asking *x = asking_of(up);
    struct conn *conn = x->owner->c.conn;
    uint64_t steps = x->stream.sent / PROGRESS_LEAST;

    return conn_waiting(conn) > 0 ? steps + conn_taken_mark(conn) : steps;
}

static void up_release(struct up *up)
{
    h2_up_detach(asking_of(up), NGHTTP2_CANCEL);
}

static const struct up_ops h2_up_ops = {
    .head = up_head,
    .data = up_data,
    .trailer = up_trailer,
    .end = up_end,
    .pause = up_pause,
    .resume = up_resume,
    .waiting = up_waiting,
    .taken_mark = up_taken_mark,
    .release = up_release,
};

bool h2_up_attach(struct h2_up *u, struct exchange *exchange)
{
    struct h2_asking *x = arena_zalloc(&exchange->arena, sizeof(*x));

    if (x == NULL) {
        return false;
    }
    x->owner = u;
    x->up.ops = &h2_up_ops;
    x->up.connection = &u->c;
    x->up.exchange = exchange;
    x->stream.h2 = &u->h2;
    x->stream.arena = &exchange->arena;
    x->refusal.fn = refuse;
    x->taken = u->c.conn->taken;
    x->early = !u->settled;
    x->may_be_stale = u->c.served > 0 && u->c.running == 0;
    list_push_back(&u->asking, &x->link);
    exchange->up = &x->up;
    u->c.running++;
    u->c.served++;
    h2_up_set_room(u);
    return true;
}
