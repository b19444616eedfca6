/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 towards servers (RFC 9112). See h1_up.h.
 *
 * Servers are not trusted either: their messages are parsed as strictly as clients', and bytes
 * after a response end the connection and are discarded.
 */
#include "http/h1_up.h"

#include "http/h1_parse.h"
#include "http/h1_send.h"
#include "http/h1_write.h"

enum state {
    STATE_IDLE,
    STATE_HEAD, /* waiting for, or reading, the response's head */
    STATE_LENGTH,
    STATE_CHUNKED,
    STATE_CLOSE, /* body until the connection ends */
    STATE_DONE,  /* the response is complete; the request may not be */
    STATE_TUNNEL,
    STATE_GONE,
};

#define READS_PER_TURN 16

/* Some servers silently close after a longer head than this (uWSGI's default). */
#define H1_HEAD_COMMON 4096

/* The most 1xx responses per exchange; some servers report progress by them. */
#define INTERIM_MAX 100

struct h1_up {
    struct up_conn c; /* first: up_conn_open allocates both as one */
    struct up up;
    struct http_limits limits;
    struct h1_scan scan;
    struct h1_chunked chunked;
    struct pace pace; /* of reads for the exchange */
    uint64_t body_left;
    uint64_t request_left; /* of an announced length */
    uint64_t taken;        /* conn->taken when the exchange began */
    uint8_t state;
    uint8_t interims; /* 1xx responses to this exchange */
    bool paused;
    bool last_chunk_sent;
    bool request_whole;
    bool request_chunked;
    bool reusable;     /* as known so far */
    bool answer_begun; /* a byte of this exchange's answer has arrived */
    bool long_head;    /* of the request: see H1_HEAD_COMMON */
    bool tunnel;       /* switched: raw bytes both ways */
};
_Static_assert(offsetof(struct h1_up, c) == 0, "up_conn_open allocates both as one");

static struct h1_up *h1_up_of(struct up *up)
{
    return container_of(up, struct h1_up, up);
}

static void up_close(struct h1_up *u, bool reset)
{
    /* A tunnel's last bytes end the client's side. */
    bool linger = !reset && u->tunnel && conn_waiting(u->c.conn) > 0;

    u->state = STATE_GONE;
    u->up.exchange = NULL;
    u->c.running = 0;
    up_conn_end(&u->c, reset ? END_RESET : linger ? END_LINGER : END_CLOSE);
}

static void up_fail(struct h1_up *u, enum up_failure why)
{
    struct exchange *exchange = u->up.exchange;

    if (exchange != NULL) {
        exchange->up = NULL;
    }
    up_close(u, true);
    if (exchange != NULL) {
        u->c.owner->events->on_failed(exchange, why);
    }
}

/* The connection was used before and no interim answer has arrived: stray bytes or its end may be
 * older than the request. */
static bool up_stale(const struct h1_up *u)
{
    return u->c.served > 1 && u->interims == 0;
}

/* The connection ended or broke during an exchange. */
static void up_lost(struct h1_up *u)
{
    if (u->state == STATE_HEAD) {
        bool silent = !u->answer_begun;
        up_fail(u, silent && conn_unread(u->c.conn, u->taken) ? UP_UNREAD
                   : silent && up_stale(u)                    ? UP_STALE
                   : silent && u->long_head                   ? UP_OVERLONG
                                                              : UP_RESET);
    } else if (u->state == STATE_DONE) {
        u->reusable = false; /* the answer stands; release will close */
    } else {
        up_fail(u, UP_TRUNCATED);
    }
}

static void up_malformed(struct h1_up *u, const char *reason)
{
    u->up.exchange->error = (struct http_error){502, reason};
    up_fail(u, up_stale(u) ? UP_STRAY : UP_MALFORMED);
}

/* 408 and a close on an idle connection: the server gave up waiting for the next request, which
 * crossed this answer. It may be sent again (RFC 9110 section 15.5.9). */
static bool up_crossed(const struct h1_up *u, const struct http_response_head *head)
{
    return head->status == 408 && !head->keep_alive && up_stale(u) && u->request_whole;
}

/* `surplus`: bytes follow the response. Set before the stream is told of the end and releases the
 * connection, which might then be reused at once. */
static void up_response_whole(struct h1_up *u, size_t surplus)
{
    u->state = STATE_DONE;
    u->reusable = u->reusable && surplus == 0;
    u->c.owner->events->on_response_end(u->up.exchange);
}

/* ---- responses ---- */

