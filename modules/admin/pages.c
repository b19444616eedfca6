/* SPDX-License-Identifier: MIT */
/*
 * Serving what assets.c has read. See pages.h.
 */
#include "pages.h"

#include "reply.h"

void pages_serve(struct weir_request *req, const struct asset *asset)
{
    struct reply reply;
    struct weir_str method = weir_request_method(req), field = {NULL, 0};

    if (!weir_str_is(method, "GET") && !weir_str_is(method, "HEAD")) {
        reply_method(req, "GET, HEAD");
        return;
    }
    bool gzip = asset->gzip != NULL && weir_request_header_list(req, "Accept-Encoding", &field) &&
                text_accepts_gzip(field);
    struct weir_str etag = weir_str_of(gzip ? asset->gzip_etag : asset->etag);
    reply_begin(&reply, req);
    reply_add(&reply, "ETag", etag);
    /* Names do not change with versions, so browsers revalidate each time and mostly get 304. */
    reply_add(&reply, "Cache-Control", weir_str_of(asset->page ? "private, no-cache" : "no-cache"));
    if (asset->gzip != NULL) {
        reply_add(&reply, "Vary", weir_str_of("Accept-Encoding"));
    }
    if (weir_request_header_list(req, "If-None-Match", &field) && text_matches_etag(field, etag)) {
        reply_send(&reply, 304, (struct weir_str){NULL, 0});
        return;
    }
    reply_add(&reply, "Content-Type", weir_str_of(asset->type));
    if (gzip) {
        reply_add(&reply, "Content-Encoding", weir_str_of("gzip"));
    }
    reply_send(&reply, 200,
               gzip ? (struct weir_str){asset->gzip, asset->gzip_len}
                    : (struct weir_str){asset->bytes, asset->len});
}
