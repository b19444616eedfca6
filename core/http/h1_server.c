/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 towards clients (RFC 9112). See h1_server.h.
 *
 * One exchange at a time. Its end is always a task at the end of the loop's turn, so that no callback
 * loses the exchange under its feet; the task closes the exchange and looks for the next request.
 */
#include "http/h1_server.h"

#include <stdlib.h>

#include "http/h1_write.h"

enum state {
    STATE_OPENING, /* TLS handshake */
    STATE_IDLE,    /* between requests */
    STATE_HEAD,    /* a request's head is coming */
    STATE_LENGTH,  /* its body is coming, counted */
    STATE_CHUNKED, /* its body is coming, chunked */
    STATE_WAIT,    /* the request is whole (or refused); the response is not */
    STATE_TUNNEL,
    STATE_CLOSED,
};

/* Bytes that may be kept of a client that sends on while it waits for an answer (pipelined requests, the
 * beginning of a body), beyond the longest head that it may send. What is more stays in the socket. */
#define PIPELINE_MORE (16u * 1024)

/* Reads in one callback, so that one connection does not starve the others. */
#define READS_PER_TURN 16

static struct h1_server *server_of(struct down *down)
{
    return (struct h1_server *)down;
}

static void server_free(struct freed *freed)
{
    struct h1_server *s = container_of(freed, struct h1_server, freed);
    s->owner->on_free(s);
}

static struct h1_serving *serving_of(const struct h1_server *s)
{
    return &s->down.exchange->serving;
}

static struct loop *server_loop(const struct h1_server *s)
{
    return s->conn->loop;
}

/* The connection's end: the one place where it is closed. */
static void server_close(struct h1_server *s, bool linger)
{
    struct conn *conn = s->conn;
    struct loop *loop = conn->loop;

    ASSERT(s->down.exchange == NULL);
    s->state = STATE_CLOSED;
    timer_cancel(loop, &s->timer);
    task_cancel(&s->finish);
    batch_forget(s->batch, conn);
    s->conn = NULL;
    if (linger) {
        conn_close_lingering(&conn);
    } else {
        conn_close(&conn, s->broken);
    }
    s->owner->on_closed(s);
    loop_free_later(loop, &s->freed, server_free);
}

/* The response has been handed over, or nothing more will come of it: the task goes on from here. */
static void server_finish(struct h1_server *s)
{
    s->finishing = true;
    task_queue(server_loop(s), &s->finish);
}

/* Of the running exchange, or for what comes next; NULL: the listener is gone. */
static const struct h1_server_conf *server_conf(struct h1_server *s)
{
    return s->down.exchange != NULL ? serving_of(s)->conf : s->owner->conf(s);
}

static void server_count_bytes(struct h1_server *s, struct exchange *exchange)
{
    const struct h1_serving *x = &exchange->serving;
    exchange->request_bytes = s->conn->received - conn_kept(s->conn) - x->received_mark;
    exchange->response_bytes = s->conn->sent - x->sent_mark;
}

static void server_finish_task(struct task *task)
{
    struct h1_server *s = container_of(task, struct h1_server, finish);
    struct exchange *exchange = s->down.exchange;

    if (exchange != NULL) {
        if (!s->broken && conn_waiting(s->conn) > 0) {
            return; /* on_drained queues the task again */
        }
        server_count_bytes(s, exchange);
        s->down.exchange = NULL;
        s->owner->events->on_close(exchange, exchange->response_whole && !s->broken);
    }
    s->finishing = false;
    const struct h1_server_conf *conf = s->owner->conf(s);
    if (s->broken || !s->keep_alive || conf == NULL || s->state != STATE_WAIT) {
        server_close(s, !s->broken);
        return;
    }
    s->state = STATE_IDLE;
    timer_set(server_loop(s), &s->timer, conf->idle_timeout_ns);
    if (s->draining && conn_kept(s->conn) == 0) {
        server_close(s, true);
        return;
    }
    conn_resume_read(s->conn);
}

