/* SPDX-License-Identifier: MIT */
/*
 * PROXY headers towards servers (send_proxy_protocol). A connection that began with one speaks for one
 * client's connection, so it is bound to it: kept between that client's requests, the last one only, and
 * closed with it; nobody else's request ever goes out on it.
 *
 * Thread: the loop of the client.
 */
#ifndef PROXY_BOUND_H
#define PROXY_BOUND_H

#include "http/h1_client.h"
#include "proxy/client.h"

/* Puts the pool's PROXY header in front of a connection that is being made; nothing where the pool sends
 * none. `client` NULL: the connection is Weir's own (a probe). false: no memory. */
bool bound_preface(const struct pool_settings *settings, struct conn *conn,
                   const struct client *client);

/* The connection has been made for this client by a pool that sends PROXY headers. */
static inline void bound_to(struct h1_client *up, struct client *client)
{
    up->bound = client;
}

/* An idle connection to the server for this client's next request, taken out of the idle ones: its own one
 * where `settings` send PROXY headers, else one that is nobody's. NULL: none. */
struct h1_client *bound_take_idle(const struct pool_settings *settings, struct server_local *server,
                                  struct client *client);

/* Puts a connection among its server's idle ones. */
void bound_give_idle(struct h1_client *up, struct server_local *server);

/* `up` is gone. */
void bound_forget(struct h1_client *up);
/* The client is gone: so is what is bound to it. */
void bound_close(struct client *client);

#endif
