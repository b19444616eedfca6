/* SPDX-License-Identifier: MIT */
/*
 * The client's half of streams: a request arrives, is filtered and routed, and its body passes; the
 * client may leave. See stream.h.
 */
#include "proxy/stream/stream.h"

#include "proxy/plan/lifetime.h"
#include "proxy/stream/forwarding.h"
#include "proxy/stream/stream_etags.h"
#include "proxy/stream/stream_filter.h"

/* A stream's memory besides the struct: both heads, slots, small bodies kept for retries. */
#define STREAM_ARENA_LIMIT (512u * 1024)

static void stream_free(struct freed *freed)
{
    struct stream *stream = container_of(freed, struct stream, freed);
    stream_home_give(stream->home, stream);
}

static struct exchange *down_open(struct down_conn *c)
{
    struct downstream *downstream = downstream_of(c);
    struct stream_home *home = downstream->local->home->user;
    struct stream *stream = stream_home_take(home);

    if (stream == NULL) {
        return NULL;
    }
    stream->magic = STREAM_MAGIC;
    stream->grpc_status = -1;
    stream->home = home;
    stream->downstream = downstream;
    stream->listener = downstream->local->plan;
    stream->plan = stream->listener->owner;
    lifetime_ref(stream->plan->life, home->loop->index);
    stream->request_handle.host = stream->plan->host;
    stream->response_handle.host = stream->request_handle.host;
    stream->timer.fn = stream_timeout;
    stream->deadline.fn = stream_overdue;
    stream->start_ns = loop_now_ns(home->loop);
    stream->outcome = WEIR_OUTCOME_SUCCESS;
    stream->connect.events = &stream_connect_events;
    stream->wait.events = &stream_waiter_events;
    stream->wait.tried = &stream->attempt.tried;
    arena_init(&stream->exchange.arena, &home->loop->blocks, STREAM_ARENA_LIMIT);
    list_push_back(&home->running, &stream->link);
    if (c->codec->version == HTTP_2) {
        stat_add(&downstream->local->traffic.h2_streams, 1);
    }
    return &stream->exchange;
}

/* ---- the way of a request ---- */

/* If SNI and Host select different certificates of the listener, the client has reused a connection
 * for another host (RFC 9110 section 15.5.20). */
static bool stream_misdirected(const struct stream *stream)
{
    const struct tls_listener *tls = stream->listener->tls;
    const struct tls_certificate_info *infos = NULL;

    if (tls == NULL || tls_listener_certificates(tls, &infos) < 2) {
        return false;
    }
    struct weir_str name = downstream_tls_name(stream->downstream);
    struct weir_str host = stream->exchange.request.host;
    if (name.len == 0 || host.len == 0 || str_equal(name, host)) {
        return false;
    }
    int wanted = tls_listener_certificate_for(tls, host);
    int shown = tls_listener_certificate_for(tls, name);
    return wanted >= 0 && wanted != (shown >= 0 ? shown : 0); /* none has it: the first was sent */
}

/* TRACE and OPTIONS with Max-Forwards 0 (RFC 9110 section 7.6.2). false: answered here. */
static bool stream_check_max_forwards(struct stream *stream)
{
    struct http_request_head *head = &stream->exchange.request;
    struct http_field *field = fields_find(&head->fields, FIELD_MAX_FORWARDS);
    uint64_t left = 0;

    if (likely(field == NULL) || (head->method != METHOD_TRACE && head->method != METHOD_OPTIONS)) {
        return true;
    }
    bool good =
        field->value.len > 0 && fields_next(&head->fields, FIELD_MAX_FORWARDS, field) == NULL;
    for (size_t i = 0; good && i < field->value.len; i++) {
        char c = field->value.ptr[i];
        good = c >= '0' && c <= '9' && left <= 1000000; /* no sane client sends more */
        left = left * 10 + (uint64_t)(c - '0');
    }
    if (!good) {
        stream_reply_error(stream, 400, REASON_BAD_REQUEST);
        return false;
    }
    if (left == 0) {
        stream_reply_error(stream, head->method == METHOD_OPTIONS ? 204 : 501,
                           REASON_REFUSED_BY_RULE);
        return false;
    }
    field->value = arena_printf(&stream->exchange.arena, "%llu", (unsigned long long)(left - 1));
    return true;
}

