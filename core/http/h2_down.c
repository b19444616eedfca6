/* SPDX-License-Identifier: MIT */
/*
 * HTTP/2 towards clients (RFC 9113): connections and requests. See h2.h.
 *
 * An idle connection holds its session, behind a pointer; a stream's state is in its exchange's
 * arena. The connection's timer ends it where no exchange runs; each stream has one of its own.
 */
#include <stdlib.h>

#include "http/h2_down_parts.h"

/* ---- the connection's end and clocks ---- */

static void session_free(struct freed *freed)
{
    struct h2_session *session = container_of(freed, struct h2_session, freed);

    h2_free(&session->h2);
    free(session);
}

static void down_close(struct h2_down *d, enum codec_end how)
{
    struct h2_session *session = d->session;

    if (session != NULL) {
        d->session = NULL;
        h2_close(&session->h2);
        loop_free_later(d->c.conn->loop, &session->freed, session_free);
    }
    down_conn_close(&d->c, how);
}

/* How long it may be without a stream. */
static uint64_t down_idle_ns(const struct h2_down *d, const struct down_conf *conf)
{
    uint64_t idle_ns = d->served ? conf->idle_timeout_ns : conf->header_timeout_ns;

    if (unlikely(d->c.draining)) {
        uint64_t grace_ns = d->served ? conf->lame_duck_ns : down_conn_first_grace_ns(conf);
        return grace_ns < idle_ns ? grace_ns : idle_ns;
    }
    return idle_ns;
}

/* No stream will come that the client does not think accepted already; then the connection ends
 * when those that run have. */
static void leave(struct h2_session *session)
{
    nghttp2_session *h2 = session->h2.session;

    if (!session->leaving) {
        session->leaving = true;
        nghttp2_submit_goaway(h2, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h2),
                              NGHTTP2_NO_ERROR, NULL, 0);
        h2_wake(&session->h2);
    }
}

/* Without streams for too long; or the time is over for those that a client sent before it knew of
 * our leaving. */
static void down_timer(struct timer *timer)
{
    struct h2_down *d = container_of(timer, struct h2_down, c.timer);

    if (d->session->h2.count == 0) {
        conn_look_again(d->c.conn); /* a request may have arrived unnoticed */
    }
    if (d->session != NULL && (d->session->h2.count == 0 || d->c.draining)) {
        leave(d->session);
    }
}

/* ---- requests ---- */

static struct h2_down *owner_of(struct h2 *h2)
{
    return container_of(h2, struct h2_session, h2)->owner;
}

static struct h2_stream *side_open(struct h2 *h2, int32_t id)
{
    struct h2_down *d = owner_of(h2);
    bool leaving = d->session->leaving; /* our GOAWAY says that it is not processed */
    const struct down_conf *conf = !leaving ? d->c.owner->conf(&d->c) : NULL;
    struct exchange *exchange = conf != NULL ? d->c.owner->events->on_open(&d->c) : NULL;

    if (exchange == NULL) {
        return NULL;
    }
    struct h2_serving *x = arena_zalloc(&exchange->arena, sizeof(*x));
    if (x == NULL) {
        d->c.owner->events->on_close(exchange, false);
        return NULL;
    }
    x->owner = d;
    x->conf = conf;
    x->down.ops = &h2_down_ops;
    x->down.exchange = exchange;
    x->stream.arena = &exchange->arena;
    x->timer.fn = h2_down_stream_timer;
    exchange->serving = x;
    exchange->down = &x->down;
    h2_stream_begin(h2, &x->stream, id);
    d->served = true;
    h2->limits = conf->limits;
    if (!d->c.draining) {
        timer_cancel(down_conn_loop(&d->c), &d->c.timer);
    }
    return &x->stream;
}

static void side_unfinished(struct h2_stream *stream)
{
    struct h2_serving *x = h2_serving_of_stream(stream);

    if (!x->head_done && !timer_is_set(&x->timer)) {
        timer_set(h2_down_loop(x), &x->timer, x->conf->header_timeout_ns);
    }
}

static void refuse(struct h2_serving *x, struct http_error error)
{
    x->refused = true;
    x->down.exchange->error = error;
    h2_down_events(x)->on_refused(x->down.exchange);
}

/* A client that asks for a WebSocket waits for the answer (RFC 6455 section 4.1): to a server that
 * does not switch, what follows would be a request of its own. After another answer it is dropped.
 */
static bool outside_tunnel(struct h2_serving *x)
{
    struct exchange *exchange = x->down.exchange;

    if (likely(!exchange->request.upgrade_websocket) || x->response_body == BODY_TUNNEL) {
        return false;
    }
    if (!exchange->response_begun) {
        exchange->error = (struct http_error){400, "data_before_switch"};
        h2_down_gone(x, DOWN_GONE_PROTOCOL);
    }
    return true;
}