/* The head is complete: copies it into the arena and tells the stream, which finds it in
 * exchange->response; of a refused one it gets nothing. */
static void up_begin(struct h1_up *u, struct http_response_head *head, const char *data,
                     size_t used, size_t surplus)
{
    struct exchange *exchange = u->up.exchange;
    bool interim = head->status < 200 && head->status != 101;

    if (!response_head_own(head, &exchange->arena, data, used)) {
        up_malformed(u, "response_head_too_large");
        return;
    }
    u->scan = (struct h1_scan){0};
    if (unlikely(up_crossed(u, head))) {
        up_fail(u, UP_UNREAD);
        return;
    }
    if (interim) {
        if (++u->interims > INTERIM_MAX) {
            up_malformed(u, "too_many_interim_responses");
            return;
        }
        u->c.owner->events->on_interim(exchange, head);
        return;
    }
    if (head->status == 101 && !exchange->request.upgrade_websocket) {
        up_malformed(u, "upgrade_not_asked");
        return;
    }
    exchange->response = *head;
    u->reusable = head->keep_alive && head->body != BODY_CLOSE && head->status != 101;
    switch (head->body) {
    case BODY_LENGTH:
        u->body_left = head->content_length;
        u->state = u->body_left > 0 ? STATE_LENGTH : STATE_DONE;
        break;
    case BODY_CHUNKED:
        u->chunked = (struct h1_chunked){0};
        u->state = STATE_CHUNKED;
        break;
    case BODY_CLOSE: u->state = STATE_CLOSE; break;
    default:
        u->tunnel = head->status == 101;
        u->state = u->tunnel ? STATE_TUNNEL : STATE_DONE;
        break;
    }
    bool done = u->state == STATE_DONE;
    u->reusable = u->reusable && (!done || surplus == 0); /* the stream may release at once */
    u->c.owner->events->on_response(exchange);
    if (done && u->up.exchange == exchange) {
        up_response_whole(u, surplus);
    }
}

static size_t up_take_head(struct h1_up *u, const char *data, size_t len)
{
    struct exchange *exchange = u->up.exchange;
    struct http_response_head head = {0};
    size_t used = 0;

    u->answer_begun = true;
    switch (h1_parse_response(data, len, &u->limits, &u->scan, &exchange->arena,
                              exchange->request.method, &head, &used, &exchange->error)) {
    case H1_INCOMPLETE: return 0;
    case H1_ERROR: up_fail(u, up_stale(u) ? UP_STRAY : UP_MALFORMED); return len;
    case H1_DONE: break;
    }
    up_begin(u, &head, data, used, len - used);
    return used;
}

static size_t up_take_chunked(struct h1_up *u, const char *data, size_t len)
{
    struct exchange *exchange = u->up.exchange;
    size_t used = 0;
    const char *out = NULL;
    size_t out_len = 0;
    struct http_field field;

    switch (h1_chunk_next(&u->chunked, data, len, &u->limits, &used, &out, &out_len, &field,
                          &exchange->error)) {
    case H1_CHUNK_MORE: break;
    case H1_CHUNK_DATA: u->c.owner->events->on_data(exchange, out, out_len); break;
    case H1_CHUNK_TRAILER: u->c.owner->events->on_trailer(exchange, field.name, field.value); break;
    case H1_CHUNK_END: up_response_whole(u, len - used); break;
    case H1_CHUNK_ERROR: up_fail(u, UP_MALFORMED); return len;
    }
    return used;
}

static size_t up_take(struct h1_up *u, const char *data, size_t len)
{
    struct exchange *exchange = u->up.exchange;
    size_t take = len;

    switch (u->state) {
    case STATE_HEAD: return up_take_head(u, data, len);
    case STATE_LENGTH:
        take = len < u->body_left ? len : (size_t)u->body_left;
        u->body_left -= take;
        u->c.owner->events->on_data(exchange, data, take);
        if (u->body_left == 0 && u->state == STATE_LENGTH) {
            up_response_whole(u, len - take);
        }
        return take;
    case STATE_CHUNKED: return up_take_chunked(u, data, len);
    case STATE_CLOSE:
    case STATE_TUNNEL: u->c.owner->events->on_data(exchange, data, len); return len;
    default: /* unsolicited bytes after the response */ u->reusable = false; return len;
    }
}

static void up_eof(struct h1_up *u)
{
    switch (u->state) {
    case STATE_CLOSE:
        u->reusable = false;
        up_response_whole(u, 0);
        break;
    case STATE_TUNNEL:
        u->state = STATE_DONE;
        u->c.owner->events->on_response_end(u->up.exchange);
        break;
    default: up_lost(u); break;
    }
}

