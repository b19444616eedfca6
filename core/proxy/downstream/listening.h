/* SPDX-License-Identifier: MIT */
/*
 * Listeners on loops: what they accept on, and how they leave with nobody lost. Everything runs on the loop.
 *
 * A socket that a reload takes away, or all of them at the end of the program, is accepted on until the
 * control thread says that it is dry (net/listener.h); then its queue is emptied, and it closes. A listener
 * that is gone serves who has come to it, shakes hands or stands in those queues, each with one request, under
 * the last generation that had it, whose pools stay as long.
 */
#ifndef PROXY_DOWNSTREAM_LISTENING_H
#define PROXY_DOWNSTREAM_LISTENING_H

#include "proxy/downstream/downstream.h"

/* Begins, goes on, or (`plan` NULL, or for another kind of loop) ends to accept. */
void listener_local_adopt(struct listener_local *local, struct worker *worker,
                          struct listener_plan *plan);

/* The program ends: all sockets of the listener leave. */
void listener_local_leave(struct listener_local *local);

/* A generation is not the loop's any more: lets go of it, or keeps it for listeners that are gone. */
void listening_left(struct worker *worker, struct generation *generation);

/* Nothing is accepted any more, and nobody is on the way in. */
bool listening_is_over(const struct worker *worker);

/* Ends at once what is on its way out. Clients have been closed before. */
void listening_cut(struct worker *worker);

/* worker->leave_timer.fn */
void listening_tick(struct timer *timer);

#endif
