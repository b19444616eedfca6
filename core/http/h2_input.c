/* SPDX-License-Identifier: MIT */
/*
 * What both sides of HTTP/2 have in common: what comes. A read's frames are gathered by stream
 * while nghttp2 reads them and passed on afterwards, so that what belongs together goes out
 * together. See h2.h.
 */
#include "http/h2_parts.h"
#include "net/conn_pool.h"

/* What a turn does for one connection, as all others wait meanwhile: reads, bytes as h2_watch
 * counts them, and requests that begin. How many of these, and at what price frames and fields
 * count, depends on how far the peer is trusted: each stream that ends well earns trust, and
 * whoever has ODD_MOST points has lost all. */
#define READS_PER_TURN 16
#define BYTES_PER_TURN (256u * 1024)
#define TRUST_LEAST    1u
#define TRUST_MOST     (TRUST_LEAST + H2_EARNED_MOST)
#define ODD_MOST       10u
#define ODD_HEADS      1u
#define ODD_PRICE      64u
/* Bytes of the first read, and of one behind frames that were smaller than SMALL_FRAME. */
#define CRUMBS_MOST (16u * 1024)
#define SMALL_FRAME 128u

/* ---- passing on ---- */

/* Whether what comes of a request is kept for later, as nobody takes it yet. */
static bool keeps_back(const struct h2_stream *stream)
{
    return stream->h2->server && (stream->paused || h2_keeps(stream));
}

/* false: the stream was left. */
static bool pass_on(struct h2_stream *stream, const char *data, size_t len)
{
    struct h2 *h2 = stream->h2;

    if (keeps_back(stream)) {
        stream->withheld += len;
        if (!buffer_append(conn_pool_of(h2->conn->loop), &stream->kept, data, len)) {
            h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
        }
        return true;
    }
    h2->passing = stream;
    h2->side->data(stream, data, len);
    if (h2->passing == NULL) {
        return false;
    }
    if (stream->paused || stream->fits) {
        stream->withheld += len;
    } else {
        nghttp2_session_consume_stream(h2->session, stream->id, len);
    }
    return true;
}

/* Head and body of a request go out together that came together; of one that was reset in the same
 * read, nothing does. */
static bool pass_head(struct h2_stream *stream)
{
    struct h2 *h2 = stream->h2;
    bool whole = stream->end_due && stream->piece_count == 0;

    stream->head_due = false;
    h2->passing = stream;
    h2->side->head(stream, false, whole);
    if (h2->passing == NULL) {
        return false;
    }
    stream->section = NULL;
    if (whole && !stream->ended) {
        stream->end_due = false;
        h2->side->end(stream);
    }
    return h2->passing != NULL;
}

static bool pass_pieces(struct h2_stream *stream)
{
    unsigned count = stream->piece_count;

    if (stream->head_due) {
        if (stream->ended) {
            stream->end_due = false;
            return true;
        }
        if (!pass_head(stream)) {
            return false;
        }
    }
    stream->piece_count = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!pass_on(stream, stream->pieces[i].iov_base, stream->pieces[i].iov_len)) {
            return false;
        }
    }
    return true;
}

static void pass_end(struct h2_stream *stream)
{
    stream->end_due = false;
    if (keeps_back(stream)) {
        stream->kept_end = true;
    } else {
        stream->h2->side->end(stream);
    }
}

void h2_pass_kept(struct h2 *h2)
{
    struct list *link = NULL;

    while (!h2->over && (link = list_pop_front(&h2->resumed)) != NULL) {
        struct h2_stream *stream = container_of(link, struct h2_stream, resumed);
        struct conn_buffer *kept = stream->kept;
        if (stream->paused) {
            continue; /* again */
        }
        stream->kept = NULL;
        if (kept != NULL) {
            h2->side->data(stream, kept->data + kept->head, kept->tail - kept->head);
            batch_flush(h2->batch);
            buffer_release(conn_pool_of(h2->conn->loop), &kept);
        }
        if (!stream->ended && stream->kept_trailers != NULL) {
            stream->section = stream->kept_trailers;
            stream->kept_trailers = NULL;
            h2->side->head(stream, true, stream->kept_end);
            stream->section = NULL;
        }
        if (!stream->ended && stream->kept_end) {
            stream->kept_end = false;
            h2->side->end(stream);
        }
        if (!stream->ended) {
            h2->side->flushed(stream);
        }
        if (!stream->ended && !stream->paused) {
            h2_give_window(stream);
        }
    }
}

