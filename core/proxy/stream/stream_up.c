/* SPDX-License-Identifier: MIT */
/*
 * The server's half of streams, from the request sent to the end: the response passes, failures are
 * retried elsewhere where that is safe, and the server is left. How a stream reaches a server is in
 * stream_connect.c. See stream.h.
 */
#include "proxy/stream/stream.h"

#include "base/log.h"
#include "http/grpc.h"
#include "http/retry_after.h"
#include "proxy/pool/connections.h"
#include "proxy/pool/pick.h"
#include "proxy/stream/stream_filter.h"

/* How often a request goes to another connection as one has left it unread. */
#define MOVES_MOST 3u

/* ---- leaving a server ---- */

void stream_waited(struct stream *stream)
{
    timer_cancel(stream_loop(stream), &stream->timer);
    stream->attempt.queue_total_ns += loop_now_ns(stream_loop(stream)) - stream->attempt.queued_ns;
}

void stream_leave_server(struct stream *stream, enum weir_outcome outcome)
{
    struct exchange *exchange = &stream->exchange;

    timer_cancel(stream_loop(stream), &stream->timer);
    if (queue_waits(&stream->wait)) {
        stream_waited(stream);
        queue_leave(&stream->wait);
    }
    connecting_leave(&stream->connect);
    if (exchange->up != NULL) {
        connections_keep_session(stream->attempt.server, exchange->up->connection->conn);
        exchange->up->ops->release(exchange->up);
    }
    if (stream->attempt.server != NULL) {
        const struct attempt_end end = {
            .outcome = outcome,
            .reason =
                stream->attempt_reason != REASON_NONE ? stream->attempt_reason : stream->reason,
            .status = stream->phase >= PHASE_RESPONSE ? exchange->response.status : 0,
            .blameless = stream->blameless,
        };
        stream->blameless = false;
        pool_leave(stream_pool(stream), &stream->attempt, &end);
    }
}

/* ---- failures ---- */

unsigned stream_reason_status(enum reason reason)
{
    switch (reason) {
    case REASON_NO_SERVER:
    case REASON_QUEUE_FULL:
    case REASON_QUEUE_TIMEOUT:
    case REASON_NO_RESOURCES: return 503;
    case REASON_CONNECT_TIMEOUT:
    case REASON_RESPONSE_TIMEOUT:
    case REASON_IDLE_TIMEOUT: return 504;
    default: return 502;
    }
}

/* The request's body so far is kept and can be sent again, and no response has begun. */
static bool stream_can_resend(const struct stream *stream)
{
    return !stream->exchange.response_begun && replay_is_whole(&stream->replay);
}

static bool stream_can_go_elsewhere(const struct stream *stream)
{
    const struct pool_local *local = stream_pool(stream);
    return stream_can_resend(stream) && !tried_is_full(&stream->attempt.tried) &&
           local->plan != NULL && pool_local_has_untried(local, &stream->attempt.tried);
}

static void stream_again(struct stream *stream)
{
    stream_hold_body(stream);
    stream->up_paused = false;
    stream->attempt.first_byte_ns = 0;
    stream->attempt_reason = REASON_NONE;
    stream->detail = (struct weir_str){NULL, 0};
    stream_assign(stream);
}

/* Leaves the server, which is not chosen for the request again. */
static void stream_reject_server(struct stream *stream, enum reason reason,
                                 enum weir_outcome outcome)
{
    stream->attempt_reason = reason;
    stream->last_failure = reason;
    tried_add(&stream->attempt.tried, stream->attempt.served_by);
    stream_leave_server(stream, outcome);
}

void stream_attempt_failed(struct stream *stream, enum reason reason, enum weir_outcome outcome,
                           bool nothing_sent)
{
    const struct pool_settings *settings = stream->pool->settings;
    struct pool_local *local = stream_pool(stream);
    bool safe = nothing_sent || method_is_idempotent(stream->exchange.request.method);

    stream_reject_server(stream, reason, outcome);
    if (safe && stream->attempt.retries < settings->retries && stream_can_go_elsewhere(stream) &&
        retry_budget_take(&local->retries, loop_now_ns(stream_loop(stream)), settings->retry_budget,
                          local->pool->loops - 1)) {
        stream->attempt.retries++;
        stat_add(&local->traffic.retries, 1);
        stream_again(stream);
        return;
    }
    stream->outcome = outcome;
    stream_break(stream, stream_reason_status(reason), reason);
}

