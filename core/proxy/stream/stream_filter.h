/* SPDX-License-Identifier: MIT */
/*
 * Filters on a stream: hooks on heads, and the path of a response's body, through a chain if
 * filters transform it. Without a chain this costs a test for NULL.
 */
#ifndef PROXY_STREAM_STREAM_FILTER_H
#define PROXY_STREAM_STREAM_FILTER_H

#include "proxy/stream/chain.h"
#include "proxy/stream/stream.h"

/* A filter's on_request hooks, in order. false: answered. */
bool stream_run_filters(struct stream *stream, const struct use_list *filters);
/* Removes hop-by-hop fields, runs the hooks of sticky and filters (of pool, route, listener, each
 * list from its end), and adapts the head to filters that transform the body. false: a hook failed
 * and the response must not go out: stream_reply_failed. */
bool stream_prepare_response(struct stream *stream);
/* Implements weir_response_transform of http.h. */
enum weir_status stream_transform(struct weir_response *resp, void *state);

/* Passes the response's body to the chain or the client. */
void stream_out_data(struct stream *stream, const char *data, size_t len);
/* The response is complete; in a tunnel, the server has ended its side. */
void stream_out_end(struct stream *stream);

#endif
