/* SPDX-License-Identifier: MIT */
/*
 * How a stream reaches a server, from top to bottom: one is chosen or waited for, a connection is
 * found or established, the request is sent. See stream.h.
 */
#include "base/log.h"
#include "net/proxy_header.h"
#include "proxy/pool/connections.h"
#include "proxy/pool/members.h"
#include "proxy/pool/pick.h"
#include "proxy/stream/stream.h"

static void stream_go(struct stream *stream);
static void stream_send(struct stream *stream);

/* ---- a server ---- */

void stream_assign(struct stream *stream)
{
    struct pool_local *local = stream_pool(stream);
    struct attempt *attempt = &stream->attempt;
    uint64_t patience_ns = stream->pool->settings->queue_timeout;
    enum pick_result result = PICK_NONE; /* the running configuration lacks the pool */
    struct server *only = NULL;

    if (likely(local->plan != NULL)) {
        result = pool_pick(local, attempt, &only);
    }
    if (likely(result == PICK_SERVER)) {
        stream_go(stream);
    } else if (result == PICK_NONE) {
        enum reason reason =
            stream->last_failure != REASON_NONE ? stream->last_failure : REASON_NO_SERVER;
        stream_break(stream, stream_reason_status(reason), reason);
    } else if (patience_ns == 0 || !queue_join(local, &stream->wait, only)) {
        stream_break(stream, 503, REASON_QUEUE_FULL);
    } else {
        stream_hold_body(stream);
        stream->phase = PHASE_QUEUED;
        attempt->queued_ns = loop_now_ns(stream_loop(stream));
        /* Earlier waiting counts: it may queue again after servers were added or removed. */
        stream_set_timer(stream, attempt->queue_total_ns < patience_ns
                                     ? patience_ns - attempt->queue_total_ns
                                     : 1);
    }
}

