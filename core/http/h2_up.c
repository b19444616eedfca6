/* SPDX-License-Identifier: MIT */
/*
 * HTTP/2 towards servers (RFC 9113). See h2.h.
 *
 * A stream's state is in its exchange's arena, which may go when the exchange was released or has
 * failed, and the event that led to it has returned: from then on neither nghttp2 nor this file
 * refers to it.
 */
#include "http/h2_up.h"

#include "http/h2.h"
#include "http/syntax.h"
#include "http/websocket.h"

/* Requests at once until the server's SETTINGS say how many (and nghttp2's own number for it), and
 * how many at most where the limits do not say. */
#define ROOM_FIRST 100u
#define ROOM_MOST  1000u
/* A connection that has served so many is replaced: the numbers of streams are finite. */
#define SERVED_MOST (UINT64_C(1) << 29)
/* Bytes of a response that may be on their way while its client does not read, likewise. */
#define WINDOW (256u * 1024)
/* Points of oddities (h2.h); from three quarters on a connection serves no new requests. */
#define ABUSE_LIMIT 1000u
/* The most 1xx responses per exchange; some servers report progress by them. */
#define INTERIM_MAX 100
/* What a server has taken counts as progress in steps of so many bytes. */
#define PROGRESS_LEAST 1024u

struct h2_up {
    struct up_conn c; /* first: up_conn_open allocates both as one */
    struct h2 h2;
    struct list asking; /* struct h2_asking.link: all exchanges */
    struct freed freed; /* the session */
    uint32_t streams;   /* at once, at most */
    bool settled;       /* the server's SETTINGS have come */
    bool leaving;       /* no more exchanges: GOAWAY, or used up */
    bool broken;        /* it is about to end */
};
_Static_assert(offsetof(struct h2_up, c) == 0, "up_conn_open allocates both as one");

/* State of a running exchange, in its arena. */
struct h2_asking {
    struct h2_stream stream; /* .id 0: not submitted (yet) */
    struct up up;
    struct h2_up *owner;
    struct list link;
    struct task refusal; /* queued: it cannot go there */
    nghttp2_nv *pairs;   /* the head, until it is submitted */
    size_t pair_count;
    uint64_t taken;    /* conn->taken when it began */
    uint8_t interims;  /* 1xx responses to it */
    bool may_be_stale; /* it began on a connection that was idle after its first use */
    bool upgrade;      /* asks for a WebSocket */
    bool tunnel;       /* and has got it */
    bool head_done;    /* the response's head was passed on */
    bool whole;        /* so was its end */
};

static struct h2_asking *asking_of(struct up *up)
{
    return container_of(up, struct h2_asking, up);
}

static struct h2_asking *asking_of_stream(struct h2_stream *stream)
{
    return container_of(stream, struct h2_asking, stream);
}

static struct h2_up *owner_of(struct h2 *h2)
{
    return container_of(h2, struct h2_up, h2);
}

static const struct up_events *events_of(const struct h2_asking *x)
{
    return x->owner->c.owner->events;
}

/* ---- the connection's end and room ---- */

static void session_free(struct freed *freed)
{
    h2_free(&container_of(freed, struct h2_up, freed)->h2);
}

static void up_close(struct h2_up *u, enum codec_end how)
{
    h2_close(&u->h2);
    loop_free_later(u->c.conn->loop, &u->freed, session_free); /* before up_conn_end frees u */
    up_conn_end(&u->c, how);
}

static void set_room(struct h2_up *u)
{
    uint32_t most = u->c.expected > 0 ? u->c.expected : ROOM_FIRST;

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

/* The room may have changed: the owner hears of it, who may close the connection if it is idle. */
static void tell_room(struct h2_up *u)
{
    uint32_t before = u->c.room;

    set_room(u);
    if (!u->broken && u->c.room != before) {
        u->c.owner->on_room(&u->c);
    }
}

/* Nothing new begins here. */
static void leave(struct h2_up *u)
{
    u->leaving = true;
    tell_room(u);
}

/* ---- an exchange's end ---- */

/* The exchange is no more this connection's, which may be closed when this returns. */
static struct exchange *detach(struct h2_asking *x, uint32_t code)
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
    set_room(u);
    if (!u->broken) {
        u->c.owner->on_room(&u->c);
    }
    return exchange;
}

static void fail(struct h2_asking *x, enum up_failure why)
{
    const struct up_events *events = events_of(x);
    struct exchange *exchange = detach(x, NGHTTP2_CANCEL);

    events->on_failed(exchange, why);
}

