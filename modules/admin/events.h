/* SPDX-License-Identifier: MIT */
/*
 * /api/v1/events: server-sent events. Each client has a subscription of its own, and what waits for
 * it is bounded: statistics are left out for whoever is slow, and who is slower still is cut off,
 * and hears what it missed when it comes back with Last-Event-ID.
 */
#ifndef ADMIN_EVENTS_H
#define ADMIN_EVENTS_H

#include "admin.h"

/* NULL: no memory. */
struct events *events_new(struct admin *admin);
/* All clients are gone. */
void events_free(struct events **events);

void events_begin(struct exchange *exchange);
void events_writable(struct exchange *exchange);
/* The request is over. */
void events_end(struct exchange *exchange);

/* Authenticates all clients again, and ends the streams of those who may not stay. */
void events_review(struct events *events);

/* Ends all streams, so that clients come back to the next generation. */
void events_drain(struct events *events);

#endif
