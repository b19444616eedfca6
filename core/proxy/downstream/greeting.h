/* SPDX-License-Identifier: MIT */
/*
 * Connections of trusted proxies on a listener with proxy_protocol, until their PROXY header is here. It
 * comes before everything else, TLS too, so it is taken from the socket before there is a connection.
 *
 * Owner: the listener's local half. Thread: its loop.
 */
#ifndef PROXY_DOWNSTREAM_GREETING_H
#define PROXY_DOWNSTREAM_GREETING_H

#include "proxy/downstream/downstream.h"

/* Whether this peer's connection is to begin with a PROXY header, or may. */
bool greeting_wanted(const struct listener_plan *plan, const struct address *peer);

/* Takes over `fd` of a trusted peer: the header is read, or its absence found out, and downstream_open
 * called; or it is bad or too slow (header_timeout), and the socket is closed. */
void greeting_begin(struct listener_local *local, int fd, const struct address *peer,
                    uint16_t port);

/* Closes `fd` of a peer that is not trusted where a PROXY header is required. */
void greeting_refuse(struct listener_local *local, int fd, const struct address *peer);

/* Those that have not begun to send their header get no longer than a new client of a listener that goes. */
void greeting_hurry_all(struct listener_local *local);

/* Closes those that are still waiting. */
void greeting_close_all(struct listener_local *local);

#endif