/* The client is gone, or what it sends cannot be understood any more. */
static void server_gone(struct h1_server *s, enum down_gone why)
{
    struct exchange *exchange = s->down.exchange;

    s->keep_alive = false;
    if (exchange == NULL) {
        s->broken = why == DOWN_GONE_CLOSED;
        server_close(s, why != DOWN_GONE_CLOSED);
        return;
    }
    if (why == DOWN_GONE_CLOSED) {
        s->broken = true;
    }
    s->state = STATE_WAIT;
    if (!s->finishing) {
        s->owner->events->on_gone(exchange, why);
    }
    if (s->broken && s->state != STATE_CLOSED) {
        server_finish(s);
    }
}

/* ---- requests ---- */

static void server_request_whole(struct h1_server *s)
{
    struct exchange *exchange = s->down.exchange;
    s->state = STATE_WAIT;
    exchange->request_whole = true;
    s->owner->events->on_request_end(exchange);
}

/* The request's head is refused: it will be answered, and the connection closed. */
static void server_refuse(struct h1_server *s)
{
    s->keep_alive = false;
    s->state = STATE_WAIT;
    timer_set(server_loop(s), &s->timer, serving_of(s)->conf->idle_timeout_ns); /* the answer's */
    s->owner->events->on_refused(s->down.exchange);
}

/* `here`: bytes that have been read and not used, its first among them. */
static bool server_open(struct h1_server *s, size_t here)
{
    const struct h1_server_conf *conf = s->owner->conf(s);

    if (conf == NULL) {
        server_close(s, true);
        return false;
    }
    struct exchange *exchange = s->owner->events->on_open(&s->down);
    if (exchange == NULL) {
        server_close(s, false);
        return false;
    }
    s->down.exchange = exchange;
    s->state = STATE_HEAD;
    s->keep_alive = true;
    struct h1_serving *x = &exchange->serving;
    x->conf = conf;
    x->received_mark = s->conn->received - here;
    x->sent_mark = s->conn->sent;
    pace_begin(&x->pace);
    return true;
}

/* The head is parsed: it moves from scratch into the exchange's arena, and the stream hears of it. */
static void server_begin(struct h1_server *s, const char *data, size_t used)
{
    struct exchange *exchange = s->down.exchange;
    struct h1_serving *x = &exchange->serving;
    struct http_request_head *head = &exchange->request;
    char *copy = arena_bytes(&exchange->arena, used);

    if (copy == NULL) {
        exchange->error = (struct h1_error){431, "head_too_large"};
        server_refuse(s);
        return;
    }
    memcpy(copy, data, used);
    request_head_rebase(head, data, used, copy);

    s->keep_alive = head->keep_alive && !head->close_after;
    if (head->body == BODY_LENGTH && x->conf->body_limit > 0 &&
        head->content_length > x->conf->body_limit) {
        exchange->error = (struct h1_error){413, "body_too_large"};
        server_refuse(s);
        return;
    }
    if (head->body == BODY_CHUNKED) {
        s->state = STATE_CHUNKED;
    } else if (head->body == BODY_LENGTH && head->content_length > 0) {
        s->state = STATE_LENGTH;
        x->body_left = head->content_length;
    } else {
        s->state = STATE_WAIT;
        exchange->request_whole = true;
    }
    bool whole = exchange->request_whole;
    s->owner->events->on_request(exchange);
    if (whole && s->down.exchange == exchange && !s->finishing) {
        s->owner->events->on_request_end(exchange);
    }
}

static size_t server_take_head(struct h1_server *s, const char *data, size_t len)
{
    struct exchange *exchange = s->down.exchange;
    struct h1_serving *x = &exchange->serving;
    size_t used = 0;

    switch (h1_parse_request(data, len, &x->conf->limits, &x->scan, &exchange->arena,
                             &exchange->request, &used, &exchange->error)) {
    case H1_INCOMPLETE:
        if (!x->header_timed) {
            x->header_timed = true;
            timer_set(server_loop(s), &s->timer, x->conf->header_timeout_ns);
        }
        return 0;
    case H1_ERROR: server_refuse(s); return len;
    case H1_DONE: break;
    }
    x->behind = len - used;
    server_begin(s, data, used);
    return used;
}