static void malformed(struct h2_asking *x, const char *reason)
{
    x->up.exchange->error = (struct http_error){502, reason};
    fail(x, UP_MALFORMED);
}

/* Why a stream without an answer has ended. */
static enum up_failure failure_of(const struct h2_asking *x, uint32_t code)
{
    const struct h2_up *u = x->owner;

    if (code == NGHTTP2_REFUSED_STREAM || !x->stream.sent_head) {
        return UP_UNREAD;
    }
    if (!u->broken || x->interims > 0) {
        return UP_RESET;
    }
    return conn_unread(u->c.conn, x->taken) ? UP_UNREAD : x->may_be_stale ? UP_STALE : UP_RESET;
}

static void side_closed(struct h2_stream *stream, uint32_t code, bool by_peer)
{
    struct h2_asking *x = asking_of_stream(stream);

    if (x->whole && (!x->tunnel || code == NGHTTP2_NO_ERROR)) {
        return; /* the answer stands; a server may want no more of the request (section 8.1) */
    }
    if (x->whole) {
        fail(x, UP_OVER);
    } else if (!by_peer && code != NGHTTP2_REFUSED_STREAM && x->stream.sent_head) {
        malformed(x, "bad_frames"); /* nghttp2 has reset it */
    } else {
        fail(x, x->head_done ? UP_TRUNCATED : failure_of(x, code));
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
    for (uint32_t i = 0; i < fields->count && x->up.exchange != NULL; i++) {
        if (field_may_trail(&fields->items[i])) {
            events_of(x)->on_trailer(x->up.exchange, fields->items[i].name, fields->items[i].value);
        }
    }
}

static void side_head(struct h2_stream *stream, bool trailers, bool end)
{
    struct h2_asking *x = asking_of_stream(stream);
    struct exchange *exchange = x->up.exchange;
    struct http_response_head head;
    struct http_error error = {0};

    (void)trailers; /* a head behind an interim one is none of them */
    if (x->head_done) {
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
        x->head_done = true;
        exchange->response = head;
        events_of(x)->on_response(exchange);
    }
}

static void side_data(struct h2_stream *stream, const char *data, size_t len)
{
    struct h2_asking *x = asking_of_stream(stream);

    if (x->head_done && len > 0 && x->up.exchange->response.body != BODY_NONE) {
        events_of(x)->on_data(x->up.exchange, data, len);
    }
}

static void side_end(struct h2_stream *stream)
{
    struct h2_asking *x = asking_of_stream(stream);

    if (!x->head_done) { /* it did not fit */
        malformed(x, "response_head_too_large");
        return;
    }
    x->whole = true;
    events_of(x)->on_response_end(x->up.exchange);
}

static void side_flushed(struct h2_stream *stream)
{
    struct h2_asking *x = asking_of_stream(stream);

    if (x->head_done) {
        events_of(x)->on_flushed(x->up.exchange);
    }
}

static void side_drained(struct h2_stream *stream)
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
    int32_t id =
        nghttp2_submit_request(u->h2.session, NULL, x->pairs, x->pair_count, source, &x->stream);

    if (id < 0) {
        return false;
    }
    h2_stream_begin(&u->h2, &x->stream, id);
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

/* The SETTINGS are here: requests for WebSockets have waited for them. */
static void settled(struct h2_up *u)
{
    list_each(link, &u->asking)
    {
        struct h2_asking *x = container_of(link, struct h2_asking, link);
        if (x->stream.id == 0 && x->pairs != NULL && (!takes_websockets(u) || !submit(x))) {
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
    x->pairs = h2_request_pairs(x->stream.arena, head, conn_ssl(u->c.conn) != NULL, extra,
                                extra_count, &x->pair_count);
    if (x->pairs == NULL) {
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
    detach(asking_of(up), NGHTTP2_CANCEL);
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

/* ---- the session ---- */

static void side_odd(struct h2 *h2, unsigned points, const char *ends)
{
    struct h2_up *u = owner_of(h2);

    (void)points;
    if (ends != NULL) {
        u->c.owner->on_abuse(&u->c, ends);
        leave(u);
    }
}

static void side_session(struct h2 *h2, const nghttp2_frame *frame)
{
    struct h2_up *u = owner_of(h2);

    if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
        u->settled = true;
        settled(u);
        tell_room(u);
    } else if (frame->hd.type == NGHTTP2_GOAWAY) {
        /* nghttp2 refuses those above its last stream itself. */
        list_each(link, &h2->streams)
        {
            struct h2_stream *stream = container_of(link, struct h2_stream, link);
            if (!stream->sent_head) {
                h2_stream_give_up(stream);
            }
        }
        leave(u);
    }
}

static void side_broken(struct h2 *h2)
{
    struct h2_up *u = owner_of(h2);

    u->broken = u->leaving = true;
    set_room(u);
    if (u->c.running > 0) {
        u->c.owner->on_room(&u->c);
    }
}

/* Streams that ran have had their events; others wait for SETTINGS, or for their release. */
static void side_over(struct h2 *h2, enum codec_end how)
{
    struct h2_up *u = owner_of(h2);

    while (!list_empty(&u->asking)) {
        struct h2_asking *x = container_of(u->asking.next, struct h2_asking, link);
        if (x->stream.id == 0) {
            fail(x, UP_UNREAD);
        } else if (x->tunnel) {
            fail(x, UP_OVER);
        } else {
            detach(x, NGHTTP2_NO_ERROR);
        }
    }
    up_close(u, how);
}

static const struct h2_side up_side = {
    .head = side_head,
    .data = side_data,
    .end = side_end,
    .flushed = side_flushed,
    .drained = side_drained,
    .closed = side_closed,
    .odd = side_odd,
    .session = side_session,
    .broken = side_broken,
    .over = side_over,
};

/* ---- the codec ---- */

static struct h2_up *h2_of(struct up_conn *c)
{
    return container_of(c, struct h2_up, c);
}

static void conn_readable(struct conn *conn)
{
    struct h2_up *u = conn->owner;
    h2_readable(&u->h2);
}

static void conn_drained(struct conn *conn)
{
    struct h2_up *u = conn->owner;
    h2_drained(&u->h2);
}

static void conn_quiet(struct conn *conn)
{
    struct h2_up *u = conn->owner;
    h2_quiet(&u->h2);
}

static const struct conn_ops h2_conn_ops = {
    .on_readable = conn_readable,
    .on_drained = conn_drained,
    .on_quiet = conn_quiet,
};

static bool codec_begin(struct up_conn *c, const struct http_limits *limits)
{
    struct h2_up *u = h2_of(c);
    const struct h2_conf conf = {.side = &up_side,
                                 .limits = limits,
                                 .window = limits->h2_window > 0 ? limits->h2_window : WINDOW,
                                 .abuse_limit = ABUSE_LIMIT};

    u->streams = limits->h2_streams > 0 ? limits->h2_streams : ROOM_MOST;
    list_init(&u->asking);
    if (!h2_begin(&u->h2, &conf, c->conn, c->batch)) {
        return false;
    }
    set_room(u);
    conn_set_owner(c->conn, &h2_conn_ops, u);
    return true;
}

/* Unread input is usual here, such as PING; only an end is no good. */
static bool codec_use(struct up_conn *c, struct exchange *exchange, bool probe)
{
    struct h2_up *u = h2_of(c);

    ASSERT(c->room > 0);
    if (probe && c->served > 0) {
        conn_look_at_peer(c->conn);
    }
    bool ended = c->conn->write_failed || c->conn->eof_hint || c->conn->eof_seen;
    struct h2_asking *x = ended ? NULL : arena_zalloc(&exchange->arena, sizeof(*x));
    if (x == NULL) {
        u->leaving = true;
        set_room(u);
        if (c->running == 0) {
            up_close(u, END_RESET);
        }
        return false;
    }
    x->owner = u;
    x->up.ops = &h2_up_ops;
    x->up.connection = c;
    x->up.exchange = exchange;
    x->stream.h2 = &u->h2;
    x->stream.arena = &exchange->arena;
    x->refusal.fn = refuse;
    x->taken = c->conn->taken;
    x->may_be_stale = c->served > 0 && c->running == 0;
    list_push_back(&u->asking, &x->link);
    exchange->up = &x->up;
    c->running++;
    c->served++;
    set_room(u);
    return true;
}

static void codec_close(struct up_conn *c)
{
    ASSERT(c->running == 0);
    up_close(h2_of(c), END_CLOSE);
}

const struct up_codec h2_up_codec = {
    .size = sizeof(struct h2_up),
    .room = ROOM_FIRST,
    .begin = codec_begin,
    .use = codec_use,
    .close = codec_close,
};
