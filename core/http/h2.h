/* SPDX-License-Identifier: MIT */
/*
 * HTTP/2 (RFC 9113), as far as both sides of Weir have it in common: a session of nghttp2 on a
 * connection, its streams, their windows, and an account of odd frames. h2_down.c speaks to
 * clients, h2_up.c to servers. Private to the files h2*.c; everything runs on the connection's
 * loop.
 *
 * Input: DATA is passed on while nghttp2 reads it, and the receiver takes it whole; a request's
 * body waits while it is paused, as there may be nobody yet who takes it. The connection's window
 * is given back at once, so a stream that stands still stalls no other. A stream's own window is
 * given back while it is not paused; it bounds what may be on its way.
 *
 * Output: what a turn has brought is written at its end, all streams together: frames go into the
 * loop's output, DATA as slices of a stream's queue. A large slice at hand is written at once, from
 * where it lies. While H2_WAITING_MOST bytes wait for the socket, nothing is taken out of nghttp2,
 * and nothing is read.
 *
 * nghttp2 must not be called from its own callbacks, except for what submits. So the end of a
 * stream is told after nghttp2 has returned, and a side's calls in between only submit and queue.
 */
#ifndef HTTP_H2_H
#define HTTP_H2_H

#include <nghttp2/nghttp2.h>

#include "base/list.h"
#include "http/batch.h"
#include "http/codec.h"

#define H2_WAITING_MOST (64u * 1024)
/* A slice of at least this size is written at once instead of being copied into the queue. */
#define H2_DIRECT 8192u
/* Points for field sections above the limits, and the word. */
#define H2_BREACH      50u
#define H2_BREACH_WORD "too large heads"
/* Points for a frame that we answer with RST_STREAM, or with the end of the connection. */
#define H2_FAULT      10u
#define H2_FAULT_WORD "faulty frames"
/* A window update below this may be needless. */
#define H2_UPDATE_LEAST 1024u
/* Size of the windows in which a peer may send before the settings say more (RFC 9113 6.9.2). */
#define H2_WINDOW_FIRST 65535u
/* The connection's own window: never what stops a peer, since each stream has one. */
#define H2_WINDOW_ALL (1 << 24)

/* Slices of one read that a stream gathers. */
#define H2_PIECES 8u

struct h2;
struct h2_stream;
struct conn_buffer;

/* A field section that is being read. */
struct h2_section {
    struct arena *arena;
    struct http_fields fields;
    struct weir_str method, scheme, authority, path, protocol, status; /* .ptr NULL: not there */
    uint32_t bytes; /* of names and values, as decoded */
    uint32_t cookies;
    uint32_t hosts;
    struct http_error refused; /* status 0: not */
};

/* What a side does with what comes. None of these frees the session or its connection at once:
 * h2_close does so at the end of the turn. */
