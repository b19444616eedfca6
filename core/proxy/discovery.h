/* SPDX-License-Identifier: MIT */
/*
 * Servers that DNS names: a server block with `resolve = all` stands for as many servers as its host has
 * addresses, one with `resolve = srv` for those of the SRV records of its host (RFC 2782). What was found
 * is kept over generations; when it changes, the generation is built anew from the same files. The last
 * good answer stays when the next one fails.
 *
 * Thread: the control thread's.
 */
#ifndef PROXY_DISCOVERY_H
#define PROXY_DISCOVERY_H

#include "net/resolver.h"
#include "proxy/generation.h"

struct discovery;

struct discovery *discovery_new(void);
void discovery_free(struct discovery **discovery);

typedef void (*discovery_fn)(void *arg);

/* From now on names are asked for. `changed`: some name of the running generation has other servers now.
 * The resolver outlives it. */
void discovery_start(struct discovery *discovery, struct loop *loop, struct resolver *resolver,
                     discovery_fn changed, void *arg);

/* Whether a name that a built generation needs has not been asked for yet. */
bool discovery_is_wanting(const struct discovery *discovery);

/* Asks for those; calls `fn` when all have been answered, well or not, or after NAMES_PATIENCE: never
 * inside this call. One at a time. */
void discovery_await(struct discovery *discovery, discovery_fn fn, void *arg);
/* Whoever waits there waits no longer. */
void discovery_hurry(struct discovery *discovery);

/* Puts what is known in the place of the pool's blocks that say `resolve`: the settings' list is replaced,
 * in the arena. `discovery` NULL: nothing is. */
void discovery_expand(struct discovery *discovery, struct arena *arena,
                      struct pool_settings *settings);

/* The generation is in force: names that its pools do not have are forgotten. */
void discovery_adopt(struct discovery *discovery, const struct generation *generation);

#endif
