/* SPDX-License-Identifier: MIT */
/*
 * A stream's end: statistics and loggers.
 */
#include "http/grpc.h"
#include "proxy/stream/stream.h"

/* What is counted of a stream that has ended, at each level alike. */
struct tally {
    enum http_version version; /* that the client spoke */
    bool grpc;                 /* it was a call, */
    int32_t grpc_status;       /* with this status as its client gets it; -1: not gRPC, or none */
    uint64_t total_ns;
};

/* A status that gRPC does not have is UNKNOWN (2) to its clients. */
static uint32_t grpc_end(int32_t status)
{
    return status < 0 ? GRPC_ENDS - 1 : status < (int32_t)GRPC_ENDS - 1 ? (uint32_t)status : 2;
}

static void count(struct stream *stream, struct traffic *traffic, const struct tally *tally)
{
    const struct exchange *exchange = &stream->exchange;
    unsigned status = exchange->response_begun ? exchange->response.status / 100 : 0;

    stat_add(&traffic->requests, 1);
    stat_add(&traffic->status[status < 6 ? status : 0], 1);
    stat_add(&traffic->bytes_in, exchange->request_bytes);
    stat_add(&traffic->bytes_out, exchange->response_bytes);
    stat_add(&traffic->protocols[tally->version], 1);
    if (unlikely(tally->grpc)) {
        stat_add(&traffic->grpc[grpc_end(tally->grpc_status)], 1);
    }
    histogram_add(&traffic->total, tally->total_ns);
    if (stream->reason != REASON_NONE) {
        stat_add(&traffic->errors[stream->reason], 1);
    }
}

static int32_t grpc_status_of(const struct stream *stream)
{
    const struct exchange *exchange = &stream->exchange;

    if (!exchange->response_begun) {
        return -1;
    }
    const struct http_field *field =
        fields_find_name(&exchange->response.fields, STR("grpc-status"));
    return field != NULL ? grpc_read_status(field->value) : stream->grpc_status;
}

static struct tally tally_of(const struct stream *stream)
{
    const struct http_request_head *head = &stream->exchange.request;
    enum http_version spoken = stream->downstream->place.c.codec->version;
    bool grpc = grpc_asked(head);

    return (struct tally){
        /* A head that was refused early has no version, but HTTP/2 has no other. */
        .version = spoken == HTTP_2 ? spoken : head->version,
        .grpc = grpc,
        .grpc_status = grpc ? grpc_status_of(stream) : -1,
        .total_ns = loop_now_ns(stream_loop(stream)) - stream->start_ns,
    };
}

void stream_record(struct stream *stream, bool complete)
{
    struct exchange *exchange = &stream->exchange;
    const struct plan *plan = stream->plan;
    unsigned loop = stream_loop(stream)->index;
    const struct tally tally = tally_of(stream);

    if (!complete && stream->outcome == WEIR_OUTCOME_SUCCESS) {
        stream->outcome = WEIR_OUTCOME_CANCELED;
    }
    count(stream, &stream->downstream->local->traffic, &tally);
    if (stream->route != NULL) {
        count(stream, &stream->route->route->traffic[loop], &tally);
    }
    if (stream->pool != NULL) {
        struct traffic *traffic = &stream->pool->pool->locals[loop].traffic;
        count(stream, traffic, &tally);
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
        .total_ns = tally.total_ns,
        .queue_ns = stream->attempt.queue_total_ns,
        .connect_ns = stream->attempt.connect_total_ns,
        .first_byte_ns = stream->attempt.first_byte_ns,
        .retries = stream->attempt.retries,
        .outcome = (enum weir_outcome)stream->outcome,
        .reason = reason_word(stream->reason),
        .detail = stream->detail,
        .grpc_status = tally.grpc_status,
    };
    for (size_t i = 0; i < plan->loggers.count; i++) {
        const struct use *use = plan->loggers.items[i];
        struct instance *instance = use_on(use, loop);
        struct call *call = call_begin(&instance->context, HOOK_LOG);
        use->module->descriptor.logger->log(
            &instance->context.base, instance->data, &stream->request_handle,
            exchange->response_begun ? &stream->response_handle : NULL, &record);
        call_end(call);
    }
}
