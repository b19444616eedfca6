/* SPDX-License-Identifier: MIT */
/*
 * Connections to a server on one loop: which of them are kept, for how long, and the TLS session of
 * the next. Those with room for another exchange are the server's spares.
 *
 * Thread: the loop.
 */
#ifndef PROXY_POOL_CONNECTIONS_H
#define PROXY_POOL_CONNECTIONS_H

#include "proxy/pool/pool.h"

/* Begins the exchange on a spare connection. What was idle for `keep_ns` or longer is closed, not
 * used. `probe`: see up_conn_use. NULL: there is none. */
struct up_conn *connections_use(struct server_local *mine, const struct pin *pin,
                                struct exchange *exchange, bool probe, uint64_t keep_ns);

/* Begins the exchange on this one, which has room. false: as up_conn_use. */
bool connections_begin(struct up_conn *c, struct exchange *exchange, bool probe);

/* What the owner of connections to servers does (struct up_owner; its events are the stream's).
 * `user` is the struct server_local. */
void connections_opened(struct up_conn *c, uint64_t took_ns);
void connections_room(struct up_conn *c);
void connections_closed(struct up_conn *c);

/* A request leaves the connection: the session that the server has given for resumption is kept for
 * the next one. Nothing where the connection is plain, or made with TLS settings of before. */
void connections_keep_session(struct server_local *mine, struct conn *conn);
/* The session for a new connection with these settings; the caller frees it. One of TLS 1.3 is
 * given out once (RFC 8446 section C.4), one of TLS 1.2 as often as the server takes it. NULL:
 * none. */
SSL_SESSION *connections_session(struct server_local *mine, const SSL_CTX *tls);

/* No connection and no session that was made before is for anybody's use. */
void connections_drop(struct server_local *mine);

/* The pool's keepalive_timeout may be another one. */
void connections_rule(struct pool_local *local);

#endif
