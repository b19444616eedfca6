/* SPDX-License-Identifier: MIT */
/*
 * Logger: gets a record of each finished request. Enabled by its module block.
 */
#ifndef WEIR_LOGGER_H
#define WEIR_LOGGER_H

#include <weir/balancer.h>
#include <weir/http.h>
#include <weir/option.h>

WEIR_BEGIN_DECLS

/** One finished request. Times in nanoseconds; 0: never reached. */
struct weir_record {
    uint32_t size;
    uint32_t status;         /**< sent to the client; 0: it left before any */
    uint64_t request_bytes;  /**< received from the client, heads and framing included */
    uint64_t response_bytes; /**< sent to the client, likewise */
    uint64_t body_bytes;     /**< of the response's body alone */
    uint64_t start_wall_ms;  /**< when the request began, since 1970 */
    uint64_t total_ns;       /**< from the request's first byte to the response's last */
    uint64_t queue_ns;       /**< waiting for a server */
    uint64_t connect_ns;     /**< for a new upstream connection; 0: an idle one served */
    uint64_t first_byte_ns;  /**< from assignment to the response's first byte */
    uint32_t retries;
    enum weir_outcome outcome;
    /** Why Weir answered itself or aborted: a constant such as `no_route`, `connect_refused`,
     * `response_timeout`, `client_gone`; empty: the server's own answer was sent completely. */
    struct weir_str reason;
    /** The detail if a message was refused: a constant such as `bad_host` or `chunks_too_small`;
     * else empty. */
    struct weir_str detail;
    /** The status of a gRPC call, as its client gets it; -1: not gRPC, or none came. Since 1.4. */
    int32_t grpc_status;
    uint32_t reserved;
};

struct weir_logger {
    uint32_t size;

    /** Makes the instance of one worker. Optional: the instance is then `prepared`. */
    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);
    void (*destroy)(struct weir_context *ctx, void *instance);

    /** A request has ended. `resp` is NULL where no response began. Never blocks. Mandatory. */
    void (*log)(struct weir_context *ctx, void *instance, struct weir_request *req,
                struct weir_response *resp, const struct weir_record *record);
};

WEIR_END_DECLS

#endif