/* false: answered here. */
static bool stream_route(struct stream *stream)
{
    const struct plan *plan = stream->plan;
    struct weir_route_result result = {
        .size = sizeof(result), .pool = WEIR_NO_REF, .route = WEIR_NO_REF};
    enum weir_status status = WEIR_DECLINED;
    const struct use *use = NULL;

    for (size_t i = 0; i < plan->routers.count && status == WEIR_DECLINED; i++) {
        use = plan->routers.items[i];
        if (unlikely(guard_is_out(use->guard))) {
            if (use->guard->closed) {
                stream_reply_out(stream, use);
                return false;
            }
            continue;
        }
        struct instance *instance = stream_instance(stream, use);
        struct call *call = call_begin(&instance->context, HOOK_ROUTE);
        status = use->module->descriptor.router->route(&instance->context.base, instance->data,
                                                       &stream->request_handle, &result);
        call_end(call);
    }
    if (status == WEIR_DECLINED) {
        stream_reply_error(stream, 404, REASON_NO_ROUTE);
        return false;
    }
    if (status != WEIR_OK || (result.status == 0 && result.pool >= plan->pool_count)) {
        call_strike(&stream_instance(stream, use)->context, HOOK_ROUTE,
                    status != WEIR_OK ? STRIKE_FAILED : STRIKE_ANSWER);
        stream_reply_error(stream, 500, REASON_MODULE_FAILED);
        return false;
    }
    if (result.route < plan->route_count) {
        const struct use_list *filters = &plan->routes[result.route]->filters;
        stream->route = plan->routes[result.route];
        if (filters->count > 0) {
            stream->route_filters = filters;
            if (!stream_run_filters(stream, filters)) {
                return false;
            }
        }
    }
    if (result.status >= 300 && result.status < 400) {
        stream_redirect(stream, result.status, result.location);
        return false;
    }
    if (result.status != 0) {
        stream_reply_error(stream, result.status, REASON_REFUSED_BY_RULE);
        return false;
    }
    stream->pool = &plan->pools[result.pool];
    const struct use *sticky = stream->pool->sticky;
    if (unlikely(sticky != NULL && guard_is_out(sticky->guard) && sticky->guard->closed)) {
        stream_reply_out(stream, sticky);
        return false;
    }
    attempt_begin(&stream->attempt, &stream->request_handle, stream->pool->sticky);
    return true;
}

/* The hooks of the handler that answers, and its instance; NULL: none. */
static const struct weir_handler *stream_handler(const struct stream *stream,
                                                 struct instance **instance)
{
    if (likely(!stream->handler_running)) {
        return NULL;
    }
    *instance = stream_instance(stream, stream->handler);
    return stream->handler->module->descriptor.handler;
}

static void handler_data(struct stream *stream, const struct weir_handler *ops,
                         struct instance *instance, const char *data, size_t len, bool end)
{
    if (ops->on_data != NULL) {
        struct call *call = call_begin(&instance->context, HOOK_ON_DATA);
        ops->on_data(&instance->context.base, instance->data, &stream->request_handle, data, len,
                     end);
        call_end(call);
    }
}

static void stream_handle(struct stream *stream)
{
    struct exchange *exchange = &stream->exchange;
    struct instance *instance = NULL;

    stream->handler = listener_plan_handler(stream->listener, exchange->request.path);
    if (stream->handler == NULL) {
        stream_reply_error(stream, 404, REASON_NO_ROUTE);
        return;
    }
    stream->phase = PHASE_LOCAL;
    stream->handler_running = true;
    const struct weir_handler *ops = stream_handler(stream, &instance);
    struct call *call = call_begin(&instance->context, HOOK_ON_REQUEST);
    enum weir_status status =
        ops->on_request(&instance->context.base, instance->data, &stream->request_handle);
    call_end(call);
    if (status != WEIR_OK) {
        call_strike(&instance->context, HOOK_ON_REQUEST, STRIKE_FAILED);
        stream->handler_running = false;
        stream_break(stream, 500, REASON_MODULE_FAILED);
    } else if (exchange->request.expect_continue && !exchange->request_whole &&
               !exchange->response_begun) {
        const struct http_response_head interim = {.status = 100, .version = HTTP_1_1};
        exchange->down->ops->interim(exchange->down, &interim);
    }
}

