/* SPDX-License-Identifier: MIT */
/*
 * Entity tags of a stream's request and response, where a filter transforms bodies: see
 * proxy/pool/etags.h.
 */
#ifndef PROXY_STREAM_STREAM_ETAGS_H
#define PROXY_STREAM_STREAM_ETAGS_H

#include "proxy/pool/etags.h"

struct stream;

/* Whether a filter may transform the response's body. */
bool stream_may_transform(const struct stream *stream);
/* Of the request, after the filters that see it. */
void stream_restore_etags(struct stream *stream);
/* Of the server's response, before the filters that see it. */
void stream_note_etag(struct stream *stream);
/* Of any response whose body is transformed. */
void stream_weaken_etag(struct stream *stream);
/* Of a 304, after the filters: to a client that asked by the weak form it tells that one, or the
 * client's cache would not know which of its responses is meant (RFC 9111 section 4.3.4). */
void stream_soften_etag(struct stream *stream);

#endif
