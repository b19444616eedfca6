/* SPDX-License-Identifier: MIT */
/*
 * Accepting on one loop: how many connections a turn, and what happens when places or descriptors
 * run out.
 *
 * Thread: the loop's.
 */
#ifndef NET_ACCEPTOR_H
#define NET_ACCEPTOR_H

#include "net/address.h"
#include "net/loop.h"

struct acceptor;
/* `fd` accepted and non-blocking, TCP_NODELAY set; the callee owns it. */
typedef void (*acceptor_fn)(struct acceptor *acceptor, int fd, const struct address *peer,
                            void *arg);

/* Begins to accept on `fd` (not owned). Out of descriptors: pauses 100 ms, logs once a while, goes
 * on. The callee may pause or free the acceptor. */
struct acceptor *acceptor_new(struct loop *loop, int fd, acceptor_fn fn, void *arg);
void acceptor_free(struct acceptor **acceptor);
/* Accepts all queued connections. false: some may be left, for lack of places (the gate) or
 * descriptors; try again. */
bool acceptor_finish(struct acceptor *acceptor);
/* Called before each accept; false: none is accepted (the gate pauses the acceptor, or is called
 * again at once). `back` undoes a true if there was no connection after all. Set before the first
 * one. */
typedef bool (*acceptor_gate_fn)(struct acceptor *acceptor, void *arg);
typedef void (*acceptor_back_fn)(struct acceptor *acceptor, void *arg);
void acceptor_set_gate(struct acceptor *acceptor, acceptor_gate_fn gate, acceptor_back_fn back);
/* Descriptors from this number on are not for its connections: the kernel gives the lowest free
 * number, so a number tells how many are in use. Pauses as without descriptors. 0: no bound. */
void acceptor_set_reserve(struct acceptor *acceptor, int from_fd);
/* Stops and starts taking connections, e.g. at a limit. */
void acceptor_pause(struct acceptor *acceptor, bool pause);

#endif
