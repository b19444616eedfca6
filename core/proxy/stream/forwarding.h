/* SPDX-License-Identifier: MIT */
/*
 * What Weir believes of proxies in front of it, and what it tells servers behind it: the client's
 * address and scheme, X-Forwarded-*, Forwarded, the request's id.
 *
 * A client's own word counts only where its address is in the listener's trusted_proxies. Then its
 * list of addresses is walked from the right, as long as it names trusted proxies: the first
 * address that is not one of them is the client's, for modules, logs and limits.
 */
#ifndef PROXY_STREAM_FORWARDING_H
#define PROXY_STREAM_FORWARDING_H

#include "proxy/stream/stream.h"

/* Finds out who the client is, and gives the request its id. Once a request, before any module sees
 * it. Not `readable`: its head was refused, and its fields are not looked at. */
void forwarding_begin(struct stream *stream, bool readable);

/* Makes the fields that tell the server, into stream->extras. Once a request. false: no memory. */
bool forwarding_fields(struct stream *stream);

/* The request's id as a field of the response, where the listener wants it. */
void forwarding_response(struct stream *stream);

/* The client's address as modules see it. */
struct weir_peer forwarding_peer(const struct stream *stream);

#endif