struct h2_side {
    /* A header block has begun on a new stream (clients' requests). NULL: out of memory, the stream
     * is refused. */
    struct h2_stream *(*open)(struct h2 *h2, int32_t id);
    /* A read has ended within its header block. NULL: nobody asks. */
    void (*unfinished)(struct h2_stream *stream);
    /* A header block is complete: in stream->section. `trailers`: not the first one of a message.
     * Informational responses come here too. */
    void (*head)(struct h2_stream *stream, bool trailers, bool end);
    void (*data)(struct h2_stream *stream, const char *data, size_t len);
    /* The peer has ended its side, after the last data or trailers. */
    void (*end)(struct h2_stream *stream);
    /* After a read that brought data of this stream. */
    void (*flushed)(struct h2_stream *stream);
    /* What h2_stream_blocked told has gone out. */
    void (*drained)(struct h2_stream *stream);
    /* h2_stream_end was called, and the end does not get out. Once. NULL: nobody asks. */
    void (*stalled)(struct h2_stream *stream);
    /* The stream is over, by END_STREAM on both sides (NGHTTP2_NO_ERROR) or by a reset with that
     * code, `by_peer` or ours. The last call about it. */
    void (*closed)(struct h2_stream *stream, uint32_t code, bool by_peer);
    /* The peer has done something odd, of so many points. `ends`: that was too much, and what it
     * was; no new streams are wanted. Told once. NULL: it goes on. */
    void (*odd)(struct h2 *h2, unsigned points, const char *ends);
    /* A frame of stream 0 has come: SETTINGS, GOAWAY, PING, WINDOW_UPDATE. */
    void (*session)(struct h2 *h2, const nghttp2_frame *frame);
    /* The connection is about to end; streams that run are told next. NULL: nobody asks. */
    void (*broken)(struct h2 *h2);
    /* The connection is at its end: closed or broken by the peer, or by an error of the protocol.
     * All streams were told (where they still ran: with NGHTTP2_INTERNAL_ERROR, or with
     * NGHTTP2_PROTOCOL_ERROR if the peer has broken the protocol). The side closes it. */
    void (*over)(struct h2 *h2, enum codec_end how);
};

/* A head on its way out: its HPACK block (h2_block.c). */
struct h2_block {
    struct h2_block *next;
    size_t len;
    uint8_t data[];
};

/* One stream; its side embeds it, in memory that lives until `closed`. Zeroed, then
 * h2_stream_begin. */
struct h2_stream {
    struct h2 *h2;
    struct list link;           /* in h2->streams or h2->ended */
    struct list fed;            /* in h2->fed */
    struct list blocked;        /* in h2->blocked: `drained` is due */
    struct list finishing;      /* in h2->finishing: its end is to go out in this turn */
    struct h2_section *section; /* of the block that is being read; NULL: none */
    struct arena *arena;        /* the exchange's; the side sets it */
    int32_t id;
    uint32_t code; /* of its end */
    bool ended;    /* nghttp2 has closed it; `closed` follows */
    bool reset;    /* by our side */
    bool reset_by_peer;
    bool received_end, sent_end;
    bool sent_head; /* a head of ours has gone out */

    /* input */
    bool paused;
    bool head_due;                  /* a request's head is in `section`, not passed on yet */
    bool end_due;                   /* its end comes behind the pieces */
    uint8_t piece_count;            /* slices of this read, not passed on yet */
    struct iovec pieces[H2_PIECES]; /* together they cost the receiver one write */
    bool fits;                      /* what comes is within the window that the peer began with */
    bool padded;                    /* which takes of the window, too */
    size_t withheld;                /* of its window, while it is paused, or as it fits */
    struct conn_buffer *kept;       /* what has come of a request while it was paused; */
    struct h2_section *kept_trailers;
    bool kept_end;
    struct list resumed; /* in h2->resumed */

    uint64_t received, sent; /* bytes of its frames */

    /* output */
    struct conn_buffer *queue;
    const char *slice; /* at hand in this call */
    size_t slice_len;
    struct h2_block *blocks;     /* heads that nghttp2 has not sent yet, oldest first */
    struct http_fields trailers; /* to be sent behind the queue */
    bool has_source;             /* the head has not ended our side */
    bool rests;                  /* nghttp2 has found nothing to send, and waits to be told */
    bool ending;                 /* our side ends behind the queue */
    bool tunnel;                 /* the peer's side goes on when ours has ended */
};

#define WATCH_STREAMS 64u
#define PRIORITY_LEN  5u

/* What h2_watch.c knows of frames that come. */
struct h2_watch {
    uint8_t frame[9 + PRIORITY_LEN]; /* the beginning of one, */
    uint8_t have;                    /* as far as it has come */
    bool resets;                     /* the peer has reset a stream in this read */
    uint8_t continuations;           /* since the latest head began */
    uint32_t left;                   /* bytes before the next one */
    uint32_t frames;                 /* how many have come; wraps around */
    int32_t last;                    /* the client's latest stream; */
    int32_t processed;               /* before this read */
    uint64_t begun, lost; /* bit i: the client has begun stream last - 2 i; we reset it */
    uint32_t bytes_left;  /* that may be taken in this turn, */
    uint32_t heads_left;  /* and requests that may begin; */
    uint32_t price;       /* of frames and fields */
};

