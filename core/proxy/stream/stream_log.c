/* SPDX-License-Identifier: MIT */
/*
 * A stream's end: statistics and loggers.
 */
#include "http/grpc.h"
#include "proxy/stream/stream.h"

static void count(struct stream *stream, struct traffic *traffic, uint64_t total_ns)
{
    const struct exchange *exchange = &stream->exchange;
    unsigned status = exchange->response_begun ? exchange->response.status / 100 : 0;

    stat_add(&traffic->requests, 1);
    stat_add(&traffic->status[status < 6 ? status : 0], 1);
    stat_add(&traffic->bytes_in, exchange->request_bytes);
    stat_add(&traffic->bytes_out, exchange->response_bytes);
    histogram_add(&traffic->total, total_ns);
    if (stream->reason != REASON_NONE) {
        stat_add(&traffic->errors[stream->reason], 1);
    }
}

/* As its client gets it; -1: not gRPC, or none. */
static int32_t grpc_status_of(const struct stream *stream)
{
    const struct exchange *exchange = &stream->exchange;

    if (likely(!grpc_asked(&exchange->request)) || !exchange->response_begun) {
        return -1;
    }
    const struct http_field *field =
        fields_find_name(&exchange->response.fields, STR("grpc-status"));
    return field != NULL ? grpc_read_status(field->value) : stream->grpc_status;
}

void stream_record(struct stream *stream, bool complete)
{
    struct exchange *exchange = &stream->exchange;
    const struct plan *plan = stream->plan;
    unsigned loop = stream_loop(stream)->index;
    uint64_t total_ns = loop_now_ns(stream_loop(stream)) - stream->start_ns;

    if (!complete && stream->outcome == WEIR_OUTCOME_SUCCESS) {
        stream->outcome = WEIR_OUTCOME_CANCELED;
    }
    count(stream, &stream->downstream->local->traffic, total_ns);
    if (stream->route != NULL) {
        count(stream, &stream->route->route->traffic[loop], total_ns);
    }
    if (stream->pool != NULL) {
        struct traffic *traffic = &stream->pool->pool->locals[loop].traffic;
        count(stream, traffic, total_ns);
        if (stream->attempt.first_byte_ns > 0) {
            histogram_add(&traffic->first_byte, stream->attempt.first_byte_ns);
        }
        if (stream->attempt.connect_total_ns > 0) {
            histogram_add(&traffic->connect, stream->attempt.connect_total_ns);
        }
    }
    if (stream->attempt.served != NULL) { /* the rest is counted by attempt */
        stat_add(&stream->attempt.served->traffic.bytes_in, exchange->request_bytes);
        stat_add(&stream->attempt.served->traffic.bytes_out, exchange->response_bytes);
    }
    if (plan->loggers.count == 0) {
        return;
    }
    struct weir_record record = {
        .size = sizeof(record),
        .status = exchange->response_begun ? exchange->response.status : 0,
        .request_bytes = exchange->request_bytes,
        .response_bytes = exchange->response_bytes,
        .body_bytes = exchange->response_body_bytes,
        .start_wall_ms = stream->start_wall_ms,
        .total_ns = total_ns,
        .queue_ns = stream->attempt.queue_total_ns,
        .connect_ns = stream->attempt.connect_total_ns,
        .first_byte_ns = stream->attempt.first_byte_ns,
        .retries = stream->attempt.retries,
        .outcome = (enum weir_outcome)stream->outcome,
        .reason = reason_word(stream->reason),
        .detail = stream->detail,
        .grpc_status = grpc_status_of(stream),
    };
    for (size_t i = 0; i < plan->loggers.count; i++) {
        const struct use *use = plan->loggers.items[i];
        struct instance *instance = use_on(use, loop);
        use->module->descriptor.logger->log(
            &instance->context.base, instance->data, &stream->request_handle,
            exchange->response_begun ? &stream->response_handle : NULL, &record);
    }
}