/* A lack of Weir's own resources is no failure of the server and no retry. */
void stream_connect_failed(struct stream *stream, enum conn_error error)
{
    static struct log_limit limit;
    const struct server *server = stream->attempt.server->server;

    if (!conn_error_is_own(error)) {
        bool alpn = error == CONN_ALPN; /* it speaks nothing that is offered */
        bool not_http_2 = alpn && stream->attempt.server->protocol == UP_HTTP_2;
        bool tls = error == CONN_TLS || error == CONN_TLS_VERIFY || alpn;
        enum reason reason = error == CONN_REFUSED     ? REASON_CONNECT_REFUSED
                             : error == CONN_TIMED_OUT ? REASON_CONNECT_TIMEOUT
                             : not_http_2              ? REASON_NOT_HTTP2
                             : tls                     ? REASON_UPSTREAM_TLS
                                                       : REASON_CONNECT_FAILED;
        if (alpn && !not_http_2) {
            stream->detail = STR("alpn_refused");
        }
        stream_attempt_failed(stream, reason, WEIR_OUTCOME_FAILED, true);
        return;
    }
    log_limited(&limit, WEIR_LOG_ERROR, server->pool_name, "cannot connect to server %s/%s: %s%s",
                server->pool_name, server->name, conn_error_word(error), conn_error_advice(error));
    stream->blameless = true;
    stream_reject_server(stream, REASON_NO_RESOURCES, WEIR_OUTCOME_CANCELED);
    /* Local ports are used up per address, and there may be idle connections. */
    if (error == CONN_NO_PORT && stream_can_go_elsewhere(stream)) {
        stream_again(stream);
        return;
    }
    stream->outcome = WEIR_OUTCOME_FAILED;
    stream_break(stream, 503, REASON_NO_RESOURCES);
}

void stream_fail(struct stream *stream, unsigned status, enum reason reason,
                 enum weir_outcome outcome)
{
    stream->attempt_reason = reason;
    stream->outcome = outcome;
    stream_leave_server(stream, outcome);
    stream_break(stream, status, reason);
}

/* A reused connection was dead or held stray bytes. Neither client nor server is to blame, so it
 * costs no retry, never counts as a failure of the server, and the same server may get the request
 * on a new connection. A request that is not idempotent goes there only if the server cannot have
 * read any of it (RFC 9110 section 9.2.2): nothing was sent, or the server's FIN was on its way
 * before the request (conn_unread), after which a server that follows RFC 9112 section 9.6 acts on
 * nothing more from that connection. */
static void stream_stale(struct stream *stream, enum reason reason, bool nothing_sent)
{
    bool safe = nothing_sent || method_is_idempotent(stream->exchange.request.method);

    stream->blameless = true;
    if (!safe || !stream_can_resend(stream)) {
        stream_attempt_failed(stream, reason, WEIR_OUTCOME_FAILED, false);
        return;
    }
    stream->want_new = true;
    stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
    stream_again(stream);
}

/* A connection ends, or takes fewer requests at once than was expected, and has left this one
 * unread. As if it had not been sent there: no retry, and the same server may get it on another
 * connection. How often that may happen is bounded, since a server may do so again and again. */
static void stream_move(struct stream *stream)
{
    stream->blameless = true;
    stream->moves++;
    stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
    stream_again(stream);
}

/* ---- the response ---- */

static void up_interim(struct exchange *exchange, struct http_response_head *head)
{
    struct stream *stream = stream_of(exchange);

    fields_drop_hop_by_hop(&head->fields);
    stream_progress(stream);
    if (head->status == 100 && stream_server_owes(stream)) {
        stream->continued = true;
        stream_set_timer(stream, stream->pool->settings->idle_timeout);
    }
    exchange->down->ops->interim(exchange->down, head);
}

/* For balancers, before filters change the fields. */
static void note_retry_after(struct stream *stream)
{
    const struct http_fields *fields = &stream->exchange.response.fields;

    if (fields_have(fields, FIELD_RETRY_AFTER)) {
        struct weir_str value = fields_find(fields, FIELD_RETRY_AFTER)->value;
        stream->attempt.retry_after_ns = retry_after_read(value, loop_wall_ms());
    }
}

