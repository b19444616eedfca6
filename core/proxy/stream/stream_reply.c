/* SPDX-License-Identifier: MIT */
/*
 * Weir's own answers: short, in HTML or JSON as Accept asks, or as gRPC has it; without internals.
 */
#include <stdio.h>

#include "http/grpc.h"
#include "proxy/stream/stream_filter.h"

/* Memory for an answer beyond the request's limit, which may be the reason for the answer. */
#define REPLY_MEMORY 4096u

static void stream_note(struct stream *stream, enum reason reason)
{
    if (stream->reason == REASON_NONE) {
        stream->reason = (uint8_t)reason;
    }
}

/* Whether the client prefers JSON: it names a JSON type and not HTML. */
static bool wants_json(const struct stream *stream)
{
    const struct http_fields *fields = &stream->exchange.request.fields;
    const struct http_field *accept = fields_find(fields, FIELD_ACCEPT);
    bool json = false, html = false;

    for (; accept != NULL; accept = fields_next(fields, FIELD_ACCEPT, accept)) {
        json |= memmem(accept->value.ptr, accept->value.len, "json", 4) != NULL;
        html |= memmem(accept->value.ptr, accept->value.len, "text/html", 9) != NULL;
    }
    return json && !html;
}

/* Begins the response: runs hooks, then sends the head. false: a hook failed and 500 was sent. */
static bool reply_head(struct stream *stream)
{
    struct exchange *exchange = &stream->exchange;
    stream->phase = PHASE_LOCAL;
    if (unlikely(!stream_prepare_response(stream))) {
        stream_reply_failed(stream);
        return false;
    }
    exchange->down->ops->head(exchange->down, &exchange->response, false);
    return true;
}

static void reply_fields(struct stream *stream, unsigned status)
{
    struct http_response_head *head = &stream->exchange.response;
    struct arena *arena = &stream->exchange.arena;

    arena_allow(arena, REPLY_MEMORY);
    *head = (struct http_response_head){.status = (uint16_t)status, .version = HTTP_1_1};
    fields_add(&head->fields, arena, STR("Date"), stream_home_date(stream->home));
}

/* A body of known length; HEAD gets the length alone. */
static void reply_body(struct stream *stream, struct weir_str body)
{
    struct exchange *exchange = &stream->exchange;
    struct http_response_head *head = &exchange->response;
    bool none = exchange->request.method == METHOD_HEAD || head->status == 204;

    head->content_length = body.len;
    head->has_content_length = head->status != 204;
    head->body = none ? BODY_NONE : BODY_LENGTH;
    if (!reply_head(stream)) {
        return;
    }
    if (!none || stream->chain != NULL) {
        stream_out_data(stream, body.ptr, body.len);
    }
    stream_out_end(stream);
}

/* "Service Unavailable: connect refused": printable ASCII without "%", so there is nothing in it
 * that grpc-message would encode. */
static struct weir_str grpc_message(struct arena *arena, unsigned status, enum reason reason)
{
    struct weir_str phrase = http_reason_phrase(status);
    struct weir_str word = reason_word(reason);
    struct weir_str text = arena_printf(arena, "%.*s%s%.*s", STR_ARGS(phrase),
                                        phrase.len > 0 && word.len > 0 ? ": " : "", STR_ARGS(word));

    for (size_t i = text.len - (text.ptr != NULL ? word.len : 0); i < text.len; i++) {
        char *at = (char *)(uintptr_t)text.ptr + i;
        *at = *at == '_' ? ' ' : *at;
    }
    return text;
}

/* The same for a gRPC call: a head alone, with 200 and the status of gRPC ("trailers-only"). What a
 * module says of the status itself holds. */
static void reply_grpc(struct stream *stream, unsigned status, enum reason reason)
{
    struct exchange *exchange = &stream->exchange;
    struct http_fields *fields = &exchange->response.fields;
    struct arena *arena = &exchange->arena;
    uint64_t elapsed_ns = loop_now_ns(stream_loop(stream)) - stream->start_ns;

    exchange->response.status = 200;
    fields_set(fields, arena, STR("Content-Type"), grpc_answer_type(&exchange->request));
    if (fields_find_name(fields, STR("grpc-status")) == NULL) {
        fields_add(fields, arena, STR("grpc-status"),
                   grpc_status_for(status, grpc_overdue(&exchange->request, elapsed_ns)));
        fields_add(fields, arena, STR("grpc-message"), grpc_message(arena, status, reason));
    }
    reply_body(stream, (struct weir_str){NULL, 0});
}

/* Completes an error answer whose head has been begun. */
static void reply_page(struct stream *stream, unsigned status, enum reason reason)
{
    struct exchange *exchange = &stream->exchange;
    struct arena *arena = &exchange->arena;
    struct weir_str phrase = http_reason_phrase(status);
    struct weir_str body = {NULL, 0};
    bool json = wants_json(stream);

    stream_note(stream, reason);
    if (unlikely(grpc_asked(&exchange->request))) {
        reply_grpc(stream, status, reason);
        return;
    }
    if (status == 503 && !fields_have(&exchange->response.fields, FIELD_RETRY_AFTER)) {
        fields_add(&exchange->response.fields, arena, STR("Retry-After"), STR("5"));
    }
    if (status != 204) {
        fields_add(&exchange->response.fields, arena, STR("Content-Type"),
                   json ? STR("application/problem+json") : STR("text/html; charset=utf-8"));
        fields_add(&exchange->response.fields, arena, STR("Cache-Control"), STR("no-store"));
        body = json ? arena_printf(arena, "{\"title\":\"%.*s\",\"status\":%u}\n", STR_ARGS(phrase),
                                   status)
                    : arena_printf(arena,
                                   "<!doctype html>\n<html lang=\"en\"><head><title>%u "
                                   "%.*s</title></head>\n<body><h1>%u %.*s</h1></body></html>\n",
                                   status, STR_ARGS(phrase), status, STR_ARGS(phrase));
    }
    reply_body(stream, body);
}

