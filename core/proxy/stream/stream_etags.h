/* SPDX-License-Identifier: MIT */
/*
 * Entity tags of a stream's messages where a filter transforms bodies: see proxy/pool/etags.h.
 */
#ifndef PROXY_STREAM_STREAM_ETAGS_H
#define PROXY_STREAM_STREAM_ETAGS_H

#include "proxy/pool/etags.h"

struct stream;

/* Whether a filter may transform the response's body. */
bool stream_may_transform(const struct stream *stream);
/* For the request, after its filters. */
void stream_restore_etags(struct stream *stream);
/* For the server's response, before its filters. */
void stream_note_etag(struct stream *stream);
/* For any response whose body is transformed. */
void stream_weaken_etag(struct stream *stream);
/* For a 304, after the filters: a client that sent the weak form gets it back, or its cache could
 * not tell which stored response is meant (RFC 9111 section 4.3.4). */
void stream_soften_etag(struct stream *stream);

#endif
