/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 towards clients: one object a connection, one exchange at a time; pipelined requests wait in the
 * connection.
 */
#ifndef HTTP_H1_DOWN_H
#define HTTP_H1_DOWN_H

#include "http/codec.h"

/* What a listener sets for its connections. Shared by them, may be replaced between two requests. */
struct h1_down_conf {
    struct http_limits limits;
    uint64_t header_timeout_ns; /* from a request's first byte to its head's end */
    uint64_t body_timeout_ns;   /* between two reads of a body */
    uint64_t body_rate;         /* bytes a second over body_rate_period_ns, at least; 0: any */
    uint64_t body_rate_period_ns;
    uint64_t idle_timeout_ns; /* between two requests; also for a client that does not read */
    uint64_t lame_duck_ns;    /* instead of idle_timeout once it drains */
    uint64_t handshake_timeout_ns;
    uint64_t body_limit; /* bytes; 0: none */
    bool abort_on_close; /* the end of a client's side is its end, before a response has begun */
};

struct h1_down;

/* The connection's owner, in whose memory the object lies. */
struct h1_down_owner {
    const struct down_events *events;
    /* The settings for the next request; NULL: the listener is gone, close when idle. */
    const struct h1_down_conf *(*conf)(struct h1_down *server);
    /* The last call about the connection. */
    void (*on_closed)(struct h1_down *server);
    /* The end of that turn: nothing refers to the object any more. */
    void (*on_free)(struct h1_down *server);
};

/* One connection. What belongs to a request lies in its exchange: see struct h1_serving. Fields are read by
 * the owner; written by h1_down.c alone. */
struct h1_down {
    struct down down;  /* first: a down is cast to its h1_down */
    struct conn *conn; /* NULL: closed */
    struct batch *batch;
    const struct h1_down_owner *owner;
    struct timer timer;
    union {
        struct task finish;
        struct freed freed; /* closed: nothing is finished any more */
    };
    uint8_t state;
    bool finishing;    /* the response has been handed over; the next request waits for the task */
    bool keep_alive;   /* after this exchange */
    bool broken;       /* reset: close with RST */
    bool client_ended; /* FIN seen */
    bool draining;     /* one request more */
    bool served;       /* a request has come */
    bool hurried;      /* a handshake that has not begun has less time */
};

/* Takes over an accepted connection (TLS handshake possibly under way); `server` is zeroed memory of the
 * owner's, who must have settings. */
void h1_down_begin(struct h1_down *server, struct conn *conn, struct batch *batch,
                   const struct h1_down_owner *owner);

/* Once: the next answer says Connection: close, unless more requests are known to be here. Who is idle has
 * lame_duck for one more request, who is new (in a handshake, too) at least H1_DOWN_FIRST_GRACE_NS for the
 * first. Before the connection closes it is read once more. */
#define H1_DOWN_FIRST_GRACE_NS NS_PER_SECOND
void h1_down_drain(struct h1_down *server);

/* The time that a new client of a listener that goes has for its first byte. */
static inline uint64_t h1_down_first_grace_ns(const struct h1_down_conf *conf)
{
    return conf->lame_duck_ns > H1_DOWN_FIRST_GRACE_NS ? conf->lame_duck_ns
                                                       : H1_DOWN_FIRST_GRACE_NS;
}

/* No request will come behind the present one. */
bool h1_down_is_last(const struct h1_down *server);

/* Closes now, whatever runs. */
void h1_down_abort(struct h1_down *server);

/* Whether it is between two requests. */
bool h1_down_idle(const struct h1_down *server);

#endif
