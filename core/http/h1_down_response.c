/* SPDX-License-Identifier: MIT */
/*
 * Responses to HTTP/1 clients: a stream's operations on its client's half. See h1_down_parts.h.
 */
#include "http/h1_down_parts.h"
#include "http/h1_send.h"
#include "http/h1_write.h"

static void down_write_head(struct h1_down *s, const struct http_response_head *head,
                            const struct h1_response_shape *shape)
{
    struct arena *arena = &s->down.exchange->arena;
    size_t size = h1_response_size(head), len = 0;

    if (size > LOOP_OUTPUT_SIZE && head->status >= 200) {
        arena_allow(arena, size + ARENA_BLOCK_SIZE); /* its fields are within the limit already */
    }
    char *out = batch_room(s->c.batch, s->c.conn, arena, size);
    if (out != NULL) {
        len = h1_write_response(out, size, head, shape);
        batch_put(s->c.batch, s->c.conn, out, len);
    }
    if (len == 0) { /* out of memory, or a head that must not go out */
        s->broken = true;
        h1_down_finish(s);
    }
}

static void down_interim(struct down *down, const struct http_response_head *head)
{
    struct h1_down *s = h1_down_of(down);
    if (down->exchange->request.version < HTTP_1_1) {
        return;
    }
    struct h1_response_shape shape = {.client_version = HTTP_1_1};
    if (head->status == 100) {
        serving_of(s)->continued = true;
        if (s->state == STATE_LENGTH || s->state == STATE_CHUNKED) {
            h1_down_body_clock(s);
        }
    }
    down_write_head(s, head, &shape);
    batch_flush(s->c.batch);
}

static void down_head(struct down *down, const struct http_response_head *head, bool tunnel)
{
    struct h1_down *s = h1_down_of(down);
    struct exchange *exchange = down->exchange;
    struct h1_serving *x = exchange->serving;
    struct h1_response_shape shape = {.client_version = exchange->request.version,
                                      .upgrade = tunnel};

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
        conn_resume_read(s->c.conn);
        return;
    }
    if (head->body == BODY_CHUNKED || head->body == BODY_CLOSE) {
        x->chunking = shape.client_version >= HTTP_1_1;
        s->keep_alive = s->keep_alive && x->chunking;
    }
    /* Without 100 the client may or may not send the body that nothing waits for (RFC 9110 section
     * 10.1.1). */
    bool unasked = exchange->request.expect_continue && !x->continued;
    bool unread = !exchange->request_whole && (head->status >= 300 || unasked);
    /* No more requests are wanted, except those that have arrived already. */
    bool ended = (s->client_ended || s->c.draining) && conn_kept(s->c.conn) == 0 && x->behind == 0;
    if (unread || ended || s->c.owner->conf(&s->c) == NULL) {
        s->keep_alive = false;
    }
    shape.chunked = x->chunking;
    shape.close = !s->keep_alive;
    shape.keep_alive_said = s->keep_alive && shape.client_version < HTTP_1_1;
    down_write_head(s, head, &shape);
}

static void down_data(struct down *down, const char *data, size_t len)
{
    struct h1_down *s = h1_down_of(down);

    if (len == 0 || s->broken) {
        return;
    }
    struct h1_serving *x = serving_of(s);
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
    if (x->chunking) {
        h1_send_chunk(s->c.batch, s->c.conn, data, len);
    } else {
        batch_add(s->c.batch, s->c.conn, data, len);
    }
}

static void down_trailer(struct down *down, struct weir_str name, struct weir_str value)
{
    struct h1_down *s = h1_down_of(down);
    struct h1_serving *x = serving_of(s);

    if (x->chunking && !s->broken) { /* else it cannot be sent and may be dropped */
        h1_send_trailer(s->c.batch, s->c.conn, &down->exchange->arena, &x->last_chunk_sent, name,
                        value);
    }
}

static void down_end(struct down *down)
{
    struct h1_down *s = h1_down_of(down);
    struct exchange *exchange = down->exchange;

    if (exchange->response_whole || s->broken) {
        if (s->broken || s->state == STATE_TUNNEL) {
            h1_down_finish(s);
        }
        return;
    }
    if (s->state == STATE_TUNNEL) {
        batch_flush(s->c.batch);
        conn_shutdown(s->c.conn);
        exchange->response_whole = true;
        if (exchange->request_whole) {
            h1_down_finish(s);
        }
        return;
    }
    if (serving_of(s)->response_left > 0) { /* less than announced must not pass for complete */
        s->broken = true;
        h1_down_finish(s);
        return;
    }
    s->keep_alive = s->keep_alive && exchange->request_whole;
    if (!s->keep_alive) {
        conn_write_last(s->c.conn);
    }
    if (serving_of(s)->chunking) {
        h1_send_end(s->c.batch, s->c.conn, &serving_of(s)->last_chunk_sent);
    }
    exchange->response_whole = true;
    h1_down_finish(s);
}

static void down_reset(struct down *down)
{
    struct h1_down *s = h1_down_of(down);
    batch_flush(s->c.batch);
    s->broken = true;
    h1_down_finish(s);
}

static void down_pause(struct down *down)
{
    struct h1_down *s = h1_down_of(down);
    struct h1_serving *x = serving_of(s);

    x->paused = true;
    pace_begin(&x->pace);
    h1_down_watch_stall(s);
}

static void down_resume(struct down *down)
{
    struct h1_down *s = h1_down_of(down);
    struct h1_serving *x = serving_of(s);
    if (x->paused) {
        x->paused = false;
        if (s->state == STATE_LENGTH || s->state == STATE_CHUNKED) {
            h1_down_body_clock(s);
        }
        conn_resume_read(s->c.conn);
    }
}

static size_t down_waiting(struct down *down)
{
    struct h1_down *s = h1_down_of(down);
    if (s->c.batch->conn == s->c.conn) {
        batch_flush(s->c.batch);
    }
    h1_down_watch_stall(s);
    return conn_waiting(s->c.conn);
}

static bool down_look(struct down *down)
{
    struct h1_down *s = h1_down_of(down);

    conn_look_at_peer(s->c.conn);
    if (s->broken || !(s->c.conn->write_failed || (s->c.conn->eof_hint && h1_down_aborts(s)))) {
        return !s->broken;
    }
    h1_down_gone(s, DOWN_GONE_CLOSED);
    return false;
}

const struct down_ops h1_down_ops = {
    .interim = down_interim,
    .head = down_head,
    .data = down_data,
    .trailer = down_trailer,
    .end = down_end,
    .reset = down_reset,
    .pause = down_pause,
    .resume = down_resume,
    .look = down_look,
    .waiting = down_waiting,
};
