/* SPDX-License-Identifier: MIT */
/*
 * Connections with capacity: those from one loop to one server with room for another exchange.
 * HTTP/1 has room while it is idle, other protocols until they reach their peer's limit of
 * exchanges.
 *
 * Thread: the loop.
 */
#ifndef PROXY_POOL_SPARES_H
#define PROXY_POOL_SPARES_H

#include "http/up_conn.h"

/* Most recently used first, pinned ones last: the front shows whether there is one for any client,
 * and reloads and timeouts find them all. Zeroed, then spares_init. */
struct spares {
    struct list list; /* struct up_conn.link */
    size_t idle;      /* of them, the idle ones */
};

/* A client that connections are pinned to: those that began with a PROXY header serve that client
 * alone. The last one with room is kept between its requests. The client embeds one; zeroed. */
struct pin {
    struct up_conn *spare; /* NULL: none */
};

static inline void spares_init(struct spares *spares)
{
    list_init(&spares->list);
}

/* One for the next exchange; NULL: none. `pin` NULL: one that is not pinned. */
struct up_conn *spares_find(const struct spares *spares, const struct pin *pin);

/* An exchange has begun or ended on the connection, or it is new: it is a spare exactly while it
 * has room. */
void spares_settle(struct spares *spares, struct up_conn *c);

/* Not a spare any more: it has ended or must not be used. */
void spares_remove(struct spares *spares, struct up_conn *c);

/* Closes those idle since `before_ns` or earlier. Returns when the oldest remaining one became
 * idle; UINT64_MAX: none. */
uint64_t spares_expire(struct spares *spares, uint64_t before_ns);

/* None of them must be used any more: closes the idle ones. The others stay with their
 * exchanges. */
void spares_drop(struct spares *spares);

/* Closes the least recently used one. false: none is idle. */
bool spares_close_one(struct spares *spares);

/* The client is gone: ends what is pinned to it. */
void pin_end(struct pin *pin);

#endif
