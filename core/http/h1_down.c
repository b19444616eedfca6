/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 towards clients (RFC 9112). See h1_down.h.
 *
 * One exchange at a time. Its end is always a task at the end of the loop's turn, so that no callback
 * loses the exchange under its feet; the task closes the exchange and looks for the next request.
 */
#include "http/h1_down_parts.h"

/* Bytes that may be kept of a client that sends on while it waits for an answer (pipelined requests, the
 * beginning of a body), beyond the longest head that it may send. What is more stays in the socket. */
#define PIPELINE_MORE (16u * 1024)

/* Reads in one callback, so that one connection does not starve the others. */
#define READS_PER_TURN 16

/* Looks at a client that takes nothing, in an idle_timeout. */
#define STALL_LOOKS 8

static void server_free(struct freed *freed)
{
    struct h1_down *s = container_of(freed, struct h1_down, freed);
    s->owner->on_free(s);
}

void h1_down_close(struct h1_down *s, bool linger)
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

void h1_down_finish(struct h1_down *s)
{
    s->finishing = true;
    task_queue(server_loop(s), &s->finish);
}

/* Of the running exchange, or for what comes next; NULL: the listener is gone. */
static const struct h1_down_conf *server_conf(struct h1_down *s)
{
    return s->down.exchange != NULL ? serving_of(s)->conf : s->owner->conf(s);
}

static void server_count_bytes(struct h1_down *s, struct exchange *exchange)
{
    const struct h1_serving *x = &exchange->serving;
    exchange->request_bytes = s->conn->received - conn_kept(s->conn) - x->received_mark;
    exchange->response_bytes = s->conn->sent - x->sent_mark;
}

/* How long it may be idle from now on. */
static uint64_t server_idle_ns(const struct h1_down *s, const struct h1_down_conf *conf)
{
    uint64_t idle_ns = s->served ? conf->idle_timeout_ns : conf->header_timeout_ns;

    if (unlikely(s->draining)) {
        uint64_t grace_ns = s->served ? conf->lame_duck_ns : h1_down_first_grace_ns(conf);
        return grace_ns < idle_ns ? grace_ns : idle_ns;
    }
    return idle_ns;
}

/* The client has promised to send nothing more (RFC 9112 section 9.6), and all of its request was read. */
static bool server_is_last(const struct h1_down *s, const struct exchange *exchange)
{
    const struct http_request_head *head = &exchange->request;
    return s->state == STATE_WAIT && exchange->request_whole && !head->keep_alive &&
           !head->close_after;
}

static void server_finish_task(struct task *task)
{
    struct h1_down *s = container_of(task, struct h1_down, finish);
    struct exchange *exchange = s->down.exchange;
    bool last = false;

    if (exchange != NULL) {
        if (!s->broken && conn_waiting(s->conn) > 0) {
            h1_down_watch_stall(s);
            return; /* on_drained queues the task again */
        }
        last = server_is_last(s, exchange);
        server_count_bytes(s, exchange);
        s->down.exchange = NULL;
        s->owner->events->on_close(exchange, exchange->response_whole && !s->broken);
    }
    s->finishing = false;
    const struct h1_down_conf *conf = s->owner->conf(s);
    if (s->broken || !s->keep_alive || conf == NULL || s->state != STATE_WAIT) {
        h1_down_close(s, !s->broken && !(last && conn_closes_cleanly(s->conn)));
        return;
    }
    s->state = STATE_IDLE;
    timer_set(server_loop(s), &s->timer, server_idle_ns(s, conf));
    conn_resume_read(s->conn);
}

void h1_down_gone(struct h1_down *s, enum down_gone why)
{
    struct exchange *exchange = s->down.exchange;

    s->keep_alive = false;
    if (exchange == NULL) {
        s->broken = why == DOWN_GONE_CLOSED;
        h1_down_close(s, why != DOWN_GONE_CLOSED);
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
        h1_down_finish(s);
    }
}

