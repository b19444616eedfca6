/* SPDX-License-Identifier: MIT */
/*
 * Blocks that stand for several servers: with `resolve = all` for as many as their host has
 * addresses, with `resolve = srv` for those of its SRV records (RFC 2782). Pure functions of what
 * DNS has said.
 */
#ifndef PROXY_PLAN_EXPAND_H
#define PROXY_PLAN_EXPAND_H

#include "net/follow.h"
#include "proxy/plan/settings.h"

/* Servers that a block stands for at most: the first in order of priority and address. */
#define EXPAND_SERVERS_MAX 256

/* What a block stands for. */
struct expansion {
    const struct endpoint *endpoints; /* as expand_order leaves them */
    size_t count;
    uint64_t version; /* the plan keeps it: settings' found_version */
};

/* Each address and port once, by priority and address. Returns how many there are. */
size_t expand_order(struct endpoint *endpoints, size_t count);

typedef struct expansion (*expand_fn)(void *arg, const struct server_settings *block);

/* Puts servers in the place of the pool's blocks that say `resolve`: the settings' list is
 * replaced, in the arena. */
void expand_blocks(struct arena *arena, struct pool_settings *settings, expand_fn fn, void *arg);

#endif
