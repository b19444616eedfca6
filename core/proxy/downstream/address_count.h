/* SPDX-License-Identifier: MIT */
/*
 * How many connections each client address has, over all workers.
 *
 * An IPv6 client owns a whole network, so it is counted by its first 64 bits. Memory: one entry of
 * 64 bytes per address that has connections, so never more than there are connections; both
 * operations are O(1), whatever addresses an attacker chooses (the hash is keyed).
 *
 * Thread: any; a short critical section under one of sixteen locks, chosen by the address.
 */
#ifndef PROXY_DOWNSTREAM_ADDRESS_COUNT_H
#define PROXY_DOWNSTREAM_ADDRESS_COUNT_H

#include "net/address.h"

struct address_counts;
struct address_count;

struct address_counts *address_counts_new(void);
/* All counts must have been given back. */
void address_counts_free(struct address_counts **counts);

/* One more connection of this address (IPv4 or IPv6); give it back by address_counts_give. NULL:
 * the address is at `limit`, or out of memory. */
struct address_count *address_counts_take(struct address_counts *counts,
                                          const struct address *address, uint32_t limit);
void address_counts_give(struct address_counts *counts, struct address_count *count);

/* Number of addresses that have connections. For tests and operators. */
size_t address_counts_used(struct address_counts *counts);

#endif