bool h1_down_aborts(const struct h1_down *s)
{
    const struct exchange *exchange = s->down.exchange;
    return exchange != NULL && serving_of(s)->conf->abort_on_close && !exchange->response_begun &&
           !s->finishing;
}

static void server_tunnel_eof(struct h1_down *s)
{
    struct exchange *exchange = s->down.exchange;
    if (exchange->request_whole) {
        return;
    }
    exchange->request_whole = true;
    s->owner->events->on_request_end(exchange);
    if (exchange->response_whole && !s->finishing) { /* the server had ended before */
        h1_down_finish(s);
    }
}

static void server_eof(struct h1_down *s)
{
    s->client_ended = true;
    switch (s->state) {
    case STATE_IDLE: h1_down_close(s, false); break;
    case STATE_HEAD: h1_down_refuse_cut(s, (struct http_error){400, "head_cut"}); break;
    case STATE_TUNNEL: server_tunnel_eof(s); break;
    case STATE_LENGTH:
    case STATE_CHUNKED:
        s->down.exchange->error = (struct http_error){400, "body_cut"};
        h1_down_gone(s, DOWN_GONE_PROTOCOL);
        break;
    case STATE_WAIT:
        if (h1_down_aborts(s)) {
            h1_down_gone(s, DOWN_GONE_CLOSED);
        } else {
            s->keep_alive = s->keep_alive && conn_kept(s->conn) > 0;
        }
        break;
    default: h1_down_gone(s, DOWN_GONE_CLOSED); break;
    }
}

/* How much more may be kept; at least a byte, so that a read is one. */
static size_t server_kept_room(struct h1_down *s)
{
    const struct h1_down_conf *conf = server_conf(s);
    size_t most = (conf != NULL ? conf->limits.head : 0) + (size_t)PIPELINE_MORE;
    size_t kept = conn_kept(s->conn);
    return kept < most ? most - kept : 1;
}

/* Reads no more than could be kept: a body may have to wait behind its head until a server is found, and
 * any number of requests may stand behind a body. What surely belongs to a body is used at once. */
static enum conn_result server_next_bytes(struct h1_down *s, char **data, size_t *len)
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

static bool server_wants_bytes(const struct h1_down *s)
{
    if (s->finishing || s->state == STATE_CLOSED || s->state == STATE_WAIT) {
        return false;
    }
    return s->state == STATE_IDLE || s->state == STATE_HEAD || !serving_of(s)->paused;
}

static void server_read(struct h1_down *s)
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
            h1_down_gone(s, DOWN_GONE_CLOSED);
            break;
        }
        struct batch *batch = s->batch;
        if (s->down.exchange != NULL) {
            pace_passed(&serving_of(s)->pace, len);
        }
        size_t used = h1_down_consume(s, data, len);
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
            h1_down_body_progress(s);
        }
    }
}

/* While an answer is being made nothing is read, but an end that the kernel tells of is looked at: a reset
 * means that nobody waits for the answer; a plain end of the client's side is legal. A reset may show in
 * a failed write alone. */
static void server_watch(struct h1_down *s)
{
    if (s->conn->write_failed && !s->broken) {
        h1_down_gone(s, DOWN_GONE_CLOSED);
        return;
    }
    while (s->conn->eof_hint && !s->client_ended && server_kept_room(s) > 1) {
        char *data = NULL;
        size_t len = 0;
        switch (conn_read(s->conn, &data, &len, server_kept_room(s))) {
        case CONN_DATA: conn_keep(s->conn, data, len); break;
        case CONN_AGAIN: return;
        case CONN_EOF: server_eof(s); return;
        case CONN_ERROR: h1_down_gone(s, DOWN_GONE_CLOSED); return;
        }
    }
}

