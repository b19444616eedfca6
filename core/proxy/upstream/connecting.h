/* SPDX-License-Identifier: MIT */
/*
 * Connections that are being made, and the requests that wait for them. Several may wait for one
 * connection, as many as it can be expected to have room for (HTTP/1: one). When it is open it
 * serves them in their order as far as it has room; the others look for another one.
 *
 * Thread: the loop.
 */
#ifndef PROXY_UPSTREAM_CONNECTING_H
#define PROXY_UPSTREAM_CONNECTING_H

#include "http/up_conn.h"
#include "net/address.h"

struct connecting;

/* A request that waits. Its owner embeds one; zeroed, `events` is the owner's to set. */
struct connect_waiter {
    const struct connect_events *events;
    struct connecting *connecting; /* NULL: it waits for none */
    struct list link;              /* in its waiters */
};

/* What a waiter's owner hears, once, not inside connecting_begin or connecting_join. It waits no
 * more then. */
struct connect_events {
    /* The connection is open and has room: the owner begins its exchange. */
    void (*opened)(struct connect_waiter *waiter, struct up_conn *c);
    /* It is open, and has no room left for this one. */
    void (*no_room)(struct connect_waiter *waiter);
    void (*failed)(struct connect_waiter *waiter, enum conn_error error);
};

/* Where a connection goes, and what becomes of it. What is pointed to is not kept, but for `owner`,
 * `user`, `pin` and `tls.ctx`. */
struct connect_to {
    const struct address *address;
    uint32_t address_epoch;
    struct conn_tls_client tls; /* ctx NULL: plain */
    const struct tcp_watch *watch;
    const char *preface; /* goes out before everything else: a PROXY header */
    size_t preface_len;
    const struct http_limits *limits;
    const struct up_codec *codec; /* NULL: what ALPN says */
    uint32_t room;                /* exchanges that it can be expected to have room for */
    struct batch *batch;
    const struct up_owner *owner;
    void *user;
    struct pin *pin; /* nobody joins one that is pinned */
};

/* Waits for a connection of the list that is being made already, to the same address with the same
 * TLS settings. false: none can be expected to have room. */
bool connecting_join(struct list *under_way, const struct connect_to *to,
                     struct connect_waiter *waiter);

/* Begins to connect, and adds the connection to the list. CONN_OK: the waiter hears of the end;
 * else it does not wait. The time limit is the waiter's. */
enum conn_error connecting_begin(struct list *under_way, struct loop *loop,
                                 const struct connect_to *to, struct connect_waiter *waiter);

/* Waits no more, if it did. A connection that nobody waits for is given up. */
void connecting_leave(struct connect_waiter *waiter);

static inline bool connecting_waits(const struct connect_waiter *waiter)
{
    return waiter->connecting != NULL;
}

#endif