static size_t server_take_length(struct h1_server *s, const char *data, size_t len)
{
    struct exchange *exchange = s->down.exchange;
    struct h1_serving *x = &exchange->serving;
    size_t take = len < x->body_left ? len : (size_t)x->body_left;

    x->body_left -= take;
    x->behind = len - take;
    s->owner->events->on_data(exchange, data, take);
    if (x->body_left == 0 && s->state == STATE_LENGTH && !s->finishing) {
        server_request_whole(s);
    }
    return take;
}

static size_t server_take_chunked(struct h1_server *s, const char *data, size_t len)
{
    struct exchange *exchange = s->down.exchange;
    struct h1_serving *x = &exchange->serving;
    const struct down_events *events = s->owner->events;
    size_t used = 0;
    const char *out = NULL;
    size_t out_len = 0;
    struct http_field field;

    switch (h1_chunk_next(&x->chunked, data, len, &x->conf->limits, &used, &out, &out_len, &field,
                          &exchange->error)) {
    case H1_CHUNK_MORE: break;
    case H1_CHUNK_DATA:
        x->body_seen += out_len;
        if (x->conf->body_limit > 0 && x->body_seen > x->conf->body_limit) {
            exchange->error = (struct h1_error){413, "body_too_large"};
            server_gone(s, DOWN_GONE_PROTOCOL);
            return len;
        }
        events->on_data(exchange, out, out_len);
        break;
    case H1_CHUNK_TRAILER: events->on_trailer(exchange, field.name, field.value); break;
    case H1_CHUNK_END:
        x->behind = len - used;
        server_request_whole(s);
        break;
    case H1_CHUNK_ERROR: server_gone(s, DOWN_GONE_PROTOCOL); return len;
    }
    return used;
}

/* A body's clocks begin: between two reads, and for its rate. */
static void server_body_clock(struct h1_server *s)
{
    struct h1_serving *x = serving_of(s);
    timer_set(server_loop(s), &s->timer, x->conf->body_timeout_ns);
    x->rate_since_ns = loop_now_ns(server_loop(s));
    x->rate_mark = s->conn->received;
}

/* Bytes of a body have come. A client that sends one now and then keeps the clock between two reads quiet;
 * this one looks at what came in each body_rate_period. */
static void server_body_progress(struct h1_server *s)
{
    const struct h1_serving *x = serving_of(s);
    uint64_t spent_ns = loop_now_ns(server_loop(s)) - x->rate_since_ns;

    if (x->rate_since_ns == 0) { /* the first read of it */
        server_body_clock(s);
        return;
    }
    timer_set(server_loop(s), &s->timer, x->conf->body_timeout_ns);
    if (likely(spent_ns < x->conf->body_rate_period_ns) || x->paused) {
        return;
    }
    uint64_t wanted = x->conf->body_rate * (spent_ns / NS_PER_MS) / 1000;
    if (s->conn->received - x->rate_mark < wanted) {
        s->down.exchange->error = (struct h1_error){408, "body_too_slow"};
        server_gone(s, DOWN_GONE_TIMEOUT);
        return;
    }
    server_body_clock(s);
}

/* Uses what it can of data[0..len); says how much. */
static size_t server_consume(struct h1_server *s, const char *data, size_t len)
{
    size_t at = 0;

    while (at < len && !s->finishing) {
        size_t used = 0;
        switch (s->state) {
        case STATE_IDLE:
            /* Some clients send an empty line behind a body: by itself it begins no request, and no
             * request's clock (RFC 9112 section 2.2). */
            if (len - at == 2 && memcmp(data + at, "\r\n", 2) == 0) {
                return len;
            }
            if (!server_open(s, len - at)) {
                return at;
            }
            continue;
        case STATE_HEAD: used = server_take_head(s, data + at, len - at); break;
        case STATE_LENGTH:
            used = serving_of(s)->paused ? 0 : server_take_length(s, data + at, len - at);
            break;
        case STATE_CHUNKED:
            used = serving_of(s)->paused ? 0 : server_take_chunked(s, data + at, len - at);
            break;
        case STATE_TUNNEL:
            if (!serving_of(s)->paused) {
                s->owner->events->on_data(s->down.exchange, data + at, len - at);
                used = len - at;
            }
            break;
        default: return at;
        }
        if (used == 0) {
            return at;
        }
        at += used;
    }
    return at;
}