/* abort_on_close: the client's end, with a body before it, it may be, that nobody has asked for yet. */
static void server_watch_end(struct h1_down *s)
{
    if (s->state == STATE_CLOSED || likely(!s->conn->eof_hint) || server_wants_bytes(s) ||
        !h1_down_aborts(s)) {
        return;
    }
    if (s->state == STATE_WAIT) {
        server_watch(s);
    } else {
        h1_down_gone(s, DOWN_GONE_CLOSED);
    }
}

static void server_readable(struct conn *conn)
{
    struct h1_down *s = conn->owner;
    struct batch *batch = s->batch;

    if (s->state == STATE_OPENING || s->state == STATE_CLOSED) {
        return;
    }
    if (server_wants_bytes(s)) {
        server_read(s);
        server_watch_end(s); /* it may have come with the request */
    } else if (conn->readable && conn_is_broken(conn)) {
        h1_down_gone(s, DOWN_GONE_CLOSED);
    } else if (s->state == STATE_WAIT || s->finishing) {
        server_watch(s);
    } else {
        server_watch_end(s);
    }
    batch_flush(batch);
}

static void server_drained(struct conn *conn)
{
    struct h1_down *s = conn->owner;
    struct batch *batch = s->batch;

    if (s->down.exchange != NULL) {
        serving_of(s)->stall_ns = 0;
    }
    if (s->finishing) {
        task_queue(server_loop(s), &s->finish);
    } else if (s->down.exchange != NULL) {
        s->owner->events->on_drained(s->down.exchange);
    }
    batch_flush(batch);
}

static void server_opened(struct conn *conn, bool ok)
{
    struct h1_down *s = conn->owner;

    const struct h1_down_conf *conf = s->owner->conf(s);
    if (!ok || conf == NULL) {
        h1_down_close(s, false);
        return;
    }
    s->state = STATE_IDLE;
    timer_set(server_loop(s), &s->timer, server_idle_ns(s, conf));
    conn_resume_read(conn);
}

static const struct conn_ops server_conn_ops = {
    .on_readable = server_readable,
    .on_drained = server_drained,
    .on_open = server_opened,
};

/* The client waits for 100, and nobody has said it: no byte of its body is late (RFC 9110 section
 * 10.1.1). How long the server may take is the stream's to say. */
static bool server_awaits_go_ahead(const struct h1_down *s)
{
    const struct http_request_head *head = &s->down.exchange->request;
    const struct h1_serving *x = serving_of(s);
    bool begun = s->state == STATE_LENGTH ? x->body_left < head->content_length : x->body_seen > 0;
    return head->expect_continue && !x->continued && !begun;
}

/* The next byte of a body is the client's to send. */
static bool server_body_due(const struct h1_down *s)
{
    return (s->state == STATE_LENGTH || s->state == STATE_CHUNKED) && !s->finishing &&
           !serving_of(s)->paused && !server_awaits_go_ahead(s);
}

static void server_set_stall_timer(struct h1_down *s)
{
    const struct h1_serving *x = serving_of(s);
    timer_set(server_loop(s), &s->timer, x->conf->idle_timeout_ns / STALL_LOOKS + 1);
}

void h1_down_watch_stall(struct h1_down *s)
{
    struct h1_serving *x = serving_of(s);

    if (likely(conn_waiting(s->conn) == 0) || x->stall_ns != 0 || server_body_due(s)) {
        return;
    }
    x->stall_ns = loop_now_ns(server_loop(s));
    x->stall_mark = conn_taken_mark(s->conn);
    server_set_stall_timer(s);
}

/* Whether the client has taken something of what waits for it since the last look. */
static void server_check_stall(struct h1_down *s)
{
    struct h1_serving *x = serving_of(s);
    uint64_t now_ns = loop_now_ns(server_loop(s));

    if (x->stall_ns == 0) {
        return; /* a clock of what was before: nothing waits */
    }
    uint64_t taken = conn_taken_mark(s->conn);
    if (taken != x->stall_mark) {
        x->stall_mark = taken;
        x->stall_ns = now_ns;
    } else if (now_ns - x->stall_ns >= x->conf->idle_timeout_ns) {
        s->broken = true;
        h1_down_gone(s, DOWN_GONE_CLOSED);
        return;
    }
    server_set_stall_timer(s);
}

