/* SPDX-License-Identifier: MIT */
/*
 * Turns of the members of a ranking: in proportion to their weights, and spread evenly.
 *
 * In virtual time a member has a turn every 1/weight. Members keep their places when others come or
 * go; a new member's first turn lies within its own first interval, so none gets a burst.
 *
 * Thread: one. Memory that cannot be had aborts.
 */
#ifndef PROXY_POOL_TURNS_H
#define PROXY_POOL_TURNS_H

#include <weir/balancer.h>

/* Ticks of virtual time between two turns of a weight of 1/256; of weight 1: 2^32. */
#define TURNS_TICKS (UINT64_C(1) << 40)

struct turn {
    weir_server_id id;
    uint64_t due;   /* virtual time of the next turn */
    uint64_t ticks; /* between two turns: the whole part; never 0 */
    uint32_t part;  /* and the rest, part/weight */
    uint32_t weight;
    uint32_t carry; /* sum of the parts, below weight */
    uint32_t skips; /* how often it was passed over since it was last picked */
};

/* Zeroed but for `phase`: where turns begin, of 2^32. */
struct turns {
    struct turn *items; /* items[i] is member i's; owned */
    uint32_t count;
    uint32_t phase, arrived;
    uint64_t now; /* virtual time: the latest turn that was taken */
};

/* The members from now on. */
void turns_set(struct turns *turns, const struct weir_candidates *members);

/* Its turns are those of the other from then on; it has no members yet. */
void turns_follow(struct turns *turns, const struct turns *other);

/* The member is picked. */
void turns_take(struct turns *turns, uint32_t index);
/* The member was not usable, and another one was picked. */
void turns_skip(struct turns *turns, uint32_t index);

#endif