static bool up_wants_bytes(const struct h1_up *u)
{
    return u->up.exchange != NULL && (!u->paused || u->state == STATE_HEAD) &&
           u->state != STATE_DONE && u->state != STATE_GONE;
}

/* What the client cannot take now stays with the server, but for a little that is ready when it
 * can. */
static size_t read_most(const struct h1_up *u)
{
    struct down *down = u->up.exchange->down;
    bool narrow = down != NULL && down->ops->is_narrow != NULL && down->ops->is_narrow(down);

    return narrow ? PACE_NARROW : u->pace.max;
}

static bool up_read_once(struct h1_up *u)
{
    char *data = NULL;
    size_t len = 0;
    enum conn_result result = conn_read(u->c.conn, &data, &len, read_most(u));

    if (result == CONN_AGAIN) {
        return false;
    }
    if (result == CONN_EOF) {
        up_eof(u);
        return false;
    }
    if (result == CONN_ERROR) {
        up_lost(u);
        return false;
    }
    struct exchange *exchange = u->up.exchange;
    struct batch *batch = u->c.batch;
    size_t at = 0;
    pace_passed(&u->pace, len);
    /* Delivers one read completely, even if the stream pauses meanwhile: it is bounded and would
     * have to be kept. */
    while (at < len && u->up.exchange == exchange) {
        size_t used = up_take(u, data + at, len - at);
        if (used == 0) {
            break;
        }
        at += used;
    }
    batch_flush(batch); /* before scratch is read into again */
    if (u->state == STATE_GONE) {
        return false;
    }
    if (u->up.exchange != exchange) {
        /* Released inside without leftover bytes: the connection is idle or has its next
         * exchange. */
        ASSERT(at == len);
        return false;
    }
    conn_keep(u->c.conn, data + at, len - at);
    u->c.owner->events->on_flushed(exchange);
    return true;
}

static void up_readable(struct conn *conn)
{
    struct h1_up *u = conn->owner;
    struct batch *batch = u->c.batch;

    if (u->state == STATE_IDLE) {
        char *data = NULL;
        size_t len = 0;
        /* Its end or unsolicited bytes; but TLS may have records of its own to read. */
        if (conn_read(conn, &data, &len, 0) != CONN_AGAIN) {
            up_close(u, true);
        }
        return;
    }
    if (u->tunnel && u->state == STATE_DONE && conn_is_broken(conn)) {
        up_fail(u, UP_OVER); /* it is not read any more: only this reports it */
    }
    for (int i = 0; up_wants_bytes(u); i++) {
        if (i == READS_PER_TURN || (i > 0 && loop_is_weary(conn->loop))) {
            conn_resume_read(conn);
            break;
        }
        if (!up_read_once(u)) {
            break;
        }
    }
    batch_flush(batch);
}

static void up_drained(struct conn *conn)
{
    struct h1_up *u = conn->owner;
    struct batch *batch = u->c.batch;
    if (u->up.exchange != NULL) {
        u->c.owner->events->on_drained(u->up.exchange);
    }
    batch_flush(batch);
}

/* It is open before it is handed over. */
static const struct conn_ops h1_up_conn_ops = {
    .on_readable = up_readable,
    .on_drained = up_drained,
};

/* ---- requests ---- */

static bool up_head(struct up *up, const struct http_extra *extra, size_t extra_count)
{
    struct h1_up *u = h1_up_of(up);
    const struct http_request_head *head = &up->exchange->request;
    size_t size = h1_request_size(head, extra, extra_count);
    char *out = batch_room(u->c.batch, u->c.conn, &up->exchange->arena, size);
    size_t len = 0;

    u->long_head = size > H1_HEAD_COMMON;
    u->request_chunked = head->body == BODY_CHUNKED;
    u->request_whole = head->body == BODY_NONE;
    u->request_left = head->body == BODY_LENGTH ? head->content_length : 0;
    if (out != NULL) {
        len = h1_write_request(out, size, head, extra, extra_count, head->upgrade_websocket);
        batch_put(u->c.batch, u->c.conn, out, len);
    }
    return len > 0; /* 0: out of memory, or a head that must not go out */
}

