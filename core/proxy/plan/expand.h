/* SPDX-License-Identifier: MIT */
/*
 * Blocks that stand for several servers: with `resolve = all` one per address of their host, with
 * `resolve = srv` those of its SRV records (RFC 2782). Pure functions of DNS results.
 */
#ifndef PROXY_PLAN_EXPAND_H
#define PROXY_PLAN_EXPAND_H

#include "net/follow.h"
#include "proxy/plan/settings.h"

/* The most servers that a block stands for: the first by priority and address. */
#define EXPAND_SERVERS_MAX 256

/* The servers of a block. */
struct expansion {
    const struct endpoint *endpoints; /* as expand_order leaves them */
    size_t count;
    uint64_t version; /* the plan keeps it: settings' found_version */
};

/* Sorts by priority and address, each address and port once. Returns how many there are. */
size_t expand_order(struct endpoint *endpoints, size_t count);

typedef struct expansion (*expand_fn)(void *arg, const struct server_settings *block);

/* Replaces the pool's `resolve` blocks by servers: the settings' list is replaced, in the arena. */
void expand_blocks(struct arena *arena, struct pool_settings *settings, expand_fn fn, void *arg);

#endif