/* ---- frames ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;
    int32_t id = frame->hd.stream_id;
    bool request = h2->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST;

    h2->heading = NULL;
    if (h2->over) {
        return 0;
    }
    if (request) {
        h2->last_id = id;
        h2_expect_late(h2);
    }
    if (request && unlikely(h2->count >= h2->streams_most)) {
        h2_submit_reset(h2, id, NGHTTP2_REFUSED_STREAM);
        h2_odd(h2, h2->settled ? 10 : 1, "too many streams");
        return 0;
    }
    struct h2_stream *stream = request ? h2->side->open(h2, id) : h2_stream_of(session, id);

    if (stream != NULL && stream->head_due && !pass_pieces(stream)) {
        return 0;
    }
    if (stream != NULL &&
        (stream->section = arena_zalloc(stream->arena, sizeof(*stream->section))) != NULL) {
        stream->section->arena = stream->arena;
        h2->heading = stream;
    } else if (request) {
        h2_submit_reset(h2, id, NGHTTP2_REFUSED_STREAM);
    } else if (stream != NULL) {
        h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
    }
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct h2 *h2 = user;
    struct h2_stream *stream = h2->heading;

    (void)session;
    (void)frame;
    if (stream == NULL || stream->ended) {
        return 0;
    }
    uint32_t before = stream->section->bytes;
    h2_section_add(stream->section, &h2->limits, (struct weir_str){(const char *)name, name_len},
                   (struct weir_str){(const char *)value, value_len});
    if (unlikely((flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0) && stream->section->fields.count > 0) {
        stream->section->fields.items[stream->section->fields.count - 1].secret = true;
    }
    if (unlikely(stream->section->bytes > h2->limits.head)) {
        /* Again for each time the limit: references to a large field in HPACK's table cost a byte
         * each on the wire, and a check of the whole field here. */
        if (before / h2->limits.head < stream->section->bytes / h2->limits.head) {
            h2_odd(h2, H2_BREACH, H2_BREACH_WORD);
        }
        return h2->calmed ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0; /* decoded, not checked */
    }
    /* What has ended in this read gives its place back before another takes it. */
    h2->stopped = h2->server && !list_empty(&h2->ended);
    return h2->stopped ? NGHTTP2_ERR_PAUSE : 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
    struct h2 *h2 = user;
    struct h2_stream *stream = h2_stream_of(session, id);

    (void)flags;
    nghttp2_session_consume_connection(session, len);
    if (stream == NULL) {
        return 0;
    }
    h2->busy = true;
    if (stream->piece_count == H2_PIECES && !pass_pieces(stream)) {
        return 0;
    }
    if (!list_linked(&stream->fed)) {
        list_push_back(&h2->fed, &stream->fed);
    }
    stream->pieces[stream->piece_count++] = (struct iovec){(void *)(uintptr_t)data, len};
    return 0;
}

/* A small WINDOW_UPDATE that gives back no more than was sent is no waste, as small messages are
 * acknowledged one by one; unless it keeps a stream starving that has much to send. */
static bool needless(struct h2 *h2, const nghttp2_frame *frame)
{
    const struct h2_stream *stream = NULL;
    uint32_t by = (uint32_t)frame->window_update.window_size_increment;
    uint64_t *owed = &h2->owed[frame->hd.stream_id != 0];
    bool earned = *owed >= by;

    *owed -= earned ? by : *owed;
    if (likely(by >= H2_UPDATE_LEAST)) {
        return false;
    }
    if (frame->hd.stream_id != 0) {
        stream = h2_stream_of(h2->session, frame->hd.stream_id);
    }
    return !earned || (stream != NULL && h2_blocked_bytes(stream) >= H2_UPDATE_LEAST);
}

/* Whether it is the first of those that each peer may send. */
static bool first(bool *seen)
{
    bool before = *seen;

    *seen = true;
    return !before;
}

/* What is odd about a frame, in points. Peers that measure bandwidth (gRPC's) send a PING behind
 * the DATA of each round trip: nothing odd. */
static unsigned oddity(struct h2 *h2, const nghttp2_frame *frame, const char **what)
{
    bool ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    switch (frame->hd.type) {
    case NGHTTP2_DATA: *what = "empty DATA"; return frame->hd.length <= frame->data.padlen && !end;
    case NGHTTP2_SETTINGS: *what = "SETTINGS"; return !ack && !first(&h2->greeted);
    case NGHTTP2_GOAWAY: *what = "GOAWAY"; return !first(&h2->parted);
    case NGHTTP2_PING: {
        bool measures = h2->busy;
        *what = "PING";
        h2->busy = false;
        return !ack && !measures;
    }
    case NGHTTP2_WINDOW_UPDATE: *what = "small WINDOW_UPDATE"; return needless(h2, frame);
    default: return 0;
    }
}