/* A section above the limits; h2_input.c counts those with too many bytes. */
static void count_breach(struct h2_stream *stream, unsigned status)
{
    if (status == 431 && stream->section->bytes <= stream->h2->limits.head) {
        h2_odd(stream->h2, H2_BREACH, H2_BREACH_WORD);
    }
}

static void side_trailers(struct h2_serving *x)
{
    const struct h2_section *section = x->stream.section;
    const struct http_fields *fields = &section->fields;

    if (x->refused || x->told_gone || outside_tunnel(x)) {
        return;
    }
    if (x->response_body == BODY_TUNNEL) { /* nothing but DATA (section 8.5) */
        h2_stream_reset(&x->stream, NGHTTP2_PROTOCOL_ERROR);
        h2_down_gone(x, DOWN_GONE_CLOSED);
        return;
    }
    if (section->refused.status != 0) {
        count_breach(&x->stream, section->refused.status);
        x->down.exchange->error = (struct http_error){431, "trailers_too_long"};
        h2_down_gone(x, DOWN_GONE_PROTOCOL);
        return;
    }
    for (uint32_t i = 0; i < fields->count && !x->told_gone; i++) {
        if (field_may_trail(&fields->items[i])) {
            h2_down_events(x)->on_trailer(x->down.exchange, fields->items[i].name,
                                          fields->items[i].value);
        }
    }
}

static void side_head(struct h2_stream *stream, bool trailers, bool end)
{
    struct h2_serving *x = h2_serving_of_stream(stream);
    struct exchange *exchange = x->down.exchange;
    struct http_request_head *head = &exchange->request;
    struct http_error error = {0};

    if (trailers) {
        side_trailers(x);
        return;
    }
    x->head_done = true;
    timer_cancel(h2_down_loop(x), &x->timer);
    exchange->request_whole = end;
    if (!h2_request_head(stream->section, end, head, &error)) {
        count_breach(stream, error.status);
        refuse(x, error);
    } else if (head->body == BODY_LENGTH && x->conf->body_limit > 0 &&
               head->content_length > x->conf->body_limit) {
        refuse(x, (struct http_error){413, "body_too_large"});
    } else {
        if (head->body == BODY_LENGTH) {
            h2_stream_expect(stream, head->content_length);
        }
        exchange->request_whole = end || head->upgrade_websocket;
        h2_down_events(x)->on_request(exchange);
        if (!stream->ended && h2_down_body_due(x)) {
            h2_down_body_clock(x);
        }
    }
}

static void side_data(struct h2_stream *stream, const char *data, size_t len)
{
    struct h2_serving *x = h2_serving_of_stream(stream);

    if (x->refused || x->told_gone || outside_tunnel(x)) {
        return;
    }
    x->body_seen += len;
    if (x->conf->body_limit > 0 && x->body_seen > x->conf->body_limit &&
        x->response_body != BODY_TUNNEL) {
        x->down.exchange->error = (struct http_error){413, "body_too_large"};
        h2_down_gone(x, DOWN_GONE_PROTOCOL);
        return;
    }
    if (x->response_body != BODY_TUNNEL && !x->down.exchange->response_whole) {
        h2_down_body_progress(x);
    }
    if (!x->told_gone) {
        h2_down_events(x)->on_data(x->down.exchange, data, len);
    }
}

static void side_end(struct h2_stream *stream)
{
    struct h2_serving *x = h2_serving_of_stream(stream);

    x->down.exchange->request_whole = true;
    if (!x->refused && !x->told_gone && !outside_tunnel(x)) {
        if (x->stall_ns == 0) {
            timer_cancel(h2_down_loop(x), &x->timer);
        }
        h2_down_events(x)->on_request_end(x->down.exchange);
        h2_down_check_waiting(x); /* the body's clock was the only one */
    }
}

static void side_flushed(struct h2_stream *stream)
{
    struct h2_serving *x = h2_serving_of_stream(stream);

    if (!x->refused && !x->told_gone) {
        h2_down_events(x)->on_flushed(x->down.exchange);
    }
}

static void side_drained(struct h2_stream *stream)
{
    struct h2_serving *x = h2_serving_of_stream(stream);

    if (!stream->ending) { /* else it is watched to its end */
        x->stall_ns = 0;
    }
    if (!x->told_gone) {
        h2_down_events(x)->on_drained(x->down.exchange);
    }
}

static void side_stalled(struct h2_stream *stream)
{
    h2_down_watch_stall(h2_serving_of_stream(stream));
}

