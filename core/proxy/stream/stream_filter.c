/* SPDX-License-Identifier: MIT */
/*
 * Hooks on a stream's heads, and the fields that a proxy must remove and add (RFC 9110 section
 * 7.6). See stream_filter.h.
 */
#include "proxy/stream/stream_filter.h"

#include "base/log.h"
#include "proxy/stream/forwarding.h"
#include "proxy/stream/stream_etags.h"

bool stream_run_filters(struct stream *stream, const struct use_list *filters)
{
    for (size_t i = 0; i < filters->count; i++) {
        const struct use *use = filters->items[i];
        const struct weir_filter *ops = use->module->descriptor.filter;
        struct instance *instance = stream_instance(stream, use);
        if (unlikely(guard_is_out(use->guard))) {
            if (use->guard->closed) {
                stream_reply_out(stream, use);
                return false;
            }
            continue;
        }
        if (ops->on_request == NULL) {
            continue;
        }
        struct call *call = call_begin(&instance->context, HOOK_ON_REQUEST);
        enum weir_status status =
            ops->on_request(&instance->context.base, instance->data, &stream->request_handle);
        call_end(call);
        if (status == WEIR_DONE && stream->exchange.response_begun) {
            stream->reason = stream->reason != 0 ? stream->reason : REASON_REFUSED_BY_RULE;
            stream->detail = str_from(use->module->name);
            return false;
        }
        if (status != WEIR_OK) {
            static struct log_limit limit;
            stream->detail = str_from(use->module->name);
            log_limited(
                &limit, WEIR_LOG_ERROR, "stream",
                "filter \"%s\" failed on a request, whose fields may be too long; the client "
                "gets 500",
                use->module->name);
            call_strike(&instance->context, HOOK_ON_REQUEST, STRIKE_FAILED);
            stream_break(stream, 500, REASON_MODULE_FAILED);
            return false;
        }
    }
    return true;
}

/* A hook could not make the response's fields. */
static void note_failed(struct stream *stream, const struct use *use)
{
    stream->detail = str_from(use->module->name);
    call_strike(&stream_instance(stream, use)->context, HOOK_ON_RESPONSE, STRIKE_FAILED);
}

/* Of a block that is out. Where it is closed, a server's response is to a request that the filter
 * has seen before, and no more will come. */
static bool is_passed_over(const struct stream *stream, const struct use *use)
{
    return unlikely(guard_is_out(use->guard)) &&
           (!use->guard->closed || stream->phase != PHASE_RESPONSE);
}

static void run_response_filters(struct stream *stream, const struct use_list *filters)
{
    for (size_t i = filters->count; i > 0 && likely(!stream->response_failed); i--) {
        const struct use *use = filters->items[i - 1];
        const struct weir_filter *ops = use->module->descriptor.filter;
        struct instance *instance = stream_instance(stream, use);
        if (ops->on_response == NULL || is_passed_over(stream, use)) {
            continue;
        }
        stream->filtering = instance;
        struct call *call = call_begin(&instance->context, HOOK_ON_RESPONSE);
        ops->on_response(&instance->context.base, instance->data, &stream->request_handle,
                         &stream->response_handle);
        call_end(call);
        if (unlikely(stream->response_failed)) {
            note_failed(stream, use);
        }
    }
    stream->filtering = NULL;
}

/* A transformed body loses the server's length, strong validator, and fields that describe its
 * bytes (RFC 9110 sections 8.8.3 and 14.3, RFC 9530). */
static void chain_fit_head(struct stream *stream)
{
    static const struct weir_str gone[] = {
        WEIR_STR_INIT("Accept-Ranges"),  WEIR_STR_INIT("Content-MD5"), WEIR_STR_INIT("Digest"),
        WEIR_STR_INIT("Content-Digest"), WEIR_STR_INIT("Repr-Digest"),
    };
    struct http_response_head *head = &stream->exchange.response;

    for (size_t i = 0; i < ARRAY_COUNT(gone); i++) {
        fields_drop_name(&head->fields, gone[i]);
    }
    stream_weaken_etag(stream);
    head->has_content_length = false;
    if (head->body == BODY_LENGTH) {
        head->body = BODY_CHUNKED;
    }
}

