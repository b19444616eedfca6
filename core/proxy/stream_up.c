/* SPDX-License-Identifier: MIT */
/*
 * The server's half of streams: a server is chosen, a connection found or made, the request sent, the
 * response passed on; failures are tried again elsewhere where that is safe. See stream.h.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "proxy/bound.h"
#include "proxy/outcomes.h"
#include "proxy/stream_filter.h"

/* A connection to a server that is not open yet. Outlives its stream when that gives up. */
struct pending {
    struct conn *conn;
    struct stream *stream; /* NULL: given up */
    struct server_local *server;
    struct worker *worker;
    struct freed freed;
};

static struct pool_local *stream_pool(const struct stream *stream)
{
    return &stream->pool->pool->locals[stream->worker->index];
}

static struct loop *stream_loop(const struct stream *stream)
{
    return stream->worker->loop;
}

static void stream_set_timer(struct stream *stream, uint64_t delay_ns)
{
    timer_set(stream_loop(stream), &stream->timer, delay_ns);
}

static void stream_progress(struct stream *stream)
{
    stream->last_progress_ns = loop_now_ns(stream_loop(stream));
}

/* ---- leaving a server ---- */

static void pending_free(struct freed *freed)
{
    free(container_of(freed, struct pending, freed));
}

static void pending_close(struct pending *pending)
{
    if (pending->stream != NULL) {
        pending->stream->connecting = NULL;
        pending->stream = NULL;
    }
    conn_close(&pending->conn, true);
    loop_free_later(pending->worker->loop, &pending->freed, pending_free);
}

static void server_count(struct stream *stream, enum weir_outcome outcome, uint64_t total_ns)
{
    struct traffic *traffic = &stream->server->traffic;
    unsigned status = stream->phase >= PHASE_RESPONSE ? stream->exchange.response.status : 0;

    stat_add(&traffic->requests, 1);
    stat_add(&traffic->status[status / 100 < 6 ? status / 100 : 0], 1);
    histogram_add(&traffic->total, total_ns);
    if (stream->first_byte_ns > 0) {
        histogram_add(&traffic->first_byte, stream->first_byte_ns);
    }
    if (outcome != WEIR_OUTCOME_SUCCESS && outcome != WEIR_OUTCOME_ERROR) {
        stat_add(
            &traffic->errors[stream->attempt_reason != 0 ? stream->attempt_reason : stream->reason],
            1);
    }
    if (outcome != WEIR_OUTCOME_CANCELED) {
        uint32_t us = (uint32_t)(total_ns / 1000 < UINT32_MAX ? total_ns / 1000 : UINT32_MAX);
        uint32_t old = stream->server->latency_us;
        /* An eighth of the difference: about the last ten requests weigh. */
        stream->server->latency_us = old == 0 ? us : old - old / 8 + us / 8;
    }
}

static void balancer_tell(struct stream *stream, enum weir_outcome outcome, uint64_t total_ns)
{
    struct balancer *balancer = stream->balancer;
    bool current = stream_pool(stream)->balancer == balancer;

    if (stream->told_balancer && balancer->ops->on_complete != NULL) {
        struct weir_feedback feedback = {
            .size = sizeof(feedback),
            .index = current ? stream->server->candidate : WEIR_PICK_NONE,
            .id = stream->server->server->id,
            .outcome = outcome,
            .status = stream->phase >= PHASE_RESPONSE ? stream->exchange.response.status : 0,
            .first_byte_ns = stream->first_byte_ns,
            .total_ns = total_ns,
        };
        balancer->ops->on_complete(&balancer->context.base, balancer->data, &feedback);
    }
    stream->told_balancer = false;
    stream->balancer = NULL;
    balancer_unref(balancer, stream->worker);
}

