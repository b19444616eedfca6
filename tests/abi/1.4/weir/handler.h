/* SPDX-License-Identifier: MIT */
/*
 * Handler: answers requests itself, on a listener that names it; its body may stream for as long as
 * it likes (server-sent events). It lives on the control thread: all listeners with a handler do. A
 * listener may have several, each for a path and what is below it (the host's option `path` of a
 * handler block).
 */
#ifndef WEIR_HANDLER_H
#define WEIR_HANDLER_H

#include <weir/http.h>
#include <weir/option.h>

WEIR_BEGIN_DECLS

struct weir_handler {
    uint32_t size;

    /** Makes the instance of one listener. Optional: the instance is then `prepared`. */
    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);
    void (*destroy)(struct weir_context *ctx, void *instance);

    /** The head of a request has come, after the filters. The answer may begin now or later.
     * Anything but WEIR_OK is answered with 500. Mandatory. */
    enum weir_status (*on_request)(struct weir_context *ctx, void *instance,
                                   struct weir_request *req);

    /** Bytes of the request's body; `end`: these were the last (len may then be 0; also called once
     * for a request without body). NULL: the body is read and dropped. */
    void (*on_data)(struct weir_context *ctx, void *instance, struct weir_request *req,
                    const void *data, size_t len, bool end);

    /** The pending output was sent; continue writing. Optional. */
    void (*on_writable)(struct weir_context *ctx, void *instance, struct weir_request *req);

    /** The request has ended: answered, or (`aborted`) the client left. The last call about it.
     * Exactly one for each on_request that returned WEIR_OK. Optional. */
    void (*on_end)(struct weir_context *ctx, void *instance, struct weir_request *req,
                   bool aborted);

    /** This instance gets no more requests but those of clients that have come already: its
     * generation was replaced, or the program stops. Answers that would last for ever (events)
     * are to be ended now, and later ones at once, so that their clients come back to its
     * successor; all others go on. May be called twice. Optional. Since ABI 1.1. */
    void (*on_drain)(struct weir_context *ctx, void *instance);
};

WEIR_END_DECLS

#endif