static void up_data(struct up *up, const char *data, size_t len)
{
    struct h1_up *u = h1_up_of(up);

    if (u->request_chunked && u->state != STATE_TUNNEL && len > 0) {
        h1_send_chunk(u->c.batch, u->c.conn, data, len);
        return;
    }
    batch_add(u->c.batch, u->c.conn, data, len);
    if (u->request_left > 0) {
        /* For the server it is whole, though HTTP/2's client may say so a frame later. */
        u->request_left -= len < u->request_left ? len : u->request_left;
        u->request_whole = u->request_left == 0;
    }
}

static void up_trailer(struct up *up, struct weir_str name, struct weir_str value)
{
    struct h1_up *u = h1_up_of(up);

    if (u->request_chunked) {
        h1_send_trailer(u->c.batch, u->c.conn, &up->exchange->arena, &u->last_chunk_sent, name,
                        value);
    }
}

static void up_end(struct up *up)
{
    struct h1_up *u = h1_up_of(up);
    if (u->state == STATE_TUNNEL || (u->state == STATE_DONE && !u->reusable)) {
        batch_flush(u->c.batch);
        conn_shutdown(u->c.conn);
        return;
    }
    if (u->request_chunked && !u->request_whole) {
        h1_send_end(u->c.batch, u->c.conn, &u->last_chunk_sent);
    }
    u->request_whole = true;
}

static void up_pause(struct up *up)
{
    h1_up_of(up)->paused = true;
    pace_begin(&h1_up_of(up)->pace);
}

static void up_resume(struct up *up)
{
    struct h1_up *u = h1_up_of(up);
    if (u->paused) {
        u->paused = false;
        conn_resume_read(u->c.conn);
    }
}

static size_t up_waiting(struct up *up)
{
    struct h1_up *u = h1_up_of(up);
    if (u->c.batch->conn == u->c.conn) {
        batch_flush(u->c.batch);
    }
    return conn_waiting(u->c.conn);
}

static uint64_t up_taken_mark(struct up *up)
{
    return conn_taken_mark(h1_up_of(up)->c.conn);
}

static void up_release(struct up *up)
{
    struct h1_up *u = h1_up_of(up);

    up->exchange->up = NULL;
    up->exchange = NULL;
    if (u->c.batch->conn == u->c.conn) {
        batch_flush(u->c.batch);
    }
    /* After a read that filled its buffer exactly there may be more. */
    bool clean = u->state == STATE_DONE && u->reusable && u->request_whole &&
                 conn_is_quiet(u->c.conn, false) && conn_is_idle_clean(u->c.conn);
    if (!clean) {
        up_close(u, u->state != STATE_DONE);
        return;
    }
    u->state = STATE_IDLE;
    u->c.running = 0;
    u->c.room = 1;
    u->c.idle_since_ns = loop_now_ns(u->c.conn->loop);
    u->c.owner->on_room(&u->c);
}

static const struct up_ops h1_up_ops = {
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

/* ---- the codec ---- */

static struct h1_up *h1_of(struct up_conn *c)
{
    return container_of(c, struct h1_up, c);
}

static bool h1_begin(struct up_conn *c, const struct http_limits *limits)
{
    struct h1_up *u = h1_of(c);

    u->up.ops = &h1_up_ops;
    u->up.connection = c;
    u->limits = *limits;
    u->state = STATE_IDLE;
    c->room = 1;
    conn_set_owner(c->conn, &h1_up_conn_ops, u);
    return true;
}

static bool h1_use(struct up_conn *c, struct exchange *exchange, bool probe)
{
    struct h1_up *u = h1_of(c);

    ASSERT(u->state == STATE_IDLE);
    if (!conn_is_quiet(c->conn, probe && c->served > 0) || !conn_is_idle_clean(c->conn)) {
        up_close(u, true);
        return false;
    }
    u->state = STATE_HEAD;
    pace_begin(&u->pace);
    c->room = 0;
    c->running = 1;
    c->served++;
    u->taken = c->conn->taken;
    u->paused = false;
    u->request_whole = false;
    u->last_chunk_sent = false;
    u->reusable = false;
    u->answer_begun = false;
    u->interims = 0;
    u->scan = (struct h1_scan){0};
    u->up.exchange = exchange;
    exchange->up = &u->up;
    return true;
}

static void h1_close(struct up_conn *c)
{
    ASSERT(c->running == 0);
    up_close(h1_of(c), false);
}

const struct up_codec h1_up_codec = {
    .version = HTTP_1_1,
    .size = sizeof(struct h1_up),
    .room = 1,
    .begin = h1_begin,
    .use = h1_use,
    .close = h1_close,
};
