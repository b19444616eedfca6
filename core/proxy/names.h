/* SPDX-License-Identifier: MIT */
/*
 * Servers whose URLs have host names: finds their addresses, before a generation comes into force and
 * again whenever a record's time to live is over. The last good answer stays when the next one fails.
 *
 * Thread: the control thread's loop.
 */
#ifndef PROXY_NAMES_H
#define PROXY_NAMES_H

#include "proxy/generation.h"

struct names;

/* Time that a generation waits for names that have no address yet. */
#define NAMES_PATIENCE_NS (3 * NS_PER_SECOND)

/* `nameservers`: see resolver_new. NULL: `error` says why. */
struct names *names_new(struct worker *self, struct weir_str nameservers, char *error,
                        size_t error_size);
void names_free(struct names **names);
struct resolver *names_resolver(const struct names *names);

typedef void (*names_fn)(void *arg, struct generation *generation);

/* Asks for each server of the generation that has a host name and no address; calls `fn` when all
 * have one, or could not be resolved, or the patience is over: never inside this call. One at a time. */
void names_prepare(struct names *names, struct generation *generation, names_fn fn, void *arg);

/* Whoever waits in names_prepare waits no longer: `fn` is called with what is known. NULL is legal. */
void names_hurry(struct names *names);

/* From now on keeps up with the names of this generation, and of no other. */
void names_adopt(struct names *names, const struct generation *generation);

#endif