static void server_tunnel_eof(struct h1_server *s)
{
    struct exchange *exchange = s->down.exchange;
    if (exchange->request_whole) {
        return;
    }
    exchange->request_whole = true;
    s->owner->events->on_request_end(exchange);
    if (exchange->response_whole && !s->finishing) { /* the server had ended before */
        server_finish(s);
    }
}

static void server_eof(struct h1_server *s)
{
    s->client_ended = true;
    switch (s->state) {
    case STATE_IDLE: server_close(s, false); break;
    case STATE_HEAD:
        s->down.exchange->error = (struct h1_error){400, "head_cut"};
        server_refuse(s);
        break;
    case STATE_TUNNEL: server_tunnel_eof(s); break;
    case STATE_LENGTH:
    case STATE_CHUNKED:
        s->down.exchange->error = (struct h1_error){400, "body_cut"};
        server_gone(s, DOWN_GONE_PROTOCOL);
        break;
    case STATE_WAIT: s->keep_alive = s->keep_alive && conn_kept(s->conn) > 0; break;
    default: server_gone(s, DOWN_GONE_CLOSED); break;
    }
}

/* How much more may be kept; at least a byte, so that a read is one. */
static size_t server_kept_room(struct h1_server *s)
{
    const struct h1_server_conf *conf = server_conf(s);
    size_t most = (conf != NULL ? conf->limits.head : 0) + (size_t)PIPELINE_MORE;
    size_t kept = conn_kept(s->conn);
    return kept < most ? most - kept : 1;
}

/* Reads no more than could be kept: a body may have to wait behind its head until a server is found, and
 * any number of requests may stand behind a body. What surely belongs to a body is used at once. */
static enum conn_result server_next_bytes(struct h1_server *s, char **data, size_t *len)
{
    uint64_t room = server_kept_room(s);
    if (s->state == STATE_TUNNEL) {
        room = serving_of(s)->pace.max;
    } else if (s->state == STATE_LENGTH) {
        const struct h1_serving *x = serving_of(s);
        room = x->body_left < LOOP_SCRATCH_SIZE ? room + x->body_left : 0;
        room = x->pace.max > 0 && (room == 0 || room > x->pace.max) ? x->pace.max : room;
    }
    return conn_read(s->conn, data, len, (size_t)room);
}

static bool server_wants_bytes(const struct h1_server *s)
{
    if (s->finishing || s->state == STATE_CLOSED || s->state == STATE_WAIT) {
        return false;
    }
    return s->state == STATE_IDLE || s->state == STATE_HEAD || !serving_of(s)->paused;
}

static void server_read(struct h1_server *s)
{
    for (int i = 0; server_wants_bytes(s); i++) {
        if (i == READS_PER_TURN) {
            conn_resume_read(s->conn);
            break;
        }
        char *data = NULL;
        size_t len = 0;
        enum conn_result result = server_next_bytes(s, &data, &len);
        if (result == CONN_AGAIN) {
            break;
        }
        if (result == CONN_EOF) {
            server_eof(s);
            break;
        }
        if (result == CONN_ERROR) {
            server_gone(s, DOWN_GONE_CLOSED);
            break;
        }
        struct batch *batch = s->batch;
        if (s->down.exchange != NULL) {
            pace_passed(&serving_of(s)->pace, len);
        }
        size_t used = server_consume(s, data, len);
        batch_flush(batch); /* before scratch is read into again */
        if (s->state == STATE_CLOSED) {
            break;
        }
        conn_keep(s->conn, data + used, len - used);
        if (s->down.exchange != NULL) {
            serving_of(s)->behind = 0;
            if (!s->finishing) {
                s->owner->events->on_flushed(s->down.exchange);
            }
        }
        if (s->state == STATE_LENGTH || s->state == STATE_CHUNKED) {
            server_body_progress(s);
        }
    }
}

/* While an answer is being made nothing is read, but an end that the kernel tells of is looked at: a reset
 * means that nobody waits for the answer; a plain end of the client's side is legal. A reset may show in
 * a failed write alone. */
