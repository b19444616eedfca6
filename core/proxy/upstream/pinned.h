/* SPDX-License-Identifier: MIT */
/*
 * PROXY headers towards servers (send_proxy_protocol). A connection that began with one speaks for one
 * client's connection, so it is bound to it: kept between that client's requests, the last one only, and
 * closed with it; nobody else's request ever goes out on it.
 *
 * Thread: the loop of the client.
 */
#ifndef PROXY_UPSTREAM_PINNED_H
#define PROXY_UPSTREAM_PINNED_H

#include "http/up_conn.h"
#include "proxy/downstream/downstream.h"

/* Puts the pool's PROXY header in front of a connection that is being made; nothing where the pool sends
 * none. `client` NULL: the connection is Weir's own (a probe). false: no memory. */
bool pinned_preface(const struct pool_settings *settings, struct conn *conn,
                    const struct downstream *client);

/* The connection has been made for this client by a pool that sends PROXY headers. */
static inline void pinned_to(struct up_conn *up, struct downstream *client)
{
    up->pin = client;
}

/* An idle connection to the server for this client's next request, taken out of the idle ones: its own one
 * where `settings` send PROXY headers, else one that is nobody's. NULL: none. */
struct up_conn *pinned_take_idle(const struct pool_settings *settings, struct server_local *server,
                                 struct downstream *client);

/* Puts a connection among its server's idle ones. */
void pinned_give_idle(struct up_conn *up, struct server_local *server);

/* `up` is gone. */
void pinned_forget(struct up_conn *up);
/* The client is gone: so is what is bound to it. */
void pinned_close(struct downstream *client);

#endif
