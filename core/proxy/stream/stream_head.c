/* SPDX-License-Identifier: MIT */
/*
 * Heads on their way: what a proxy must take out of them and put into them (RFC 9110 section 7.6), and
 * the hooks that see them.
 */
#include "base/log.h"
#include "proxy/stream/etags.h"
#include "proxy/stream/forwarding.h"
#include "proxy/stream/stream_filter.h"

bool stream_prepare_request(struct stream *stream)
{
    stream_restore_etags(stream);
    return forwarding_fields(stream);
}

size_t stream_request_extras(struct stream *stream, struct http_extra extras[STREAM_EXTRAS])
{
    memcpy(extras, stream->extras, stream->extra_count * sizeof(*extras));
    return stream->extra_count;
}

static void run_sticky(struct stream *stream)
{
    const struct use *use = stream->pool->sticky;
    struct instance *instance = use_on(use, stream->worker->index);
    const struct weir_sticky *ops = use->module->descriptor.sticky;

    if (ops->on_response != NULL) {
        ops->on_response(&instance->context.base, instance->data, &stream->request_handle,
                         &stream->response_handle, stream->served_by, stream->sticky_known);
    }
    if (unlikely(stream->response_failed)) {
        stream->detail = str_from(use->module->name);
    }
}

static void tell_failed(const struct stream *stream)
{
    static struct log_limit limit;
    log_limited(&limit, WEIR_LOG_ERROR, "stream",
                "module \"%.*s\" could not make a response's fields, which may be too long; the "
                "client gets 500",
                STR_ARGS(stream->detail));
}

bool stream_prepare_response(struct stream *stream)
{
    struct http_response_head *head = &stream->exchange.response;
    bool of_server = stream->phase == PHASE_RESPONSE;

    if (of_server) {
        response_drop_hop_by_hop(head);
        if (!fields_have(&head->fields, FIELD_DATE)) { /* RFC 9110 section 6.6.1 */
            fields_add(&head->fields, &stream->exchange.arena, STR("Date"),
                       worker_date(stream->worker));
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
    if (of_server && stream->session != 0) {
        sessions_note(&stream->server->sessions, stream->session,
                      loop_now_ns(stream->worker->loop));
    }
    stream_filter_response(stream);
    stream->response_open = false;
    if (unlikely(stream->response_failed)) {
        tell_failed(stream);
        return false;
    }
    return true;
}
