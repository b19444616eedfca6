/* SPDX-License-Identifier: MIT */
/*
 * Connections with capacity: those of one loop to one server that have room for another exchange.
 * HTTP/1 has room while nothing runs on it, other protocols until they have as many exchanges as
 * their peer allows.
 *
 * Thread: the loop.
 */
#ifndef PROXY_POOL_SPARES_H
#define PROXY_POOL_SPARES_H

#include "http/up_conn.h"

/* The most recently used first. Those that are pinned stand behind the others: one look at the
 * front tells whether there is one for everybody, and reloads and the clock find them all. Zeroed,
 * then spares_init. */
struct spares {
    struct list list; /* struct up_conn.link */
    size_t idle;      /* of them, those on which nothing runs */
};

/* A client that connections are pinned to, as those that began with a PROXY header are: they speak
 * for that client alone. The last one with room is kept between its requests. The client embeds
 * one; zeroed. */
struct pin {
    struct up_conn *spare; /* NULL: none */
};

static inline void spares_init(struct spares *spares)
{
    list_init(&spares->list);
}

/* One for the next exchange; NULL: none. `pin` NULL: one that is nobody's. */
struct up_conn *spares_find(const struct spares *spares, const struct pin *pin);

/* An exchange has begun or ended on the connection, or it is new: it stands among the spares
 * exactly as long as it has room. */
void spares_settle(struct spares *spares, struct up_conn *c);

/* It is no spare any more: it has ended, or nobody is to get it. */
void spares_remove(struct spares *spares, struct up_conn *c);

/* Closes those that have been idle since `before_ns` or earlier. Says when the oldest of the others
 * became idle; UINT64_MAX: none is. */
uint64_t spares_expire(struct spares *spares, uint64_t before_ns);

/* Nobody is to get any of them: closes those that are idle. The others stay with their
 * exchanges. */
void spares_drop(struct spares *spares);

/* Closes the one that was used least recently. false: none is idle. */
bool spares_close_one(struct spares *spares);

/* The client is gone: so is what is pinned to it. */
void pin_end(struct pin *pin);

#endif
