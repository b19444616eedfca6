/* SPDX-License-Identifier: MIT */
/*
 * How a stream reaches a server: one is chosen or waited for, a connection is found or established,
 * the request is sent. See stream.h.
 */
#include "base/log.h"
#include "net/proxy_header.h"
#include "proxy/pool/connections.h"
#include "proxy/pool/members.h"
#include "proxy/pool/pick.h"
#include "proxy/stream/stream.h"

/* ---- sending ---- */

void stream_request_sent(struct stream *stream)
{
    if (stream->phase == PHASE_SENT) {
        stream_set_timer(stream, stream->pool->settings->response_timeout);
    }
}

/* An HTTP/1.0 client need not send Host. Some servers (nginx) refuse an empty one, so they get
 * their own name. */
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

/* Out of memory for the head: mostly because filters made it longer than a stream may hold. */
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
    replay_send(&stream->replay, up);
    if (exchange->request_whole) {
        if (exchange->request.body != BODY_NONE) {
            up->ops->end(up);
        }
        stream_request_sent(stream);
        return;
    }
    stream_set_timer(stream, stream_server_owes(stream) ? stream->pool->settings->response_timeout
                                                        : stream->pool->settings->idle_timeout);
    stream_take_body(stream);
}

/* ---- connecting ---- */

static void connect_failed(struct stream *stream, enum conn_error error)
{
    enum reason reason = REASON_CONNECT_FAILED;

    if (conn_error_is_own(error)) {
        stream_cannot_connect(stream, error);
        return;
    }
    switch (error) {
    case CONN_REFUSED: reason = REASON_CONNECT_REFUSED; break;
    case CONN_TIMED_OUT: reason = REASON_CONNECT_TIMEOUT; break;
    case CONN_TLS:
    case CONN_TLS_VERIFY: reason = REASON_UPSTREAM_TLS; break;
    default: break;
    }
    stream_attempt_failed(stream, reason, WEIR_OUTCOME_FAILED, true);
}

/* If the pool sends PROXY headers, a connection is pinned to one client. false: out of memory. */
static bool stream_pin(const struct stream *stream, struct pin **pin)
{
    *pin = NULL;
    if (likely(stream->pool->settings->send_proxy_protocol == SEND_PROXY_OFF)) {
        return true;
    }
    struct downstream_rare *rare = downstream_rare(stream->downstream);
    *pin = rare != NULL ? &rare->pin : NULL;
    return rare != NULL;
}

static enum conn_error stream_connect(struct stream *stream, struct pin *pin)
{
    struct server_local *mine = stream->attempt.server;
    struct server *server = mine->server;
    const struct pool_plan *plan = stream_pool(stream)->plan;
    struct loop *loop = stream_loop(stream);
    struct address address;
    char preface[PROXY_HEADER_WRITE_MAX];
    struct connect_to to = {
        .address = &address,
        /* Read before the address: a connection with an old epoch is not kept. */
        .address_epoch = server->address_epoch,
        .tls.ctx = server->url.tls ? plan->tls : NULL,
        .watch = &plan->watch,
        .preface = preface,
        .limits = &stream->pool->limits,
        .room = up_conn_expected_room(plan->alpn),
        .batch = stream->home->batch,
        .owner = &stream_up_owner,
        .user = mine,
        .pin = pin,
    };
    enum conn_error error = CONN_NO_DESCRIPTOR;

    if (connecting_join(&mine->connecting, &to, &stream->connect)) {
        return CONN_OK;
    }
    if (!server_get_address(server, &address)) {
        return CONN_UNREACHABLE;
    }
    if (unlikely(pin != NULL)) {
        struct address peer, bound;
        downstream_ends(stream->downstream, &peer, &bound);
        to.preface_len = proxy_header_write(
            preface, (unsigned)stream->pool->settings->send_proxy_protocol, &peer, &bound);
    }
    do {
        if (server->url.tls) {
            to.tls.name = pool_plan_tls_name(plan, server);
            to.tls.session = connections_session(mine, plan->tls);
        }
        error = stream->home->connect(&mine->connecting, loop, &to, &stream->connect);
        SSL_SESSION_free(to.tls.session);
    } while (error == CONN_NO_DESCRIPTOR && stream->home->drop_idle(stream->home));
    return error;
}

