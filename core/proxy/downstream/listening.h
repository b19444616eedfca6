/* SPDX-License-Identifier: MIT */
/*
 * Listeners on loops: what they accept on, and how they leave without losing a client. Everything
 * runs on the loop.
 *
 * A socket that a reload removes, and every socket at shutdown, is accepted on until the control
 * thread reports it dry (net/listener.h); then its queue is emptied and it closes. A removed
 * listener still serves one request to each client that is connected, in a handshake or in those
 * queues, under the last plan that had it; the home's owner keeps that plan (on_look).
 */
#ifndef PROXY_DOWNSTREAM_LISTENING_H
#define PROXY_DOWNSTREAM_LISTENING_H

#include "proxy/downstream/downstream.h"

/* Prepares a loop without connections; requests are reported to `events`, which find `user` in the
 * home. */
void down_home_init(struct down_home *home, struct loop *loop, struct batch *batch,
                    const struct down_events *events, void *user);

/* Starts, continues or (`plan` NULL) stops accepting. */
void listener_local_adopt(struct listener_local *local, struct down_home *home,
                          struct listener_plan *plan);

/* Shutdown: all sockets of the listener leave. */
void listener_local_leave(struct listener_local *local);

/* Whether a removed listener still runs under the plan (NULL: under any). */
bool listening_goes_on(const struct down_home *home, const struct plan *plan);

/* Nothing is accepted any more and no client is on its way in. */
bool listening_is_over(const struct down_home *home);

/* Ends at once what is leaving. Connections are closed already. */
void listening_cut(struct down_home *home);

#endif