/* Each step may answer. */
static void down_request(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);
    const struct listener_plan *listener = stream->listener;
    uint64_t limit_ns = listener->settings->request_timeout;
    uint64_t spent_ns = loop_now_ns(stream_loop(stream)) - stream->start_ns;

    stream->request_open = true;
    stream->start_wall_ms = loop_wall_ms();
    if (unlikely(limit_ns > 0)) { /* from the first byte on */
        timer_set(stream_loop(stream), &stream->deadline,
                  spent_ns < limit_ns ? limit_ns - spent_ns : 1);
    }
    forwarding_begin(stream, true);
    if (stream_misdirected(stream)) {
        stream_reply_error(stream, 421, REASON_MISDIRECTED);
        return;
    }
    if (!listener_plan_on_control(listener)) {
        /* Before fields are added: Connection may remove only the client's own fields, not those of
         * Weir or a filter (RFC 9110 section 7.6.1). */
        fields_drop_hop_by_hop(&exchange->request.fields);
    }
    if (!stream_check_max_forwards(stream) || !stream_run_filters(stream, &listener->filters)) {
        return;
    }
    if (listener_plan_on_control(listener)) {
        stream_restore_etags(stream);
        stream_handle(stream);
        return;
    }
    if (!stream_route(stream) || !stream_run_filters(stream, &stream->pool->filters)) {
        return;
    }
    stream_restore_etags(stream);
    if (!forwarding_fields(stream)) {
        stream_reply_error(stream, 500, REASON_NO_MEMORY);
        return;
    }
    stream->request_open = false;
    retry_budget_request(&stream_pool(stream)->retries, loop_now_ns(stream_loop(stream)));
    stream_assign(stream);
}

static void down_refused(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);
    enum reason reason = REASON_BAD_REQUEST;

    switch (exchange->error.status) {
    case 408: reason = REASON_HEADER_TIMEOUT; break;
    case 413:
    case 414:
    case 431: reason = REASON_TOO_LARGE; break;
    default: break;
    }
    stream->start_wall_ms = loop_wall_ms();
    forwarding_begin(stream, false);
    stream->detail = str_from(exchange->error.reason);
    stream_reply_error(stream, exchange->error.status, reason);
}

/* ---- the request's body ---- */

static void down_data(struct exchange *exchange, const char *data, size_t len)
{
    struct stream *stream = stream_of(exchange);
    struct instance *instance = NULL;
    const struct weir_handler *ops = stream_handler(stream, &instance);

    if (ops != NULL) {
        handler_data(stream, ops, instance, data, len, false);
    } else if (exchange->up != NULL) { /* else answered: dropped until the codec closes */
        stream_progress(stream);
        if (stream->phase == PHASE_SENT && exchange->request.body != BODY_NONE) {
            replay_add(&stream->replay, &exchange->request, &exchange->arena, data, len);
        } else {
            replay_skip(&stream->replay, len);
        }
        exchange->up->ops->data(exchange->up, data, len);
    }
}

static void down_trailer(struct exchange *exchange, struct weir_str name, struct weir_str value)
{
    struct stream *stream = stream_of(exchange);

    replay_break(&stream->replay); /* trailers are not kept */
    if (exchange->up != NULL) {
        exchange->up->ops->trailer(exchange->up, name, value);
    }
}

