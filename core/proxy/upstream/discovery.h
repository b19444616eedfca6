/* SPDX-License-Identifier: MIT */
/*
 * Servers that DNS names: a server block with `resolve = all` stands for as many servers as its
 * host has addresses, one with `resolve = srv` for those of the SRV records of its host (RFC 2782).
 * What was found is kept over generations; when it changes, the generation is built anew from the
 * same files. How names are kept up with, and what a failure means: net/follow.h.
 *
 * Thread: the control thread's.
 */
#ifndef PROXY_UPSTREAM_DISCOVERY_H
#define PROXY_UPSTREAM_DISCOVERY_H

#include "net/follow.h"
#include "proxy/plan/plan.h"

struct discovery;

struct discovery *discovery_new(void);
void discovery_free(struct discovery **discovery);

typedef void (*discovery_fn)(void *arg);

/* Servers that a block stands for at most: the first in order of priority and address. */
#define DISCOVERY_SERVERS_MAX 256

/* From now on names are asked for. `changed`: some name of the running plan has other servers than
 * it knows of. The follower outlives it. */
void discovery_start(struct discovery *discovery, struct loop *loop, struct follower *follower,
                     discovery_fn changed, void *arg);

/* Whether a name that a built plan needs has not been asked for yet. */
bool discovery_is_wanting(const struct discovery *discovery);

/* Asks for those, and for all other names of the plan, which need not live on; calls `fn` when
 * something is known of all, or they could not be resolved, or after NAMES_PATIENCE: never inside
 * this call. One at a time. */
void discovery_await(struct discovery *discovery, const struct plan *plan, discovery_fn fn,
                     void *arg);
/* Whoever waits there waits no longer. */
void discovery_hurry(struct discovery *discovery);

/* Puts what is known in the place of the pool's blocks that say `resolve`: the settings' list is
 * replaced, in the arena. `discovery` NULL: nothing is. */
void discovery_expand(struct discovery *discovery, struct arena *arena,
                      struct pool_settings *settings);

/* The servers of some name are not those that the plan in force has. */
bool discovery_is_stale(const struct discovery *discovery);

/* What a block stands for now; for operators. */
struct discovery_report {
    size_t servers;
    size_t left_out; /* beyond DISCOVERY_SERVERS_MAX */
};
struct discovery_report discovery_report(struct discovery *discovery,
                                         const struct server_settings *block);

/* The plan is in force: names that its pools do not have are forgotten. */
void discovery_adopt(struct discovery *discovery, const struct plan *plan);

#endif
