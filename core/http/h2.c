/* SPDX-License-Identifier: MIT */
/*
 * What both sides of HTTP/2 have in common. See h2.h.
 */
#include "http/h2.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/slabs.h"
#include "net/conn_pool.h"

#define READS_PER_TURN 16
#define FRAME_HEAD     9u
/* Odd things are forgiven at this rate, a second. */
#define ABUSE_REFILL 33.0
/* A window update below this is needless. */
#define UPDATE_LEAST 1024
/* What nghttp2 may hold back as answers to PING and SETTINGS. */
#define ACKS_MOST 100

/* ---- memory ---- */

/*
 * nghttp2's memory comes from the loop's lists of free blocks. One allocation is special: each
 * session's buffer of 16 KiB for frames on their way out. It holds something only while frames are
 * taken out (h2_pump), which goes on until there are none; so all sessions of a loop have the same
 * one. nghttp2 asks for it by this size; a version with another would give each session its own.
 */
#define FRAME_BUFFER_SIZE (9u + 1u + 16384u)
#define SLABS_KEPT        (1024u * 1024)
#define SPENT_MOST        16u

struct h2_home {
    struct loop_part part;
    struct slabs slabs;
    char *frame;                           /* FRAME_BUFFER_SIZE */
    struct conn_buffer *spent[SPENT_MOST]; /* their last bytes are in the batch */
    unsigned spent_count;
    size_t gathered; /* bytes in the batch */
};

static void *h2_take(size_t size, void *user)
{
    struct h2 *h2 = user;

    if (size == FRAME_BUFFER_SIZE && !h2->frame_lent) {
        h2->frame_lent = true;
        return h2->home->frame;
    }
    return slabs_take(&h2->home->slabs, size);
}

static void h2_give(void *piece, void *user)
{
    struct h2 *h2 = user;

    if (piece == h2->home->frame && piece != NULL) {
        h2->frame_lent = false;
    } else {
        slabs_give(&h2->home->slabs, piece);
    }
}

static void *h2_zeroed(size_t count, size_t size, void *user)
{
    void *piece = size == 0 || count <= SIZE_MAX / size ? h2_take(count * size, user) : NULL;

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
    return slabs_grow(&h2->home->slabs, piece, size);
}

static void home_end(struct loop *loop, struct loop_part *part)
{
    struct h2_home *home = container_of(part, struct h2_home, part);

    loop->parts[LOOP_PART_HTTP] = NULL;
    slabs_free(&home->slabs);
    free(home->frame);
    free(home);
}

static struct h2_home *home_of(struct loop *loop)
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
    home->part.end = home_end;
    loop->parts[LOOP_PART_HTTP] = &home->part;
    return home;
}

/* ---- the account ---- */

void h2_odd(struct h2 *h2, unsigned points)
{
    uint64_t now_ns = loop_now_ns(h2->conn->loop);
    double forgiven = (double)(now_ns - h2->abuse_ns) / (double)NS_PER_SECOND * ABUSE_REFILL;

    if (h2->abuse_limit == 0) {
        return;
    }
    h2->abuse = h2->abuse > forgiven ? h2->abuse - forgiven : 0;
    h2->abuse += points;
    h2->abuse_ns = now_ns;
    if (h2->abuse >= h2->abuse_limit && !h2->calmed) {
        h2->calmed = true;
        nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
    } else if (h2->abuse >= h2->abuse_limit * 0.75 && !h2->wary) {
        h2->wary = true;
        h2->side->wary(h2);
    }
    h2_wake(h2);
}

/* ---- output ---- */

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
    if ((have == 0 && !stream->ending) || socket_full(h2)) {
        stream->rests = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags = NGHTTP2_DATA_FLAG_NO_COPY;
    if (have <= room && stream->ending) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (stream->trailer_count > 0 &&
            nghttp2_submit_trailer(session, id, stream->trailers, stream->trailer_count) == 0) {
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

/* The frame's head is nghttp2's, its `len` bytes are the stream's. */
static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                     size_t len, nghttp2_data_source *source, void *user)
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
    return 0;
}

