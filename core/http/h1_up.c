/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 towards servers (RFC 9112). See h1_up.h.
 *
 * The server is not trusted either: what it sends is parsed as strictly as what clients send, bytes after
 * a response end the connection and reach nobody.
 */
#include "http/h1_up.h"

#include <stdlib.h>

#include "http/h1_write.h"

enum state {
    STATE_IDLE,
    STATE_HEAD, /* waiting for, or reading, the response's head */
    STATE_LENGTH,
    STATE_CHUNKED,
    STATE_CLOSE, /* body until the connection ends */
    STATE_DONE,  /* the response is whole; the request may not be */
    STATE_TUNNEL,
    STATE_GONE,
};

#define READS_PER_TURN 16

/* Some servers close without a word behind a head that is longer than this (uWSGI's default). */
#define H1_HEAD_COMMON 4096

/* 1xx responses that one exchange may have before it is nonsense; some servers tell progress by them. */
#define INTERIM_MAX 100

static struct h1_up *client_of(struct up *up)
{
    return (struct h1_up *)up;
}

static void client_free(struct freed *freed)
{
    free(container_of(freed, struct h1_up, freed));
}

/* The connection's end: the one place where it is closed. */
static void client_close(struct h1_up *c, bool reset)
{
    struct conn *conn = c->conn;
    struct loop *loop = conn->loop;

    c->state = STATE_GONE;
    c->up.exchange = NULL;
    batch_forget(c->batch, conn);
    if (!reset && c->tunnel && conn_waiting(conn) > 0) {
        conn_close_lingering(&c->conn); /* the client's last words */
    } else {
        conn_close(&c->conn, reset);
    }
    c->owner->on_closed(c);
    loop_free_later(loop, &c->freed, client_free);
}

static void client_fail(struct h1_up *c, enum up_failure why)
{
    struct exchange *exchange = c->up.exchange;

    if (exchange != NULL) {
        exchange->up = NULL;
    }
    client_close(c, true);
    if (exchange != NULL) {
        c->owner->events->on_failed(exchange, why);
    }
}

/* The connection has served before, and no interim answer has come: nonsense, or its end, may be older than
 * the request. */
static bool client_stale(const struct h1_up *c)
{
    return c->exchanges > 1 && c->interims == 0;
}

/* The connection ended or broke while an exchange was on it. */
static void client_lost(struct h1_up *c)
{
    if (c->state == STATE_HEAD) {
        bool silent = !c->answer_begun;
        client_fail(c, silent && conn_unread(c->conn, c->taken) ? UP_UNREAD
                       : silent && client_stale(c)              ? UP_STALE
                       : silent && c->long_head                 ? UP_OVERLONG
                                                                : UP_RESET);
    } else if (c->state == STATE_DONE) {
        c->reusable = false; /* the answer stands; release will close */
    } else {
        client_fail(c, UP_TRUNCATED);
    }
}

static void client_malformed(struct h1_up *c, const char *reason)
{
    c->up.exchange->error = (struct http_error){502, reason};
    client_fail(c, client_stale(c) ? UP_STRAY : UP_MALFORMED);
}

/* 408 and the end, on an idle connection: a server that waited in vain for the next request, which has crossed
 * this on its way. It may be sent again (RFC 9110 section 15.5.9). */
static bool client_crossed(const struct h1_up *c, const struct http_response_head *head)
{
    return head->status == 408 && !head->keep_alive && client_stale(c) && c->request_whole;
}

/* `surplus`: bytes behind the response. Said before the stream hears of its end and lets go, when the
 * connection might serve the next request at once. */
static void client_response_whole(struct h1_up *c, size_t surplus)
{
    c->state = STATE_DONE;
    c->reusable = c->reusable && surplus == 0;
    c->owner->events->on_response_end(c->up.exchange);
}

/* ---- responses ---- */

/* The head is complete: moves it into the arena and tells the stream, which has it in exchange->response from
 * then on, and nothing of one that is refused. */
