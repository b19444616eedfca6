/* SPDX-License-Identifier: MIT */
/*
 * How a stream comes to a server: one is chosen, or waited for; a connection is found or made; the request
 * is sent. See stream.h.
 */
#include <stdlib.h>

#include "base/log.h"
#include "proxy/pool/pick.h"
#include "proxy/upstream/pinned.h"
#include "proxy/stream/stream_up.h"

/* A connection to a server that is not open yet. Outlives its stream when that gives up. */
struct pending {
    struct conn *conn;
    struct stream *stream; /* NULL: given up */
    struct server_local *server;
    struct worker *worker;
    uint32_t moves; /* of the server, when its address was read */
    struct freed freed;
};

/* ---- sending ---- */

void stream_request_sent(struct stream *stream)
{
    if (stream->phase == PHASE_SENT) {
        stream_set_timer(stream, stream->pool->settings->response_timeout);
    }
}

/* A client of HTTP/1.0 need not name a host. Servers refuse an empty one (nginx does): they get their own. */
static bool stream_send_head(struct stream *stream)
{
    struct http_request_head *head = &stream->exchange.request;
    struct up *up = stream->exchange.up;
    bool named = head->authority.len > 0;

    if (!named) {
        head->authority = str_from(stream->attempt.server->server->authority);
    }
    bool sent = up->ops->head(up, stream->extras, stream->extra_count);
    if (!named) {
        head->authority = (struct weir_str){NULL, 0}; /* the next server has another */
    }
    return sent;
}

/* There is no memory for the head: mostly since filters made it longer than a stream may hold. */
static void stream_head_too_long(struct stream *stream)
{
    static struct log_limit limit;
    bool filtered = stream->listener->filters.count + stream->pool->filters.count > 0;

    if (filtered) {
        log_limited(
            &limit, WEIR_LOG_ERROR, "stream",
            "the head of a request for pool \"%s\" is too long with what filters add to it; "
            "the client gets 500",
            stream->pool->pool->name);
    }
    stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
    stream_break(stream, 500, filtered ? REASON_MODULE_FAILED : REASON_NO_MEMORY);
}

