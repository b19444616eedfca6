/* SPDX-License-Identifier: MIT */
/*
 * What both sides of HTTP/2 have in common: streams with what they send. It calls nobody back. See
 * h2.h.
 */
#include <arpa/inet.h>

#include "http/h2_parts.h"
#include "net/conn_pool.h"

/* ---- output ---- */

/* The payload of a frame that every peer takes. */
#define PART_MOST 16384u

static size_t queued(const struct h2_stream *stream)
{
    return stream->queue != NULL ? stream->queue->tail - stream->queue->head : 0;
}

/* What is in the batch has been taken by the socket or copied. */
static void send_gathered(struct h2 *h2)
{
    struct h2_home *home = h2->home;

    if (h2->batch->conn == h2->conn) {
        batch_flush(h2->batch);
    }
    home->gathered = 0;
    while (home->spent_count > 0) {
        buffer_release(conn_pool_of(h2->conn->loop), &home->spent[--home->spent_count]);
    }
}

/* No more DATA now: the socket is slow. */
static bool socket_full(const struct h2 *h2)
{
    return conn_waiting(h2->conn) + h2->home->gathered >= H2_WAITING_MOST;
}

/* How much DATA a stream has for a frame of at most `room` bytes. nghttp2 asks when its windows
 * allow it. */
static ssize_t source_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t room,
                           uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct h2_stream *stream = source->ptr;
    struct h2 *h2 = user;
    size_t have = queued(stream) + stream->slice_len;

    (void)out;
    bool full = socket_full(h2);
    if (full || (have == 0 && !stream->ending)) {
        h2->held = h2->held || full;
        stream->rests = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags = NGHTTP2_DATA_FLAG_NO_COPY;
    if (have <= room && stream->ending) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        struct h2_block *block =
            stream->trailers.count > 0 ? h2_trailer_block(stream->arena, &stream->trailers) : NULL;
        if (block != NULL && nghttp2_submit_trailer(session, id, NULL, 0) == 0) {
            h2_stream_block(stream, block);
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        }
    }
    return (ssize_t)(have < room ? have : room);
}

const nghttp2_data_source_read_callback h2_source = source_read;

static void gather(struct h2 *h2, const void *data, size_t len)
{
    char *out = batch_reserve(h2->batch, h2->conn, len);

    memcpy(out, data, len);
    batch_commit(h2->batch, len);
    h2->home->gathered += len;
}

static void put32(uint8_t *to, uint32_t value)
{
    value = htonl(value);
    memcpy(to, &value, sizeof(value));
}

/* Our SETTINGS, with the number of streams that is in force. */
static void gather_settings(struct h2 *h2, const uint8_t *frame, size_t len)
{
    uint8_t copy[FRAME_HEAD + 6 * H2_SETTINGS_MOST];

    ASSERT(len <= sizeof(copy));
    memcpy(copy, frame, len);
    for (size_t at = FRAME_HEAD; at < len; at += 6) {
        if (copy[at] == 0 && copy[at + 1] == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS) {
            put32(copy + at + 2, h2->streams_most);
        }
    }
    gather(h2, copy, len);
}

/* HEADERS, with the block that belongs there in place of nghttp2's empty one; in parts of a size
 * that each peer takes. */
static void gather_head(struct h2 *h2, const uint8_t *frame, size_t len)
{
    const struct h2_block *block = h2->block;
    const uint8_t *data = block->data;
    size_t left = block->len;
    size_t before = h2_table_size_len(frame + FRAME_HEAD, len - FRAME_HEAD);
    uint8_t head[FRAME_HEAD];

    ASSERT(frame[3] == NGHTTP2_HEADERS);
    h2->block = NULL;
    memcpy(head, frame, FRAME_HEAD);
    head[4] &= NGHTTP2_FLAG_END_STREAM;
    do {
        size_t part = left < PART_MOST - before ? left : PART_MOST - before;
        left -= part;
        head[1] = (uint8_t)((before + part) >> 8); /* head[0] is 0 */
        head[2] = (uint8_t)(before + part);
        head[4] |= left == 0 ? NGHTTP2_FLAG_END_HEADERS : 0;
        gather(h2, head, FRAME_HEAD);
        gather(h2, frame + FRAME_HEAD, before);
        gather(h2, data, part);
        data += part;
        before = 0;
        head[3] = NGHTTP2_CONTINUATION;
        head[4] = 0;
    } while (left > 0);
}