static void side_closed(struct h2_stream *stream, uint32_t code, bool by_peer)
{
    struct h2_serving *x = h2_serving_of_stream(stream);
    struct exchange *exchange = x->down.exchange;
    struct h2_down *d = x->owner;
    struct loop *loop = h2_down_loop(x);
    const struct down_conf *conf = NULL;
    bool complete = exchange->response_whole && code == NGHTTP2_NO_ERROR;

    timer_cancel(loop, &x->timer);
    if (by_peer && !exchange->response_begun) {
        h2_odd(stream->h2, 1, "resets");
    }
    if (!complete && !x->told_gone) {
        h2_down_gone(x, DOWN_GONE_CLOSED);
    }
    exchange->request_bytes = stream->received;
    exchange->response_bytes = stream->sent;
    x->down.exchange = NULL;
    d->c.owner->events->on_close(exchange, complete);
    if (d->session == NULL || d->session->h2.count > 0) {
        return;
    }
    if ((conf = d->c.owner->conf(&d->c)) == NULL) { /* the listener was removed */
        leave(d->session);
    } else if (!d->session->leaving) {
        timer_set(loop, &d->c.timer, down_idle_ns(d, conf));
    }
}

static void side_odd(struct h2 *h2, unsigned points, const char *ends)
{
    struct h2_session *session = container_of(h2, struct h2_session, h2);
    struct down_conn *c = &session->owner->c;

    c->owner->on_odd(c, points, ends);
    if (ends != NULL) {
        leave(session);
    }
}

static void side_session(struct h2 *h2, const nghttp2_frame *frame)
{
    (void)h2;
    (void)frame;
}

static void side_over(struct h2 *h2, enum codec_end how)
{
    down_close(owner_of(h2), how);
}

static const struct h2_side down_side = {
    .open = side_open,
    .unfinished = side_unfinished,
    .head = side_head,
    .data = side_data,
    .end = side_end,
    .flushed = side_flushed,
    .drained = side_drained,
    .stalled = side_stalled,
    .closed = side_closed,
    .odd = side_odd,
    .session = side_session,
    .over = side_over,
};

/* ---- the codec ---- */

static struct h2_down *h2_of(const struct down_conn *c)
{
    return container_of(c, struct h2_down, c);
}

static void conn_readable(struct conn *conn)
{
    struct h2_down *d = conn->owner;
    h2_readable(&d->session->h2);
}

static void conn_drained(struct conn *conn)
{
    struct h2_down *d = conn->owner;
    h2_drained(&d->session->h2);
}

static void conn_quiet(struct conn *conn)
{
    struct h2_down *d = conn->owner;
    h2_quiet(&d->session->h2);
}

static const struct conn_ops h2_conn_ops = {
    .on_readable = conn_readable,
    .on_drained = conn_drained,
    .on_quiet = conn_quiet,
};

static void codec_begin(struct down_conn *c, const struct down_conf *conf)
{
    struct h2_down *d = h2_of(c);
    const struct h2_conf h2 = {.side = &down_side,
                               .limits = &conf->limits,
                               .server = true,
                               .streams = conf->h2_streams,
                               .window = conf->h2_window,
                               .abuse_limit = conf->abuse_limit};

    d->session = calloc(1, sizeof(*d->session));
    if (d->session == NULL || !h2_begin(&d->session->h2, &h2, c->conn, c->batch)) {
        free(d->session);
        d->session = NULL;
        down_conn_close(c, END_CLOSE);
        return;
    }
    d->session->owner = d;
    c->timer.fn = down_timer;
    if (c->draining) { /* since its handshake */
        nghttp2_submit_shutdown_notice(d->session->h2.session);
    }
    conn_set_owner(c->conn, &h2_conn_ops, d);
    timer_set(down_conn_loop(c), &c->timer, down_idle_ns(d, conf));
}

static void codec_drain(struct down_conn *c)
{
    struct h2_down *d = h2_of(c);
    const struct down_conf *conf = c->owner->conf(c);

    if (c->draining || d->session == NULL || conf == NULL) {
        return;
    }
    c->draining = true;
    nghttp2_submit_shutdown_notice(d->session->h2.session);
    h2_wake(&d->session->h2);
    down_conn_hurry(c, down_idle_ns(d, conf));
}

static void codec_abort(struct down_conn *c)
{
    struct h2_down *d = h2_of(c);

    if (d->session != NULL) {
        h2_abort(&d->session->h2);
    }
}

static bool codec_is_last(const struct down_conn *c)
{
    const struct h2_down *d = h2_of(c);
    return d->session == NULL || d->session->leaving;
}

static bool codec_idle(const struct down_conn *c)
{
    const struct h2_down *d = h2_of(c);
    return d->session == NULL || d->session->h2.count == 0;
}

const struct down_codec h2_down_codec = {
    .version = HTTP_2,
    .begin = codec_begin,
    .drain = codec_drain,
    .abort = codec_abort,
    .is_last = codec_is_last,
    .idle = codec_idle,
};
