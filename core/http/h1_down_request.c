/* SPDX-License-Identifier: MIT */
/*
 * Requests of HTTP/1 clients: heads, bodies, and their rate. See h1_down_parts.h.
 */
#include "http/h1_down_parts.h"

static void down_request_whole(struct h1_down *s)
{
    struct exchange *exchange = s->down.exchange;
    s->state = STATE_WAIT;
    exchange->request_whole = true;
    h1_down_watch_stall(s);
    s->c.owner->events->on_request_end(exchange);
}

/* Answers a refused head. What is known of the request is copied (request_head_own), since filters
 * and loggers read it later. */
static void down_refuse(struct h1_down *s, struct http_error error)
{
    s->down.exchange->error = error;
    s->keep_alive = false;
    s->state = STATE_WAIT;
    s->c.owner->events->on_refused(s->down.exchange);
}

void h1_down_refuse_cut(struct h1_down *s, struct http_error error)
{
    struct exchange *exchange = s->down.exchange;
    struct http_request_head *head = &exchange->request;
    const struct http_limits *limits = &serving_of(s)->conf->limits;
    const char *data = conn_kept_data(s->c.conn);
    size_t len = conn_kept(s->c.conn), used = 0;
    struct h1_scan scan = {0};
    struct http_error ignored = {0};

    len = len < limits->head ? len : limits->head;
    /* Parses it again as far as possible, to log the request. */
    h1_parse_request(data, len, limits, &scan, &exchange->arena, head, &used, &ignored);
    request_head_own(head, &exchange->arena, data, len);
    down_refuse(s, error);
}

/* `here`: bytes read and not used, its first included. */
static bool down_open(struct h1_down *s, size_t here)
{
    const struct down_conf *conf = s->c.owner->conf(&s->c);

    if (conf == NULL) {
        h1_down_close(s, END_LINGER);
        return false;
    }
    struct exchange *exchange = s->c.owner->events->on_open(&s->c);
    if (exchange == NULL) {
        h1_down_close(s, END_CLOSE);
        return false;
    }
    struct h1_serving *x = arena_zalloc(&exchange->arena, sizeof(*x));
    if (x == NULL) {
        s->c.owner->events->on_close(exchange, false);
        h1_down_close(s, END_CLOSE);
        return false;
    }
    exchange->serving = x;
    exchange->down = &s->down;
    s->down.exchange = exchange;
    s->state = STATE_HEAD;
    s->keep_alive = true;
    s->served = true;
    x->conf = conf;
    x->received_mark = s->c.conn->received - here;
    x->sent_mark = s->c.conn->sent;
    pace_begin(&x->pace);
    return true;
}

