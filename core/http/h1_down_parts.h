/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of h1_down: h1_down.c has the connection and its timers, h1_down_request.c
 * reads requests, h1_down_response.c writes responses. Private to them; everything runs on the
 * connection's loop.
 */
#ifndef HTTP_H1_DOWN_PARTS_H
#define HTTP_H1_DOWN_PARTS_H

#include "http/h1_down.h"
#include "http/h1_parse.h"

enum state {
    STATE_IDLE,    /* between requests */
    STATE_HEAD,    /* reading a request's head */
    STATE_LENGTH,  /* reading its body of a known length */
    STATE_CHUNKED, /* reading its body, chunked */
    STATE_WAIT,    /* the request is complete (or refused), the response is not */
    STATE_TUNNEL,
    STATE_CLOSED,
};

/* One connection. A request's state is in its exchange: see struct h1_serving. */
struct h1_down {
    struct down_conn c;
    struct down down;
    uint8_t state;
    bool finishing;    /* the response has been handed over; the next request waits for the task */
    bool keep_alive;   /* after this exchange */
    bool broken;       /* reset: close with RST */
    bool client_ended; /* FIN seen */
    bool served;       /* a request has arrived */
};

/* State of the running exchange. In its arena, so an idle connection does not hold it. */
struct h1_serving {
    const struct down_conf *conf; /* settings when the request began */
    struct h1_scan scan;
    struct h1_chunked chunked;
    struct pace pace; /* of reads of the body or tunnel */
    uint64_t body_left, body_seen;
    uint64_t rate_since_ns,
        rate_mark;          /* body_rate: the running window's beginning; received then */
    uint64_t response_left; /* of an announced length */
    uint64_t stall_ns;      /* since when the client takes no pending output; 0: none pending */
    uint64_t stall_mark;    /* bytes that it had taken then */
    uint64_t received_mark, sent_mark; /* the connection's counters at its start */
    size_t behind;                     /* bytes in scratch after the request being parsed */
    uint8_t response_body;             /* enum http_body */
    bool header_timed;                 /* header_timeout runs */
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
/* The response was handed over, or will not continue: a task at the turn's end goes on. */
void h1_down_finish(struct h1_down *s);
/* The client is gone, or its input cannot be parsed any more. */
void h1_down_gone(struct h1_down *s, enum down_gone why);

/* Its end, even a FIN, means that the client does not wait for the answer (abort_on_close). */
bool h1_down_aborts(const struct h1_down *s);
/* Output may be pending: starts the timer of the client's reading, unless its sending is timed. */
void h1_down_watch_stall(struct h1_down *s);

/* ---- h1_down_request.c ---- */

/* Uses what it can of data[0..len) and returns how much. */
size_t h1_down_consume(struct h1_down *s, const char *data, size_t len);
/* Refuses a head that will not be completed: answers and closes the connection. */
void h1_down_refuse_cut(struct h1_down *s, struct http_error error);
/* Starts a body's timers: between two reads, and for its rate. */
void h1_down_body_clock(struct h1_down *s);
/* Bytes of a body have arrived: checks its rate. */
void h1_down_body_progress(struct h1_down *s);

/* ---- h1_down_response.c ---- */

extern const struct down_ops h1_down_ops;

#endif