static void client_begin(struct h1_up *c, struct http_response_head *head, const char *data,
                         size_t used, size_t surplus)
{
    struct exchange *exchange = c->up.exchange;
    bool interim = head->status < 200 && head->status != 101;
    char *copy = arena_bytes(&exchange->arena, used);

    if (copy == NULL) {
        client_malformed(c, "response_head_too_large");
        return;
    }
    memcpy(copy, data, used);
    response_head_rebase(head, data, used, copy);
    c->scan = (struct h1_scan){0};
    if (unlikely(client_crossed(c, head))) {
        client_fail(c, UP_UNREAD);
        return;
    }
    if (interim) {
        if (++c->interims > INTERIM_MAX) {
            client_malformed(c, "too_many_interim_responses");
            return;
        }
        c->owner->events->on_interim(exchange, head);
        return;
    }
    if (head->status == 101 && !exchange->request.upgrade_websocket) {
        client_malformed(c, "upgrade_not_asked");
        return;
    }
    exchange->response = *head;
    c->reusable = head->keep_alive && head->body != BODY_CLOSE && head->status != 101;
    switch (head->body) {
    case BODY_LENGTH:
        c->body_left = head->content_length;
        c->state = c->body_left > 0 ? STATE_LENGTH : STATE_DONE;
        break;
    case BODY_CHUNKED:
        c->chunked = (struct h1_chunked){0};
        c->state = STATE_CHUNKED;
        break;
    case BODY_CLOSE: c->state = STATE_CLOSE; break;
    default:
        c->tunnel = head->status == 101;
        c->state = c->tunnel ? STATE_TUNNEL : STATE_DONE;
        break;
    }
    bool done = c->state == STATE_DONE;
    c->reusable = c->reusable && (!done || surplus == 0); /* the stream may let go at once */
    c->owner->events->on_response(exchange);
    if (done && c->up.exchange == exchange) {
        client_response_whole(c, surplus);
    }
}

static size_t client_take_head(struct h1_up *c, const char *data, size_t len)
{
    struct exchange *exchange = c->up.exchange;
    struct http_response_head head = {0};
    size_t used = 0;

    c->answer_begun = true;
    switch (h1_parse_response(data, len, &c->limits, &c->scan, &exchange->arena,
                              exchange->request.method, &head, &used, &exchange->error)) {
    case H1_INCOMPLETE: return 0;
    case H1_ERROR: client_fail(c, client_stale(c) ? UP_STRAY : UP_MALFORMED); return len;
    case H1_DONE: break;
    }
    client_begin(c, &head, data, used, len - used);
    return used;
}

static size_t client_take_chunked(struct h1_up *c, const char *data, size_t len)
{
    struct exchange *exchange = c->up.exchange;
    size_t used = 0;
    const char *out = NULL;
    size_t out_len = 0;
    struct http_field field;

    switch (h1_chunk_next(&c->chunked, data, len, &c->limits, &used, &out, &out_len, &field,
                          &exchange->error)) {
    case H1_CHUNK_MORE: break;
    case H1_CHUNK_DATA: c->owner->events->on_data(exchange, out, out_len); break;
    case H1_CHUNK_TRAILER: c->owner->events->on_trailer(exchange, field.name, field.value); break;
    case H1_CHUNK_END: client_response_whole(c, len - used); break;
    case H1_CHUNK_ERROR: client_fail(c, UP_MALFORMED); return len;
    }
    return used;
}

static size_t client_take(struct h1_up *c, const char *data, size_t len)
{
    struct exchange *exchange = c->up.exchange;
    size_t take = len;

    switch (c->state) {
    case STATE_HEAD: return client_take_head(c, data, len);
    case STATE_LENGTH:
        take = len < c->body_left ? len : (size_t)c->body_left;
        c->body_left -= take;
        c->owner->events->on_data(exchange, data, take);
        if (c->body_left == 0 && c->state == STATE_LENGTH) {
            client_response_whole(c, len - take);
        }
        return take;
    case STATE_CHUNKED: return client_take_chunked(c, data, len);
    case STATE_CLOSE:
    case STATE_TUNNEL: c->owner->events->on_data(exchange, data, len); return len;
    default: /* bytes after the response: nobody asked for them */ c->reusable = false; return len;
    }
}

static void client_eof(struct h1_up *c)
{
    switch (c->state) {
    case STATE_CLOSE:
        c->reusable = false;
        client_response_whole(c, 0);
        break;
    case STATE_TUNNEL:
        c->state = STATE_DONE;
        c->owner->events->on_response_end(c->up.exchange);
        break;
    default: client_lost(c); break;
    }
}

static bool client_wants_bytes(const struct h1_up *c)
{
    return c->up.exchange != NULL && (!c->paused || c->state == STATE_HEAD) &&
           c->state != STATE_DONE && c->state != STATE_GONE;
}