void stream_leave_server(struct stream *stream, enum weir_outcome outcome)
{
    struct exchange *exchange = &stream->exchange;

    timer_cancel(stream_loop(stream), &stream->timer);
    if (queue_waits(&stream->wait)) {
        stream->queue_total_ns += loop_now_ns(stream_loop(stream)) - stream->queued_ns;
        queue_leave(stream);
    }
    if (stream->connecting != NULL) {
        pending_close(stream->connecting);
    }
    if (exchange->up != NULL) {
        exchange->up->ops->release(exchange->up);
    }
    if (stream->server != NULL) {
        uint64_t total_ns = loop_now_ns(stream_loop(stream)) - stream->assigned_ns;
        server_count(stream, outcome, total_ns);
        if (unlikely(stream->server->notes != NULL) && !stream->own_fault) {
            outcomes_note(stream_pool(stream), stream->server, outcome);
        }
        struct server *server = stream->server->server;
        stream->own_fault = false;
        balancer_tell(stream, outcome, total_ns);
        stream->server = NULL;
        server_release(server);
        queue_place_free(&stream->pool->pool->queue, server);
    }
}

/* ---- failures ---- */

static unsigned reason_status(enum reason reason)
{
    switch (reason) {
    case REASON_NO_SERVER:
    case REASON_QUEUE_FULL:
    case REASON_QUEUE_TIMEOUT: return 503;
    case REASON_CONNECT_TIMEOUT:
    case REASON_RESPONSE_TIMEOUT:
    case REASON_IDLE_TIMEOUT: return 504;
    default: return 502;
    }
}

/* All of the request's body that has left the client is here to be sent again. */
static bool stream_body_whole(const struct stream *stream)
{
    return !stream->replay_broken && stream->body_in == stream->replay_len;
}

static bool stream_may_retry(struct stream *stream, bool nothing_sent)
{
    const struct pool_settings *settings = stream->pool->settings;

    if (stream->exchange.response_begun || !stream_body_whole(stream)) {
        return false;
    }
    if (!nothing_sent && !method_is_idempotent(stream->exchange.request.method)) {
        return false;
    }
    return stream->retries < settings->retries && stream->tried_count < STREAM_TRIES_MAX &&
           stream_pool(stream)->plan != NULL &&
           pool_local_has_untried(stream_pool(stream), stream) &&
           retry_budget_take(&stream_pool(stream)->retries, loop_now_ns(stream_loop(stream)),
                             settings->retry_budget, stream_pool(stream)->pool->loops - 1);
}

static void stream_again(struct stream *stream)
{
    if (!stream->down_paused && !stream->exchange.request_whole) {
        stream->down_paused = true;
        stream->exchange.down->ops->pause(stream->exchange.down);
    }
    stream->up_paused = false;
    stream->first_byte_ns = 0;
    stream->attempt_reason = REASON_NONE;
    stream_assign(stream);
}

void stream_attempt_failed(struct stream *stream, enum reason reason, enum weir_outcome outcome,
                           bool nothing_sent)
{
    stream->attempt_reason = reason;
    stream->last_failure = reason;
    if (stream->tried_count < STREAM_TRIES_MAX) {
        stream->tried[stream->tried_count++] = stream->served_by;
    }
    stream_leave_server(stream, outcome);
    if (stream_may_retry(stream, nothing_sent)) {
        stream->retries++;
        stat_add(&stream_pool(stream)->traffic.retries, 1);
        stream_again(stream);
        return;
    }
    stream->outcome = outcome;
    stream_break(stream, reason_status(reason), reason);
}

/* An idle connection turned out to be dead when it was used: nothing of that is the client's fault or the
 * server's, so it costs no retry, and the same server may have the request on a new connection. A request
 * that is not idempotent goes there only where the server cannot have read any of it (RFC 9110 section
 * 9.2.2): nothing was sent, or the server's FIN was on its way before the request came (conn_unread), so
 * that a server that keeps to RFC 9112 section 9.6 acts on nothing more from that connection. */
static void stream_stale(struct stream *stream, bool nothing_sent)
{
    bool safe = nothing_sent || method_is_idempotent(stream->exchange.request.method);
    if (!safe || !stream_body_whole(stream)) {
        stream_attempt_failed(stream, REASON_UPSTREAM_RESET, WEIR_OUTCOME_FAILED, false);
        return;
    }
    stream->want_new = true;
    stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
    stream_again(stream);
}