static void server_watch(struct h1_server *s)
{
    if (s->conn->write_failed && !s->broken) {
        server_gone(s, DOWN_GONE_CLOSED);
        return;
    }
    while (s->conn->eof_hint && !s->client_ended && server_kept_room(s) > 1) {
        char *data = NULL;
        size_t len = 0;
        switch (conn_read(s->conn, &data, &len, server_kept_room(s))) {
        case CONN_DATA: conn_keep(s->conn, data, len); break;
        case CONN_AGAIN: return;
        case CONN_EOF: server_eof(s); return;
        case CONN_ERROR: server_gone(s, DOWN_GONE_CLOSED); return;
        }
    }
}

static void server_readable(struct conn *conn)
{
    struct h1_server *s = conn->owner;
    struct batch *batch = s->batch;

    if (s->state == STATE_OPENING || s->state == STATE_CLOSED) {
        return;
    }
    if (server_wants_bytes(s)) {
        server_read(s);
    } else if (conn->readable && conn_is_broken(conn)) {
        server_gone(s, DOWN_GONE_CLOSED);
    } else if (s->state == STATE_WAIT || s->finishing) {
        server_watch(s);
    }
    batch_flush(batch);
}

static void server_drained(struct conn *conn)
{
    struct h1_server *s = conn->owner;
    struct batch *batch = s->batch;

    if (s->finishing) {
        task_queue(server_loop(s), &s->finish);
    } else if (s->down.exchange != NULL) {
        s->owner->events->on_drained(s->down.exchange);
    }
    batch_flush(batch);
}

static void server_opened(struct conn *conn, bool ok)
{
    struct h1_server *s = conn->owner;

    const struct h1_server_conf *conf = s->owner->conf(s);
    if (!ok || conf == NULL) {
        server_close(s, false);
        return;
    }
    s->state = STATE_IDLE;
    timer_set(server_loop(s), &s->timer, conf->header_timeout_ns);
    conn_resume_read(conn);
}

static const struct conn_ops server_conn_ops = {
    .on_readable = server_readable,
    .on_drained = server_drained,
    .on_open = server_opened,
};

/* A client that does not take what waits for it: no progress since the last look is its end. */
static void server_check_stall(struct h1_server *s)
{
    struct h1_serving *x = serving_of(s);
    uint64_t taken = conn_taken_mark(s->conn);
    if (conn_waiting(s->conn) > 0 && taken == x->stall_mark) {
        s->broken = true;
        server_gone(s, DOWN_GONE_CLOSED);
        return;
    }
    x->stall_mark = taken;
    timer_set(server_loop(s), &s->timer, x->conf->idle_timeout_ns);
}

static void server_timer(struct timer *timer)
{
    struct h1_server *s = container_of(timer, struct h1_server, timer);
    struct batch *batch = s->batch;

    switch (s->state) {
    case STATE_OPENING:
    case STATE_IDLE: server_close(s, s->state == STATE_IDLE); break;
    case STATE_HEAD:
        s->down.exchange->error = (struct h1_error){408, "header_timeout"};
        server_refuse(s);
        break;
    case STATE_LENGTH:
    case STATE_CHUNKED:
        if (serving_of(s)->paused) { /* the server is slow, not the client */
            server_check_stall(s);
            break;
        }
        s->down.exchange->error = (struct h1_error){408, "body_timeout"};
        server_gone(s, DOWN_GONE_TIMEOUT);
        break;
    case STATE_WAIT:
    case STATE_TUNNEL: server_check_stall(s); break;
    default: break;
    }
    batch_flush(batch);
}

/* ---- responses ---- */

static void down_write_head(struct h1_server *s, const struct http_response_head *head,
                            const struct h1_response_shape *shape)
{
    struct exchange *exchange = s->down.exchange;
    size_t size = h1_response_size(head, NULL, 0), len = 0;
    char *out = batch_reserve(s->batch, s->conn, size);

    if (out != NULL) {
        len = h1_write_response(out, size, head, shape, NULL, 0);
        batch_commit(s->batch, len);
    } else if ((out = arena_bytes(&exchange->arena, size)) != NULL) {
        len = h1_write_response(out, size, head, shape, NULL, 0);
        batch_add(s->batch, s->conn, out, len);
    }
    if (len == 0) { /* no memory, or a head that must not go out */
        s->broken = true;
        server_finish(s);
    }
}

