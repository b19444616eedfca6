/* SPDX-License-Identifier: MIT */
/*
 * HTTP/2 towards servers: what the connection (h2_up.c) and its exchanges (h2_up_stream.c) have in
 * common.
 */
#ifndef HTTP_H2_UP_PARTS_H
#define HTTP_H2_UP_PARTS_H

#include "http/h2.h"
#include "http/h2_up.h"

/* Requests at once until the server's SETTINGS say how many (and nghttp2's own number for it). */
#define H2_UP_ROOM_FIRST 100u

struct h2_up {
    struct up_conn c; /* first: up_conn_open allocates both as one */
    struct h2 h2;
    struct list asking; /* struct h2_asking.link: all exchanges */
    struct freed freed; /* the session */
    uint64_t asked_ns;  /* the turn in which the kernel was asked for the server's end */
    uint32_t streams;   /* at once, at most */
    bool settled;       /* the server's SETTINGS have come */
    bool overdrawn;     /* and allowed fewer requests at once than there were */
    bool answers;       /* it has looked at one at least */
    bool leaving;       /* no more exchanges: GOAWAY, or used up */
    bool broken;        /* it is about to end */
};
_Static_assert(offsetof(struct h2_up, c) == 0, "up_conn_open allocates both as one");

/* State of a running exchange, in its arena. */
struct h2_asking {
    struct h2_stream stream; /* .id 0: not submitted (yet) */
    struct up up;
    struct h2_up *owner;
    struct list link;
    struct task refusal;   /* queued: it cannot go there */
    struct h2_block *head; /* until it is submitted */
    uint64_t taken;        /* conn->taken when it began */
    uint8_t interims;      /* 1xx responses to it */
    bool may_be_stale;     /* it began on a connection that was idle after its first use */
    bool early;            /* it began before the server's SETTINGS were here */
    bool upgrade;          /* asks for a WebSocket */
    bool tunnel;           /* and has got it */
    bool head_done;        /* the response's head was passed on */
    bool whole;            /* so was its end */
};

/* ---- h2_up_stream.c ---- */

/* How many exchanges may begin, as far as the connection knows. */
void h2_up_set_room(struct h2_up *u);
/* The exchange begins on a connection that has room. false: out of memory. */
bool h2_up_attach(struct h2_up *u, struct exchange *exchange);
/* The exchange is no more this connection's, which may be closed when this returns. Its stream is
 * reset with that code unless it has ended. */
struct exchange *h2_up_detach(struct h2_asking *x, uint32_t code);
/* Detaches it, and tells it why. */
void h2_up_fail(struct h2_asking *x, enum up_failure why);
/* The SETTINGS are here: requests for WebSockets have waited for them. */
void h2_up_settled(struct h2_up *u);

/* Of h2_side: a stream's events. */
void h2_up_on_head(struct h2_stream *stream, bool trailers, bool end);
void h2_up_on_data(struct h2_stream *stream, const char *data, size_t len);
void h2_up_on_end(struct h2_stream *stream);
void h2_up_on_flushed(struct h2_stream *stream);
void h2_up_on_drained(struct h2_stream *stream);
void h2_up_on_closed(struct h2_stream *stream, uint32_t code, bool by_peer);

#endif