static void run_sticky(struct stream *stream)
{
    const struct use *use = stream->pool->sticky;
    struct instance *instance = stream_instance(stream, use);
    const struct weir_sticky *ops = use->module->descriptor.sticky;

    if (ops->on_response == NULL || unlikely(guard_is_out(use->guard))) {
        return;
    }
    struct call *call = call_begin(&instance->context, HOOK_ON_RESPONSE);
    ops->on_response(&instance->context.base, instance->data, &stream->request_handle,
                     &stream->response_handle, stream->attempt.served_by,
                     stream->attempt.sticky_known);
    call_end(call);
    if (unlikely(stream->response_failed)) {
        note_failed(stream, use);
    }
}

bool stream_prepare_response(struct stream *stream)
{
    static struct log_limit limit;
    struct http_response_head *head = &stream->exchange.response;
    bool of_server = stream->phase == PHASE_RESPONSE;

    if (of_server) {
        response_drop_hop_by_hop(head);
        if (!fields_have(&head->fields, FIELD_DATE)) { /* RFC 9110 section 6.6.1 */
            fields_add(&head->fields, &stream->exchange.arena, STR("Date"),
                       stream_home_date(stream->home));
        }
    }
    forwarding_response(stream);
    if (unlikely(stream->bare)) {
        return true;
    }
    stream->response_open = true;
    if (of_server && unlikely(stream_may_transform(stream))) {
        stream_note_etag(stream);
    }
    if (of_server && stream->pool->sticky != NULL) {
        run_sticky(stream);
    }
    if (of_server && stream->attempt.session != 0) {
        sessions_note(&stream->attempt.server->sessions, stream->attempt.session,
                      loop_now_ns(stream_loop(stream)));
    }
    if (stream->pool != NULL) {
        run_response_filters(stream, &stream->pool->filters);
    }
    if (unlikely(stream->route_filters != NULL)) {
        run_response_filters(stream, stream->route_filters);
    }
    run_response_filters(stream, &stream->listener->filters);
    if (unlikely(stream->chain != NULL)) {
        chain_fit_head(stream);
        if (head->body == BODY_NONE || stream->response_failed) {
            chain_close(&stream->chain);
        }
    } else if (unlikely(stream->asked_weak != NULL) && head->status == 304) {
        stream_soften_etag(stream);
    }
    stream->response_open = false;
    if (unlikely(stream->response_failed)) {
        log_limited(&limit, WEIR_LOG_ERROR, "stream",
                    "module \"%.*s\" could not make a response's fields, which may be too long; "
                    "the client gets 500",
                    STR_ARGS(stream->detail));
    }
    return !stream->response_failed;
}

/* ---- transforming bodies ---- */

static void body_ended(void *owner)
{
    struct stream *stream = owner;
    stream->phase = PHASE_DONE;
    stream->exchange.down->ops->end(stream->exchange.down);
}

static void body_failed(void *owner)
{
    struct stream *stream = owner;
    stream->attempt_reason = REASON_MODULE_FAILED;
    stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
    stream_break(stream, 500, REASON_MODULE_FAILED);
}

enum weir_status stream_transform(struct weir_response *resp, void *state)
{
    struct stream *stream = stream_of_response(resp);
    struct exchange *exchange = &stream->exchange;
    struct instance *filter = stream->filtering;
    const struct http_response_head *head = &exchange->response;

    if (!stream->response_open || filter == NULL ||
        filter->use->module->descriptor.filter->on_response_data == NULL) {
        return WEIR_INVALID;
    }
    if (head->status < 200 || head->status == 204 || head->status == 304 ||
        (head->body == BODY_NONE && exchange->request.method != METHOD_HEAD)) {
        return WEIR_DECLINED;
    }
    if (stream->chain == NULL) {
        const struct chain_sink sink = {exchange->down, body_ended, body_failed, stream};
        stream->chain =
            chain_new(stream_loop(stream), stream->home->batch, &exchange->arena, &sink);
    }
    if (stream->chain == NULL) {
        return WEIR_NO_MEMORY;
    }
    return chain_add(stream->chain, filter, state) ? WEIR_OK : WEIR_INVALID;
}

void stream_out_data(struct stream *stream, const char *data, size_t len)
{
    struct down *down = stream->exchange.down;

    if (unlikely(stream->chain != NULL)) {
        chain_data(stream->chain, data, len);
    } else {
        down->ops->data(down, data, len);
    }
}

void stream_out_end(struct stream *stream)
{
    struct down *down = stream->exchange.down;

    if (unlikely(stream->chain != NULL)) {
        chain_end(stream->chain);
    } else {
        stream->phase = stream->tunnel ? stream->phase : PHASE_DONE;
        down->ops->end(down);
    }
}