/* What nghttp2 passes over in silence, and h2_watch.c does not look at. */
static int on_frame_head(nghttp2_session *session, const nghttp2_frame_hd *head, void *user)
{
    struct h2 *h2 = user;
    int32_t id = head->stream_id;
    bool late = head->type == NGHTTP2_RST_STREAM || head->type == NGHTTP2_WINDOW_UPDATE;

    if (late && id != 0 && h2_stream_of(session, id) == NULL) {
        h2_late(h2, head->type);
    } else if (head->type == NGHTTP2_HEADERS && unlikely(h2->left) && id > h2->last_id) {
        h2_odd(h2, h2->server, "requests after GOAWAY");
    }
    return 0;
}

/* Whether it changes the windows of streams. */
static bool resizes(const nghttp2_frame *frame)
{
    for (size_t i = 0; frame->hd.type == NGHTTP2_SETTINGS && i < frame->settings.niv; i++) {
        if (frame->settings.iv[i].settings_id == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) {
            return true;
        }
    }
    return false;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;
    struct h2_stream *stream = NULL;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
               (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA);
    const char *what = NULL;
    unsigned points = h2->over ? 0 : oddity(h2, frame, &what);

    if (unlikely(points > 0)) {
        h2_odd(h2, points, what);
    }
    if (h2->over) { /* by what was odd */
        return 0;
    }
    if (frame->hd.stream_id == 0) {
        h2->resized = h2->resized || resizes(frame);
        h2->settled = h2->settled || (frame->hd.type == NGHTTP2_SETTINGS &&
                                      (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0);
        h2->side->session(h2, frame);
        return 0;
    }
    if ((stream = h2_stream_of(session, frame->hd.stream_id)) == NULL) {
        return 0;
    }
    stream->received += FRAME_HEAD + frame->hd.length;
    stream->received_end = stream->received_end || end;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        h2->heading = NULL;
        if (stream->section == NULL) { /* out of memory: it was reset */
            return 0;
        }
        if (h2->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
            stream->head_due = true;
            stream->end_due = end;
            list_push_back(&h2->fed, &stream->fed);
            return 0;
        }
        if (!pass_pieces(stream)) {
            return 0;
        }
        if (keeps_back(stream)) {
            stream->kept_trailers = stream->section;
            stream->section = NULL;
        } else {
            h2->side->head(stream, frame->headers.cat == NGHTTP2_HCAT_HEADERS, end);
            if ((stream = h2_stream_of(session, frame->hd.stream_id)) == NULL) {
                return 0; /* it was left */
            }
            stream->section = NULL;
        }
        break;
    case NGHTTP2_DATA:
        if (unlikely(frame->data.padlen > 0 && !stream->padded)) {
            stream->padded = true;
            stream->fits = false;
            if (!stream->paused) {
                h2_give_window(stream);
            }
        }
        break;
    case NGHTTP2_RST_STREAM: stream->reset_by_peer = true; return 0;
    default: return 0;
    }
    if (end && (stream->piece_count > 0 || stream->head_due)) {
        stream->end_due = true;
    } else if (end) {
        pass_end(stream);
    }
    return 0;
}

void h2_set_input(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_frame_head);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
}

/* ---- reading ---- */

/* What a read has brought is passed on, one stream after the other. Nothing may refer to it
 * afterwards. */
static void pass_read(struct h2 *h2)
{
    struct list *link = NULL, told;

    list_init(&told);
    while ((link = list_pop_front(&h2->fed)) != NULL) {
        struct h2_stream *stream = container_of(link, struct h2_stream, fed);
        list_push_back(&told, link);
        h2->passing = stream;
        if (pass_pieces(stream) && stream->end_due) {
            pass_end(stream);
        }
    }
    batch_flush(h2->batch);
    while ((link = list_pop_front(&told)) != NULL) {
        struct h2_stream *stream = container_of(link, struct h2_stream, fed);
        if (!stream->ended) {
            h2->side->flushed(stream);
        }
    }
}

/* How much of it was taken: all, or up to where streams have ended. Else an error of nghttp2's. */
static ssize_t take(struct h2 *h2, const char *data, size_t len)
{
    h2->inside = true;
    h2->stopped = false;
    ssize_t used = nghttp2_session_mem_recv(h2->session, (const uint8_t *)data, len);
    h2->inside = false;
    pass_read(h2);
    h2_tell_ended(h2);
    return used;
}

