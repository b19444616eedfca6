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
    PICK_SERVER, /* the attempt has it, with a place taken */
    PICK_BUSY,   /* all that could serve are at their limits: queue */
    PICK_NONE,   /* nobody is eligible */
};

/* Sticky first, then the balancer, then backups; takes a place at the server (server_acquire) and
 * assigns it to the attempt (pool_assign). BUSY: `*only` is the server to wait for; NULL: any. The
 * plan is set. */
enum pick_result pool_pick(struct pool_local *local, struct attempt *attempt, struct server **only);

/* What pool_pick would choose, without side effects; NULL: no server is eligible. `session` is the
 * server that stickiness names, whether it accepts the session or not; NULL: none. */
struct server_local *pool_would_pick(struct pool_local *local, struct attempt *attempt,
                                     struct server **session);

/* The same of the pool's shadow, where the pool's balancer is asked; NULL: there is none, or it
 * chooses nobody. */
struct server_local *pool_shadow_would_pick(struct pool_local *local, struct attempt *attempt);

/* The server's score for the attempt, from the balancer. false: it is not a candidate or has no
 * score. */
bool pool_score(struct pool_local *local, struct attempt *attempt, const struct server *server,
                struct weir_score *score);

/* Assigns the server to the attempt and tells the balancer; the place is taken already. */
void pool_assign(struct pool_local *local, struct attempt *attempt, struct server_local *mine);

/* Whether a session may continue at the server. */
bool pool_local_takes_session(const struct pool_local *local, const struct server *server);

/* Whether there is a server that the request has not tried, busy or not. */
bool pool_local_has_untried(const struct pool_local *local, const struct tried *tried);

#endif