static void end_stream(struct h2_stream *stream, uint32_t code, bool by_peer)
{
    struct h2 *h2 = stream->h2;

    stream->code = code;
    stream->reset_by_peer = by_peer;
    stream->ended = true;
    list_remove(&stream->link);
    list_push_back(&h2->ended, &stream->link);
    h2->count--;
}

/* nghttp2 has closed streams: their sides are told now that it does not run. */
static void tell_ended(struct h2 *h2)
{
    struct list *link = NULL;

    while ((link = list_pop_front(&h2->ended)) != NULL) {
        struct h2_stream *stream = container_of(link, struct h2_stream, link);
        list_remove(&stream->fed);
        list_remove(&stream->blocked);
        buffer_release(conn_pool_of(h2->conn->loop), &stream->queue);
        h2->side->closed(stream, stream->code, stream->reset_by_peer);
        if (h2->over) {
            return;
        }
    }
}

/* The end of the connection: whoever still runs hears it first. */
static void h2_over(struct h2 *h2, enum codec_end how)
{
    if (h2->over) {
        return;
    }
    list_each(link, &h2->streams)
    {
        end_stream(container_of(link, struct h2_stream, link), NGHTTP2_INTERNAL_ERROR, true);
    }
    tell_ended(h2);
    if (!h2->over) {
        h2->over = true;
        h2->side->over(h2, how);
    }
}

void h2_abort(struct h2 *h2)
{
    h2_over(h2, END_RESET);
}

/* Whether the connection is over; then the side has been told. */
static bool check_over(struct h2 *h2)
{
    if (!h2->over && !nghttp2_session_want_read(h2->session) &&
        !nghttp2_session_want_write(h2->session)) {
        h2_over(h2, END_LINGER);
    }
    return h2->over;
}

static size_t blocked_bytes(const struct h2_stream *stream)
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

/* Those whose bytes were held up hear that they are on their way. */
static void tell_drained(struct h2 *h2)
{
    struct list *link = NULL, still;

    list_init(&still);
    while (!h2->over && (link = list_pop_front(&h2->blocked)) != NULL) {
        struct h2_stream *stream = container_of(link, struct h2_stream, blocked);
        if (blocked_bytes(stream) > 0) {
            list_push_back(&still, link);
        } else {
            h2->side->drained(stream);
        }
    }
    while ((link = list_pop_front(&still)) != NULL) {
        list_push_back(&h2->blocked, link);
    }
}

void h2_pump(struct h2 *h2)
{
    const uint8_t *frame = NULL;
    ssize_t len = 0;

    if (h2->inside || h2->over) {
        return;
    }
    h2->inside = true;
    while ((len = nghttp2_session_mem_send(h2->session, &frame)) > 0) {
        gather(h2, frame, (size_t)len);
    }
    h2->inside = false;
    send_gathered(h2);
    if (len < 0) {
        h2_over(h2, END_RESET);
        return;
    }
    tell_ended(h2);
    if (!h2->over && !check_over(h2)) {
        tell_drained(h2);
    }
}

/* What runs at the end of the turn. */
static void on_task(struct task *task)
{
    h2_pump(container_of(task, struct h2, task));
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
    nghttp2_session_set_stream_user_data(h2->session, id, stream);
}

/* Something is there to send that was not when nghttp2 last asked. */
static void resume_source(struct h2_stream *stream)
{
    if (stream->rests) {
        stream->rests = false;
        nghttp2_session_resume_data(stream->h2->session, stream->id);
    }
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
        h2_pump(h2);
        data = stream->slice;
        len = stream->slice_len;
        stream->slice_len = 0;
        if (stream->ended || h2->over || len == 0) {
            return;
        }
    } else {
        h2_wake(h2);
    }
    if (!buffer_append(conn_pool_of(h2->conn->loop), &stream->queue, data, len)) {
        h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
    }
}

void h2_stream_end(struct h2_stream *stream)
{
    if (!stream->ended) {
        stream->ending = true;
        resume_source(stream);
        h2_wake(stream->h2);
    }
}

void h2_stream_reset(struct h2_stream *stream, uint32_t code)
{
    if (!stream->ended) {
        stream->reset = true;
        nghttp2_submit_rst_stream(stream->h2->session, NGHTTP2_FLAG_NONE, stream->id, code);
        h2_wake(stream->h2);
    }
}

