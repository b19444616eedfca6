/* SPDX-License-Identifier: MIT */
/*
 * Filter: sees each request and each response before it goes on; may change fields, answer itself,
 * or transform the response's body. Named in a listener (all its requests, before routing), in a
 * route (the requests that it takes) or in a pool (requests routed there).
 */
#ifndef WEIR_FILTER_H
#define WEIR_FILTER_H

#include <weir/http.h>
#include <weir/option.h>

WEIR_BEGIN_DECLS

/** What a filter would do to a request; the host sets the size and zeroes the rest. */
struct weir_filter_verdict {
    uint32_t size;
    uint32_t status; /**< it would answer with that; 0: the request goes on */
    /** Where a redirect would lead; empty: it is none. Static, or in the request's pool. */
    struct weir_str location;
    char why[160]; /**< in words, ended by NUL; empty: it does nothing to this request */
};

struct weir_filter {
    uint32_t size;

    /** Makes the instance of one worker and block. Optional: the instance is then `prepared`. */
    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);
    void (*destroy)(struct weir_context *ctx, void *instance);

    /** The head of a request has come. WEIR_OK: go on; WEIR_DONE: answered by weir_reply...
     * within this call. Anything else is answered with 500. A listener's filters run before
     * routing, then the route's, then the pool's. Optional. */
    enum weir_status (*on_request)(struct weir_context *ctx, void *instance,
                                   struct weir_request *req);

    /** The head of a response is about to go out: a server's, or Weir's own. In the reverse order
     * of on_request; not for 1xx. Optional. */
    void (*on_response)(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp);

    /* ---- since 1.1: bodies ---- */

    /**
     * A piece of the body of a response that on_response chose to transform, valid for the call;
     * output goes on by weir_transform_write. `state` is what weir_response_transform was given.
     *
     * WEIR_OK: all of it was taken. WEIR_DECLINED: the output waits (see weir_transform_write), and
     * of the `len` bytes `*used` (`len` beforehand) were taken; the host keeps the rest, reads no
     * more from the server, and gives it again, with the same flow, when the client has read. A
     * filter whose output is not much longer than its input need not do this. Anything else aborts
     * the response. Mandatory for filters that transform.
     */
    enum weir_status (*on_response_data)(struct weir_context *ctx, void *instance, void *state,
                                         struct weir_transform *transform, const void *data,
                                         size_t len, enum weir_flow flow, size_t *used);

    /** The response has ended, complete or aborted, and `state` is no longer used. Exactly one for
     * each weir_response_transform that returned WEIR_OK. Optional. */
    void (*on_response_close)(struct weir_context *ctx, void *instance, void *state);

    /* ---- since 1.4: dry runs ---- */

    /**
     * Tells what on_request would do, on the control thread's instance. `req` is a dry run's: what
     * on_request would change of it (fields, path) is changed here as well, so that those behind
     * see it; nothing is answered, counted or kept. Anything but WEIR_OK: it would fail. Optional:
     * without it the operator is told that this filter was not asked.
     */
    enum weir_status (*explain)(struct weir_context *ctx, void *instance, struct weir_request *req,
                                struct weir_filter_verdict *verdict);
};

WEIR_END_DECLS

#endif
