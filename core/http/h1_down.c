/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 towards clients (RFC 9112). See h1_down.h.
 *
 * One exchange at a time. It always ends in a task at the end of the loop's turn, so no callback
 * sees its exchange freed; the task closes the exchange and looks for the next request.
 */
#include "http/h1_down_parts.h"

/* Bytes kept of a client that keeps sending while it waits for an answer (pipelined requests, the
 * start of a body), beyond the longest legal head. The rest stays in the socket. */
#define PIPELINE_MORE (16u * 1024)

/* Reads per callback, so that one connection does not starve the others. */
#define READS_PER_TURN 16

/* Checks per idle_timeout of a client that takes nothing. */
#define STALL_LOOKS 8

void h1_down_close(struct h1_down *s, enum codec_end how)
{
    ASSERT(s->down.exchange == NULL);
    s->state = STATE_CLOSED;
    down_conn_close(&s->c, how);
}

void h1_down_finish(struct h1_down *s)
{
    s->finishing = true;
    task_queue(down_conn_loop(&s->c), &s->c.task);
}

/* Settings of the running exchange, or for the next one; NULL: the listener was removed. */
static const struct down_conf *conf_now(struct h1_down *s)
{
    return s->down.exchange != NULL ? serving_of(s)->conf : s->c.owner->conf(&s->c);
}

static void down_count_bytes(struct h1_down *s, struct exchange *exchange)
{
    const struct h1_serving *x = exchange->serving;
    exchange->request_bytes = s->c.conn->received - conn_kept(s->c.conn) - x->received_mark;
    exchange->response_bytes = s->c.conn->sent - x->sent_mark;
}

/* How long it may be idle from now on. */
static uint64_t down_idle_ns(const struct h1_down *s, const struct down_conf *conf)
{
    uint64_t idle_ns = s->served ? conf->idle_timeout_ns : conf->header_timeout_ns;

    if (unlikely(s->c.draining)) {
        uint64_t grace_ns = s->served ? conf->lame_duck_ns : down_conn_first_grace_ns(conf);
        return grace_ns < idle_ns ? grace_ns : idle_ns;
    }
    return idle_ns;
}

/* The client has promised to send nothing more (RFC 9112 section 9.6), and all of its request was
 * read. */
static bool down_was_last(const struct h1_down *s, const struct exchange *exchange)
{
    const struct http_request_head *head = &exchange->request;
    return s->state == STATE_WAIT && exchange->request_whole && !head->keep_alive &&
           !head->close_after;
}

static void down_finish_task(struct task *task)
{
    struct h1_down *s = container_of(task, struct h1_down, c.task);
    struct exchange *exchange = s->down.exchange;
    bool last = false;

    if (exchange != NULL) {
        if (!s->broken && conn_waiting(s->c.conn) > 0) {
            h1_down_watch_stall(s);
            return; /* on_drained queues the task again */
        }
        last = down_was_last(s, exchange);
        down_count_bytes(s, exchange);
        s->down.exchange = NULL;
        s->c.owner->events->on_close(exchange, exchange->response_whole && !s->broken);
    }
    s->finishing = false;
    const struct down_conf *conf = s->c.owner->conf(&s->c);
    if (s->broken || !s->keep_alive || conf == NULL || s->state != STATE_WAIT) {
        bool quick = last && conn_closes_cleanly(s->c.conn);
        h1_down_close(s, s->broken ? END_RESET : quick ? END_CLOSE : END_LINGER);
        return;
    }
    s->state = STATE_IDLE;
    timer_set(down_conn_loop(&s->c), &s->c.timer, down_idle_ns(s, conf));
    conn_resume_read(s->c.conn);
}

void h1_down_gone(struct h1_down *s, enum down_gone why)
{
    struct exchange *exchange = s->down.exchange;

    s->keep_alive = false;
    if (exchange == NULL) {
        s->broken = why == DOWN_GONE_CLOSED;
        h1_down_close(s, s->broken ? END_RESET : END_LINGER);
        return;
    }
    if (why == DOWN_GONE_CLOSED) {
        s->broken = true;
    }
    s->state = STATE_WAIT;
    if (!s->finishing) {
        s->c.owner->events->on_gone(exchange, why);
    }
    if (s->broken && s->state != STATE_CLOSED) {
        h1_down_finish(s);
    }
}