static void down_request_end(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);
    struct instance *instance = NULL;
    const struct weir_handler *ops = stream_handler(stream, &instance);

    if (ops != NULL) {
        handler_data(stream, ops, instance, NULL, 0, true);
        return;
    }
    if (exchange->up != NULL && (exchange->request.body != BODY_NONE || stream->tunnel)) {
        exchange->up->ops->end(exchange->up);
    }
    if (stream->phase == PHASE_SENT) {
        stream_set_timer(stream, stream->pool->settings->response_timeout);
    }
}

static void down_flushed(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);

    if (exchange->up != NULL && !stream->down_paused &&
        exchange->up->ops->waiting(exchange->up) > 0) {
        stream->down_paused = true;
        exchange->down->ops->pause(exchange->down);
    }
}

static void down_drained(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);
    struct instance *instance = NULL;

    stream_progress(stream);
    if (unlikely(stream->chain != NULL) && !chain_drained(stream->chain)) {
        return;
    }
    const struct weir_handler *ops = stream_handler(stream, &instance);
    if (ops != NULL) {
        if (ops->on_writable != NULL && !exchange->response_whole) {
            struct call *call = call_begin(&instance->context, HOOK_ON_WRITABLE);
            ops->on_writable(&instance->context.base, instance->data, &stream->request_handle);
            call_end(call);
        }
    } else if (stream->up_paused && exchange->up != NULL) {
        stream->up_paused = false;
        exchange->up->ops->resume(exchange->up);
    }
}

/* ---- the client's end ---- */

static void down_gone(struct exchange *exchange, enum down_gone why)
{
    struct stream *stream = stream_of(exchange);

    if (why == DOWN_GONE_CLOSED) {
        if (stream->reason == REASON_NONE) {
            stream->reason = REASON_CLIENT_GONE;
        }
        stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
        return;
    }
    stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
    stream->detail = str_from(exchange->error.reason);
    stream_break(stream, exchange->error.status,
                 why == DOWN_GONE_TIMEOUT        ? REASON_BODY_TIMEOUT
                 : exchange->error.status == 413 ? REASON_TOO_LARGE
                                                 : REASON_BAD_REQUEST);
}

static void down_close(struct exchange *exchange, bool complete)
{
    struct stream *stream = stream_of(exchange);
    struct loop *loop = stream_loop(stream);
    struct instance *instance = NULL;
    const struct weir_handler *ops = stream_handler(stream, &instance);

    ASSERT(stream->magic == STREAM_MAGIC);
    if (!complete && stream->reason == REASON_NONE) {
        stream->reason = REASON_CLIENT_GONE;
    }
    stream->handler_running = false;
    if (ops != NULL && ops->on_end != NULL) {
        struct call *call = call_begin(&instance->context, HOOK_ON_END);
        ops->on_end(&instance->context.base, instance->data, &stream->request_handle, !complete);
        call_end(call);
    }
    stream_leave_server(stream, complete ? stream->outcome : WEIR_OUTCOME_CANCELED);
    if (stream->start_wall_ms != 0) { /* there was a request, or an attempt at one */
        stream_record(stream, complete);
    }
    if (stream->downstream->place.c.codec->version == HTTP_2) {
        stat_remove(&stream->downstream->local->traffic.h2_streams, 1);
    }
    chain_close(&stream->chain);
    exchange->down = NULL;
    timer_cancel(loop, &stream->timer);
    timer_cancel(loop, &stream->deadline);
    list_remove(&stream->link);
    arena_reset(&exchange->arena);
    attempt_forget(&stream->attempt, loop->index);
    if (unlikely(stream->keeps != STREAM_KEEPS_NOTHING)) {
        stream_unkeep_modules(stream);
    }
    lifetime_unref(stream->plan->life, loop->index);
    stream->magic = 0;
    loop_free_later(loop, &stream->freed, stream_free);
}

const struct down_events stream_down_events = {
    .on_open = down_open,
    .on_request = down_request,
    .on_refused = down_refused,
    .on_data = down_data,
    .on_trailer = down_trailer,
    .on_request_end = down_request_end,
    .on_flushed = down_flushed,
    .on_drained = down_drained,
    .on_gone = down_gone,
    .on_close = down_close,
};