static void stream_granted(struct waiter *waiter, struct server *server, bool session)
{
    struct stream *stream = container_of(waiter, struct stream, wait);
    struct down *down = stream->exchange.down;
    struct pool_local *local = stream_pool(stream);
    bool known = local->plan != NULL && pool_plan_server(local->plan, server->id) == server;

    stream_waited(stream);
    if (!down->ops->look(down)) { /* the client is gone */
        queue_release(&local->pool->queue, server);
    } else if (!known) { /* not, or not yet, in this loop's plan */
        queue_release(&local->pool->queue, server);
        stream_assign(stream);
    } else {
        stream->attempt.sticky_known = session;
        pool_assign(local, &stream->attempt, &server->locals[local->index]);
        stream_go(stream);
    }
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

/* ---- a connection ---- */

static enum conn_error stream_connect(struct stream *stream, struct pin *pin)
{
    struct server_local *mine = stream->attempt.server;
    struct server *server = mine->server;
    const struct pool_settings *settings = stream->pool->settings;
    /* Others will use the connection, so it is as the loop's plan wants it, though the stream may
     * have begun on an earlier one. */
    const struct pool_plan *plan = stream_pool(stream)->plan;
    enum up_protocol protocol = (enum up_protocol)plan->settings->protocol;
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
        .limits = &plan->limits,
        .codec = up_protocol_codec(protocol, server->url.tls),
        .terms = mine->terms,
        .protocol = protocol,
        .room = mine->expected_room,
        .fresh_ns = settings->connect_timeout,
        .batch = stream->home->batch,
        .owner = &stream_up_owner,
        .user = mine,
        .pin = pin,
    };
    enum conn_error error = CONN_NO_DESCRIPTOR;

    if (to.room == 0) {
        to.room = up_protocol_room(protocol, server->url.tls);
    }
    if (plan->limits.h2_streams > 0 && to.room > plan->limits.h2_streams) {
        to.room = plan->limits.h2_streams;
    }
    if (connecting_join(&mine->connecting, loop, &to, &stream->connect)) {
        return CONN_OK;
    }
    if (!server_get_address(server, &address)) {
        return CONN_UNREACHABLE;
    }
    if (unlikely(pin != NULL)) {
        struct address peer, bound;
        downstream_ends(stream->downstream, &peer, &bound);
        to.preface_len =
            proxy_header_write(preface, (unsigned)settings->send_proxy_protocol, &peer, &bound);
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

    if (unlikely(settings->send_proxy_protocol != SEND_PROXY_OFF)) {
        struct downstream_rare *rare = downstream_rare(stream->downstream);
        if (rare == NULL) {
            stream_connect_failed(stream, CONN_NO_MEMORY);
            return;
        }
        pin = &rare->pin; /* it begins with a PROXY header: it is its client's alone */
    }
    struct up_conn *c = NULL;
    if (likely(!stream->want_new)) {
        c = connections_use(stream->attempt.server, pin, &stream->exchange, probe,
                            settings->keepalive_timeout);
    }
    if (likely(c != NULL)) {
        stream->was_reused = c->served > 1;
        stream_send(stream);
        return;
    }
    stream_hold_body(stream);
    enum conn_error error = stream_connect(stream, pin);
    if (error != CONN_OK) {
        stream_connect_failed(stream, error);
        return;
    }
    stream->phase = PHASE_CONNECTING;
    stream->attempt.connect_start = loop_mark(stream_loop(stream));
    stream_set_timer(stream, settings->connect_timeout);
}

static struct stream *connected(struct connect_waiter *waiter)
{
    struct stream *stream = container_of(waiter, struct stream, connect);
    uint64_t took_ns = loop_since(stream_loop(stream), &stream->attempt.connect_start);

    stream->attempt.connect_total_ns += took_ns;
    return stream;
}

static void stream_connected(struct connect_waiter *waiter, struct up_conn *c)
{
    struct stream *stream = connected(waiter);

    if (connections_begin(c, &stream->exchange, false)) {
        stream->was_reused = false; /* though others that waited may use it already */
        stream_send(stream);
    } else {
        stream_attempt_failed(stream, REASON_CONNECT_FAILED, WEIR_OUTCOME_FAILED, true);
    }
}

static void stream_no_room(struct connect_waiter *waiter)
{
    struct stream *stream = connected(waiter);

    timer_cancel(stream_loop(stream), &stream->timer);
    if (likely(stream_pool(stream)->plan != NULL)) {
        stream_go(stream);
    } else { /* the pool has left meanwhile */
        stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
        stream_assign(stream);
    }
}

static void stream_not_connected(struct connect_waiter *waiter, enum conn_error error)
{
    stream_connect_failed(container_of(waiter, struct stream, connect), error);
}

const struct connect_events stream_connect_events = {
    .opened = stream_connected,
    .no_room = stream_no_room,
    .failed = stream_not_connected,
};

/* ---- the request goes out ---- */

static void stream_send(struct stream *stream)
{
    const struct pool_settings *settings = stream->pool->settings;
    struct exchange *exchange = &stream->exchange;
    struct http_request_head *head = &exchange->request;
    struct up *up = exchange->up;
    bool named = head->authority.len > 0;

    stream->phase = PHASE_SENT;
    stream->up_paused = false;
    stream_progress(stream);
    if (unlikely(!named)) {
        /* An HTTP/1.0 client need not send Host. Some servers (nginx) refuse an empty one, so they
         * get their own name; the next server has another. */
        head->authority = str_from(stream->attempt.server->server->authority);
    }
    bool sent = up->ops->head(up, stream->extras, stream->extra_count);
    if (unlikely(!named)) {
        head->authority = (struct weir_str){NULL, 0};
    }
    if (unlikely(!sent)) { /* mostly because filters made it longer than a stream may hold */
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
        return;
    }
    replay_send(&stream->replay, up);
    if (exchange->request_whole) {
        if (head->body != BODY_NONE) {
            up->ops->end(up);
        }
        stream_set_timer(stream, settings->response_timeout);
        return;
    }
    stream_set_timer(stream, stream_server_owes(stream) ? settings->response_timeout
                                                        : settings->idle_timeout);
    stream_take_body(stream);
}
