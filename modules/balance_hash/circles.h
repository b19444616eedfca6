/* SPDX-License-Identifier: MIT */
/*
 * Weighted rendezvous hashing that need not ask every server.
 *
 * On each of CIRCLES circles a server has some points and a key has one: places that depend on the
 * server's id alone, and on the key alone. The least gap from a point of the key on to one of the
 * server, over its weight, is the server's distance from the key, and the nearest server gets it.
 * Since a distance depends on nobody else, a server that goes, comes or changes its weight moves no
 * key from one of the others to another of them; and since the nearest is mostly the next one on
 * some circle, a few points are looked at and not all.
 *
 * Why not Maglev, or a ring: docs/ARCHITECTURE.md.
 *
 * Thread: any, one at a time.
 */
#ifndef BALANCE_HASH_CIRCLES_H
#define BALANCE_HASH_CIRCLES_H

#include <weir/balancer.h>

/* Shares of keys have a standard deviation of about 70 % / CIRCLES / sqrt(POINTS): of 3 %. */
#define CIRCLES 8u
#define POINTS  8u /* of a server on each */

struct circles;

/* An even spread over 64 bits, and no secret. */
uint64_t circles_hash(const void *bytes, size_t len);

/* Of these members, of whom it keeps nothing that is theirs. NULL: no memory. */
struct circles *circles_new(const struct weir_candidates *members);
void circles_free(struct circles **circles);

/* How far the member is from the key; finite, above 0. */
double circles_distance(const struct circles *circles, uint64_t key, uint32_t index);

/* The nearest member that `accept` takes, or WEIR_PICK_NONE. */
uint32_t circles_nearest(const struct circles *circles, uint64_t key,
                         bool (*accept)(void *arg, uint32_t index), void *arg);

#endif
