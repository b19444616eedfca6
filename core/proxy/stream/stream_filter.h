/* SPDX-License-Identifier: MIT */
/*
 * Filters on a stream: hooks on heads, and the way of a response's body, through a chain where
 * filters transform it. A response that nobody transforms has no chain, and pays a test for NULL.
 */
#ifndef PROXY_STREAM_STREAM_FILTER_H
#define PROXY_STREAM_STREAM_FILTER_H

#include "proxy/stream/chain.h"
#include "proxy/stream/stream.h"

/* A filter's on_request hooks, in order. false: answered. */
bool stream_run_filters(struct stream *stream, const struct use_list *filters);
/* Hop-by-hop fields go; then the hooks of sticky and filters (of the pool, the route, the listener,
 * each list from its end), and the head is made to fit what transforms the body. false: one has
 * failed, and the response must not go out: stream_reply_failed. */
bool stream_prepare_response(struct stream *stream);
/* What http.h says of weir_response_transform. */
enum weir_status stream_transform(struct weir_response *resp, void *state);

/* The response's body, to the chain or the client. */
void stream_out_data(struct stream *stream, const char *data, size_t len);
/* The response is whole: in a tunnel, the server has ended its side. */
void stream_out_end(struct stream *stream);

#endif