/* ---- sending ---- */

void stream_request_sent(struct stream *stream)
{
    if (stream->phase == PHASE_SENT) {
        stream_set_timer(stream, stream->pool->settings->response_timeout);
    }
}

static void stream_send(struct stream *stream, struct h1_client *client)
{
    struct exchange *exchange = &stream->exchange;
    struct h1_extra extras[STREAM_EXTRAS];
    size_t extra_count = stream_request_extras(stream, extras);
    struct up *up = exchange->up;

    stream->phase = PHASE_SENT;
    stream->was_reused = client->exchanges > 1;
    stream->up_paused = false;
    stream_progress(stream);
    if (!up->ops->head(up, extras, extra_count)) {
        stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
        stream_break(stream, 500, REASON_NO_MEMORY);
        return;
    }
    if (stream->replay_len > 0) {
        up->ops->data(up, stream->replay, stream->replay_len);
    }
    if (exchange->request_whole) {
        if (exchange->request.body != BODY_NONE) {
            up->ops->end(up);
        }
        stream_request_sent(stream);
        return;
    }
    stream_set_timer(stream, stream->pool->settings->idle_timeout);
    if (stream->down_paused) {
        stream->down_paused = false;
        exchange->down->ops->resume(exchange->down);
    }
}

static enum reason connect_reason(enum conn_error error)
{
    switch (error) {
    case CONN_REFUSED: return REASON_CONNECT_REFUSED;
    case CONN_TIMED_OUT: return REASON_CONNECT_TIMEOUT;
    case CONN_TLS:
    case CONN_TLS_VERIFY: return REASON_UPSTREAM_TLS;
    default: return REASON_CONNECT_FAILED;
    }
}

static void pending_opened(struct conn *conn, bool ok)
{
    struct pending *pending = conn->owner;
    struct stream *stream = pending->stream;
    struct batch *batch = &pending->worker->batch;

    ASSERT(stream != NULL);
    uint64_t took_ns = loop_now_ns(conn->loop) - stream->connect_start_ns;
    if (!ok) {
        enum reason reason = connect_reason(conn->error);
        pending_close(pending);
        stream_attempt_failed(stream, reason, WEIR_OUTCOME_FAILED, true);
        batch_flush(batch);
        return;
    }
    stream->connecting = NULL;
    stream->connect_total_ns += took_ns;
    histogram_add(&pending->server->traffic.connect, took_ns);
    stat_add(&pending->server->traffic.connections, 1);
    struct h1_client *client =
        h1_client_new(conn, batch, &stream->pool->limits, &stream_client_owner, pending->server);
    loop_free_later(pending->worker->loop, &pending->freed, pending_free);
    if (client != NULL && stream->pool->settings->send_proxy_protocol != SEND_PROXY_OFF) {
        bound_to(client, stream->client);
    }
    if (client == NULL || !h1_client_use(client, &stream->exchange, false)) {
        stream_attempt_failed(stream, REASON_CONNECT_FAILED, WEIR_OUTCOME_FAILED, true);
    } else {
        stream_send(stream, client);
    }
    batch_flush(batch);
}

static void pending_quiet(struct conn *conn)
{
    (void)conn; /* nothing is read or waits before the connection is open */
}

static const struct conn_ops pending_ops = {
    .on_readable = pending_quiet,
    .on_drained = pending_quiet,
    .on_open = pending_opened,
};

static enum conn_error pending_connect(struct pending *pending, const struct stream *stream,
                                       const struct pool_plan *plan, const struct server *server,
                                       const struct address *address)
{
    struct conn_tls_client tls = {.ctx = plan->tls, .name = pool_plan_tls_name(plan, server)};
    enum conn_error error = CONN_OK;

    pending->conn = conn_connect(stream_loop(stream), &address->u.any, address->len,
                                 server->url.tls ? &tls : NULL, &pending_ops, pending, &error);
    return error;
}

