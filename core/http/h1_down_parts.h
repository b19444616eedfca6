/* SPDX-License-Identifier: MIT */
/*
 * What the files of h1_down know of each other: h1_down.c has the connection and its clocks,
 * h1_down_request.c makes requests of what it reads, h1_down_response.c writes the responses.
 * Private to them; everything runs on the connection's loop.
 */
#ifndef HTTP_H1_DOWN_PARTS_H
#define HTTP_H1_DOWN_PARTS_H

#include "http/h1_down.h"
#include "http/h1_parse.h"

enum state {
    STATE_IDLE,    /* between requests */
    STATE_HEAD,    /* a request's head is coming */
    STATE_LENGTH,  /* its body is coming, counted */
    STATE_CHUNKED, /* its body is coming, chunked */
    STATE_WAIT,    /* the request is whole (or refused); the response is not */
    STATE_TUNNEL,
    STATE_CLOSED,
};

/* One connection. What belongs to a request lies in its exchange: see struct h1_serving. */
struct h1_down {
    struct down_conn c;
    struct down down;
    uint8_t state;
    bool finishing;    /* the response has been handed over; the next request waits for the task */
    bool keep_alive;   /* after this exchange */
    bool broken;       /* reset: close with RST */
    bool client_ended; /* FIN seen */
    bool served;       /* a request has come */
};

/* What is known of the running exchange. In its arena, so that a connection that waits for a
 * request does not hold it. */
struct h1_serving {
    const struct down_conf *conf; /* settings of the time when the request began */
    struct h1_scan scan;
    struct h1_chunked chunked;
    struct pace pace; /* of reads of the body or tunnel */
    uint64_t body_left, body_seen;
    uint64_t rate_since_ns,
        rate_mark;          /* body_rate: the running window's beginning; received then */
    uint64_t response_left; /* of an announced length */
    uint64_t stall_ns;      /* since when the client takes nothing of what waits; 0: nothing does */
    uint64_t stall_mark;    /* bytes that it had taken then */
    uint64_t received_mark, sent_mark; /* the connection's counters at its start */
    size_t behind;         /* bytes in scratch behind the request that is being looked at */
    uint8_t response_body; /* enum http_body */
    bool header_timed;     /* header_timeout runs */
    bool paused;
    bool chunking; /* the response goes out chunked */
    bool last_chunk_sent;
    bool continued; /* 100 has gone out */
};

static inline struct h1_down *h1_down_of(struct down *down)
{
    return container_of(down, struct h1_down, down);
}

static inline struct h1_serving *serving_of(const struct h1_down *s)
{
    return s->down.exchange->serving;
}

/* ---- h1_down.c ---- */

/* No exchange runs. */
void h1_down_close(struct h1_down *s, enum codec_end how);
/* The response has been handed over, or nothing more will come of it: a task at the turn's end goes
 * on. */
void h1_down_finish(struct h1_down *s);
/* The client is gone, or what it sends cannot be understood any more. */
void h1_down_gone(struct h1_down *s, enum down_gone why);

/* Its end, a FIN alone too, means that the client does not wait for the answer (abort_on_close). */
bool h1_down_aborts(const struct h1_down *s);
/* Something may wait for the client: the clock of its reading begins, unless its sending is
 * timed. */
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

extern const struct down_ops h1_down_ops;

#endif