static bool client_read_once(struct h1_up *c)
{
    char *data = NULL;
    size_t len = 0;
    enum conn_result result = conn_read(c->conn, &data, &len, c->pace.max);

    if (result == CONN_AGAIN) {
        return false;
    }
    if (result == CONN_EOF) {
        client_eof(c);
        return false;
    }
    if (result == CONN_ERROR) {
        client_lost(c);
        return false;
    }
    struct exchange *exchange = c->up.exchange;
    struct batch *batch = c->batch;
    size_t at = 0;
    pace_passed(&c->pace, len);
    /* All of one read is handed on, also when the stream has asked for a pause in between: it is bounded,
     * and would have to be kept. */
    while (at < len && c->up.exchange == exchange) {
        size_t used = client_take(c, data + at, len - at);
        if (used == 0) {
            break;
        }
        at += used;
    }
    batch_flush(batch); /* before scratch is read into again */
    if (c->state == STATE_GONE) {
        return false;
    }
    if (c->up.exchange != exchange) {
        /* Released inside, with no byte left behind: the connection is idle, or has its next exchange. */
        ASSERT(at == len);
        return false;
    }
    conn_keep(c->conn, data + at, len - at);
    c->owner->events->on_flushed(exchange);
    return true;
}

static void client_readable(struct conn *conn)
{
    struct h1_up *c = conn->owner;
    struct batch *batch = c->batch;

    if (c->state == STATE_IDLE) {
        char *data = NULL;
        size_t len = 0;
        /* Its end, or bytes that nobody asked for; but TLS may have something of its own to read. */
        if (conn_read(conn, &data, &len, 0) != CONN_AGAIN) {
            client_close(c, true);
        }
        return;
    }
    if (c->tunnel && c->state == STATE_DONE && conn_is_broken(conn)) {
        client_fail(c, UP_OVER); /* nothing is read of it any more: only this tells */
    }
    for (int i = 0; client_wants_bytes(c); i++) {
        if (i == READS_PER_TURN) {
            conn_resume_read(conn);
            break;
        }
        if (!client_read_once(c)) {
            break;
        }
    }
    batch_flush(batch);
}

static void client_drained(struct conn *conn)
{
    struct h1_up *c = conn->owner;
    struct batch *batch = c->batch;
    if (c->up.exchange != NULL) {
        c->owner->events->on_drained(c->up.exchange);
    }
    batch_flush(batch);
}

static void client_opened(struct conn *conn, bool ok)
{
    (void)conn;
    (void)ok;
    ASSERT(!"a client connection is open before it is handed over");
}

static const struct conn_ops client_conn_ops = {
    .on_readable = client_readable,
    .on_drained = client_drained,
    .on_open = client_opened,
};

/* ---- requests ---- */

static bool up_head(struct up *up, const struct http_extra *extra, size_t extra_count)
{
    struct h1_up *c = client_of(up);
    struct exchange *exchange = up->exchange;
    const struct http_request_head *head = &exchange->request;
    size_t size = h1_request_size(head, extra, extra_count);
    char *out = batch_reserve(c->batch, c->conn, size);
    size_t len = 0;

    c->long_head = size > H1_HEAD_COMMON;
    c->request_chunked = head->body == BODY_CHUNKED;
    c->request_whole = head->body == BODY_NONE;
    if (out != NULL) {
        len = h1_write_request(out, size, head, extra, extra_count, head->upgrade_websocket);
        batch_commit(c->batch, len);
    } else if ((out = arena_bytes(&exchange->arena, size)) != NULL) {
        len = h1_write_request(out, size, head, extra, extra_count, head->upgrade_websocket);
        batch_add(c->batch, c->conn, out, len);
    }
    return len > 0; /* 0: no memory, or a head that must not go out */
}

static void up_data(struct up *up, const char *data, size_t len)
{
    struct h1_up *c = client_of(up);
    if (len == 0) {
        return;
    }
    if (!c->request_chunked || c->state == STATE_TUNNEL) {
        batch_add(c->batch, c->conn, data, len);
        return;
    }
    char *line = batch_reserve(c->batch, c->conn, H1_CHUNK_LINE_SIZE);
    batch_commit(c->batch, h1_write_chunk_line(line, len));
    batch_add(c->batch, c->conn, data, len);
    batch_add(c->batch, c->conn, "\r\n", 2);
}

