/* SPDX-License-Identifier: MIT */
/*
 * What the two files of a stream's server half share.
 */
#ifndef PROXY_STREAM_STREAM_UP_H
#define PROXY_STREAM_STREAM_UP_H

#include "proxy/stream/stream.h"

static inline struct pool_local *stream_pool(const struct stream *stream)
{
    return &stream->pool->pool->locals[stream->worker->index];
}

static inline struct loop *stream_loop(const struct stream *stream)
{
    return stream->worker->loop;
}

static inline void stream_set_timer(struct stream *stream, uint64_t delay_ns)
{
    timer_set(stream_loop(stream), &stream->timer, delay_ns);
}

/* The client holds its body back until the server says 100, or answers. */
static inline bool stream_server_owes(const struct stream *stream)
{
    const struct exchange *exchange = &stream->exchange;
    return unlikely(exchange->request.expect_continue) && !exchange->request_whole &&
           !stream->continued && stream->replay.passed == 0;
}

static inline void stream_progress(struct stream *stream)
{
    stream->last_progress_ns = loop_now_ns(stream_loop(stream));
}

/* The status of an answer for that reason. */
unsigned stream_reason_status(enum reason reason);

#endif