/* The frame's head is nghttp2's, its `len` bytes are the stream's. */
int h2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t len,
                 nghttp2_data_source *source, void *user)
{
    struct h2_stream *stream = source->ptr;
    struct h2 *h2 = user;
    struct h2_home *home = h2->home;
    struct conn_buffer *queue = stream->queue;
    size_t from_queue = queued(stream) < len ? queued(stream) : len;

    (void)session;
    (void)frame;
    if (home->spent_count == H2_SPENT_MOST) {
        send_gathered(h2);
    }
    gather(h2, head, FRAME_HEAD);
    if (from_queue > 0) {
        batch_add(h2->batch, h2->conn, queue->data + queue->head, from_queue);
        queue->head += from_queue;
        if (queue->head == queue->tail) {
            home->spent[home->spent_count++] = queue;
            stream->queue = NULL;
        }
    }
    if (len > from_queue) {
        batch_add(h2->batch, h2->conn, stream->slice, len - from_queue);
        stream->slice += len - from_queue;
        stream->slice_len -= len - from_queue;
    }
    home->gathered += len;
    stream->sent += len;
    h2->busy = true;
    h2->owed[0] += len;
    h2->owed[1] += len;
    h2_expect_repaid(h2, len);
    return 0;
}

void h2_end_stream(struct h2_stream *stream, uint32_t code, bool by_peer)
{
    struct h2 *h2 = stream->h2;

    stream->code = code;
    stream->reset_by_peer = by_peer;
    stream->ended = true;
    list_remove(&stream->link);
    list_push_back(&h2->ended, &stream->link);
    h2->count--;
}

/* Its lists and buffers. */
void h2_forget(struct h2_stream *stream)
{
    struct conn_pool *pool = conn_pool_of(stream->h2->conn->loop);

    if (stream->h2->passing == stream) {
        stream->h2->passing = NULL;
    }
    if (stream->h2->heading == stream) {
        stream->h2->heading = NULL;
    }
    list_remove(&stream->link);
    list_remove(&stream->fed);
    list_remove(&stream->blocked);
    list_remove(&stream->finishing);
    list_remove(&stream->resumed);
    buffer_release(pool, &stream->queue);
    buffer_release(pool, &stream->kept);
}

/* What the peer lets the stream send. */
static size_t window_of(const struct h2_stream *stream)
{
    nghttp2_session *session = stream->h2->session;
    int32_t mine = nghttp2_session_get_stream_remote_window_size(session, stream->id);
    int32_t all = nghttp2_session_get_remote_window_size(session);
    int32_t window = mine < all ? mine : all;

    return window > 0 ? (size_t)window : 0;
}

size_t h2_blocked_bytes(const struct h2_stream *stream)
{
    size_t have = queued(stream);

    if (have > 0 && conn_waiting(stream->h2->conn) == 0) {
        size_t window = window_of(stream);
        have -= window < have ? window : have;
    }
    return have;
}

bool h2_stream_is_narrow(const struct h2_stream *stream)
{
    return socket_full(stream->h2) || window_of(stream) < PACE_NARROW;
}

/* Something is there to send that was not when nghttp2 last asked. */
static void resume_source(struct h2_stream *stream)
{
    if (stream->rests) {
        stream->rests = false;
        nghttp2_session_resume_data(stream->h2->session, stream->id);
    }
}

void h2_resume_all(struct h2 *h2)
{
    h2->held = false;
    list_each(link, &h2->streams)
    {
        resume_source(container_of(link, struct h2_stream, link));
    }
}

void h2_submit_reset(struct h2 *h2, int32_t id, uint32_t code)
{
    if (nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, id, code) != 0) {
        h2->dead = true;
    }
}