bool h1_down_aborts(const struct h1_down *s)
{
    const struct exchange *exchange = s->down.exchange;
    return exchange != NULL && serving_of(s)->conf->abort_on_close && !exchange->response_begun &&
           !s->finishing;
}

static void down_tunnel_eof(struct h1_down *s)
{
    struct exchange *exchange = s->down.exchange;
    if (exchange->request_whole) {
        return;
    }
    exchange->request_whole = true;
    s->c.owner->events->on_request_end(exchange);
    if (exchange->response_whole && !s->finishing) { /* the server had ended before */
        h1_down_finish(s);
    }
}

static void down_eof(struct h1_down *s)
{
    s->client_ended = true;
    switch (s->state) {
    case STATE_IDLE: h1_down_close(s, END_CLOSE); break;
    case STATE_HEAD: h1_down_refuse_cut(s, (struct http_error){400, "head_cut"}); break;
    case STATE_TUNNEL: down_tunnel_eof(s); break;
    case STATE_LENGTH:
    case STATE_CHUNKED:
        s->down.exchange->error = (struct http_error){400, "body_cut"};
        h1_down_gone(s, DOWN_GONE_PROTOCOL);
        break;
    case STATE_WAIT:
        if (h1_down_aborts(s)) {
            h1_down_gone(s, DOWN_GONE_CLOSED);
        } else {
            s->keep_alive = s->keep_alive && conn_kept(s->c.conn) > 0;
        }
        break;
    default: h1_down_gone(s, DOWN_GONE_CLOSED); break;
    }
}

/* Nothing more comes. A FIN without close_notify is an end like any other, and what was asked for
 * is answered (RFC 9112 section 9.8): framing tells what was cut. Of a tunnel's bytes nothing
 * does. */
static void down_end(struct h1_down *s, enum conn_result result)
{
    const struct conn *conn = s->c.conn;
    bool fin = conn->error == CONN_TRUNCATED && !conn->write_failed && s->state != STATE_TUNNEL;

    if (result == CONN_EOF || fin) {
        down_eof(s);
    } else {
        h1_down_gone(s, DOWN_GONE_CLOSED);
    }
}

/* How much more may be kept; at least one byte, so that a read is possible. */
static size_t down_kept_room(struct h1_down *s)
{
    const struct down_conf *conf = conf_now(s);
    size_t most = (conf != NULL ? conf->limits.head : 0) + (size_t)PIPELINE_MORE;
    size_t kept = conn_kept(s->c.conn);
    return kept < most ? most - kept : 1;
}

/* Reads no more than can be kept: a body may have to wait until a server is found, and any number
 * of requests may follow a body. Bytes known to be body are used at once. */
static enum conn_result down_next_bytes(struct h1_down *s, char **data, size_t *len)
{
    uint64_t room = down_kept_room(s);
    if (s->state == STATE_TUNNEL) {
        room = serving_of(s)->pace.max;
    } else if (s->state == STATE_LENGTH) {
        const struct h1_serving *x = serving_of(s);
        room = x->body_left < LOOP_READ_MOST ? room + x->body_left : 0;
        room = x->pace.max > 0 && (room == 0 || room > x->pace.max) ? x->pace.max : room;
    }
    return conn_read(s->c.conn, data, len, (size_t)room);
}

static bool down_wants_bytes(const struct h1_down *s)
{
    if (s->finishing || s->state == STATE_CLOSED || s->state == STATE_WAIT) {
        return false;
    }
    return s->state == STATE_IDLE || s->state == STATE_HEAD || !serving_of(s)->paused;
}

static void down_read(struct h1_down *s)
{
    for (int i = 0; down_wants_bytes(s); i++) {
        if (i == READS_PER_TURN || (i > 0 && loop_is_weary(s->c.conn->loop))) {
            conn_resume_read(s->c.conn);
            break;
        }
        char *data = NULL;
        size_t len = 0;
        enum conn_result result = down_next_bytes(s, &data, &len);
        if (result == CONN_AGAIN) {
            break;
        }
        if (result != CONN_DATA) {
            down_end(s, result);
            break;
        }
        struct batch *batch = s->c.batch;
        if (s->down.exchange != NULL) {
            pace_passed(&serving_of(s)->pace, len);
        }
        size_t used = h1_down_consume(s, data, len);
        batch_flush(batch); /* before scratch is read into again */
        if (s->state == STATE_CLOSED) {
            break;
        }
        conn_keep(s->c.conn, data + used, len - used);
        if (s->down.exchange != NULL) {
            serving_of(s)->behind = 0;
            if (!s->finishing) {
                s->c.owner->events->on_flushed(s->down.exchange);
            }
        }
        if (s->state == STATE_LENGTH || s->state == STATE_CHUNKED) {
            h1_down_body_progress(s);
        }
    }
}

