/* SPDX-License-Identifier: MIT */
/*
 * Filter: sees each request before routing and each response before it goes out; may change fields, or
 * answer itself. Named in a listener (all its requests) or a pool (requests routed there).
 */
#ifndef WEIR_FILTER_H
#define WEIR_FILTER_H

#include <weir/http.h>
#include <weir/option.h>

WEIR_BEGIN_DECLS

struct weir_filter {
    uint32_t size;

    /** Makes the instance of one worker and block. Optional: the instance is then `prepared`. */
    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);
    void (*destroy)(struct weir_context *ctx, void *instance);

    /** The head of a request has come. WEIR_OK: go on; WEIR_DONE: answered by weir_reply... within
     * this call. Anything else is answered with 500. A listener's filters run before routing, a pool's
     * after. Optional. */
    enum weir_status (*on_request)(struct weir_context *ctx, void *instance,
                                   struct weir_request *req);

    /** The head of a response is about to go out: a server's, or Weir's own. In the reverse order of
     * on_request; not for 1xx. Optional. */
    void (*on_response)(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp);
};

WEIR_END_DECLS

#endif
