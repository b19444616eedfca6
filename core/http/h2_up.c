/* SPDX-License-Identifier: MIT */
/*
 * HTTP/2 towards servers (RFC 9113): the connection. Its exchanges are in h2_up_stream.c. See h2.h.
 */
#include "http/h2_up_parts.h"

/* Requests at once at most, where the limits do not say. */
#define ROOM_MOST 1000u
/* Bytes of a response that may be on their way while its client does not read, likewise. */
#define WINDOW (256u * 1024)
/* Points of oddities (h2.h); from three quarters on a connection serves no new requests. */
#define ABUSE_LIMIT 1000u

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

/* The room may have changed: the owner hears of it, who may close the connection if it is idle. */
static void tell_room(struct h2_up *u)
{
    uint32_t before = u->c.room;

    h2_up_set_room(u);
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

/* ---- the session ---- */

static struct h2_up *owner_of(struct h2 *h2)
{
    return container_of(h2, struct h2_up, h2);
}

static void side_odd(struct h2 *h2, unsigned points, const char *ends)
{
    struct h2_up *u = owner_of(h2);

    if (u->c.owner->on_odd != NULL) {
        u->c.owner->on_odd(&u->c, points, ends);
    }
    if (ends != NULL) {
        leave(u);
    }
}

static void side_session(struct h2 *h2, const nghttp2_frame *frame)
{
    struct h2_up *u = owner_of(h2);

    if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
        u->settled = true;
        h2_up_settled(u);
        tell_room(u);
        u->overdrawn = u->overdrawn || u->c.running > u->c.most;
    } else if (frame->hd.type == NGHTTP2_GOAWAY) {
        u->answers = u->answers || frame->goaway.last_stream_id > 0;
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
    h2_up_set_room(u);
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
            h2_up_fail(x, UP_UNREAD);
        } else if (x->tunnel) {
            h2_up_fail(x, UP_OVER);
        } else {
            h2_up_detach(x, NGHTTP2_NO_ERROR);
        }
    }
    up_close(u, how);
}

static const struct h2_side up_side = {
    .head = h2_up_on_head,
    .data = h2_up_on_data,
    .end = h2_up_on_end,
    .flushed = h2_up_on_flushed,
    .drained = h2_up_on_drained,
    .closed = h2_up_on_closed,
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
    h2_up_set_room(u);
    conn_set_owner(c->conn, &h2_conn_ops, u);
    return true;
}

/* Unread input is usual here, such as PING; only an end is no good. */
static bool codec_use(struct up_conn *c, struct exchange *exchange, bool probe)
{
    struct h2_up *u = h2_of(c);

    ASSERT(c->room > 0);
    if (probe && c->served > 0 && u->asked_ns != loop_now_ns(c->conn->loop)) {
        u->asked_ns = loop_now_ns(c->conn->loop);
        conn_look_at_peer(c->conn);
    }
    bool ended = c->conn->write_failed || c->conn->eof_hint || c->conn->eof_seen;
    if (ended || !h2_up_attach(u, exchange)) {
        u->leaving = true;
        h2_up_set_room(u);
        if (c->running == 0) {
            up_close(u, END_RESET);
        }
        return false;
    }
    return true;
}

static void codec_close(struct up_conn *c)
{
    ASSERT(c->running == 0);
    up_close(h2_of(c), END_CLOSE);
}

const struct up_codec h2_up_codec = {
    .version = HTTP_2,
    .size = sizeof(struct h2_up),
    .room = H2_UP_ROOM_FIRST,
    .begin = codec_begin,
    .use = codec_use,
    .close = codec_close,
};
