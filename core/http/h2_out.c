/* SPDX-License-Identifier: MIT */
/*
 * What both sides of HTTP/2 have in common: memory of sessions, and streams with what they send. It
 * calls nobody back. See h2.h.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "base/cold.h"
#include "base/slabs.h"
#include "http/h2_parts.h"
#include "net/conn_pool.h"

/* ---- memory ---- */

/*
 * nghttp2's memory comes from the loop's lists of free blocks. Three allocations of a session are
 * special; nghttp2 is known by their sizes and order, and a version with others would merely take
 * more memory.
 *
 * The buffer of 16 KiB for frames on their way out holds something only while frames are taken out
 * (h2_send_frames), which goes on until there are none, and a client's preface, which is taken out
 * at once (h2_begin); so all sessions of a loop have the same one.
 *
 * The table of streams is all zero while there are none, and goes back to the kernel when the
 * connection is quiet. The first ring, of the encoder's dynamic table, is never touched, as we have
 * no such table. Both are in pages of their own (base/cold.h).
 */
#define FRAME_BUFFER_SIZE (9u + 1u + 16384u)
#define MAP_SIZE          COLD_PAGE
#define RING_SIZE         1024u
#define SLABS_KEPT        (1024u * 1024)
#define SPENT_MOST        16u

struct h2_cold {
    char map[MAP_SIZE];
    char ring[RING_SIZE];
};
#define COLD_PAGES ((sizeof(struct h2_cold) + COLD_PAGE - 1) / COLD_PAGE)

struct h2_home {
    struct loop_part part;
    struct freed freed;
    struct slabs slabs;
    struct cold cold;
    char *frame;                           /* FRAME_BUFFER_SIZE */
    struct conn_buffer *spent[SPENT_MOST]; /* their last bytes are in the batch */
    unsigned spent_count;
    size_t gathered; /* bytes in the batch */
};

/* The session's cold pages; NULL: it has none. */
static struct h2_cold *cold_of(struct h2 *h2)
{
    if (h2->cold == NULL) {
        h2->cold = cold_take(&h2->home->cold);
    }
    return h2->cold;
}

static bool is_cold(const struct h2 *h2, const char *piece)
{
    return h2->cold != NULL && (piece == h2->cold->map || piece == h2->cold->ring);
}

static void *h2_take(size_t size, void *user)
{
    struct h2 *h2 = user;

    if (size == FRAME_BUFFER_SIZE && !h2->frame_lent) {
        h2->frame_lent = true;
        return h2->home->frame;
    }
    if (size == RING_SIZE && !h2->ring_lent && cold_of(h2) != NULL) {
        h2->ring_lent = true;
        return h2->cold->ring;
    }
    return slabs_take(&h2->home->slabs, size);
}

static void h2_give(void *piece, void *user)
{
    struct h2 *h2 = user;

    if (piece == h2->home->frame && piece != NULL) {
        h2->frame_lent = false;
    } else if (!is_cold(h2, piece)) { /* else until h2_give_memory */
        slabs_give(&h2->home->slabs, piece);
    }
}

static void *h2_zeroed(size_t count, size_t size, void *user)
{
    struct h2 *h2 = user;

    if (size > 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    if (count * size == MAP_SIZE && !h2->map_lent && cold_of(h2) != NULL) {
        h2->map_lent = true;
        return h2->cold->map;
    }
    void *piece = h2_take(count * size, user);
    if (piece != NULL) {
        memset(piece, 0, count * size);
    }
    return piece;
}

static void *h2_resize(void *piece, size_t size, void *user)
{
    struct h2 *h2 = user;

    if (piece == NULL) {
        return h2_take(size, user);
    }
    ASSERT(piece != h2->home->frame);
    if (!is_cold(h2, piece)) {
        return slabs_grow(&h2->home->slabs, piece, size);
    }
    size_t old = piece == h2->cold->map ? MAP_SIZE : RING_SIZE;
    void *larger = slabs_take(&h2->home->slabs, size);
    if (larger != NULL) {
        memcpy(larger, piece, old < size ? old : size);
    }
    return larger;
}

void h2_give_memory(struct h2 *h2)
{
    if (h2->cold != NULL) {
        cold_give(&h2->home->cold, h2->cold);
        h2->cold = NULL;
    }
}

void h2_quiet(struct h2 *h2)
{
    if (h2->map_lent && h2->count == 0) {
        (void)cold_rest(h2->cold->map);
    }
}

static void home_free(struct freed *freed)
{
    struct h2_home *home = container_of(freed, struct h2_home, freed);

    slabs_free(&home->slabs);
    cold_free(&home->cold);
    free(home->frame);
    free(home);
}

/* After the sessions that are still to be freed. */
static void home_end(struct loop *loop, struct loop_part *part)
{
    struct h2_home *home = container_of(part, struct h2_home, part);

    loop->parts[LOOP_PART_HTTP] = NULL;
    loop_free_later(loop, &home->freed, home_free);
}

struct h2_home *h2_home_of(struct loop *loop)
{
    if (likely(loop->parts[LOOP_PART_HTTP] != NULL)) {
        return container_of(loop->parts[LOOP_PART_HTTP], struct h2_home, part);
    }
    struct h2_home *home = calloc(1, sizeof(*home));
    if (home == NULL || (home->frame = malloc(FRAME_BUFFER_SIZE)) == NULL) {
        free(home);
        return NULL;
    }
    slabs_init(&home->slabs, SLABS_KEPT);
    cold_init(&home->cold, COLD_PAGES);
    home->part.end = home_end;
    loop->parts[LOOP_PART_HTTP] = &home->part;
    return home;
}

void h2_set_memory(nghttp2_mem *memory, struct h2 *h2)
{
    *memory = (nghttp2_mem){.mem_user_data = h2,
                            .malloc = h2_take,
                            .free = h2_give,
                            .calloc = h2_zeroed,
                            .realloc = h2_resize};
}

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
    if (home->spent_count == SPENT_MOST) {
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
    list_remove(&stream->link);
    list_remove(&stream->fed);
    list_remove(&stream->blocked);
    list_remove(&stream->finishing);
    list_remove(&stream->resumed);
    buffer_release(pool, &stream->queue);
    buffer_release(pool, &stream->kept);
}

size_t h2_blocked_bytes(const struct h2_stream *stream)
{
    const struct h2 *h2 = stream->h2;
    size_t have = queued(stream);

    if (have > 0 && conn_waiting(h2->conn) == 0) {
        int32_t mine = nghttp2_session_get_stream_remote_window_size(h2->session, stream->id);
        int32_t all = nghttp2_session_get_remote_window_size(h2->session);
        int32_t window = mine < all ? mine : all;
        have -= window <= 0 ? 0 : (size_t)window < have ? (size_t)window : have;
    }
    return have;
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
    if (h2->server && stream->answered && !stream->sent_head && !h2->inside) {
        h2_send_frames(h2); /* nghttp2 would drop the head that waits */
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