/* Not HTTP/2, a flood, or out of memory; what was submitted still goes. */
static void fail(struct h2 *h2, int error)
{
    if (error == NGHTTP2_ERR_FLOODED) {
        h2_abuse(h2, "PING or SETTINGS");
    }
    h2_pump(h2);
    h2_over(h2, END_LINGER, false);
}

/* HTTP/1 in place of a server's preface. */
static bool is_foreign(const struct h2 *h2, const char *data, size_t len)
{
    return !h2->server && !h2->greeted && len >= 5 && memcmp(data, "HTTP/", 5) == 0;
}

/* ---- what a turn may cost ---- */

static void begin_turn(struct h2 *h2)
{
    struct h2_watch *watch = &h2->watch;
    uint64_t turn = h2->conn->loop->turn;

    if (h2->turn == turn) {
        return;
    }
    h2->turn = turn;
    watch->bytes_left = BYTES_PER_TURN;
    if (unlikely(h2->abuse > 0) && h2_points(h2) >= ODD_MOST) {
        h2->earned = 0;
        watch->heads_left = ODD_HEADS;
        watch->price = ODD_PRICE;
    } else {
        watch->heads_left = TRUST_LEAST + h2->earned;
        watch->price = TRUST_MOST / watch->heads_left;
    }
}

static bool is_spent(const struct h2 *h2)
{
    return h2->watch.bytes_left == 0 || h2->watch.heads_left == 0;
}

/* Gives it to nghttp2, and keeps what is too much for this turn. false: the connection is over. */
static bool take_all(struct h2 *h2, const char *data, size_t len)
{
    while (len > 0 && !h2->calmed) {
        if (is_spent(h2)) {
            conn_keep(h2->conn, data, len);
            conn_resume_read(h2->conn); /* always: what is read next would come on top of it */
            break;
        }
        uint32_t code = NGHTTP2_NO_ERROR;
        size_t part = h2_watch(h2, (const uint8_t *)data, len, &code);
        len -= part;
        while ((part > 0 || h2->stopped) && !h2->calmed) {
            ssize_t used = take(h2, data, part);
            if (h2->over) {
                return false;
            }
            if (used < 0 || (used == 0 && part > 0)) {
                fail(h2, (int)used);
                return false;
            }
            data += used;
            part -= (size_t)used;
        }
        if (code == NGHTTP2_ENHANCE_YOUR_CALM && !h2->calmed) {
            h2_abuse(h2, "CONTINUATION");
        } else if (code != NGHTTP2_NO_ERROR && !h2->calmed) {
            h2->calmed = true;
            h2->doubt = NULL;
            nghttp2_session_terminate_session(h2->session, code);
            h2_odd(h2, H2_FAULT, H2_FAULT_WORD);
        }
    }
    return true;
}

static void read_all(struct h2 *h2)
{
    begin_turn(h2);
    for (int i = 0; !h2->over && !h2->calmed && conn_waiting(h2->conn) < H2_WAITING_MOST; i++) {
        char *data = NULL;
        size_t len = 0;
        if (i == READS_PER_TURN || is_spent(h2) || (i > 0 && loop_is_weary(h2->conn->loop))) {
            conn_resume_read(h2->conn);
            break;
        }
        size_t most = h2->large_frames ? LOOP_READ_MOST : CRUMBS_MOST;
        enum conn_result result = conn_read(h2->conn, &data, &len, most);
        if (result == CONN_AGAIN) {
            break;
        }
        if (result != CONN_DATA) {
            h2_over(h2, result == CONN_EOF ? END_CLOSE : END_RESET, true);
            return;
        }
        if (unlikely(is_foreign(h2, data, len))) {
            h2->foreign = true;
            h2_over(h2, END_RESET, true);
            return;
        }
        uint32_t before = h2->watch.frames;
        if (!take_all(h2, data, len)) {
            return;
        }
        size_t taken = len - conn_kept(h2->conn);
        h2->large_frames = (size_t)(h2->watch.frames - before) * SMALL_FRAME < taken;
    }
    if (h2->over) {
        return;
    }
    if (unlikely(h2->heading != NULL) && h2->side->unfinished != NULL && !h2->heading->ended) {
        h2->side->unfinished(h2->heading);
    }
    if (h2_is_due(h2)) {
        h2_wake(h2);
    }
}

void h2_readable(struct h2 *h2)
{
    struct batch *batch = h2->batch;

    read_all(h2);
    batch_flush(batch);
}