/* A handshake takes too long. One that has begun since it was hurried has its time all the same. */
static void server_opening_late(struct h1_down *s)
{
    const struct h1_down_conf *conf = s->owner->conf(s);

    if (s->hurried && conf != NULL && conn_is_shaking_hands(s->conn)) {
        s->hurried = false;
        timer_set(server_loop(s), &s->timer, conf->handshake_timeout_ns);
    } else {
        h1_down_close(s, false);
    }
}

/* Read once more: a request may have come that no turn has heard of yet. Without one the connection ends
 * without lingering, so that the kernel acknowledges nothing that comes from now on: a client then knows that
 * nobody has read it. */
static void server_idle_over(struct h1_down *s)
{
    conn_look_again(s->conn);
    if (s->state == STATE_IDLE) {
        h1_down_close(s, false);
    }
}

static void server_timer(struct timer *timer)
{
    struct h1_down *s = container_of(timer, struct h1_down, timer);
    struct batch *batch = s->batch;

    switch (s->state) {
    case STATE_OPENING: server_opening_late(s); break;
    case STATE_IDLE: server_idle_over(s); break;
    case STATE_HEAD: h1_down_refuse_cut(s, (struct http_error){408, "header_timeout"}); break;
    case STATE_LENGTH:
    case STATE_CHUNKED:
        if (!server_body_due(s)) {
            server_check_stall(s);
            break;
        }
        s->down.exchange->error = (struct http_error){408, "body_timeout"};
        h1_down_gone(s, DOWN_GONE_TIMEOUT);
        break;
    case STATE_WAIT:
    case STATE_TUNNEL: server_check_stall(s); break;
    default: break;
    }
    batch_flush(batch);
}

/* ---- the connection ---- */

void h1_down_begin(struct h1_down *s, struct conn *conn, struct batch *batch,
                   const struct h1_down_owner *owner)
{
    s->down.ops = &h1_down_down_ops;
    s->conn = conn;
    s->batch = batch;
    s->owner = owner;
    s->timer.fn = server_timer;
    s->finish.fn = server_finish_task;
    conn_set_owner(conn, &server_conn_ops, s);
    const struct h1_down_conf *conf = owner->conf(s);
    s->state = conn->opening ? STATE_OPENING : STATE_IDLE;
    timer_set(conn->loop, &s->timer,
              conn->opening ? conf->handshake_timeout_ns : conf->header_timeout_ns);
}

bool h1_down_idle(const struct h1_down *s)
{
    return s->down.exchange == NULL;
}

bool h1_down_is_last(const struct h1_down *s)
{
    return s->down.exchange != NULL && s->served && !s->keep_alive;
}

/* Makes the timer fire in `delay_ns`, unless it does so earlier. */
static void server_hurry(struct h1_down *s, uint64_t delay_ns)
{
    uint64_t at_ns = loop_now_ns(server_loop(s)) + delay_ns;

    if (!timer_is_set(&s->timer) || s->timer.deadline_ns > at_ns) {
        timer_set(server_loop(s), &s->timer, delay_ns);
        s->hurried = true;
    }
}

void h1_down_drain(struct h1_down *s)
{
    const struct h1_down_conf *conf = s->owner->conf(s);

    if (s->draining || s->state == STATE_CLOSED || conf == NULL) {
        return;
    }
    s->draining = true;
    if (s->state == STATE_IDLE) {
        server_hurry(s, server_idle_ns(s, conf));
    } else if (s->state == STATE_OPENING && !conn_is_shaking_hands(s->conn)) {
        server_hurry(s, h1_down_first_grace_ns(conf));
    }
}

void h1_down_abort(struct h1_down *s)
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
    h1_down_close(s, false);
}
