/* SPDX-License-Identifier: MIT */
/*
 * Connections to a server on one loop: which are kept and how long, and the TLS session for the
 * next one. Those with room for another exchange are the server's spares.
 *
 * Thread: the loop.
 */
#ifndef PROXY_POOL_CONNECTIONS_H
#define PROXY_POOL_CONNECTIONS_H

#include "proxy/pool/pool.h"

/* Begins the exchange on a spare connection. Those idle for `keep_ns` or longer are closed, not
 * used. `probe`: see up_conn_use. NULL: there is none. */
struct up_conn *connections_use(struct server_local *mine, const struct pin *pin,
                                struct exchange *exchange, bool probe, uint64_t keep_ns);

/* Begins the exchange on this one, which has room. false: as up_conn_use; it is no spare any
 * more. */
bool connections_begin(struct up_conn *c, struct exchange *exchange, bool probe);

/* Callbacks of the owner of connections to servers (struct up_owner; the exchange's events are the
 * stream's). `user` is the struct server_local. */
void connections_opened(struct up_conn *c, uint64_t took_ns);
void connections_odd(struct up_conn *c, unsigned points, const char *ends);
void connections_room(struct up_conn *c);
void connections_closed(struct up_conn *c);

/* A request leaves the connection: keeps the server's resumption session for the next one. Does
 * nothing if the connection is plain or has earlier TLS settings. */
void connections_keep_session(struct server_local *mine, struct conn *conn);
/* The session for a new connection with these settings; the caller frees it. One of TLS 1.3 is
 * given out once (RFC 8446 section C.4), one of TLS 1.2 as often as the server takes it. NULL:
 * none. */
SSL_SESSION *connections_session(struct server_local *mine, const SSL_CTX *tls);

/* Existing connections and sessions are not used any more. */
void connections_drop(struct server_local *mine);

/* The plan's connections are wanted from now on: others are dropped. */
void connections_adopt(struct server_local *mine, const struct pool_plan *plan);

/* The pool's keepalive_timeout or connection_age may have changed. */
void connections_rule(struct pool_local *local);

#endif