static void stream_send(struct stream *stream, struct up_conn *c)
{
    struct exchange *exchange = &stream->exchange;
    struct up *up = exchange->up;

    stream->phase = PHASE_SENT;
    stream->was_reused = c->served > 1;
    stream->up_paused = false;
    stream_progress(stream);
    if (!stream_send_head(stream)) {
        stream_head_too_long(stream);
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
    stream_set_timer(stream, stream_server_owes(stream) ? stream->pool->settings->response_timeout
                                                        : stream->pool->settings->idle_timeout);
    if (stream->down_paused) {
        stream->down_paused = false;
        exchange->down->ops->resume(exchange->down);
    }
}

/* ---- connecting ---- */

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

void stream_give_up_connecting(struct stream *stream)
{
    pending_close(stream->connecting);
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
    uint64_t took_ns = loop_now_ns(conn->loop) - stream->attempt.connect_start_ns;
    if (!ok) {
        enum conn_error error = (enum conn_error)conn->error;
        pending_close(pending);
        if (conn_error_is_own(error)) {
            stream_cannot_connect(stream, error);
        } else {
            stream_attempt_failed(stream, connect_reason(error), WEIR_OUTCOME_FAILED, true);
        }
        batch_flush(batch);
        return;
    }
    stream->connecting = NULL;
    stream->attempt.connect_total_ns += took_ns;
    histogram_add(&pending->server->traffic.connect, took_ns);
    stat_add(&pending->server->traffic.connections, 1);
    struct up_conn *c = up_conn_open(NULL, conn, batch, &stream->pool->limits, &stream_client_owner,
                                     pending->server);
    loop_free_later(pending->worker->loop, &pending->freed, pending_free);
    if (c != NULL && stream->pool->settings->send_proxy_protocol != SEND_PROXY_OFF) {
        pinned_to(c, stream->client);
    }
    if (c != NULL) {
        c->address_epoch = pending->moves;
    }
    if (c == NULL) {
        stream_cannot_connect(stream, CONN_NO_MEMORY);
    } else if (!up_conn_use(c, &stream->exchange, false)) {
        stream_attempt_failed(stream, REASON_CONNECT_FAILED, WEIR_OUTCOME_FAILED, true);
    } else {
        stream_send(stream, c);
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
    struct server_local *mine = &server->locals[stream->worker->index];
    struct conn_tls_client tls = {.ctx = plan->tls, .name = pool_plan_tls_name(plan, server)};
    enum conn_error error = CONN_OK;

    tls.session = server->url.tls && plan->tls == mine->tls ? server_local_session(mine) : NULL;
    pending->conn = conn_connect(stream_loop(stream), &address->u.any, address->len,
                                 server->url.tls ? &tls : NULL, &pending_ops, pending, &error);
    SSL_SESSION_free(tls.session);
    if (pending->conn != NULL && address->u.any.sa_family != AF_UNIX) {
        tcp_watch_set(pending->conn->fd, &plan->watch);
    }
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
    uint32_t moves = server->moves; /* before the address: one that is too old is not kept */
    if (pending != NULL && server_get_address(server, &address)) {
        error = pending_connect(pending, stream, plan, server, &address);
    }
    while (pending != NULL && error == CONN_NO_DESCRIPTOR && worker_drop_idle(stream->worker)) {
        error = pending_connect(pending, stream, plan, server, &address);
    }
    if (pending != NULL && pending->conn != NULL &&
        !pinned_preface(stream->pool->settings, pending->conn, stream->client)) {
        conn_close(&pending->conn, true);
        error = CONN_NO_MEMORY;
    }
    if (pending == NULL || pending->conn == NULL) {
        error = pending == NULL ? CONN_NO_MEMORY : error;
        free(pending);
        if (conn_error_is_own(error)) {
            stream_cannot_connect(stream, error);
        } else {
            stream_attempt_failed(stream, connect_reason(error), WEIR_OUTCOME_FAILED, true);
        }
        return;
    }
    pending->moves = moves;
    pending->stream = stream;
    pending->server = mine;
    pending->worker = stream->worker;
    stream->connecting = pending;
    stream->phase = PHASE_CONNECTING;
    stream->attempt.connect_start_ns = loop_now_ns(stream_loop(stream));
    stream_set_timer(stream, stream->pool->settings->connect_timeout);
}

/* The server is chosen and a place there is taken: an idle connection, or a new one. */
static void stream_go(struct stream *stream, struct server_local *mine)
{
    const struct pool_settings *settings = stream->pool->settings;
    bool probe = !method_is_idempotent(stream->exchange.request.method);
    struct up_conn *c = NULL;

    stream->attempt.assigned_ns = loop_now_ns(stream_loop(stream));
    stream->server_name = str_from(mine->server->name);
    stream->server_url = mine->server->url.text;
    if (unlikely(mine->moves != mine->server->moves)) {
        pool_local_moved(mine);
    }
    while (!stream->want_new && (c = pinned_take_idle(settings, mine, stream->client)) != NULL) {
        if (stream->attempt.assigned_ns - c->idle_since_ns >= settings->keepalive_timeout) {
            up_conn_close(c); /* its time is over, and it waits for the timer's next look */
        } else if (up_conn_use(c, &stream->exchange, probe)) {
            stream_send(stream, c);
            return;
        }
    }
    stream_connect(stream, mine);
}

/* ---- choosing and waiting ---- */

static void stream_wait(struct stream *stream, struct server *only)
{
    struct pool_local *local = stream_pool(stream);
    uint64_t patience_ns = stream->pool->settings->queue_timeout;

    if (patience_ns == 0 || !queue_join(local, &stream->wait, only)) {
        stream_break(stream, 503, REASON_QUEUE_FULL);
        return;
    }
    if (!stream->exchange.request_whole && !stream->down_paused) {
        stream->down_paused = true;
        stream->exchange.down->ops->pause(stream->exchange.down);
    }
    stream->phase = PHASE_QUEUED;
    stream->attempt.queued_ns = loop_now_ns(stream_loop(stream));
    /* What it has waited already counts: it may be here again since servers have come or gone. */
    stream_set_timer(stream, stream->attempt.queue_total_ns < patience_ns
                                 ? patience_ns - stream->attempt.queue_total_ns
                                 : 1);
}

void stream_assign(struct stream *stream)
{
    struct server *only = NULL;
    struct pool_local *local = stream_pool(stream);
    enum pick_result result = PICK_NONE; /* the pool is gone from the running configuration */

    if (likely(local->plan != NULL)) {
        result = pool_pick(local, &stream->attempt, &only);
    }
    switch (result) {
    case PICK_SERVER: stream_go(stream, stream->attempt.server); break;
    case PICK_BUSY: stream_wait(stream, only); break;
    case PICK_NONE: {
        enum reason reason =
            stream->last_failure != REASON_NONE ? stream->last_failure : REASON_NO_SERVER;
        stream_break(stream, stream_reason_status(reason), reason);
        break;
    }
    }
}

/* Out of the queue; its time there is added up. */
static void stream_waited(struct stream *stream)
{
    timer_cancel(stream_loop(stream), &stream->timer);
    stream->attempt.queue_total_ns += loop_now_ns(stream_loop(stream)) - stream->attempt.queued_ns;
}

static void stream_granted(struct waiter *waiter, struct server *server, bool session)
{
    struct stream *stream = container_of(waiter, struct stream, wait);
    struct pool_local *local = stream_pool(stream);
    bool known = local->plan != NULL && pool_plan_server(local->plan, server->id) == server;

    stream_waited(stream);
    if (!stream->exchange.down->ops->look(
            stream->exchange.down)) { /* nobody waits for the answer */
        queue_release(&local->pool->queue, server);
        return;
    }
    if (!known) { /* it has left, or not yet come, in this loop's generation */
        queue_release(&local->pool->queue, server);
        stream_assign(stream);
        return;
    }
    stream->attempt.sticky_known = session;
    pool_assign(local, &stream->attempt, &server->locals[local->index]);
    stream_go(stream, stream->attempt.server);
}

static void stream_hopeless(struct waiter *waiter)
{
    struct stream *stream = container_of(waiter, struct stream, wait);

    stream_waited(stream);
    stream_assign(stream);
}

const struct waiter_events stream_waiter_events = {
    .granted = stream_granted,
    .hopeless = stream_hopeless,
};
