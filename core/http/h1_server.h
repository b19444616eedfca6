/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 towards clients: one object a connection, one exchange at a time; pipelined requests wait in the
 * connection.
 */
#ifndef HTTP_H1_SERVER_H
#define HTTP_H1_SERVER_H

#include "http/codec.h"

/* What a listener sets for its connections. Shared by them, may be replaced between two requests. */
struct h1_server_conf {
    struct h1_limits limits;
    uint64_t header_timeout_ns; /* from a request's first byte to its head's end */
    uint64_t body_timeout_ns;   /* between two reads of a body */
    uint64_t body_rate;         /* bytes a second over body_rate_period_ns, at least; 0: any */
    uint64_t body_rate_period_ns;
    uint64_t idle_timeout_ns; /* between two requests; also for a client that does not read */
    uint64_t handshake_timeout_ns;
    uint64_t body_limit; /* bytes; 0: none */
};

struct h1_server;

/* The connection's owner. */
struct h1_server_owner {
    const struct down_events *events;
    /* The settings for the next request; NULL: the listener is gone, close when idle. */
    const struct h1_server_conf *(*conf)(struct h1_server *server);
    /* The last call about the connection; the object is freed at the end of the turn. */
    void (*on_closed)(struct h1_server *server);
};

/* Fields are read by the owner; written by h1_server.c alone. */
struct h1_server {
    struct down down; /* first: a down is cast to its h1_server */
    struct conn *conn;
    struct batch *batch;
    const struct h1_server_owner *owner;
    void *user; /* the owner's */
    const struct h1_server_conf *conf;
    struct timer timer;
    struct task finish;
    struct freed freed;
    struct h1_scan scan;
    struct h1_chunked chunked;
    struct pace pace; /* of reads of the body or tunnel */
    uint64_t body_left;
    uint64_t rate_since_ns,
        rate_mark;     /* body_rate: the running window's beginning; received then */
    uint32_t kept_max; /* bytes that may be kept behind what is being answered */
    uint64_t body_seen;
    uint64_t response_left;            /* of an announced length */
    uint64_t header_timer_request;     /* the request for which the header timer was set */
    uint64_t stall_mark;               /* bytes that the socket had taken at the last look */
    uint64_t received_mark, sent_mark; /* conn counters at the exchange's start */
    uint64_t requests;
    size_t behind; /* bytes in scratch behind the request that is being looked at */
    uint8_t state;
    uint8_t response_body; /* enum http_body */
    bool paused;
    bool finishing;  /* the response has been handed over; the next request waits for the task */
    bool keep_alive; /* after this exchange */
    bool chunking;   /* the response goes out chunked */
    bool last_chunk_sent;
    bool continued;    /* 100 has gone out */
    bool broken;       /* reset: close with RST */
    bool client_ended; /* FIN seen */
    bool draining;     /* close when idle */
};

/* Takes over an accepted connection (TLS handshake possibly under way). NULL: no memory; the connection
 * is closed. */
struct h1_server *h1_server_new(struct conn *conn, struct batch *batch,
                                const struct h1_server_owner *owner, void *user);

/* Closes after the running exchange, or now when idle. */
void h1_server_drain(struct h1_server *server);

/* The same for one that was accepted after everybody was told to leave: it may have one exchange, if that
 * begins within `grace_ns`. */
void h1_server_drain_after(struct h1_server *server, uint64_t grace_ns);

/* Closes now, whatever runs. */
void h1_server_abort(struct h1_server *server);

/* Whether it is between two requests. */
bool h1_server_idle(const struct h1_server *server);

#endif
