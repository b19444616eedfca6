/* SPDX-License-Identifier: MIT */
/*
 * Clocks of a client's streams of HTTP/2: a body that does not come, an answer that nobody takes.
 * See h2_down_parts.h.
 */
#include "http/h2_down_parts.h"

/* Of a stream's progress while it waits for the client's windows: less is none, so that windows of
 * a byte keep nothing alive. */
#define PROGRESS_LEAST 1024u
/* How often a stall is looked at in its time. */
#define STALL_LOOKS 4u

void h2_down_gone(struct h2_serving *x, enum down_gone why)
{
    x->told_gone = true;
    h2_down_events(x)->on_gone(x->down.exchange, why);
}

void h2_down_body_clock(struct h2_serving *x)
{
    timer_set(h2_down_loop(x), &x->timer, x->conf->body_timeout_ns);
    x->stall_ns = 0;
    x->rate_since_ns = loop_now_ns(h2_down_loop(x));
    x->rate_mark = x->body_seen;
}

/* Whether the client is the one to send the next byte of a body. */
bool h2_down_body_due(const struct h2_serving *x)
{
    const struct exchange *exchange = x->down.exchange;
    bool awaits_go_ahead = exchange->request.expect_continue && !x->continued && x->body_seen == 0;
    bool over = x->refused || x->told_gone || exchange->request_whole || exchange->response_whole;

    return x->head_done && !over && !x->stream.paused && x->response_body != BODY_TUNNEL &&
           !awaits_go_ahead;
}

void h2_down_watch_stall(struct h2_serving *x)
{
    if (x->stall_ns != 0 || h2_down_body_due(x)) {
        return;
    }
    x->stall_ns = loop_now_ns(h2_down_loop(x));
    x->stall_mark = x->stream.sent;
    timer_set(h2_down_loop(x), &x->timer, x->conf->idle_timeout_ns / STALL_LOOKS + 1);
}

void h2_down_check_waiting(struct h2_serving *x)
{
    if (h2_stream_blocked(&x->stream) > 0) {
        h2_down_watch_stall(x);
    }
}

static void check_stall(struct h2_serving *x)
{
    uint64_t now_ns = loop_now_ns(h2_down_loop(x));

    if (x->stall_ns == 0) {
        h2_down_check_waiting(x);
        return;
    }
    bool ends = x->stream.ending && !x->stream.sent_end;
    if (h2_stream_blocked(&x->stream) == 0 && conn_waiting(x->owner->c.conn) == 0 && !ends) {
        x->stall_ns = 0;
        return;
    }
    if (x->stream.sent - x->stall_mark >= PROGRESS_LEAST) {
        x->stall_mark = x->stream.sent;
        x->stall_ns = now_ns;
    } else if (now_ns - x->stall_ns >= x->conf->idle_timeout_ns) {
        h2_stream_reset(&x->stream, NGHTTP2_CANCEL);
        if (!x->told_gone) {
            h2_down_gone(x, DOWN_GONE_CLOSED);
        }
        return;
    }
    timer_set(h2_down_loop(x), &x->timer, x->conf->idle_timeout_ns / STALL_LOOKS + 1);
}

void h2_down_stream_timer(struct timer *timer)
{
    struct h2_serving *x = container_of(timer, struct h2_serving, timer);
    struct batch *batch = x->owner->c.batch;

    if (!x->head_done) {
        /* HPACK's state is lost with the block, and the connection with it. */
        h2_abuse(x->stream.h2, "unfinished heads");
    } else if (h2_down_body_due(x)) {
        x->down.exchange->error = (struct http_error){408, "body_timeout"};
        h2_down_gone(x, DOWN_GONE_TIMEOUT);
    } else {
        check_stall(x);
    }
    batch_flush(batch);
}

/* Bytes of a body have arrived; see h1_down_body_progress. */
void h2_down_body_progress(struct h2_serving *x)
{
    uint64_t spent_ns = loop_now_ns(h2_down_loop(x)) - x->rate_since_ns;

    if (x->rate_since_ns == 0) {
        h2_down_body_clock(x);
        return;
    }
    timer_set(h2_down_loop(x), &x->timer, x->conf->body_timeout_ns);
    if (likely(spent_ns < x->conf->body_rate_period_ns) || x->stream.paused) {
        return;
    }
    if (x->body_seen - x->rate_mark < x->conf->body_rate * (spent_ns / NS_PER_MS) / 1000) {
        x->down.exchange->error = (struct http_error){408, "body_too_slow"};
        h2_down_gone(x, DOWN_GONE_TIMEOUT);
        return;
    }
    h2_down_body_clock(x);
}
