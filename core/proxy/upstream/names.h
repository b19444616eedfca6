/* SPDX-License-Identifier: MIT */
/*
 * Servers whose URLs have host names, and names that are probed instead of servers: what DNS says
 * of them goes into the servers and plans, before a plan comes into force and whenever it changes.
 * How names are kept up with: net/follow.h.
 *
 * Thread: the control thread's loop.
 */
#ifndef PROXY_UPSTREAM_NAMES_H
#define PROXY_UPSTREAM_NAMES_H

#include "net/follow.h"
#include "proxy/plan/plan.h"
#include "proxy/pool/server.h"

struct names;

/* Time that a plan waits for names of which nothing is known yet. */
#define NAMES_PATIENCE_NS (3 * NS_PER_SECOND)

/* A server can be reached, or can no longer. */
typedef void (*names_changed_fn)(void *arg, struct server *server);

/* `nameservers`: see resolver_new. NULL: `error` says why. */
struct names *names_new(struct loop *loop, struct weir_str nameservers, names_changed_fn changed,
                        void *arg, char *error, size_t error_size);
void names_free(struct names **names);
struct follower *names_follower(const struct names *names);

/* Other nameservers from now on. false: the old ones stay, `error` says why. */
bool names_set_servers(struct names *names, struct weir_str nameservers, char *error,
                       size_t error_size);

/* Asks now for what could not be had. */
void names_ask_again(struct names *names);

typedef void (*names_fn)(void *arg, struct plan *plan);

/* Follows the names of the plan; calls `fn` when all that have never been asked for have an
 * address, or could not be resolved, or the patience is over: never inside this call. One at a
 * time. */
void names_prepare(struct names *names, struct plan *plan, names_fn fn, void *arg);

/* Whoever waits in names_prepare waits no longer: `fn` is called with what is known. NULL is
 * legal. */
void names_hurry(struct names *names);

/* From now on keeps up with the names of this plan, and of no other. */
void names_adopt(struct names *names, const struct plan *plan);

#endif
