/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 towards servers: one object an upstream connection, one exchange at a time; between exchanges it
 * is idle in its owner's list.
 */
#ifndef HTTP_H1_UP_H
#define HTTP_H1_UP_H

#include "http/codec.h"

struct h1_up;

struct h1_up_owner {
    const struct up_events *events;
    /* The connection is idle and clean: keep it (h1_up_use later) or close it (h1_up_close). */
    void (*on_idle)(struct h1_up *client);
    /* The connection has ended (while idle, or when an exchange ended or failed); the last call. */
    void (*on_closed)(struct h1_up *client);
};

struct h1_up {
    struct up up; /* first: an up is cast to its h1_up */
    struct conn *conn;
    struct batch *batch;
    const struct h1_up_owner *owner;
    void *user;       /* the owner's: the server's local state */
    void *bound;      /* the owner's: whom alone the connection is for; NULL: anybody */
    uint32_t moves;   /* the owner's: of the server's address when this was made */
    struct list link; /* the owner's */
    struct freed freed;
    struct http_limits limits;
    struct h1_scan scan;
    struct h1_chunked chunked;
    struct pace pace; /* of reads for the exchange */
    uint64_t body_left;
    uint64_t exchanges; /* begun on this connection */
    uint64_t taken;     /* conn->taken when the exchange began */
    uint64_t idle_since_ns;
    uint8_t state;
    uint8_t interims; /* 1xx responses to this exchange */
    bool paused;
    bool last_chunk_sent;
    bool request_whole;
    bool request_chunked;
    bool reusable;     /* as far as is known now */
    bool answer_begun; /* a byte of the answer to this exchange has come */
    bool long_head;    /* of the request: see H1_HEAD_COMMON */
    bool tunnel;       /* switched: bytes both ways */
};

/* Takes over a connection that is open. */
struct h1_up *h1_up_new(struct conn *conn, struct batch *batch, const struct http_limits *limits,
                        const struct h1_up_owner *owner, void *user);

/* Begins an exchange on an idle connection; ops->head follows. false: the connection turned out to be
 * closed, or to have bytes that nobody asked for (it is gone now; on_closed was called). What the loop knows
 * of it is looked at always; `probe`: ask the kernel, too, for requests that cannot be sent twice. */
bool h1_up_use(struct h1_up *client, struct exchange *exchange, bool probe);

/* Closes an idle connection. */
void h1_up_close(struct h1_up *client);

#endif
