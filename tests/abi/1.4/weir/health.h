/* SPDX-License-Identifier: MIT */
/*
 * Health: an active probe, or a listener to the outcomes of clients' requests, or both. Runs on the
 * control thread.
 *
 * Probing (`request`, `judge`): the host owns sockets, TLS, timers, jitter, rise and fall; the
 * module gives the request's bytes and judges the response. Listening (`on_outcomes`): the host
 * gathers the outcomes of all workers; the module asks for a server to be ejected
 * (weir_health_eject), and the host says how many of a pool may be.
 *
 * A pool may have several `health` blocks of different modules; at most one of them probes. The
 * host adds its own options to each: for probing interval, fast_interval, timeout, rise, fall,
 * address (probe another address than the server's); for listening max_ejected.
 */
#ifndef WEIR_HEALTH_H
#define WEIR_HEALTH_H

#include <weir/balancer.h>
#include <weir/http.h>
#include <weir/option.h>

WEIR_BEGIN_DECLS

/** The server to probe. */
struct weir_probe_target {
    uint32_t size;
    uint32_t tls; /**< 1: the host speaks TLS to it */
    weir_server_id id;
    struct weir_str name;      /**< its id in the configuration */
    struct weir_str authority; /**< host:port as its URL says, fit for a Host field */
    /** What is spoken on the connection: 1 (bytes go out as they are) or 2 (HTTP/2, see `request`
     * below). Since 1.4. */
    uint32_t http;
    uint32_t reserved;
};

enum weir_verdict {
    WEIR_VERDICT_MORE = 0, /**< cannot tell yet, read on */
    WEIR_VERDICT_UP = 1,
    WEIR_VERDICT_DOWN = 2,
};

/** A run of consecutive requests with the same outcome. */
struct weir_outcome_run {
    uint32_t outcome; /**< enum weir_outcome */
    uint32_t count;   /**< at least 1 */
};

/** Outcomes of requests to one server. Valid for the callback. */
struct weir_outcomes {
    uint32_t size;
    uint32_t worker; /**< whose requests they were */
    weir_server_id id;
    struct weir_str name; /**< its id in the configuration */
    uint32_t run_count;   /**< at least 1 */
    uint32_t reserved;
    const struct weir_outcome_run *runs; /**< the oldest first */
};

struct weir_health {
    uint32_t size;

    /** Makes the instance of one pool, on the control thread. Optional: the instance is then
     * `prepared`. */
    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);
    void (*destroy)(struct weir_context *ctx, void *instance);

    /** The bytes to send once the connection stands, written into `out`; says how many. 0:
     * nothing to send, a connection that stands is enough to be up unless `judge` wants more.
     * Above `capacity`: the probe fails. Mandatory, unless there is on_outcomes: then the module
     * may only listen.
     *
     * Where the target's `http` is 2, the bytes are a request of HTTP/1.1 (content, if any, with
     * Content-Length), which the host sends as HTTP/2 has it; `judge` gets the answer as a
     * response of HTTP/1.1, without interim ones, trailers behind the last chunk, and `eof` with
     * its end. */
    size_t (*request)(struct weir_context *ctx, void *instance,
                      const struct weir_probe_target *target, char *out, size_t capacity);

    /** All that has come so far (at most 16 KiB; then `eof` is true as well); `eof`: the server
     * ended its side. Writes why into `reason` (NUL-ended) with UP or DOWN. MORE with `eof`
     * counts as down. Optional: a connection that stands is up. */
    enum weir_verdict (*judge)(struct weir_context *ctx, void *instance,
                               const struct weir_probe_target *target, const char *data, size_t len,
                               bool eof, char *reason, size_t reason_size);

    /** Outcomes of requests to one server on one worker since its last report; workers report one
     * after the other. A failure is reported within about 20 ms, successes within 100 ms. Requests
     * that say nothing about the server (WEIR_OUTCOME_CANCELED) are left out. Optional. Since
     * 1.2. */
    void (*on_outcomes)(struct weir_context *ctx, void *instance,
                        const struct weir_outcomes *outcomes);
};

/** Takes a server of the instance's pool out for `duration_ns` from now; `reason` says why ("5
 * failures in a row"), and is copied. On a server that is out already it sets the time anew; 0
 * lets it come back now. WEIR_DECLINED: too many of the pool would be out (max_ejected); it
 * stays. WEIR_INVALID: the pool has no such server (any more), or this is no instance that
 * listens. Since 1.2. */
static inline enum weir_status weir_health_eject(struct weir_context *ctx, weir_server_id server,
                                                 uint64_t duration_ns, const char *reason)
{
    return ctx->host->health_eject(ctx, server, duration_ns, reason);
}

WEIR_END_DECLS

#endif
