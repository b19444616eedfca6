/* SPDX-License-Identifier: MIT */
/*
 * Sticky: keeps a user on a server. Runs before the balancer; the host decides whether the named
 * server can take the request (a draining one can until its deadline).
 */
#ifndef WEIR_STICKY_H
#define WEIR_STICKY_H

#include <weir/http.h>
#include <weir/option.h>

WEIR_BEGIN_DECLS

struct weir_sticky {
    uint32_t size;

    /** Makes the instance of one worker and pool. Optional: the instance is then `prepared`. */
    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);
    void (*destroy)(struct weir_context *ctx, void *instance);

    /** The server that the request's user belongs to, or WEIR_NO_SERVER. Mandatory. */
    weir_server_id (*lookup)(struct weir_context *ctx, void *instance, struct weir_request *req);

    /** The response of `server` passes: the place to add Set-Cookie. `known`: lookup named this
     * server. Optional. */
    void (*on_response)(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp, weir_server_id server, bool known);
};

WEIR_END_DECLS

#endif
