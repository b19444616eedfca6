/* SPDX-License-Identifier: MIT */
/*
 * Heads on their way: what a proxy must take out of them and put into them (RFC 9110 section 7.6), and
 * the hooks that see them.
 */
#include <stdio.h>

#include "proxy/stream_filter.h"

static struct weir_str client_text(const struct stream *stream)
{
    return (struct weir_str){stream->client->peer_text, stream->client->peer_len};
}

/* X-Forwarded-For of a trusted proxy, with its own address behind; NULL .ptr: no memory. */
static struct weir_str forwarded_for(struct stream *stream)
{
    const struct http_fields *fields = &stream->exchange.request.fields;
    struct weir_str peer = client_text(stream);
    struct weir_str value = {NULL, 0};

    for (uint32_t i = 0; stream->client->trusted && i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        if (field->id != FIELD_X_FORWARDED_FOR || field->dropped || field->value.len == 0) {
            continue;
        }
        value = value.len == 0 ? field->value
                               : arena_printf(&stream->exchange.arena, "%.*s, %.*s",
                                              STR_ARGS(value), STR_ARGS(field->value));
    }
    return value.len == 0 ? peer
                          : arena_printf(&stream->exchange.arena, "%.*s, %.*s", STR_ARGS(value),
                                         STR_ARGS(peer));
}

static void extra_add(struct stream *stream, struct weir_str name, struct weir_str value)
{
    if (value.len > 0) {
        stream->extras[stream->extra_count++] = (struct h1_extra){name, value};
    }
}

/* The client's own word counts where its address is trusted; else ours replaces it. */
static void extra_set(struct stream *stream, enum field_id id, struct weir_str name,
                      struct weir_str value)
{
    struct http_fields *fields = &stream->exchange.request.fields;
    if (fields_have(fields, id)) {
        if (stream->client->trusted) {
            return;
        }
        fields_drop(fields, id);
    }
    extra_add(stream, name, value);
}

bool stream_prepare_request(struct stream *stream)
{
    struct http_request_head *head = &stream->exchange.request;
    struct http_fields *fields = &head->fields;
    struct weir_str port = {stream->port_text, 0};

    struct weir_str value = forwarded_for(stream);
    if (value.ptr == NULL) {
        return false;
    }
    if (fields_have(fields, FIELD_X_FORWARDED_FOR)) {
        fields_drop(fields, FIELD_X_FORWARDED_FOR);
    }
    port.len = (size_t)snprintf(stream->port_text, sizeof(stream->port_text), "%u",
                                (unsigned)address_port(&stream->client->bound));
    stream->extra_count = 0;
    extra_add(stream, STR("X-Forwarded-For"), value);
    extra_set(stream, FIELD_X_FORWARDED_PROTO, STR("X-Forwarded-Proto"),
              stream->client->tls ? STR("https") : STR("http"));
    extra_set(stream, FIELD_X_FORWARDED_HOST, STR("X-Forwarded-Host"), head->authority);
    if (port.len > 0 && stream->port_text[0] != '0') {
        extra_set(stream, FIELD_X_FORWARDED_PORT, STR("X-Forwarded-Port"), port);
    } else {
        fields_drop(fields, FIELD_X_FORWARDED_PORT);
    }
    if (!stream->client->trusted) {
        fields_drop(fields, FIELD_FORWARDED); /* RFC 7239: a stranger's word too */
    }
    extra_add(stream, STR("Via"), head->minor == 0 ? STR("1.0 weir") : STR("1.1 weir"));

    return true;
}

size_t stream_request_extras(struct stream *stream, struct h1_extra extras[STREAM_EXTRAS])
{
    memcpy(extras, stream->extras, stream->extra_count * sizeof(*extras));
    return stream->extra_count;
}

void stream_prepare_response(struct stream *stream)
{
    struct http_response_head *head = &stream->exchange.response;
    bool of_server = stream->phase == PHASE_RESPONSE;

    if (of_server) {
        fields_drop_hop_by_hop(&head->fields);
        if (!fields_have(&head->fields, FIELD_DATE)) { /* RFC 9110 section 6.6.1 */
            fields_add(&head->fields, &stream->exchange.arena, STR("Date"),
                       worker_date(stream->worker));
        }
    }
    stream->response_open = true;
    if (of_server && stream->pool->sticky != NULL && head->status != 101) {
        const struct use *use = stream->pool->sticky;
        struct instance *instance = use_on(use, stream->worker->index);
        const struct weir_sticky *ops = use->module->descriptor.sticky;
        if (ops->on_response != NULL) {
            ops->on_response(&instance->context.base, instance->data, &stream->request_handle,
                             &stream->response_handle, stream->served_by, stream->sticky_known);
        }
    }
    stream_filter_response(stream);
    stream->response_open = false;
}
