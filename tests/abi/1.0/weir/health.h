/* SPDX-License-Identifier: MIT */
/*
 * Health: an active probe. The host owns sockets, TLS, timers, jitter, rise and fall; the module gives
 * the request's bytes and judges the response. Runs on the control thread.
 *
 * The host adds its own options to each `health` block: interval, fast_interval, timeout, rise, fall,
 * address (probe another address than the server's), tls.
 */
#ifndef WEIR_HEALTH_H
#define WEIR_HEALTH_H

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
};

enum weir_verdict {
    WEIR_VERDICT_MORE = 0, /**< cannot tell yet, read on */
    WEIR_VERDICT_UP = 1,
    WEIR_VERDICT_DOWN = 2,
};

struct weir_health {
    uint32_t size;

    /** Makes the instance of one pool, on the control thread. Optional: the instance is then
     * `prepared`. */
    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);
    void (*destroy)(struct weir_context *ctx, void *instance);

    /** The bytes to send once the connection stands, written into `out`; says how many. 0: nothing to
     * send, a connection that stands is enough to be up unless `judge` wants more. Above `capacity`:
     * the probe fails. Mandatory. */
    size_t (*request)(struct weir_context *ctx, void *instance,
                      const struct weir_probe_target *target, char *out, size_t capacity);

    /** All that has come so far (at most 16 KiB; then `eof` is true as well); `eof`: the server ended
     * its side. Writes why into `reason` (NUL-ended) with UP or DOWN. MORE with `eof` counts as down.
     * Optional: a connection that stands is up. */
    enum weir_verdict (*judge)(struct weir_context *ctx, void *instance,
                               const struct weir_probe_target *target, const char *data, size_t len,
                               bool eof, char *reason, size_t reason_size);
};

WEIR_END_DECLS

#endif
