/* SPDX-License-Identifier: MIT */
/*
 * What the files of h1_down know of each other: h1_down.c has the connection and its clocks,
 * h1_down_request.c makes requests of what it reads, h1_down_response.c writes the responses. Private to
 * them; everything runs on the connection's loop.
 */
#ifndef HTTP_H1_DOWN_PARTS_H
#define HTTP_H1_DOWN_PARTS_H

#include "http/h1_down.h"

enum state {
    STATE_OPENING, /* TLS handshake */
    STATE_IDLE,    /* between requests */
    STATE_HEAD,    /* a request's head is coming */
    STATE_LENGTH,  /* its body is coming, counted */
    STATE_CHUNKED, /* its body is coming, chunked */
    STATE_WAIT,    /* the request is whole (or refused); the response is not */
    STATE_TUNNEL,
    STATE_CLOSED,
};

static inline struct h1_down *server_of(struct down *down)
{
    return (struct h1_down *)down;
}

static inline struct h1_serving *serving_of(const struct h1_down *s)
{
    return &s->down.exchange->serving;
}

static inline struct loop *server_loop(const struct h1_down *s)
{
    return s->conn->loop;
}

/* ---- h1_down.c ---- */

/* The connection's end: the one place where it is closed. No exchange runs. */
void h1_down_close(struct h1_down *s, bool linger);
/* The response has been handed over, or nothing more will come of it: a task at the turn's end goes on. */
void h1_down_finish(struct h1_down *s);
/* The client is gone, or what it sends cannot be understood any more. */
void h1_down_gone(struct h1_down *s, enum down_gone why);

/* Its end, a FIN alone too, means that the client does not wait for the answer (abort_on_close). */
bool h1_down_aborts(const struct h1_down *s);
/* Something may wait for the client: the clock of its reading begins, unless its sending is timed. */
void h1_down_watch_stall(struct h1_down *s);

/* ---- h1_down_request.c ---- */

/* Uses what it can of data[0..len); says how much. */
size_t h1_down_consume(struct h1_down *s, const char *data, size_t len);
/* A head that will not become whole is refused: it will be answered, and the connection closed. */
void h1_down_refuse_cut(struct h1_down *s, struct http_error error);
/* A body's clocks begin: between two reads, and for its rate. */
void h1_down_body_clock(struct h1_down *s);
/* Bytes of a body have come: is it fast enough? */
void h1_down_body_progress(struct h1_down *s);

/* ---- h1_down_response.c ---- */

extern const struct down_ops h1_down_down_ops;

#endif