static void up_response(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);
    unsigned status = exchange->response.status;
    bool tunnel = status == 101;

    stream_progress(stream);
    stream->phase = PHASE_RESPONSE;
    stream->attempt.first_byte_ns = loop_since(stream_loop(stream), &stream->attempt.assigned);
    if (stream->attempt.first_byte_ns == 0) {
        stream->attempt.first_byte_ns = 1; /* in the same turn: it arrived anyway */
    }
    if (unlikely(status == 429 || status == 503)) {
        note_retry_after(stream);
    }
    if (unlikely(stream->attempt.tells_head)) {
        pool_head(stream_pool(stream), &stream->attempt, status);
    }
    stream_set_timer(stream, stream->pool->settings->idle_timeout);
    if (!stream_prepare_response(stream)) {
        stream->attempt_reason = REASON_MODULE_FAILED;
        stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
        stream_reply_failed(stream);
        return;
    }
    stream->tunnel = tunnel;
    exchange->down->ops->head(exchange->down, &exchange->response, tunnel);
}

static void up_data(struct exchange *exchange, const char *data, size_t len)
{
    struct stream *stream = stream_of(exchange);

    stream_progress(stream);
    stream_out_data(stream, data, len);
}

static void up_trailer(struct exchange *exchange, struct weir_str name, struct weir_str value)
{
    struct stream *stream = stream_of(exchange);

    if (str_equal_nocase(name, STR("grpc-status"))) {
        stream->grpc_status = grpc_read_status(value);
    }
    if (unlikely(stream->chain != NULL)) {
        chain_trailer(stream->chain, name, value);
    } else {
        exchange->down->ops->trailer(exchange->down, name, value);
    }
}

static void up_response_end(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);

    stream->outcome = exchange->response.status >= 500 ? WEIR_OUTCOME_ERROR : WEIR_OUTCOME_SUCCESS;
    stream_out_end(stream); /* a chain may continue without the server */
    if (!stream->tunnel) {
        stream_leave_server(stream, stream->outcome);
    }
}

static void up_flushed(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);
    if (exchange->down != NULL && exchange->up != NULL && !stream->up_paused &&
        (exchange->down->ops->waiting(exchange->down) > 0 ||
         (unlikely(stream->chain != NULL) && chain_blocked(stream->chain)))) {
        stream->up_paused = true;
        exchange->up->ops->pause(exchange->up);
    }
}

static void up_drained(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);

    stream_progress(stream);
    stream_take_body(stream);
}

static void up_failed(struct exchange *exchange, enum up_failure why)
{
    struct stream *stream = stream_of(exchange);
    enum reason reason = REASON_UPSTREAM_RESET;
    bool unread = why == UP_UNREAD || why == UP_REFUSED || why == UP_LEFT || why == UP_FOREIGN;

    switch (why) {
    case UP_STRAY:
    case UP_MALFORMED:
        reason = REASON_UPSTREAM_MALFORMED;
        stream->detail = str_from(exchange->error.reason);
        break;
    case UP_TRUNCATED: reason = REASON_UPSTREAM_TRUNCATED; break;
    case UP_REFUSED:
    case UP_LEFT: stream->detail = STR("request_refused"); break;
    case UP_FOREIGN: reason = REASON_NOT_HTTP2; break;
    case UP_OVERLONG: stream->blameless = true; break; /* the client's doing */
    default: break;
    }
    if (why == UP_OVER) {
        stream_leave_server(stream, stream->outcome);
        exchange->down->ops->end(exchange->down);
    } else if (why == UP_LEFT && stream->moves < MOVES_MOST && stream_can_resend(stream)) {
        stream_move(stream);
    } else if (stream->was_reused && (why == UP_STALE || why == UP_STRAY || why == UP_UNREAD)) {
        stream_stale(stream, reason, why == UP_UNREAD);
    } else if (why == UP_TRUNCATED || (why == UP_MALFORMED && stream->phase != PHASE_SENT)) {
        stream_fail(stream, 502, reason, WEIR_OUTCOME_FAILED);
    } else { /* a malformed head is no response, so another server may be tried */
        stream_attempt_failed(stream, reason, WEIR_OUTCOME_FAILED, unread);
    }
}

const struct up_events stream_up_events = {
    .on_interim = up_interim,
    .on_response = up_response,
    .on_data = up_data,
    .on_trailer = up_trailer,
    .on_response_end = up_response_end,
    .on_flushed = up_flushed,
    .on_drained = up_drained,
    .on_failed = up_failed,
};

const struct up_owner stream_up_owner = {
    .events = &stream_up_events,
    .on_open = connections_opened,
    .on_odd = connections_odd,
    .on_room = connections_room,
    .on_closed = connections_closed,
};