static void up_trailer(struct up *up, struct weir_str name, struct weir_str value)
{
    struct h1_up *c = client_of(up);
    if (!c->request_chunked) {
        return;
    }
    size_t size = name.len + value.len + 4;
    char *out = batch_reserve(c->batch, c->conn, size + 3);
    bool reserved = out != NULL;
    if (!reserved && (out = arena_bytes(&up->exchange->arena, size + 3)) == NULL) {
        return;
    }
    size_t at = 0;
    if (!c->last_chunk_sent) {
        c->last_chunk_sent = true;
        memcpy(out, "0\r\n", 3);
        at = 3;
    }
    memcpy(out + at, name.ptr, name.len);
    at += name.len;
    memcpy(out + at, ": ", 2);
    at += 2;
    if (value.len > 0) {
        memcpy(out + at, value.ptr, value.len);
        at += value.len;
    }
    memcpy(out + at, "\r\n", 2);
    if (reserved) {
        batch_commit(c->batch, at + 2);
    } else {
        batch_add(c->batch, c->conn, out, at + 2);
    }
}

static void up_end(struct up *up)
{
    struct h1_up *c = client_of(up);
    if (c->state == STATE_TUNNEL || (c->state == STATE_DONE && !c->reusable)) {
        batch_flush(c->batch);
        conn_shutdown(c->conn);
        return;
    }
    if (c->request_chunked && !c->request_whole) {
        if (!c->last_chunk_sent) {
            batch_add(c->batch, c->conn, "0\r\n", 3);
        }
        batch_add(c->batch, c->conn, "\r\n", 2);
    }
    c->request_whole = true;
}

static void up_pause(struct up *up)
{
    client_of(up)->paused = true;
    pace_begin(&client_of(up)->pace);
}

static void up_resume(struct up *up)
{
    struct h1_up *c = client_of(up);
    if (c->paused) {
        c->paused = false;
        conn_resume_read(c->conn);
    }
}

static size_t up_waiting(struct up *up)
{
    struct h1_up *c = client_of(up);
    if (c->batch->conn == c->conn) {
        batch_flush(c->batch);
    }
    return conn_waiting(c->conn);
}

static uint64_t up_taken_mark(struct up *up)
{
    return conn_taken_mark(client_of(up)->conn);
}

static void up_release(struct up *up)
{
    struct h1_up *c = client_of(up);

    up->exchange->up = NULL;
    up->exchange = NULL;
    if (c->batch->conn == c->conn) {
        batch_flush(c->batch);
    }
    /* A read that filled its buffer to the byte leaves open whether there is more. */
    bool clean = c->state == STATE_DONE && c->reusable && c->request_whole &&
                 conn_is_quiet(c->conn, false) && conn_is_idle_clean(c->conn);
    if (!clean) {
        client_close(c, c->state != STATE_DONE);
        return;
    }
    c->state = STATE_IDLE;
    c->idle_since_ns = loop_now_ns(c->conn->loop);
    c->owner->on_idle(c);
}

static const struct up_ops client_up_ops = {
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

/* ---- the connection ---- */

struct h1_up *h1_up_new(struct conn *conn, struct batch *batch, const struct http_limits *limits,
                        const struct h1_up_owner *owner, void *user)
{
    struct h1_up *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        conn_close(&conn, false);
        return NULL;
    }
    c->up.ops = &client_up_ops;
    c->conn = conn;
    c->batch = batch;
    c->limits = *limits;
    c->owner = owner;
    c->user = user;
    c->state = STATE_IDLE;
    conn_set_owner(conn, &client_conn_ops, c);
    return c;
}

bool h1_up_use(struct h1_up *c, struct exchange *exchange, bool probe)
{
    ASSERT(c->state == STATE_IDLE);
    if (!conn_is_quiet(c->conn, probe && c->exchanges > 0) || !conn_is_idle_clean(c->conn)) {
        client_close(c, true);
        return false;
    }
    c->state = STATE_HEAD;
    pace_begin(&c->pace);
    c->exchanges++;
    c->taken = c->conn->taken;
    c->paused = false;
    c->request_whole = false;
    c->last_chunk_sent = false;
    c->reusable = false;
    c->answer_begun = false;
    c->interims = 0;
    c->scan = (struct h1_scan){0};
    c->up.exchange = exchange;
    exchange->up = &c->up;
    return true;
}

void h1_up_close(struct h1_up *c)
{
    ASSERT(c->up.exchange == NULL);
    client_close(c, false);
}