static void down_interim(struct down *down, const struct http_response_head *head)
{
    struct h1_server *s = server_of(down);
    if (down->exchange->request.minor == 0) {
        return;
    }
    struct h1_response_shape shape = {.client_minor = 1};
    serving_of(s)->continued |= head->status == 100;
    down_write_head(s, head, &shape);
    batch_flush(s->batch);
}

static void down_head(struct down *down, const struct http_response_head *head, bool tunnel)
{
    struct h1_server *s = server_of(down);
    struct exchange *exchange = down->exchange;
    struct h1_serving *x = &exchange->serving;
    struct h1_response_shape shape = {.client_minor = exchange->request.minor, .upgrade = tunnel};

    ASSERT(!exchange->response_begun);
    exchange->response_begun = true;
    x->response_left = head->body == BODY_LENGTH ? head->content_length : 0;
    x->response_body = head->body;
    if (tunnel) {
        s->keep_alive = false;
        s->state = STATE_TUNNEL;
        exchange->request_whole = false; /* from here: the client's side of the tunnel */
        x->response_body = BODY_TUNNEL;
        down_write_head(s, head, &shape);
        timer_set(server_loop(s), &s->timer, x->conf->idle_timeout_ns);
        conn_resume_read(s->conn);
        return;
    }
    if (head->body == BODY_CHUNKED || head->body == BODY_CLOSE) {
        x->chunking = shape.client_minor >= 1;
        s->keep_alive = s->keep_alive && x->chunking;
    }
    /* Whether a body will come that nobody waits for is not known where the client was not told to go
     * on (RFC 9110 section 10.1.1). */
    bool unasked = exchange->request.expect_continue && !x->continued;
    bool unread = !exchange->request_whole && (head->status >= 300 || unasked);
    bool ended = s->client_ended && conn_kept(s->conn) == 0 && x->behind == 0;
    if (s->draining || unread || ended || s->owner->conf(s) == NULL) {
        s->keep_alive = false;
    }
    shape.chunked = x->chunking;
    shape.close = !s->keep_alive;
    shape.keep_alive_said = s->keep_alive && shape.client_minor == 0;
    down_write_head(s, head, &shape);
}

static void down_data(struct down *down, const char *data, size_t len)
{
    struct h1_server *s = server_of(down);

    if (len == 0 || s->broken) {
        return;
    }
    struct h1_serving *x = &down->exchange->serving;
    switch (x->response_body) {
    case BODY_NONE: return;
    case BODY_LENGTH:
        if (len > x->response_left) { /* never more than was announced */
            s->broken = true;
            len = (size_t)x->response_left;
        }
        x->response_left -= len;
        break;
    default: break;
    }
    down->exchange->response_body_bytes += len;
    if (!x->chunking) {
        batch_add(s->batch, s->conn, data, len);
        return;
    }
    char *line = batch_reserve(s->batch, s->conn, H1_CHUNK_LINE_SIZE);
    batch_commit(s->batch, h1_write_chunk_line(line, len));
    batch_add(s->batch, s->conn, data, len);
    batch_add(s->batch, s->conn, "\r\n", 2);
}

static void down_last_chunk(struct h1_server *s)
{
    struct h1_serving *x = serving_of(s);
    if (!x->last_chunk_sent) {
        x->last_chunk_sent = true;
        batch_add(s->batch, s->conn, "0\r\n", 3);
    }
}

static void down_trailer(struct down *down, struct weir_str name, struct weir_str value)
{
    struct h1_server *s = server_of(down);
    if (!serving_of(s)->chunking || s->broken) {
        return; /* no place for trailers (RFC 9110 section 6.5.1): they may be dropped */
    }
    down_last_chunk(s);
    size_t size = name.len + value.len + 4;
    char *out = batch_reserve(s->batch, s->conn, size);
    if (out == NULL) {
        return;
    }
    memcpy(out, name.ptr, name.len);
    memcpy(out + name.len, ": ", 2);
    if (value.len > 0) {
        memcpy(out + name.len + 2, value.ptr, value.len);
    }
    memcpy(out + size - 2, "\r\n", 2);
    batch_commit(s->batch, size);
}