size_t h2_stream_blocked(struct h2_stream *stream)
{
    size_t bytes = blocked_bytes(stream);

    if (bytes > 0 && !list_linked(&stream->blocked)) {
        list_push_back(&stream->h2->blocked, &stream->blocked);
    }
    return bytes;
}

void h2_stream_pause(struct h2_stream *stream)
{
    stream->paused = true;
}

void h2_stream_resume(struct h2_stream *stream)
{
    struct h2 *h2 = stream->h2;

    stream->paused = false;
    if (stream->withheld > 0 && !stream->ended) {
        nghttp2_session_consume_stream(h2->session, stream->id, stream->withheld);
        h2_wake(h2);
    }
    stream->withheld = 0;
}

/* ---- input ---- */

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    return stream != NULL && !stream->ended ? stream : NULL;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;
    int32_t id = frame->hd.stream_id;
    bool request = h2->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    struct h2_stream *stream = request ? h2->side->open(h2, id) : stream_of(session, id);

    if (stream != NULL &&
        (stream->section = arena_zalloc(stream->arena, sizeof(*stream->section))) != NULL) {
        stream->section->arena = stream->arena;
    } else if (request) {
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    }
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    const struct h2 *h2 = user;
    struct h2_stream *stream = stream_of(session, frame->hd.stream_id);

    (void)flags;
    if (stream != NULL && stream->section != NULL) {
        h2_section_add(stream->section, h2->limits, (struct weir_str){(const char *)name, name_len},
                       (struct weir_str){(const char *)value, value_len});
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
    struct h2 *h2 = user;
    struct h2_stream *stream = stream_of(session, id);

    (void)flags;
    nghttp2_session_consume_connection(session, len);
    if (stream == NULL) {
        return 0;
    }
    if (!list_linked(&stream->fed)) {
        list_push_back(&h2->fed, &stream->fed);
    }
    h2->side->data(stream, (const char *)data, len);
    if (stream->paused) {
        stream->withheld += len;
    } else {
        nghttp2_session_consume_stream(session, id, len);
    }
    return 0;
}

