/* SPDX-License-Identifier: MIT */
/*
 * Listeners on loops: what they accept on, and how they leave with nobody lost. Everything runs on
 * the loop.
 *
 * A socket that a reload takes away, or all of them at the end of the program, is accepted on until
 * the control thread says that it is dry (net/listener.h); then its queue is emptied, and it
 * closes. A listener that is gone serves who has come to it, shakes hands or stands in those
 * queues, each with one request, under the last plan that had it, which the home's owner keeps as
 * long (on_look).
 */
#ifndef PROXY_DOWNSTREAM_LISTENING_H
#define PROXY_DOWNSTREAM_LISTENING_H

#include "proxy/downstream/downstream.h"

/* A loop without connections yet; what clients ask becomes `events`, which find `user` in the
 * home. */
void down_home_init(struct down_home *home, struct loop *loop, struct batch *batch,
                    const struct down_events *events, void *user);

/* Begins, goes on, or (`plan` NULL) ends to accept. */
void listener_local_adopt(struct listener_local *local, struct down_home *home,
                          struct listener_plan *plan);

/* The program ends: all sockets of the listener leave. */
void listener_local_leave(struct listener_local *local);

/* Whether a listener that is gone goes on under the plan (NULL: under any). */
bool listening_goes_on(const struct down_home *home, const struct plan *plan);

/* Nothing is accepted any more, and nobody is on the way in. */
bool listening_is_over(const struct down_home *home);

/* Ends at once what is on its way out. Connections have been closed before. */
void listening_cut(struct down_home *home);

#endif