struct h2 {
    const struct h2_side *side;
    nghttp2_session *session;
    struct conn *conn;
    struct batch *batch;
    struct list streams;
    struct list ended;         /* nghttp2 has closed them; `closed` is due */
    struct list fed;           /* streams with data in this read */
    struct h2_stream *heading; /* whose block is being read; NULL: nobody's, or it was left */
    struct h2_stream *passing; /* whose data or trailers are passed on; NULL: it was left */
    struct list blocked;       /* whose bytes do not get out */
    struct list finishing;     /* which end in this turn; left over: `stalled` is due */
    struct h2_block *block;    /* of the HEADERS that nghttp2 sends now */
    struct list resumed;       /* who have kept something, and are not paused any more */
    struct task task;          /* writes at the end of the turn */
    struct h2_home *home;
    struct h2_cold *cold;      /* memory; see h2_memory.c */
    struct http_limits limits; /* for field sections that come */
    uint32_t count;            /* of streams */
    bool server;
    bool greets;                          /* a client's preface is to go out first */
    bool inside;                          /* nghttp2 runs */
    bool stopped;                         /* it has, between two fields, and is to go on */
    bool frame_lent, map_lent, ring_lent; /* memory; see h2_memory.c */
    bool over;                            /* `over` was called, or is not to be */
    bool dead;                            /* nghttp2 has failed: `over` is due */
    bool held;                            /* streams had DATA that the full socket kept back */
    bool busy;                            /* DATA has passed since the last PING */
    bool large_frames;                    /* the last read has brought no crumbs */
    bool wary;
    uint8_t earned; /* the peer's good name; see h2_input.c */
    bool calmed;    /* it ends by our GOAWAY: nothing more is read */
    bool settled;   /* the peer has acknowledged our SETTINGS */
    bool resized;   /* it has changed its windows since we last wrote */
    bool greeted;   /* its own SETTINGS have come */
    bool parted;    /* it has sent GOAWAY */
    bool foreign;   /* a server that speaks HTTP/1 */
    bool left;      /* our GOAWAY has gone out: nghttp2 drops streams that begin */
    bool ending;    /* h2_over has begun */

    int32_t last_id;       /* the newest stream of the peer's */
    uint32_t late_ends;    /* of streams that are over; see h2_late */
    uint32_t late_updates; /* likewise */
    const char *doubt;     /* what has brought the account to three quarters; NULL: nothing */
    struct h2_watch watch;
    uint32_t window;       /* of each stream that the peer sends on */
    uint32_t streams_most; /* that the peer may have at once */
    uint32_t abuse_limit;  /* 0: none */
    uint64_t turn;         /* the latest in which something was read */
    uint64_t owed[2];  /* DATA sent without a WINDOW_UPDATE yet: of the connection, of streams */
    double abuse;      /* points */
    uint64_t abuse_ns; /* when they were counted */
};

/* What a session begins with. */
struct h2_conf {
    const struct h2_side *side;
    const struct http_limits *limits;
    bool server;
    uint32_t streams; /* that the peer may have at once; a client's side: 0 */
    uint32_t window;  /* of each stream */
    uint32_t abuse_limit;
};

/* Sets up a session on an open connection and queues our SETTINGS. false: out of memory. `h2` is
 * zeroed and its owner's; h2_free gives back what it holds. */
bool h2_begin(struct h2 *h2, const struct h2_conf *conf, struct conn *conn, struct batch *batch);
void h2_free(struct h2 *h2);

