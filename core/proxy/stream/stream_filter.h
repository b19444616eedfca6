/* SPDX-License-Identifier: MIT */
/*
 * Filters that transform response bodies: a chain of stages between the server's half of a stream (or
 * Weir's own answer) and the client's codec. A response that nobody transforms has no chain, and pays a
 * test for NULL.
 *
 * Flow: a stage takes each piece at once, or says that its output waits; then what it left is kept here
 * and the server is read no further, so a chain holds at most one read of input a stage, what a stage
 * makes of one piece, and one block of output. Owner: the stream; thread: its worker's.
 */
#ifndef PROXY_STREAM_STREAM_FILTER_H
#define PROXY_STREAM_STREAM_FILTER_H

#include "proxy/stream/stream.h"

/* A filter's on_request hooks, in order. false: answered. */
bool stream_run_filters(struct stream *stream, const struct use_list *filters);
/* on_response hooks: of the pool, the route, the listener, each list from its end; then the head is made
 * to fit what transforms the body. */
void stream_filter_response(struct stream *stream);

/* ---- the body of a response that is transformed: stream->chain is not NULL ---- */

void chain_data(struct stream *stream, const char *data, size_t len);
void chain_trailer(struct stream *stream, struct weir_str name, struct weir_str value);
/* No more will come. The client's codec hears of the end once all of it has gone through. */
void chain_end(struct stream *stream);
/* What waited for the client has gone: goes on with what was kept. true: nothing is kept any more. */
bool chain_drained(struct stream *stream);
/* Whether a stage has input that it could not take. */
bool chain_blocked(const struct stream *stream);
/* Bytes that wait in it and at the client. */
size_t chain_waiting(const struct stream *stream);
/* The response is broken off: nothing more goes out. The chain stays until chain_close. */
void chain_stop(struct stream *stream);
/* Tells the filters and frees the chain; stream->chain may be NULL. */
void chain_close(struct stream *stream);

/* The body half of the host's table, and response_content_length. */
void sdk_transform_fill(struct weir_host *host);

#endif