/* The head is parsed: copies it from scratch into the exchange's arena and tells the stream. */
static void down_request_begin(struct h1_down *s, const char *data, size_t used)
{
    struct exchange *exchange = s->down.exchange;
    struct h1_serving *x = exchange->serving;
    struct http_request_head *head = &exchange->request;

    if (!request_head_own(head, &exchange->arena, data, used)) {
        down_refuse(s, (struct http_error){431, "head_too_large"});
        return;
    }
    s->keep_alive = head->keep_alive && !head->close_after;
    if (head->body == BODY_LENGTH && x->conf->body_limit > 0 &&
        head->content_length > x->conf->body_limit) {
        down_refuse(s, (struct http_error){413, "body_too_large"});
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
    s->c.owner->events->on_request(exchange);
    if (whole && s->down.exchange == exchange && !s->finishing) {
        s->c.owner->events->on_request_end(exchange);
    }
}

static size_t down_take_head(struct h1_down *s, const char *data, size_t len)
{
    struct exchange *exchange = s->down.exchange;
    struct h1_serving *x = exchange->serving;
    struct http_request_head *head = &exchange->request;
    const struct http_limits *limits = &x->conf->limits;
    struct http_error error;
    size_t used = 0;

    switch (h1_parse_request(data, len, limits, &x->scan, &exchange->arena, head, &used, &error)) {
    case H1_INCOMPLETE:
        *head = (struct http_request_head){0}; /* copied before more is read */
        if (!x->header_timed) {
            x->header_timed = true;
            timer_set(down_conn_loop(&s->c), &s->c.timer, x->conf->header_timeout_ns);
        }
        return 0;
    case H1_ERROR:
        request_head_own(head, &exchange->arena, data, len < limits->head ? len : limits->head);
        down_refuse(s, error);
        return len;
    case H1_DONE: break;
    }
    x->behind = len - used;
    down_request_begin(s, data, used);
    return used;
}

static size_t down_take_length(struct h1_down *s, const char *data, size_t len)
{
    struct exchange *exchange = s->down.exchange;
    struct h1_serving *x = exchange->serving;
    size_t take = len < x->body_left ? len : (size_t)x->body_left;

    x->body_left -= take;
    x->behind = len - take;
    s->c.owner->events->on_data(exchange, data, take);
    if (x->body_left == 0 && s->state == STATE_LENGTH && !s->finishing) {
        down_request_whole(s);
    }
    return take;
}

static size_t down_take_chunked(struct h1_down *s, const char *data, size_t len)
{
    struct exchange *exchange = s->down.exchange;
    struct h1_serving *x = exchange->serving;
    const struct down_events *events = s->c.owner->events;
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
            exchange->error = (struct http_error){413, "body_too_large"};
            h1_down_gone(s, DOWN_GONE_PROTOCOL);
            return len;
        }
        events->on_data(exchange, out, out_len);
        break;
    case H1_CHUNK_TRAILER: events->on_trailer(exchange, field.name, field.value); break;
    case H1_CHUNK_END:
        x->behind = len - used;
        down_request_whole(s);
        break;
    case H1_CHUNK_ERROR: h1_down_gone(s, DOWN_GONE_PROTOCOL); return len;
    }
    return used;
}

void h1_down_body_clock(struct h1_down *s)
{
    struct h1_serving *x = serving_of(s);
    timer_set(down_conn_loop(&s->c), &s->c.timer, x->conf->body_timeout_ns);
    x->stall_ns = 0; /* the timer now serves the body */
    x->rate_since_ns = loop_now_ns(down_conn_loop(&s->c));
    x->rate_mark = s->c.conn->received;
}

/* Bytes of a body have arrived. A client that trickles bytes satisfies the timer between reads;
 * this checks the bytes of each body_rate_period. */
void h1_down_body_progress(struct h1_down *s)
{
    const struct h1_serving *x = serving_of(s);
    uint64_t spent_ns = loop_now_ns(down_conn_loop(&s->c)) - x->rate_since_ns;

    if (x->rate_since_ns == 0) { /* its first read */
        h1_down_body_clock(s);
        return;
    }
    timer_set(down_conn_loop(&s->c), &s->c.timer, x->conf->body_timeout_ns);
    if (likely(spent_ns < x->conf->body_rate_period_ns) || x->paused) {
        return;
    }
    uint64_t wanted = x->conf->body_rate * (spent_ns / NS_PER_MS) / 1000;
    if (s->c.conn->received - x->rate_mark < wanted) {
        s->down.exchange->error = (struct http_error){408, "body_too_slow"};
        h1_down_gone(s, DOWN_GONE_TIMEOUT);
        return;
    }
    h1_down_body_clock(s);
}

size_t h1_down_consume(struct h1_down *s, const char *data, size_t len)
{
    size_t at = 0;

    while (at < len && !s->finishing) {
        size_t used = 0;
        switch (s->state) {
        case STATE_IDLE:
            /* Some clients send an empty line after a body: alone it starts neither a request nor
             * its timer (RFC 9112 section 2.2). */
            if (len - at == 2 && memcmp(data + at, "\r\n", 2) == 0) {
                return len;
            }
            if (!down_open(s, len - at)) {
                return at;
            }
            continue;
        case STATE_HEAD: used = down_take_head(s, data + at, len - at); break;
        case STATE_LENGTH:
            used = serving_of(s)->paused ? 0 : down_take_length(s, data + at, len - at);
            break;
        case STATE_CHUNKED:
            used = serving_of(s)->paused ? 0 : down_take_chunked(s, data + at, len - at);
            break;
        case STATE_TUNNEL:
            if (!serving_of(s)->paused) {
                s->c.owner->events->on_data(s->down.exchange, data + at, len - at);
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
