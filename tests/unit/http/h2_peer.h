/* SPDX-License-Identifier: MIT */
/*
 * The other end of a connection of HTTP/2, frame by frame: what comes is noted as text, what the
 * test says goes out as it is, and SETTINGS are acknowledged. nghttp2 does HPACK, and nothing else.
 *
 * Notes: `HEAD 1 GET /` or `HEAD 1 200`, `DATA 1 text`, `TRAILERS 1 name=value`, each with a `.` at
 * END_STREAM; `RST 1 8`, `GOAWAY 0 0`, `ACK` (of SETTINGS), `PONG`; each followed by a space.
 */
#ifndef WEIR_TESTS_UNIT_HTTP_H2_PEER_H
#define WEIR_TESTS_UNIT_HTTP_H2_PEER_H

#include <nghttp2/nghttp2.h>

#include "notes.h"

struct h2_peer {
    struct end end;
    struct loop *loop;
    nghttp2_hd_inflater *inflater;
    nghttp2_hd_deflater *deflater;
    struct notes *notes;
    size_t at;          /* in end.data: noted so far */
    bool heads[64];     /* whose head has come, by stream */
    bool said;          /* its SETTINGS */
    unsigned owed;      /* acknowledgements of SETTINGS */
    uint64_t increment; /* sum of WINDOW_UPDATE on streams */
};

/* Takes one end of a connection. A client says its preface and SETTINGS at once, a server its
 * SETTINGS when told. */
void peer_begin(struct h2_peer *peer, struct loop *loop, int fd, bool client);
void peer_end(struct h2_peer *peer);

void peer_frame(struct h2_peer *peer, uint8_t type, uint8_t flags, int32_t stream,
                const void *payload, size_t len);
/* Fields are `name=value`, parted by a space. */
void peer_head(struct h2_peer *peer, int32_t stream, bool end, const char *fields);
void peer_data(struct h2_peer *peer, int32_t stream, bool end, const char *text);
void peer_rst(struct h2_peer *peer, int32_t stream, uint32_t code);
void peer_goaway(struct h2_peer *peer, int32_t last, uint32_t code);
/* One setting; id 0: none. */
void peer_settings(struct h2_peer *peer, uint16_t id, uint32_t value);
void peer_update(struct h2_peer *peer, int32_t stream, uint32_t by);

/* The notes of all that has come. */
const char *peer_noted(struct h2_peer *peer);
/* Turns the loop until the notes are exactly this. */
void wait_peer(struct h2_peer *peer, const char *wanted);

#endif
