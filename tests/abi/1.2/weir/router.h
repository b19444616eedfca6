/* SPDX-License-Identifier: MIT */
/*
 * Router: a rule table that gives each request a pool, or answers by a redirect.
 */
#ifndef WEIR_ROUTER_H
#define WEIR_ROUTER_H

#include <weir/http.h>
#include <weir/option.h>

WEIR_BEGIN_DECLS

/** Where a request goes. Zeroed (refs WEIR_NO_REF) by the host, filled by the router. */
struct weir_route_result {
    uint32_t size;
    weir_pool_ref pool;       /**< from weir_check_pool; WEIR_NO_REF with a redirect */
    weir_route_ref route;     /**< from weir_check_route; WEIR_NO_REF: not counted by route */
    uint32_t status;          /**< 0: to the pool; 301, 302, 303, 307, 308: redirect to `location`;
                               any other from 400 on: answer with it */
    struct weir_str location; /**< from the request's pool or the configuration */
};

/** Routers are asked in the order of their module blocks; the first that does not decline decides.
 * Enabled by the module block alone. */
struct weir_router {
    uint32_t size;

    /** Makes the instance of one worker; `conf` and `prepared` are the module block's. Optional: the
     * instance is then `prepared` itself. */
    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);
    void (*destroy)(struct weir_context *ctx, void *instance);

    /** Runs once a request, after the filters. WEIR_OK: `*out` says where it goes; WEIR_DECLINED: no
     * rule of mine. Anything else is answered with 500. Mandatory. */
    enum weir_status (*route)(struct weir_context *ctx, void *instance, struct weir_request *req,
                              struct weir_route_result *out);
};

WEIR_END_DECLS

#endif