/* Ends all streams and then the connection, at once. */
void h2_abort(struct h2 *h2);
/* The side closes the connection itself, on which no stream runs: nothing is told or done any
 * more. h2_free follows at the end of the turn. */
void h2_close(struct h2 *h2);

/* The connection's events, for its conn_ops. */
void h2_readable(struct h2 *h2);
void h2_drained(struct h2 *h2);
/* Nothing has come for a while: gives memory back. */
void h2_quiet(struct h2 *h2);

/* Writes at the end of the turn. */
void h2_wake(struct h2 *h2);
/* Counts something odd, `what` in a word for the log: at three quarters of abuse_limit no new
 * streams are wanted, at the whole the session ends with ENHANCE_YOUR_CALM. */
void h2_odd(struct h2 *h2, unsigned points, const char *what);
/* Something that is never innocent: as if abuse_limit were reached. */
void h2_abuse(struct h2 *h2, const char *what);

/* ---- streams ---- */

void h2_stream_begin(struct h2 *h2, struct h2_stream *stream, int32_t id);
/* What is sent as the content of the next head that was submitted to nghttp2, without fields. */
void h2_stream_block(struct h2_stream *stream, struct h2_block *block);
/* Our side's data: taken whole. Not after h2_stream_end. */
void h2_stream_data(struct h2_stream *stream, const char *data, size_t len);
/* A trailer, to go out behind the data. Copies. */
void h2_stream_trailer(struct h2_stream *stream, struct weir_str name, struct weir_str value);
/* Our side ends, with trailers or without. */
void h2_stream_end(struct h2_stream *stream);
/* Resets it. `closed` follows. */
void h2_stream_reset(struct h2_stream *stream, uint32_t code);
/* Leaves it: nothing is told of it any more, and its memory may go. Where it has not ended on both
 * sides it is reset with that code. */
void h2_stream_leave(struct h2_stream *stream, uint32_t code);
/* Fails one of ours that the peer has not got: `closed` follows, with NGHTTP2_REFUSED_STREAM. */
void h2_stream_give_up(struct h2_stream *stream);
/* Bytes that windows or the socket do not let out. */
size_t h2_stream_blocked(struct h2_stream *stream);
/* Whether less than PACE_NARROW could go out now. */
bool h2_stream_is_narrow(const struct h2_stream *stream);
void h2_stream_pause(struct h2_stream *stream);
/* The length of what comes, where the peer has told it: none of the window need be given back for
 * what is no longer than it. */
void h2_stream_expect(struct h2_stream *stream, uint64_t length);
void h2_stream_resume(struct h2_stream *stream);

/* The source of DATA for what submits a head. */
extern const nghttp2_data_source_read_callback h2_source;

/* ---- h2_fields.c ---- */

/* Adds a decoded field; above a limit the section is refused, and what follows is dropped. */
void h2_section_add(struct h2_section *section, const struct http_limits *limits,
                    struct weir_str name, struct weir_str value);
/* The head of a request. `end`: no body follows. false: refused, *error says why. */
bool h2_request_head(struct h2_section *section, bool end, struct http_request_head *head,
                     struct http_error *error);
/* The head of a response to a request of `method`. */
bool h2_response_head(struct h2_section *section, bool end, enum http_method method,
                      struct http_response_head *head, struct http_error *error);

/* ---- h2_block.c ---- */

/* A head, encoded, from the arena. NULL: out of memory. */
struct h2_block *h2_request_block(struct arena *arena, const struct http_request_head *head,
                                  bool https, const struct http_extra *extra, size_t extra_count);
struct h2_block *h2_response_block(struct arena *arena, const struct http_response_head *head);
struct h2_block *h2_trailer_block(struct arena *arena, const struct http_fields *trailers);
/* Bytes by which a block of nghttp2's begins where it must say how large its table is (RFC 7541
 * section 6.3). */
size_t h2_table_size_len(const uint8_t *block, size_t len);

#endif
