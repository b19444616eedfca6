/* SPDX-License-Identifier: MIT */
/*
 * What the two files of a stream's server half share.
 */
#ifndef PROXY_STREAM_UP_H
#define PROXY_STREAM_UP_H

#include "proxy/stream.h"

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

static inline void stream_progress(struct stream *stream)
{
    stream->last_progress_ns = loop_now_ns(stream_loop(stream));
}

/* The status of an answer for that reason. */
unsigned stream_reason_status(enum reason reason);

/* The connection that is being made for the stream is made for nobody. */
void stream_give_up_connecting(struct stream *stream);

#endif