/* Writes what the socket takes; tells nobody anything. */
void h2_send_frames(struct h2 *h2)
{
    const uint8_t *frame = NULL;
    ssize_t len = 0;

    if (h2->dead) { /* nghttp2 may still refer to streams that were left */
        return;
    }
    h2->inside = true;
    if (unlikely(h2->greets)) {
        h2->greets = false;
        gather(h2, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    }
    for (;;) {
        while ((len = nghttp2_session_mem_send(h2->session, &frame)) > 0) {
            if (h2->block != NULL) {
                gather_head(h2, frame, (size_t)len);
            } else if (unlikely(frame[3] == NGHTTP2_SETTINGS)) {
                gather_settings(h2, frame, (size_t)len);
            } else {
                gather(h2, frame, (size_t)len);
            }
        }
        send_gathered(h2);
        if (len < 0 || !h2->held || conn_waiting(h2->conn) > 0 || h2->conn->write_failed) {
            break;
        }
        h2_resume_all(h2); /* it was the batch that was full */
    }
    h2->inside = false;
    h2->resized = false;
    h2->dead = h2->dead || len < 0;
}

void h2_wake(struct h2 *h2)
{
    if (!h2->over) {
        task_queue(h2->conn->loop, &h2->task);
    }
}

/* ---- streams ---- */

void h2_stream_begin(struct h2 *h2, struct h2_stream *stream, int32_t id)
{
    stream->h2 = h2;
    stream->id = id;
    list_push_back(&h2->streams, &stream->link);
    h2->count++;
    if (h2->server) { /* else it is set by what submits the request */
        nghttp2_session_set_stream_user_data(h2->session, id, stream);
    } else {
        h2_expect_late(h2);
    }
}

void h2_stream_block(struct h2_stream *stream, struct h2_block *block)
{
    struct h2_block **end = &stream->blocks;

    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = block;
}

void h2_stream_data(struct h2_stream *stream, const char *data, size_t len)
{
    struct h2 *h2 = stream->h2;

    if (stream->ended || len == 0) {
        return;
    }
    resume_source(stream);
    if (len >= H2_DIRECT && !h2->inside) {
        stream->slice = data;
        stream->slice_len = len;
        h2_send_frames(h2);
        data = stream->slice;
        len = stream->slice_len;
        stream->slice_len = 0;
    }
    h2_wake(h2); /* for the rest, and to tell what has ended */
    if (!stream->ended && len > 0 &&
        !buffer_append(conn_pool_of(h2->conn->loop), &stream->queue, data, len)) {
        h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
    }
}

void h2_stream_trailer(struct h2_stream *stream, struct weir_str name, struct weir_str value)
{
    struct weir_str copies[] = {arena_copy(stream->arena, name), arena_copy(stream->arena, value)};

    if (copies[0].ptr != NULL && copies[1].ptr != NULL) { /* else dropped (RFC 9110 section 6.5) */
        (void)fields_add(&stream->trailers, stream->arena, copies[0], copies[1]);
    }
}

void h2_stream_end(struct h2_stream *stream)
{
    if (!stream->ended) {
        stream->ending = true;
        if (stream->h2->side->stalled != NULL && !list_linked(&stream->finishing)) {
            list_push_back(&stream->h2->finishing, &stream->finishing);
        }
        resume_source(stream);
        h2_wake(stream->h2);
    }
}

void h2_stream_reset(struct h2_stream *stream, uint32_t code)
{
    struct h2 *h2 = stream->h2;

    if (stream->ended) {
        return;
    }
    if (h2->server && stream->blocks != NULL && !h2->inside) {
        h2_send_frames(h2); /* nghttp2 would drop the heads that wait */
    }
    if (!stream->ended) {
        stream->reset = true;
        h2_submit_reset(h2, stream->id, code);
    }
    h2_wake(h2);
}

void h2_stream_leave(struct h2_stream *stream, uint32_t code)
{
    struct h2 *h2 = stream->h2;

    if (!stream->ended) {
        if (!stream->reset && !(stream->received_end && stream->sent_end)) {
            h2_submit_reset(h2, stream->id, code);
            h2_wake(h2);
        }
        nghttp2_session_set_stream_user_data(h2->session, stream->id, NULL);
        h2->count--;
    }
    stream->ended = true;
    h2_forget(stream);
}

void h2_stream_give_up(struct h2_stream *stream)
{
    struct h2 *h2 = stream->h2;

    h2_submit_reset(h2, stream->id, NGHTTP2_CANCEL);
    nghttp2_session_set_stream_user_data(h2->session, stream->id, NULL);
    h2_end_stream(stream, NGHTTP2_REFUSED_STREAM, false);
    h2_wake(h2);
}

size_t h2_stream_blocked(struct h2_stream *stream)
{
    size_t bytes = h2_blocked_bytes(stream);

    if (bytes > 0 && !list_linked(&stream->blocked)) {
        list_push_back(&stream->h2->blocked, &stream->blocked);
    }
    return bytes;
}

bool h2_keeps(const struct h2_stream *stream)
{
    return stream->kept != NULL || stream->kept_trailers != NULL || stream->kept_end;
}

void h2_give_window(struct h2_stream *stream)
{
    if (stream->withheld > 0 && !stream->fits) {
        nghttp2_session_consume_stream(stream->h2->session, stream->id, stream->withheld);
        stream->withheld = 0;
        h2_wake(stream->h2);
    }
}

void h2_stream_expect(struct h2_stream *stream, uint64_t length)
{
    stream->fits = !stream->padded && length <= stream->h2->window;
}

void h2_stream_pause(struct h2_stream *stream)
{
    stream->paused = true;
}

void h2_stream_resume(struct h2_stream *stream)
{
    struct h2 *h2 = stream->h2;

    stream->paused = false;
    if (stream->ended) {
        return;
    }
    if (h2_keeps(stream)) {
        list_remove(&stream->resumed);
        list_push_back(&h2->resumed, &stream->resumed);
        h2_wake(h2);
    } else {
        h2_give_window(stream);
    }
}
