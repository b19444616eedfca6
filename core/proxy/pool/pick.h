/* SPDX-License-Identifier: MIT */
/*
 * Choosing a server for an attempt: the session's first, then the balancer's choice, then backups.
 * Thread: the loop of the attempt.
 */
#ifndef PROXY_POOL_PICK_H
#define PROXY_POOL_PICK_H

#include "proxy/pool/attempt.h"
#include "proxy/pool/pool.h"

enum pick_result {
    PICK_SERVER, /* the attempt's: a place there is taken */
    PICK_BUSY,   /* all that could serve are at their limits: queue */
    PICK_NONE,   /* nobody is eligible */
};

/* Sticky first, then the balancer, then reserves; takes a place at the server (server_acquire) and
 * gives it to the attempt (pool_assign). BUSY: `*only` is the server that the request's session
 * waits for; NULL: it waits for any. The plan is set. */
enum pick_result pool_pick(struct pool_local *local, struct attempt *attempt, struct server **only);

/* What pool_pick would do, without taking a place or changing anything: NULL: nobody is eligible
 * now. `session` is the server that stickiness names, whether it takes the session or not; NULL: it
 * names none. */
struct server_local *pool_would_pick(struct pool_local *local, struct attempt *attempt,
                                     struct server **session);

/* How the server ranks for the attempt, as the balancer says. false: it is no candidate, or the
 * balancer has no number for it. */
bool pool_score(struct pool_local *local, struct attempt *attempt, const struct server *server,
                struct weir_score *score);

/* The server is given to the attempt, its place is already taken; the balancer hears of it. */
void pool_assign(struct pool_local *local, struct attempt *attempt, struct server_local *mine);

/* Whether a session at the server may go on there. */
bool pool_local_takes_session(const struct pool_local *local, const struct server *server);

/* Whether a request can hope for a server: one that it has not tried, busy or not. */
bool pool_local_has_untried(const struct pool_local *local, const struct tried *tried);

#endif
