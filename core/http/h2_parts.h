/* SPDX-License-Identifier: MIT */
/*
 * What h2.c and h2_out.c have in common. See h2.h.
 */
#ifndef HTTP_H2_PARTS_H
#define HTTP_H2_PARTS_H

#include "http/h2.h"

/* Entries in SETTINGS of ours. */
#define H2_SETTINGS_MOST 6u
/* nghttp2 ends the connection of a peer that has more streams than it has said. So it says this,
 * which is replaced in the frame on its way out, and h2.c refuses the streams. */
#define H2_STREAMS_ANY UINT32_MAX

/* Bytes of a frame before its payload. */
#define FRAME_HEAD 9u

/* Of the connection's loop; NULL: out of memory. */
struct h2_home *h2_home_of(struct loop *loop);
/* nghttp2's memory for a session. */
void h2_set_memory(nghttp2_mem *memory, struct h2 *h2);
/* The session was freed. */
void h2_give_memory(struct h2 *h2);

/* Writes what the socket takes; tells nobody anything. */
void h2_send_frames(struct h2 *h2);
int h2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t len,
                 nghttp2_data_source *source, void *user);
/* The socket has room again. */
void h2_resume_all(struct h2 *h2);
/* Bytes that windows or the socket do not let out. */
size_t h2_blocked_bytes(const struct h2_stream *stream);

/* nghttp2 has closed the stream: `closed` is due. */
void h2_end_stream(struct h2_stream *stream, uint32_t code, bool by_peer);
/* Leaves all lists and frees its buffers. */
void h2_forget(struct h2_stream *stream);
/* Whether parts of the request have come while it was paused. */
bool h2_keeps(const struct h2_stream *stream);
/* Gives back what was withheld of the stream's window. */
void h2_give_window(struct h2_stream *stream);

#endif
