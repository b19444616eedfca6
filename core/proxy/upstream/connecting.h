/* SPDX-License-Identifier: MIT */
/*
 * Connections being established, and the requests that wait for them. Several may wait for one
 * connection, as many as it is expected to have room for (HTTP/1: one). Once open, it serves them
 * in order while it has room; the others must find another one.
 *
 * Thread: the loop.
 */
#ifndef PROXY_UPSTREAM_CONNECTING_H
#define PROXY_UPSTREAM_CONNECTING_H

#include "http/up_conn.h"
#include "net/address.h"

struct connecting;

/* A waiting request. Its owner embeds one, zeroed, and sets `events`. */
struct connect_waiter {
    const struct connect_events *events;
    struct connecting *connecting; /* NULL: not waiting */
    struct list link;              /* in its waiters */
};

/* Callbacks to a waiter's owner: one of them, once, never inside connecting_begin or
 * connecting_join. The wait is over by then. */
struct connect_events {
    /* The connection is open with room: the owner begins its exchange. */
    void (*opened)(struct connect_waiter *waiter, struct up_conn *c);
    /* It is open, without room for this one. */
    void (*no_room)(struct connect_waiter *waiter);
    void (*failed)(struct connect_waiter *waiter, enum conn_error error);
};

/* Where to connect, and how. Pointers are not kept, except `owner`, `user`, `pin` and `tls.ctx`. */
struct connect_to {
    const struct address *address;
    uint32_t address_epoch;
    uint32_t terms;             /* of the pool; kept with it, as the epoch is */
    int32_t protocol;           /* enum up_protocol */
    struct conn_tls_client tls; /* ctx NULL: plain */
    const struct tcp_watch *watch;
    const char *preface; /* sent before everything else: a PROXY header */
    size_t preface_len;
    const struct http_limits *limits;
    const struct up_codec *codec; /* NULL: by ALPN */
    uint32_t room;                /* exchanges that it is expected to have room for */
    uint64_t fresh_ns;            /* one that has been connecting for longer is not joined */
    struct batch *batch;
    const struct up_owner *owner;
    void *user;
    struct pin *pin; /* whose it is alone; NULL: everybody's */
};

/* Joins a connection in the server's list that is being established to the same address on the
 * same terms, for the same client if it is pinned. false: none is expected to have room. One that
 * hangs is not joined for ever: see fresh_ns. */
bool connecting_join(struct list *under_way, struct loop *loop, const struct connect_to *to,
                     struct connect_waiter *waiter);

/* Begins to connect and adds the connection to the list. CONN_OK: the waiter gets a callback; else
 * it does not wait. Time limits are the waiter's. */
enum conn_error connecting_begin(struct list *under_way, struct loop *loop,
                                 const struct connect_to *to, struct connect_waiter *waiter);

/* Ends the wait, if any. A connection without waiters is abandoned. */
void connecting_leave(struct connect_waiter *waiter);

static inline bool connecting_waits(const struct connect_waiter *waiter)
{
    return waiter->connecting != NULL;
}

#endif