static void stream_connect(struct stream *stream, struct server_local *mine)
{
    struct server *server = mine->server;
    struct pool_plan *plan = stream_pool(stream)->plan;
    struct address address;
    enum conn_error error = CONN_UNREACHABLE;

    if (!stream->exchange.request_whole && !stream->down_paused) {
        stream->down_paused = true; /* the body stays with the client until somebody takes it */
        stream->exchange.down->ops->pause(stream->exchange.down);
    }
    struct pending *pending = calloc(1, sizeof(*pending));
    if (pending != NULL && server_get_address(server, &address)) {
        error = pending_connect(pending, stream, plan, server, &address);
    }
    if (pending != NULL && error == CONN_NO_RESOURCES && worker_drop_idle(stream->worker)) {
        error = pending_connect(pending, stream, plan, server, &address);
    }
    if (pending != NULL && pending->conn != NULL &&
        !bound_preface(stream->pool->settings, pending->conn, stream->client)) {
        conn_close(&pending->conn, true);
        error = CONN_NO_RESOURCES;
    }
    if (pending == NULL || pending->conn == NULL) {
        free(pending);
        stream->own_fault =
            pending == NULL || error == CONN_NO_RESOURCES || error == CONN_NO_PORT;
        stream_attempt_failed(stream, connect_reason(error), WEIR_OUTCOME_FAILED, true);
        return;
    }
    pending->stream = stream;
    pending->server = mine;
    pending->worker = stream->worker;
    stream->connecting = pending;
    stream->phase = PHASE_CONNECTING;
    stream->connect_start_ns = loop_now_ns(stream_loop(stream));
    stream_set_timer(stream, stream->pool->settings->connect_timeout);
}

/* The server is chosen and a place there is taken: an idle connection, or a new one. */
static void stream_go(struct stream *stream, struct server_local *mine)
{
    bool probe = !method_is_idempotent(stream->exchange.request.method);
    struct h1_client *client = NULL;

    stream->assigned_ns = loop_now_ns(stream_loop(stream));
    stream->server_name = str_from(mine->server->name);
    stream->server_url = mine->server->url.text;
    while (!stream->want_new &&
           (client = bound_take_idle(stream->pool->settings, mine, stream->client)) != NULL) {
        if (h1_client_use(client, &stream->exchange, probe)) {
            stream_send(stream, client);
            return;
        }
    }
    stream_connect(stream, mine);
}

/* ---- choosing and waiting ---- */

static void stream_wait(struct stream *stream, struct server *only)
{
    struct pool_local *local = stream_pool(stream);

    if (stream->pool->settings->queue_timeout == 0 || !queue_join(local, stream, only)) {
        stream_break(stream, 503, REASON_QUEUE_FULL);
        return;
    }
    if (!stream->exchange.request_whole && !stream->down_paused) {
        stream->down_paused = true;
        stream->exchange.down->ops->pause(stream->exchange.down);
    }
    stream->phase = PHASE_QUEUED;
    stream->queued_ns = loop_now_ns(stream_loop(stream));
    stream_set_timer(stream, stream->pool->settings->queue_timeout);
}

void stream_assign(struct stream *stream)
{
    struct server_local *mine = NULL;
    struct server *only = NULL;
    struct pool_local *local = stream_pool(stream);
    enum pick_result result = PICK_NONE; /* the pool is gone from the running configuration */

    if (likely(local->plan != NULL)) {
        result = pool_pick(local, stream, &mine, &only);
    }
    switch (result) {
    case PICK_SERVER: stream_go(stream, mine); break;
    case PICK_BUSY: stream_wait(stream, only); break;
    case PICK_NONE: {
        enum reason reason =
            stream->last_failure != REASON_NONE ? stream->last_failure : REASON_NO_SERVER;
        stream_break(stream, reason_status(reason), reason);
        break;
    }
    }
}

/* Out of the queue; its time there is added up. */
static void stream_waited(struct stream *stream)
{
    timer_cancel(stream_loop(stream), &stream->timer);
    stream->queue_total_ns += loop_now_ns(stream_loop(stream)) - stream->queued_ns;
}