static void down_end(struct down *down)
{
    struct h1_server *s = server_of(down);
    struct exchange *exchange = down->exchange;

    if (exchange->response_whole || s->broken) {
        if (s->broken) {
            server_finish(s);
        }
        return;
    }
    if (s->state == STATE_TUNNEL) {
        batch_flush(s->batch);
        conn_shutdown(s->conn);
        exchange->response_whole = true;
        if (exchange->request_whole) {
            server_finish(s);
        }
        return;
    }
    if (exchange->serving.response_left >
        0) { /* less than was announced: it must not pass for whole */
        s->broken = true;
        server_finish(s);
        return;
    }
    if (exchange->serving.chunking) {
        down_last_chunk(s);
        batch_add(s->batch, s->conn, "\r\n", 2);
    }
    exchange->response_whole = true;
    s->keep_alive = s->keep_alive && exchange->request_whole;
    server_finish(s);
}

static void down_reset(struct down *down)
{
    struct h1_server *s = server_of(down);
    batch_flush(s->batch);
    s->broken = true;
    server_finish(s);
}

static void down_pause(struct down *down)
{
    down->exchange->serving.paused = true;
    pace_begin(&down->exchange->serving.pace);
}

static void down_resume(struct down *down)
{
    struct h1_server *s = server_of(down);
    struct h1_serving *x = &down->exchange->serving;
    if (x->paused) {
        x->paused = false;
        if (s->state == STATE_LENGTH || s->state == STATE_CHUNKED) {
            server_body_clock(s);
        }
        conn_resume_read(s->conn);
    }
}

static size_t down_waiting(struct down *down)
{
    struct h1_server *s = server_of(down);
    if (s->batch->conn == s->conn) {
        batch_flush(s->batch);
    }
    return conn_waiting(s->conn);
}

static const struct down_ops server_down_ops = {
    .interim = down_interim,
    .head = down_head,
    .data = down_data,
    .trailer = down_trailer,
    .end = down_end,
    .reset = down_reset,
    .pause = down_pause,
    .resume = down_resume,
    .waiting = down_waiting,
};

/* ---- the connection ---- */

void h1_server_begin(struct h1_server *s, struct conn *conn, struct batch *batch,
                     const struct h1_server_owner *owner)
{
    s->down.ops = &server_down_ops;
    s->conn = conn;
    s->batch = batch;
    s->owner = owner;
    s->timer.fn = server_timer;
    s->finish.fn = server_finish_task;
    conn_set_owner(conn, &server_conn_ops, s);
    const struct h1_server_conf *conf = owner->conf(s);
    s->state = conn->opening ? STATE_OPENING : STATE_IDLE;
    timer_set(conn->loop, &s->timer,
              conn->opening ? conf->handshake_timeout_ns : conf->header_timeout_ns);
}

bool h1_server_idle(const struct h1_server *s)
{
    return s->down.exchange == NULL;
}

void h1_server_drain(struct h1_server *s)
{
    s->draining = true;
    if (s->state == STATE_IDLE && conn_kept(s->conn) == 0) {
        server_close(s, true);
    } else if (s->state == STATE_OPENING) {
        server_close(s, false);
    }
}

void h1_server_drain_after(struct h1_server *s, uint64_t grace_ns)
{
    s->draining = true;
    timer_set(server_loop(s), &s->timer, grace_ns);
}

void h1_server_abort(struct h1_server *s)
{
    struct exchange *exchange = s->down.exchange;
    s->broken = true;
    if (exchange != NULL) {
        if (!s->finishing) {
            s->owner->events->on_gone(exchange, DOWN_GONE_CLOSED);
        }
        s->down.exchange = NULL;
        server_count_bytes(s, exchange);
        s->owner->events->on_close(exchange, false);
    }
    server_close(s, false);
}