/* What is odd about a frame, in points. */
static unsigned oddity(const nghttp2_frame *frame)
{
    bool ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    switch (frame->hd.type) {
    case NGHTTP2_DATA: return frame->hd.length == 0 && !end;
    case NGHTTP2_PRIORITY: return 1;
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS: return !ack;
    case NGHTTP2_WINDOW_UPDATE: return frame->window_update.window_size_increment < UPDATE_LEAST;
    default: return 0;
    }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;
    struct h2_stream *stream = NULL;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    unsigned points = oddity(frame);

    if (unlikely(points > 0)) {
        h2_odd(h2, points);
    }
    if (frame->hd.stream_id == 0) {
        h2->side->session(h2, frame);
        return 0;
    }
    if ((stream = stream_of(session, frame->hd.stream_id)) == NULL) {
        return 0;
    }
    stream->received += FRAME_HEAD + frame->hd.length;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (stream->section != NULL) {
            h2->side->head(stream, frame->headers.cat == NGHTTP2_HCAT_HEADERS, end);
            stream->section = NULL;
        }
        break;
    case NGHTTP2_DATA: break;
    case NGHTTP2_RST_STREAM: stream->reset_by_peer = true; return 0;
    default: return 0;
    }
    if (end && !stream->ended) {
        stream->received_end = true;
        h2->side->end(stream);
    }
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;
    int32_t id = frame->hd.stream_id;
    struct h2_stream *stream = id != 0 ? stream_of(session, id) : NULL;

    if (stream != NULL) {
        stream->sent += FRAME_HEAD + (frame->hd.type == NGHTTP2_HEADERS ? frame->hd.length : 0);
    }
    if (unlikely(frame->hd.type == NGHTTP2_RST_STREAM)) {
        if (stream == NULL || !stream->reset) { /* nghttp2's own, for what the peer did */
            h2_odd(h2, 10);
        }
    } else if (stream != NULL && h2->server && !stream->received_end && !stream->reset &&
               (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        /* The answer is whole, and nobody waits for the rest of the request (section 8.1). */
        stream->reset = true;
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int on_closed(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct h2_stream *stream = stream_of(session, id);

    (void)user;
    if (stream != NULL) {
        end_stream(stream, code, stream->reset_by_peer);
    }
    return 0;
}

/* Nothing of the read may be referred to after it. */
static void tell_flushed(struct h2 *h2)
{
    struct list *link = NULL;

    batch_flush(h2->batch);
    while ((link = list_pop_front(&h2->fed)) != NULL) {
        struct h2_stream *stream = container_of(link, struct h2_stream, fed);
        if (!stream->ended) {
            h2->side->flushed(stream);
        }
    }
}

void h2_readable(struct h2 *h2)
{
    for (int i = 0; !h2->over && conn_waiting(h2->conn) < H2_WAITING_MOST; i++) {
        char *data = NULL;
        size_t len = 0;
        if (i == READS_PER_TURN) {
            conn_resume_read(h2->conn);
            break;
        }
        enum conn_result result = conn_read(h2->conn, &data, &len, 0);
        if (result == CONN_AGAIN) {
            break;
        }
        if (result != CONN_DATA) {
            h2_over(h2, result == CONN_EOF ? END_CLOSE : END_RESET);
            return;
        }
        h2->inside = true;
        ssize_t used = nghttp2_session_mem_recv(h2->session, (const uint8_t *)data, len);
        h2->inside = false;
        tell_flushed(h2);
        tell_ended(h2);
        if (h2->over) {
            return;
        }
        if (used < 0) { /* not HTTP/2, or out of memory; what was submitted still goes */
            h2_pump(h2);
            h2_over(h2, END_LINGER);
            return;
        }
    }
    if (!h2->over) {
        h2_wake(h2);
    }
}

void h2_drained(struct h2 *h2)
{
    list_each(link, &h2->streams)
    {
        resume_source(container_of(link, struct h2_stream, link));
    }
    conn_resume_read(h2->conn); /* it may have stood still */
    h2_wake(h2);
}

/* ---- the session ---- */

static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options[2]; /* of clients, of servers */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_shared(void)
{
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_closed);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    for (int server = 0; server < 2; server++) {
        nghttp2_option *option = NULL;
        if (nghttp2_option_new(&option) != 0) {
            continue;
        }
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_max_outbound_ack(option, ACKS_MOST);
        nghttp2_option_set_max_deflate_dynamic_table_size(option, 0);
        nghttp2_option_set_max_reserved_remote_streams(option, 0);
        options[server] = option;
    }
}

bool h2_begin(struct h2 *h2, const struct h2_conf *conf, struct conn *conn, struct batch *batch)
{
    nghttp2_mem memory = {.mem_user_data = h2,
                          .malloc = h2_take,
                          .free = h2_give,
                          .calloc = h2_zeroed,
                          .realloc = h2_resize};
    nghttp2_settings_entry settings[6] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, conf->window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, conf->limits->head},
    };
    size_t count = 2;

    pthread_once(&once, make_shared);
    h2->home = home_of(conn->loop);
    if (h2->home == NULL || callbacks == NULL || options[conf->server] == NULL) {
        return false;
    }
    h2->side = conf->side;
    h2->server = conf->server;
    h2->limits = conf->limits;
    h2->abuse_limit = conf->abuse_limit;
    h2->conn = conn;
    h2->batch = batch;
    h2->task.fn = on_task;
    list_init(&h2->streams);
    list_init(&h2->ended);
    list_init(&h2->fed);
    list_init(&h2->blocked);
    int made = conf->server
                   ? nghttp2_session_server_new3(&h2->session, callbacks, h2, options[1], &memory)
                   : nghttp2_session_client_new3(&h2->session, callbacks, h2, options[0], &memory);
    if (made != 0) {
        h2->session = NULL;
        return false;
    }
    if (conf->server) {
        settings[count++] =
            (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, conf->streams};
        settings[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
        settings[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1};
    } else {
        settings[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    }
    if (nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, count) != 0 ||
        nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, H2_WINDOW_ALL) !=
            0) {
        h2_free(h2);
        return false;
    }
    h2_wake(h2);
    return true;
}

void h2_free(struct h2 *h2)
{
    task_cancel(&h2->task);
    nghttp2_session_del(h2->session);
    h2->session = NULL;
}