void stream_reply_out(struct stream *stream, const struct use *use)
{
    stream->detail = str_from(use->module->name);
    stream_reply_error(stream, 503, REASON_MODULE_OUT);
}

void stream_reply_error(struct stream *stream, unsigned status, enum reason reason)
{
    reply_fields(stream, status);
    reply_page(stream, status, reason);
}

void stream_reply_failed(struct stream *stream)
{
    chain_close(&stream->chain);
    stream->bare = true;
    stream->reason = REASON_MODULE_FAILED; /* whatever it was before */
    stream_reply_error(stream, 500, REASON_MODULE_FAILED);
}

void stream_redirect(struct stream *stream, unsigned status, struct weir_str location)
{
    struct exchange *exchange = &stream->exchange;

    stream->reason = REASON_REFUSED_BY_RULE;
    reply_fields(stream, status);
    fields_add(&exchange->response.fields, &exchange->arena, STR("Location"), location);
    reply_body(stream, (struct weir_str){NULL, 0});
}

void stream_break(struct stream *stream, unsigned status, enum reason reason)
{
    struct exchange *exchange = &stream->exchange;

    stream_note(stream, reason);
    if (exchange->down == NULL || stream->phase == PHASE_DONE) {
        return;
    }
    if (!exchange->response_begun) {
        stream_reply_error(stream, status, reason);
        return;
    }
    if (stream->chain != NULL) {
        chain_stop(stream->chain);
    }
    stream->phase = PHASE_DONE;
    exchange->down->ops->reset(exchange->down);
}

/* ---- the services by which filters and handlers answer ---- */

/* The head of a module's answer, with its fields. Not WEIR_OK: an answer is not possible here, or
 * not this one. */
static enum weir_status reply_open(struct stream *stream, uint32_t status, uint32_t least,
                                   const struct weir_field *fields, size_t count)
{
    struct exchange *exchange = &stream->exchange;
    struct arena *arena = &exchange->arena;

    if (exchange->down == NULL || exchange->response_begun || status < least || status > 599) {
        return WEIR_INVALID;
    }
    reply_fields(stream, status);
    for (size_t i = 0; i < count; i++) {
        enum field_id id = field_id_of(fields[i].name);
        if (!field_name_valid(fields[i].name) || !field_value_valid(fields[i].value) ||
            id == FIELD_CONTENT_LENGTH || id == FIELD_TRANSFER_ENCODING || id == FIELD_CONNECTION) {
            return WEIR_INVALID;
        }
        struct weir_str name = arena_copy(arena, fields[i].name);
        struct weir_str value = arena_copy(arena, fields[i].value);
        if (!fields_add(&exchange->response.fields, arena, name, value)) {
            return WEIR_NO_MEMORY;
        }
    }
    return WEIR_OK;
}

enum weir_status stream_reply_refusal(struct weir_request *req, uint32_t status,
                                      const struct weir_field *fields, size_t count)
{
    struct stream *stream = stream_of_request(req);
    enum weir_status result = reply_open(stream, status, 400, fields, count);

    if (result == WEIR_OK) {
        reply_page(stream, status, REASON_REFUSED_BY_RULE);
    }
    return result;
}

enum weir_status stream_reply_begin(struct weir_request *req, uint32_t status,
                                    const struct weir_field *fields, size_t count,
                                    int64_t content_length)
{
    struct stream *stream = stream_of_request(req);
    struct http_response_head *head = &stream->exchange.response;
    bool bare = status == 204 || status == 304;
    enum weir_status result = reply_open(stream, status, 200, fields, count);

    if (result != WEIR_OK) {
        return result;
    }
    if (content_length >= 0) {
        head->content_length = (uint64_t)content_length;
        head->has_content_length = !bare;
    }
    head->body = bare || stream->exchange.request.method == METHOD_HEAD ? BODY_NONE
                 : content_length >= 0                                  ? BODY_LENGTH
                                                                        : BODY_CHUNKED;
    return reply_head(stream) ? WEIR_OK : WEIR_NO_MEMORY;
}

/* A module's answer is being sent. */
static bool reply_runs(const struct stream *stream)
{
    const struct exchange *exchange = &stream->exchange;
    return exchange->down != NULL && exchange->response_begun && !exchange->response_whole &&
           stream->phase != PHASE_DONE;
}

size_t stream_reply_write(struct weir_request *req, const void *data, size_t len)
{
    struct stream *stream = stream_of_request(req);
    struct down *down = stream->exchange.down;

    if (!reply_runs(stream)) {
        return 0;
    }
    stream_out_data(stream, data, len);
    return stream->chain != NULL ? chain_waiting(stream->chain)
                                 : down->ops->waiting(down); /* sends: the slice is the caller's */
}

void stream_reply_end(struct weir_request *req)
{
    struct stream *stream = stream_of_request(req);
    struct down *down = stream->exchange.down;
    bool chained = stream->chain != NULL;

    if (reply_runs(stream)) {
        stream_out_end(stream);
        if (!chained) {
            down->ops->waiting(down); /* sends */
        }
    }
}

void stream_reply_abort(struct weir_request *req)
{
    struct stream *stream = stream_of_request(req);

    if (stream->response_open) {
        stream->response_failed = true;
        return;
    }
    stream_break(stream, 500, REASON_MODULE_FAILED);
}
