/* SPDX-License-Identifier: MIT */
/*
 * What Weir accepts from proxies in front of it and sends to servers behind it: the client's
 * address and scheme, X-Forwarded-*, Forwarded, the request id.
 *
 * A client's own fields count only if its address is in the listener's trusted_proxies. Then its
 * list of addresses is walked from the right past trusted proxies: the first other address is the
 * client's, for modules, logs and limits.
 */
#ifndef PROXY_STREAM_FORWARDING_H
#define PROXY_STREAM_FORWARDING_H

#include "proxy/stream/stream.h"

/* Determines the client and the request id. Once per request, before any module sees it. Not
 * `readable`: its head was refused and its fields are ignored. */
void forwarding_begin(struct stream *stream, bool readable);

/* Builds the fields for the server in stream->extras. Once per request. false: out of memory. */
bool forwarding_fields(struct stream *stream);

/* Adds the request id to the response if the listener asks for it. */
void forwarding_response(struct stream *stream);

/* The client's address as modules see it. */
struct weir_peer forwarding_peer(const struct stream *stream);

#endif