void stream_granted(struct stream *stream, struct server *server, bool session)
{
    struct pool_local *local = stream_pool(stream);
    bool known = local->plan != NULL && pool_plan_server(local->plan, server->id) == server;

    stream_waited(stream);
    if (!known) { /* it has left, or not yet come, in this loop's generation */
        server_release(server);
        queue_place_free(&stream->pool->pool->queue, server);
        stream_assign(stream);
        return;
    }
    stream->sticky_known = session;
    pool_assign(local, stream, &server->locals[stream->worker->index]);
    stream_go(stream, stream->server);
}

void stream_reassign(struct stream *stream)
{
    stream_waited(stream);
    queue_leave(stream);
    stream_assign(stream);
}

/* ---- the response ---- */

static void up_interim(struct exchange *exchange, struct http_response_head *head)
{
    fields_drop_hop_by_hop(&head->fields);
    stream_progress(stream_of(exchange));
    exchange->down->ops->interim(exchange->down, head);
}

static void up_response(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);
    bool tunnel = exchange->response.status == 101;

    stream_progress(stream);
    stream->phase = PHASE_RESPONSE;
    stream->tunnel = tunnel;
    stream->first_byte_ns = stream->last_progress_ns - stream->assigned_ns;
    if (stream->first_byte_ns == 0) {
        stream->first_byte_ns = 1; /* the same turn: it came all the same */
    }
    stream_set_timer(stream, stream->pool->settings->idle_timeout);
    stream_prepare_response(stream);
    exchange->down->ops->head(exchange->down, &exchange->response, tunnel);
}

static void up_data(struct exchange *exchange, const char *data, size_t len)
{
    struct stream *stream = stream_of(exchange);

    stream_progress(stream);
    if (unlikely(stream->chain != NULL)) {
        chain_data(stream, data, len);
    } else {
        exchange->down->ops->data(exchange->down, data, len);
    }
}

static void up_trailer(struct exchange *exchange, struct weir_str name, struct weir_str value)
{
    struct stream *stream = stream_of(exchange);

    if (unlikely(stream->chain != NULL)) {
        chain_trailer(stream, name, value);
    } else {
        exchange->down->ops->trailer(exchange->down, name, value);
    }
}

static void up_response_end(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);
    bool tunnel = stream->tunnel;

    stream->outcome = exchange->response.status >= 500 ? WEIR_OUTCOME_ERROR : WEIR_OUTCOME_SUCCESS;
    if (unlikely(stream->chain != NULL)) { /* may go on without the server */
        chain_end(stream);
        stream_leave_server(stream, stream->outcome);
        return;
    }
    exchange->down->ops->end(exchange->down);
    if (!tunnel) {
        stream->phase = PHASE_DONE;
        stream_leave_server(stream, stream->outcome);
    }
}

static void up_flushed(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);
    if (exchange->down != NULL && exchange->up != NULL && !stream->up_paused &&
        (exchange->down->ops->waiting(exchange->down) > 0 ||
         (unlikely(stream->chain != NULL) && chain_blocked(stream)))) {
        stream->up_paused = true;
        exchange->up->ops->pause(exchange->up);
    }
}

static void up_drained(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);
    stream_progress(stream);
    if (stream->down_paused) {
        stream->down_paused = false;
        exchange->down->ops->resume(exchange->down);
    }
}

