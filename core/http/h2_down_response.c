/* SPDX-License-Identifier: MIT */
/*
 * HTTP/2 towards clients: the operations of an exchange on its client's half, most of them for the
 * response. See h2_down_parts.h.
 */
#include "http/h2_down_parts.h"
#include "http/websocket.h"

static void broken(struct h2_serving *x)
{
    h2_stream_reset(&x->stream, NGHTTP2_INTERNAL_ERROR);
}

static void down_interim(struct down *down, const struct http_response_head *head)
{
    struct h2_serving *x = h2_serving_of(down);
    struct h2_block *block = h2_response_block(x->stream.arena, head);

    if (head->status == 100 && !x->continued) {
        x->continued = true;
        h2_down_body_clock(x);
    }
    if (block == NULL || x->stream.ended ||
        nghttp2_submit_headers(x->stream.h2->session, NGHTTP2_FLAG_NONE, x->stream.id, NULL, NULL,
                               0, NULL) != 0) {
        broken(x);
    } else {
        h2_stream_block(&x->stream, block);
    }
    h2_wake(x->stream.h2);
}

/* Whether the server has answered the key that h2_fields.c made. */
static bool accepted(const struct h2_serving *x, const struct http_response_head *head)
{
    const struct http_fields *fields = &x->down.exchange->request.fields;
    const struct http_field *key = fields_find_name(fields, WEBSOCKET_KEY);
    const struct http_field *answer = fields_find_name(&head->fields, WEBSOCKET_ACCEPT);

    return key != NULL && answer != NULL &&
           str_equal(answer->value, websocket_accept(key->value, x->stream.arena));
}

static void down_head(struct down *down, const struct http_response_head *head, bool tunnel)
{
    struct h2_serving *x = h2_serving_of(down);
    struct exchange *exchange = down->exchange;
    nghttp2_data_provider provider = {.source.ptr = &x->stream, .read_callback = h2_source};
    bool bare = !tunnel && (head->body == BODY_NONE ||
                            (head->body == BODY_LENGTH && head->content_length == 0));

    ASSERT(!exchange->response_begun);
    exchange->response_begun = true;
    x->response_body = tunnel ? BODY_TUNNEL : head->body;
    x->response_left = head->body == BODY_LENGTH ? head->content_length : 0;
    if (tunnel) {
        exchange->request_whole = false; /* from here: the client's side of the tunnel */
    }
    if (x->stream.ended) {
        return;
    }
    if (unlikely(tunnel) && !accepted(x, head)) {
        broken(x);
        return;
    }
    struct h2_block *block = h2_response_block(x->stream.arena, head);
    x->stream.has_source = !bare;
    x->stream.tunnel = tunnel;
    if (block == NULL || nghttp2_submit_response(x->stream.h2->session, x->stream.id, NULL, 0,
                                                 bare ? NULL : &provider) != 0) {
        broken(x);
    } else {
        h2_stream_block(&x->stream, block);
    }
    h2_wake(x->stream.h2);
}

static void down_data(struct down *down, const char *data, size_t len)
{
    struct h2_serving *x = h2_serving_of(down);

    if (x->response_body == BODY_NONE || len == 0) {
        return;
    }
    if (x->response_body == BODY_LENGTH) {
        if (len > x->response_left) { /* never more than was announced */
            broken(x);
            return;
        }
        x->response_left -= len;
    }
    down->exchange->response_body_bytes += len;
    h2_stream_data(&x->stream, data, len);
}

static void down_trailer(struct down *down, struct weir_str name, struct weir_str value)
{
    h2_stream_trailer(&h2_serving_of(down)->stream, name, value);
}

static void down_end(struct down *down)
{
    struct h2_serving *x = h2_serving_of(down);

    if (x->response_left > 0) { /* less than was announced must not pass for complete */
        broken(x);
        return;
    }
    if (down->exchange->response_whole) { /* a tunnel's server takes no more */
        h2_stream_reset(&x->stream, NGHTTP2_NO_ERROR);
        return;
    }
    down->exchange->response_whole = true;
    if (x->stream.has_source) {
        h2_stream_end(&x->stream);
    }
}

static void down_reset(struct down *down)
{
    broken(h2_serving_of(down));
}

static void down_pause(struct down *down)
{
    struct h2_serving *x = h2_serving_of(down);

    h2_stream_pause(&x->stream);
}

static void down_resume(struct down *down)
{
    struct h2_serving *x = h2_serving_of(down);

    if (x->stream.paused) {
        h2_stream_resume(&x->stream);
        if (h2_down_body_due(x)) {
            h2_down_body_clock(x);
        }
    }
}

static size_t down_waiting(struct down *down)
{
    struct h2_serving *x = h2_serving_of(down);
    size_t blocked = h2_stream_blocked(&x->stream);

    if (blocked > 0) {
        h2_down_watch_stall(x);
    }
    return blocked;
}

static bool down_look(struct down *down)
{
    struct h2_serving *x = h2_serving_of(down);
    struct conn *conn = x->owner->c.conn;

    if (x->told_gone || x->stream.ended) {
        return false;
    }
    conn_look_at_peer(conn);
    if (conn->write_failed) {
        h2_down_gone(x, DOWN_GONE_CLOSED);
        return false;
    }
    return true;
}

static bool down_is_narrow(struct down *down)
{
    return h2_stream_is_narrow(&h2_serving_of(down)->stream);
}

const struct down_ops h2_down_ops = {
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
    .is_narrow = down_is_narrow,
};