/* Nothing is read while an answer is in progress, but an end that the kernel reports is checked:
 * after a reset nobody waits for the answer; a FIN is legal. A reset may show only in a failed
 * write. */
static void down_watch(struct h1_down *s)
{
    if (s->c.conn->write_failed && !s->broken) {
        h1_down_gone(s, DOWN_GONE_CLOSED);
        return;
    }
    while (s->c.conn->eof_hint && !s->client_ended && down_kept_room(s) > 1) {
        char *data = NULL;
        size_t len = 0;
        enum conn_result result = conn_read(s->c.conn, &data, &len, down_kept_room(s));
        switch (result) {
        case CONN_DATA: conn_keep(s->c.conn, data, len); break;
        case CONN_AGAIN: return;
        case CONN_EOF:
        case CONN_ERROR: down_end(s, result); return;
        }
    }
}

/* abort_on_close: the client's FIN, possibly behind body bytes that nothing has asked for yet. */
static void down_watch_end(struct h1_down *s)
{
    if (s->state == STATE_CLOSED || likely(!s->c.conn->eof_hint) || down_wants_bytes(s) ||
        !h1_down_aborts(s)) {
        return;
    }
    if (s->state == STATE_WAIT) {
        down_watch(s);
    } else {
        h1_down_gone(s, DOWN_GONE_CLOSED);
    }
}

static void down_readable(struct conn *conn)
{
    struct h1_down *s = conn->owner;
    struct batch *batch = s->c.batch;

    if (s->state == STATE_CLOSED) {
        return;
    }
    if (down_wants_bytes(s)) {
        down_read(s);
        down_watch_end(s); /* it may have come with the request */
    } else if (conn->readable && conn_is_broken(conn)) {
        h1_down_gone(s, DOWN_GONE_CLOSED);
    } else if (s->state == STATE_WAIT || s->finishing) {
        down_watch(s);
    } else {
        down_watch_end(s);
    }
    batch_flush(batch);
}

static void down_drained(struct conn *conn)
{
    struct h1_down *s = conn->owner;
    struct batch *batch = s->c.batch;

    if (s->down.exchange != NULL) {
        serving_of(s)->stall_ns = 0;
    }
    if (s->finishing) {
        task_queue(down_conn_loop(&s->c), &s->c.task);
    } else if (s->down.exchange != NULL) {
        s->c.owner->events->on_drained(s->down.exchange);
    }
    batch_flush(batch);
}

/* It is open before it is handed over. */
static const struct conn_ops down_conn_ops = {
    .on_readable = down_readable,
    .on_drained = down_drained,
};

/* The client waits for 100, not sent yet: its body is not late (RFC 9110 section 10.1.1). The
 * stream limits the server's time. */
static bool down_awaits_go_ahead(const struct h1_down *s)
{
    const struct http_request_head *head = &s->down.exchange->request;
    const struct h1_serving *x = serving_of(s);
    bool begun = s->state == STATE_LENGTH ? x->body_left < head->content_length : x->body_seen > 0;
    return head->expect_continue && !x->continued && !begun;
}

/* Whether the client is the one to send the next byte of a body. */
static bool down_body_due(const struct h1_down *s)
{
    return (s->state == STATE_LENGTH || s->state == STATE_CHUNKED) && !s->finishing &&
           !serving_of(s)->paused && !down_awaits_go_ahead(s);
}

static void down_set_stall_timer(struct h1_down *s)
{
    const struct h1_serving *x = serving_of(s);
    timer_set(down_conn_loop(&s->c), &s->c.timer, x->conf->idle_timeout_ns / STALL_LOOKS + 1);
}

