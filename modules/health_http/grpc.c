/* SPDX-License-Identifier: MIT */
/* See grpc.h. */
#include "grpc.h"

#include <weir/stats.h>

#include <stdio.h>

#define PREFIX_SIZE 5 /* of a message: whether it is compressed, and its length */

/* Wire types of protocol buffers. */
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

const struct weir_str grpc_method = WEIR_STR_INIT("POST");
const struct weir_str grpc_path = WEIR_STR_INIT("/grpc.health.v1.Health/Check");

size_t grpc_request(struct weir_str service, char out[GRPC_REQUEST_MAX])
{
    size_t len = PREFIX_SIZE;

    if (service.len > GRPC_SERVICE_MAX) { /* a mistake that was told */
        service.len = 0;
    }
    if (service.len > 0) { /* HealthCheckRequest: string service = 1 */
        out[len++] = 1 << 3 | WIRE_LEN;
        if (service.len > 0x7f) {
            out[len++] = (char)(0x80 | (service.len & 0x7f));
            out[len++] = (char)(service.len >> 7);
        } else {
            out[len++] = (char)service.len;
        }
        memcpy(out + len, service.ptr, service.len);
        len += service.len;
    }
    memset(out, 0, PREFIX_SIZE);
    out[3] = (char)((len - PREFIX_SIZE) >> 8);
    out[4] = (char)(len - PREFIX_SIZE);
    return len;
}

/* false: cut short. */
static bool take_varint(struct weir_str *rest, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && rest->len > 0; shift += 7) {
        unsigned char byte = (unsigned char)*rest->ptr++;
        rest->len--;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return true;
        }
    }
    return false;
}

/* HealthCheckResponse: ServingStatus status = 1. false: this is none. */
static bool read_message(struct weir_str rest, uint64_t *status)
{
    *status = 0;
    while (rest.len > 0) {
        uint64_t tag;
        uint64_t value = 0;
        if (!take_varint(&rest, &tag)) {
            return false;
        }
        switch (tag & 7) {
        case WIRE_VARINT:
            if (!take_varint(&rest, &value)) {
                return false;
            }
            *status = tag >> 3 == 1 ? value : *status;
            value = 0;
            break;
        case WIRE_64: value = 8; break;
        case WIRE_32: value = 4; break;
        case WIRE_LEN:
            if (!take_varint(&rest, &value)) {
                return false;
            }
            break;
        default: return false;
        }
        if (value > rest.len) {
            return false;
        }
        rest.ptr += value;
        rest.len -= (size_t)value;
    }
    return true;
}

static enum weir_verdict judge_message(const struct response *response, char *reason,
                                       size_t reason_size)
{
    static const char *const words[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    const unsigned char *body = (const unsigned char *)response->body;
    size_t len = response->body_len;
    uint64_t status = 0;

    bool good =
        len >= PREFIX_SIZE && body[0] == 0 && body[1] == 0 && body[2] == 0 &&
        ((size_t)body[3] << 8 | body[4]) == len - PREFIX_SIZE &&
        read_message((struct weir_str){response->body + PREFIX_SIZE, len - PREFIX_SIZE}, &status);
    if (!good) {
        snprintf(reason, reason_size, "probe: the gRPC answer is no HealthCheckResponse");
        return WEIR_VERDICT_DOWN;
    }
    snprintf(reason, reason_size, "probe: %s",
             status < sizeof(words) / sizeof(words[0]) ? words[status] : "an unknown status");
    return status == 1 ? WEIR_VERDICT_UP : WEIR_VERDICT_DOWN;
}

enum weir_verdict grpc_judge(const struct response *response, bool eof, char *reason,
                             size_t reason_size)
{
    struct weir_str message = response->grpc_message;

    if (response->status != 200) {
        snprintf(reason, reason_size, "probe: status %u, gRPC has 200", response->status);
        return WEIR_VERDICT_DOWN;
    }
    /* Trailers end it, unless the head has said all. */
    if (!eof && !response->trailers && response->grpc_status < 0) {
        return WEIR_VERDICT_MORE;
    }
    if (response->grpc_status < 0) {
        snprintf(reason, reason_size, "probe: the answer has no grpc-status");
        return WEIR_VERDICT_DOWN;
    }
    if (response->grpc_status > 0) {
        bool known = response->grpc_status < WEIR_GRPC_ENDS - 1;
        snprintf(reason, reason_size, "probe: gRPC status %d %s%s%.*s", response->grpc_status,
                 known ? weir_grpc_name((uint32_t)response->grpc_status).ptr : "unknown",
                 message.len > 0 ? ": " : "", (int)(message.len < 64 ? message.len : 64),
                 message.ptr);
        return WEIR_VERDICT_DOWN;
    }
    return judge_message(response, reason, reason_size);
}
