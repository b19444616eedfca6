/* SPDX-License-Identifier: MIT */
/*
 * What h2_down.c, h2_down_response.c and h2_down_clocks.c have in common. See h2_down.h.
 */
#ifndef HTTP_H2_DOWN_PARTS_H
#define HTTP_H2_DOWN_PARTS_H

#include "http/h2.h"
#include "http/h2_down.h"

struct h2_session {
    struct h2 h2;
    struct h2_down *owner;
    bool leaving; /* the last GOAWAY was submitted */
    struct freed freed;
};

struct h2_down {
    struct down_conn c;
    struct h2_session *session;
    bool served; /* a request has arrived */
};
_Static_assert(sizeof(struct h2_down) <= sizeof(union down_place), "down_place has its room");

/* State of a running exchange, in its arena. */
struct h2_serving {
    struct h2_stream stream;
    struct down down;
    struct h2_down *owner;
    const struct down_conf *conf; /* settings when the request began */
    struct timer timer;
    uint64_t body_seen;
    uint64_t rate_since_ns, rate_mark; /* body_rate: the running window's beginning; seen then */
    uint64_t response_left;            /* of an announced length */
    uint64_t stall_ns, stall_mark;     /* since when it takes nothing; what it had taken then */
    enum http_body response_body;
    bool head_done; /* the request's head was passed on */
    bool refused;   /* it was not: its body is dropped */
    bool continued; /* 100 was sent */
    bool told_gone;
};

static inline struct h2_serving *h2_serving_of(struct down *down)
{
    return container_of(down, struct h2_serving, down);
}

static inline struct h2_serving *h2_serving_of_stream(struct h2_stream *stream)
{
    return container_of(stream, struct h2_serving, stream);
}

static inline const struct down_events *h2_down_events(const struct h2_serving *x)
{
    return x->owner->c.owner->events;
}

static inline struct loop *h2_down_loop(const struct h2_serving *x)
{
    return down_conn_loop(&x->owner->c);
}

/* ---- h2_down_response.c ---- */

extern const struct down_ops h2_down_ops;

/* ---- h2_down_clocks.c ---- */

/* The client is gone, or is to be told of its fault: once. */
void h2_down_gone(struct h2_serving *x, enum down_gone why);

/* The client has body_timeout for its next bytes. */
void h2_down_body_clock(struct h2_serving *x);
/* Whether the client is the one to send the next byte of a body. */
bool h2_down_body_due(const struct h2_serving *x);
/* Bytes of a body have arrived. */
void h2_down_body_progress(struct h2_serving *x);
/* Something waits for the client to take it. */
void h2_down_watch_stall(struct h2_serving *x);
/* Likewise if something does. */
void h2_down_check_waiting(struct h2_serving *x);
/* The stream's timer. */
void h2_down_stream_timer(struct timer *timer);

#endif