/* The server is chosen and a place taken: finds a connection with room, or makes a new one. */
static void stream_go(struct stream *stream)
{
    const struct pool_settings *settings = stream->pool->settings;
    bool probe = !method_is_idempotent(stream->exchange.request.method);
    struct pin *pin = NULL;
    enum conn_error error = CONN_NO_MEMORY;

    if (likely(stream_pin(stream, &pin))) {
        struct up_conn *c = stream->want_new
                                ? NULL
                                : connections_use(stream->attempt.server, pin, &stream->exchange,
                                                  probe, settings->keepalive_timeout);
        if (c != NULL) {
            stream_send(stream, c);
            return;
        }
        stream_hold_body(stream);
        error = stream_connect(stream, pin);
    }
    if (error != CONN_OK) {
        connect_failed(stream, error);
        return;
    }
    stream->phase = PHASE_CONNECTING;
    stream->attempt.connect_start_ns = loop_now_ns(stream_loop(stream));
    stream_set_timer(stream, settings->connect_timeout);
}

static struct stream *connected(struct connect_waiter *waiter)
{
    struct stream *stream = container_of(waiter, struct stream, connect);
    uint64_t took_ns = loop_now_ns(stream_loop(stream)) - stream->attempt.connect_start_ns;

    stream->attempt.connect_total_ns += took_ns;
    return stream;
}

static void stream_connected(struct connect_waiter *waiter, struct up_conn *c)
{
    struct stream *stream = connected(waiter);

    if (connections_begin(c, &stream->exchange, false)) {
        stream_send(stream, c);
    } else {
        stream_attempt_failed(stream, REASON_CONNECT_FAILED, WEIR_OUTCOME_FAILED, true);
    }
}

static void stream_no_room(struct connect_waiter *waiter)
{
    struct stream *stream = connected(waiter);

    timer_cancel(stream_loop(stream), &stream->timer);
    if (unlikely(stream_pool(stream)->plan == NULL)) { /* the pool has left meanwhile */
        stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
        stream_assign(stream);
        return;
    }
    stream_go(stream);
}

static void stream_not_connected(struct connect_waiter *waiter, enum conn_error error)
{
    connect_failed(container_of(waiter, struct stream, connect), error);
}

const struct connect_events stream_connect_events = {
    .opened = stream_connected,
    .no_room = stream_no_room,
    .failed = stream_not_connected,
};

static void stream_assigned(struct stream *stream)
{
    const struct server *server = stream->attempt.server->server;

    stream->attempt.assigned_ns = loop_now_ns(stream_loop(stream));
    stream->server_name = str_from(server->name);
    stream->server_url = server->url.text;
    stream_go(stream);
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
    stream_hold_body(stream);
    stream->phase = PHASE_QUEUED;
    stream->attempt.queued_ns = loop_now_ns(stream_loop(stream));
    /* Earlier waiting counts: it may queue again after servers were added or removed. */
    stream_set_timer(stream, stream->attempt.queue_total_ns < patience_ns
                                 ? patience_ns - stream->attempt.queue_total_ns
                                 : 1);
}

void stream_assign(struct stream *stream)
{
    struct server *only = NULL;
    struct pool_local *local = stream_pool(stream);
    enum pick_result result = PICK_NONE; /* the running configuration lacks the pool */

    if (likely(local->plan != NULL)) {
        result = pool_pick(local, &stream->attempt, &only);
    }
    switch (result) {
    case PICK_SERVER: stream_assigned(stream); break;
    case PICK_BUSY: stream_wait(stream, only); break;
    case PICK_NONE: {
        enum reason reason =
            stream->last_failure != REASON_NONE ? stream->last_failure : REASON_NO_SERVER;
        stream_break(stream, stream_reason_status(reason), reason);
        break;
    }
    }
}

/* It has left the queue: adds up its waiting time. */
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
    if (!stream->exchange.down->ops->look(stream->exchange.down)) { /* the client is gone */
        queue_release(&local->pool->queue, server);
        return;
    }
    if (!known) { /* not, or not yet, in this loop's plan */
        queue_release(&local->pool->queue, server);
        stream_assign(stream);
        return;
    }
    stream->attempt.sticky_known = session;
    pool_assign(local, &stream->attempt, &server->locals[local->index]);
    stream_assigned(stream);
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
