/* SPDX-License-Identifier: MIT */
/*
 * What the files that both sides have in common know of each other: h2_memory.c below h2_out.c,
 * below h2_ends.c, below h2_watch.c, below h2_input.c, below h2.c. See h2.h.
 */
#ifndef HTTP_H2_PARTS_H
#define HTTP_H2_PARTS_H

#include "base/cold.h"
#include "base/slabs.h"
#include "http/h2.h"

/* Entries in SETTINGS of ours. */
#define H2_SETTINGS_MOST 6u
/* nghttp2 ends the connection of a peer that has more streams than it has said. So it says this,
 * which is replaced in the frame on its way out, and h2.c refuses the streams. */
#define H2_STREAMS_ANY UINT32_MAX

/* Bytes of a frame before its payload. */
#define FRAME_HEAD 9u

/* What streams that end well earn at most: sixteen times the least trust. */
#define H2_EARNED_MOST 15u

/* Buffers whose last bytes may be in the batch. */
#define H2_SPENT_MOST 16u

/* What sessions of a loop share. */
struct h2_home {
    struct loop_part part;
    struct freed freed;
    struct slabs slabs;
    struct cold cold;
    char *frame;                              /* what nghttp2 makes frames in */
    struct conn_buffer *spent[H2_SPENT_MOST]; /* their last bytes are in the batch */
    unsigned spent_count;
    size_t gathered; /* bytes in the batch */
};

/* ---- h2_memory.c ---- */

/* Of the connection's loop; NULL: out of memory. */
struct h2_home *h2_home_of(struct loop *loop);
/* nghttp2's memory for a session. */
void h2_set_memory(nghttp2_mem *memory, struct h2 *h2);
/* The session was freed. */
void h2_give_memory(struct h2 *h2);

/* ---- h2_out.c ---- */

/* Writes what the socket takes; tells nobody anything. */
void h2_send_frames(struct h2 *h2);
int h2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t len,
                 nghttp2_data_source *source, void *user);
/* Queues RST_STREAM. Out of memory the session is dead: nghttp2 would go on with the stream. */
void h2_submit_reset(struct h2 *h2, int32_t id, uint32_t code);
/* The socket has room again. */
void h2_resume_all(struct h2 *h2);
/* Bytes that windows or the socket do not let out. */
size_t h2_blocked_bytes(const struct h2_stream *stream);

/* ---- h2_ends.c ---- */

/* What the account holds now. */
double h2_points(const struct h2 *h2);
/* The end of the connection: whoever still runs hears it first. `by_peer`: the peer has ended it;
 * else it has broken the protocol. */
void h2_over(struct h2 *h2, enum codec_end how, bool by_peer);
/* nghttp2 has closed streams: their sides are told now that it does not run. */
void h2_tell_ended(struct h2 *h2);
/* Whether h2_pump has anything to do. */
bool h2_is_due(const struct h2 *h2);
/* Writes, and tells what has come of it. Not from inside an operation of a stream's. */
void h2_pump(struct h2 *h2);
/* nghttp2 ends the connection itself, with this code. */
void h2_faulted(struct h2 *h2, uint32_t code);
/* HEADERS, RST_STREAM or WINDOW_UPDATE have come on a stream that is over: odd, if there are more
 * of them than may have crossed the streams' ends on the wire. */
void h2_late(struct h2 *h2, uint8_t type);

/* ---- h2_watch.c ---- */

void h2_watch_begin(struct h2 *h2);
/* Looks at what is about to be given to nghttp2: returns how much of it may be at once, which
 * is something while the turn has bytes and heads left; takes that from them. *code: what the peer
 * has broken behind that; NGHTTP2_NO_ERROR: nothing. */
size_t h2_watch(struct h2 *h2, const uint8_t *data, size_t len, uint32_t *code);
/* We have reset a stream of the peer's that it had not ended. */
void h2_watch_reset(struct h2 *h2, int32_t id);

/* ---- h2_input.c ---- */

/* Sets what h2_input.c wants to hear of. */
void h2_set_input(nghttp2_session_callbacks *callbacks);
/* What requests have kept while they were paused passes on. */
void h2_pass_kept(struct h2 *h2);

/* NULL: nobody is interested in it (any more). */
static inline struct h2_stream *h2_stream_of(nghttp2_session *session, int32_t id)
{
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    return stream != NULL && !stream->ended ? stream : NULL;
}

/* What may come of a stream that is over, as the peer did not know yet: its head or trailers, and
 * its reset; an update for each frame of DATA and each H2_UPDATE_LEAST bytes of it. */
#define H2_LATE_ENDS         3u
#define H2_LATE_ENDS_MOST    1000u
#define H2_LATE_UPDATES      2u
#define H2_LATE_UPDATES_MOST 16384u

static inline void h2_expect_updates(struct h2 *h2, size_t count)
{
    uint32_t room = H2_LATE_UPDATES_MOST - h2->late_updates;
    h2->late_updates += count < room ? (uint32_t)count : room;
}

/* DATA goes out on a stream: its window may be given back when the stream is over. */
static inline void h2_expect_repaid(struct h2 *h2, size_t len)
{
    h2_expect_updates(h2, 1 + len / H2_UPDATE_LEAST);
}

/* A stream has begun: frames about it may come when it is over. */
static inline void h2_expect_late(struct h2 *h2)
{
    uint32_t room = H2_LATE_ENDS_MOST - h2->late_ends;
    h2->late_ends += H2_LATE_ENDS < room ? H2_LATE_ENDS : room;
    h2_expect_updates(h2, H2_LATE_UPDATES);
}

/* nghttp2 has closed the stream: `closed` is due. */
void h2_end_stream(struct h2_stream *stream, uint32_t code, bool by_peer);
/* Leaves all lists and frees its buffers. */
void h2_forget(struct h2_stream *stream);
/* Whether parts of the request have come while it was paused. */
bool h2_keeps(const struct h2_stream *stream);
/* Gives back what was withheld of the stream's window. */
void h2_give_window(struct h2_stream *stream);

#endif