void h1_down_watch_stall(struct h1_down *s)
{
    struct h1_serving *x = serving_of(s);

    if (likely(conn_waiting(s->c.conn) == 0) || x->stall_ns != 0 || down_body_due(s)) {
        return;
    }
    x->stall_ns = loop_now_ns(down_conn_loop(&s->c));
    x->stall_mark = conn_taken_mark(s->c.conn);
    down_set_stall_timer(s);
}

/* Whether the client has taken some pending output since the last check. */
static void down_check_stall(struct h1_down *s)
{
    struct h1_serving *x = serving_of(s);
    uint64_t now_ns = loop_now_ns(down_conn_loop(&s->c));

    if (x->stall_ns == 0) {
        return; /* a leftover timer: nothing waits */
    }
    uint64_t taken = conn_taken_mark(s->c.conn);
    if (taken != x->stall_mark) {
        x->stall_mark = taken;
        x->stall_ns = now_ns;
    } else if (now_ns - x->stall_ns >= x->conf->idle_timeout_ns) {
        s->broken = true;
        h1_down_gone(s, DOWN_GONE_CLOSED);
        return;
    }
    down_set_stall_timer(s);
}

/* Reads once more: a request may have arrived unnoticed. If none has, the connection closes without
 * lingering, so the kernel acknowledges nothing that arrives later and the client knows that it was
 * not read. */
static void down_idle_over(struct h1_down *s)
{
    conn_look_again(s->c.conn);
    if (s->state == STATE_IDLE) {
        h1_down_close(s, END_CLOSE);
    }
}

static void down_timer(struct timer *timer)
{
    struct h1_down *s = container_of(timer, struct h1_down, c.timer);
    struct batch *batch = s->c.batch;

    switch (s->state) {
    case STATE_IDLE: down_idle_over(s); break;
    case STATE_HEAD: h1_down_refuse_cut(s, (struct http_error){408, "header_timeout"}); break;
    case STATE_LENGTH:
    case STATE_CHUNKED:
        if (!down_body_due(s)) {
            down_check_stall(s);
            break;
        }
        s->down.exchange->error = (struct http_error){408, "body_timeout"};
        h1_down_gone(s, DOWN_GONE_TIMEOUT);
        break;
    case STATE_WAIT:
    case STATE_TUNNEL: down_check_stall(s); break;
    default: break;
    }
    batch_flush(batch);
}

/* ---- the codec ---- */

static struct h1_down *h1_of(const struct down_conn *c)
{
    return container_of(c, struct h1_down, c);
}

static void h1_begin(struct down_conn *c, const struct down_conf *conf)
{
    struct h1_down *s = h1_of(c);

    s->down.ops = &h1_down_ops;
    s->c.timer.fn = down_timer;
    s->c.task.fn = down_finish_task;
    conn_set_owner(s->c.conn, &down_conn_ops, s);
    s->state = STATE_IDLE;
    timer_set(down_conn_loop(c), &s->c.timer, down_idle_ns(s, conf));
}

static void h1_drain(struct down_conn *c)
{
    struct h1_down *s = h1_of(c);
    const struct down_conf *conf = c->owner->conf(c);

    if (c->draining || s->state == STATE_CLOSED || conf == NULL) {
        return;
    }
    c->draining = true;
    if (s->state == STATE_IDLE) {
        down_conn_hurry(c, down_idle_ns(s, conf));
    }
}

static void h1_abort(struct down_conn *c)
{
    struct h1_down *s = h1_of(c);
    struct exchange *exchange = s->down.exchange;

    s->broken = true;
    if (exchange != NULL) {
        if (!s->finishing) {
            c->owner->events->on_gone(exchange, DOWN_GONE_CLOSED);
        }
        s->down.exchange = NULL;
        down_count_bytes(s, exchange);
        c->owner->events->on_close(exchange, false);
    }
    h1_down_close(s, END_RESET);
}

static bool h1_is_last(const struct down_conn *c)
{
    const struct h1_down *s = h1_of(c);
    return s->down.exchange != NULL && s->served && !s->keep_alive;
}

static bool h1_idle(const struct down_conn *c)
{
    return h1_of(c)->down.exchange == NULL;
}

_Static_assert(sizeof(struct h1_down) <= sizeof(union down_place), "down_place has its room");

const struct down_codec h1_down_codec = {
    .version = HTTP_1_1,
    .begin = h1_begin,
    .drain = h1_drain,
    .abort = h1_abort,
    .is_last = h1_is_last,
    .idle = h1_idle,
};