static void up_failed(struct exchange *exchange, enum up_failure why)
{
    struct stream *stream = stream_of(exchange);

    switch (why) {
    case UP_STALE: stream_stale(stream, false); break;
    case UP_UNREAD:
        if (stream->was_reused) {
            stream_stale(stream, true);
        } else {
            stream_attempt_failed(stream, REASON_UPSTREAM_RESET, WEIR_OUTCOME_FAILED, true);
        }
        break;
    case UP_RESET:
        stream_attempt_failed(stream, REASON_UPSTREAM_RESET, WEIR_OUTCOME_FAILED, false);
        break;
    case UP_MALFORMED:
        stream->detail = str_from(exchange->error.reason);
        stream->attempt_reason = REASON_UPSTREAM_MALFORMED;
        stream->outcome = WEIR_OUTCOME_FAILED;
        stream_leave_server(stream, WEIR_OUTCOME_FAILED);
        stream_break(stream, 502, REASON_UPSTREAM_MALFORMED);
        break;
    case UP_TRUNCATED:
        stream->attempt_reason = REASON_UPSTREAM_TRUNCATED;
        stream->outcome = WEIR_OUTCOME_FAILED;
        stream_leave_server(stream, WEIR_OUTCOME_FAILED);
        stream_break(stream, 502, REASON_UPSTREAM_TRUNCATED);
        break;
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

/* ---- connections between exchanges ---- */

static void client_idle(struct h1_client *client)
{
    struct server_local *mine = client->user;
    const SSL *ssl = client->conn->ssl;
    bool other_tls = ssl != NULL && SSL_get_SSL_CTX(ssl) != mine->tls;
    if (!mine->adopted || other_tls || mine->idle_count >= mine->idle_limit) {
        h1_client_close(client);
        return;
    }
    bound_give_idle(client, mine);
}

static void client_closed(struct h1_client *client)
{
    struct server_local *mine = client->user;

    bound_forget(client);
    if (list_linked(&client->link)) {
        list_remove(&client->link);
        mine->idle_count--;
    }
}

const struct h1_client_owner stream_client_owner = {
    .events = &stream_up_events,
    .on_idle = client_idle,
    .on_closed = client_closed,
};

/* ---- time ---- */

/* Bodies move, or the stream ends; which side stands still decides who is to blame. */
static void stream_check_progress(struct stream *stream)
{
    uint64_t limit = stream->pool->settings->idle_timeout;
    uint64_t idle = loop_now_ns(stream_loop(stream)) - stream->last_progress_ns;

    if (idle < limit) {
        stream_set_timer(stream, limit - idle);
        return;
    }
    bool server_reads =
        stream->exchange.up == NULL || stream->exchange.up->ops->waiting(stream->exchange.up) == 0;
    if (!stream->tunnel && (stream->up_paused || (stream->phase == PHASE_SENT && server_reads))) {
        stream_set_timer(stream, limit); /* the client is slow: its own clock runs */
        return;
    }
    stream->attempt_reason = REASON_IDLE_TIMEOUT;
    stream->outcome = WEIR_OUTCOME_TIMEOUT;
    stream_leave_server(stream, WEIR_OUTCOME_TIMEOUT);
    stream_break(stream, 504, REASON_IDLE_TIMEOUT);
}

void stream_timeout(struct stream *stream)
{
    switch ((enum stream_phase)stream->phase) {
    case PHASE_QUEUED:
        stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
        stream_break(stream, 503, REASON_QUEUE_TIMEOUT);
        break;
    case PHASE_CONNECTING:
        stream_attempt_failed(stream, REASON_CONNECT_TIMEOUT, WEIR_OUTCOME_TIMEOUT, true);
        break;
    case PHASE_SENT:
        if (!stream->exchange.request_whole) {
            stream_check_progress(stream);
            break;
        }
        stream->attempt_reason = REASON_RESPONSE_TIMEOUT;
        stream->outcome = WEIR_OUTCOME_TIMEOUT;
        stream_leave_server(stream, WEIR_OUTCOME_TIMEOUT);
        stream_break(stream, 504, REASON_RESPONSE_TIMEOUT);
        break;
    case PHASE_RESPONSE: stream_check_progress(stream); break;
    default: break;
    }
}

void stream_overdue(struct stream *stream)
{
    bool client_owes = !stream->exchange.request_whole;
    enum weir_outcome outcome = client_owes ? WEIR_OUTCOME_CANCELED : WEIR_OUTCOME_TIMEOUT;

    if (stream->phase == PHASE_DONE || stream->tunnel) {
        return; /* all is handed over, or it is no request any more */
    }
    stream->attempt_reason = REASON_REQUEST_TIMEOUT;
    stream->outcome = outcome;
    stream_leave_server(stream, outcome);
    stream_break(stream, client_owes ? 408 : 504, REASON_REQUEST_TIMEOUT);
}
