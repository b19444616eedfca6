/* SPDX-License-Identifier: MIT */
/*
 * Servers whose URLs have host names, and names that are probed instead of servers: their addresses
 * go into servers and plans, before a plan comes into force and whenever they change. How names are
 * followed: net/follow.h.
 *
 * Thread: the control thread's loop.
 */
#ifndef PROXY_UPSTREAM_NAMES_H
#define PROXY_UPSTREAM_NAMES_H

#include "net/follow.h"
#include "proxy/plan/plan.h"
#include "proxy/pool/server.h"

struct names;

/* How long a plan waits for names that are not resolved yet. */
#define NAMES_PATIENCE_NS (3 * NS_PER_SECOND)

/* A server became reachable or unreachable. */
typedef void (*names_changed_fn)(void *arg, struct server *server);

/* `nameservers`: see resolver_new. NULL: `error` says why. */
struct names *names_new(struct loop *loop, struct weir_str nameservers, names_changed_fn changed,
                        void *arg, char *error, size_t error_size);
void names_free(struct names **names);
struct follower *names_follower(const struct names *names);

/* Changes the nameservers. false: the old ones stay, `error` says why. */
bool names_set_servers(struct names *names, struct weir_str nameservers, char *error,
                       size_t error_size);

/* Retries failed names now. */
void names_ask_again(struct names *names);

typedef void (*names_fn)(void *arg, struct plan *plan);

/* Follows the names of the plan; calls `fn`, never inside this call, when all new names have an
 * address or have failed, or the patience is over. One at a time. */
void names_prepare(struct names *names, struct plan *plan, names_fn fn, void *arg);

/* Ends the wait of names_prepare: calls `fn` with what is known. NULL is legal. */
void names_hurry(struct names *names);

/* Follows the names of this plan alone from now on. */
void names_adopt(struct names *names, const struct plan *plan);

#endif
