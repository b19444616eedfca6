/* SPDX-License-Identifier: MIT */
/*
 * Intrusive hash tables, for what is found by name: entries are found by their hash, and the caller
 * compares. A table grows with its entries, and finds each in constant time.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include "base/list.h"

/* Zeroed is empty; an empty one has no memory. */
struct table {
    struct list *buckets; /* mask + 1 of them; NULL: none yet */
    size_t mask;
    size_t count;
};

/* In what is found; zeroed is in no table. */
struct table_link {
    struct list link;
    struct table *table;
    uint64_t hash;
};

/* Hashes of names, fit for tables and for open addressing. table_hash_more goes on from another
 * hash, so that ("a", "bc") is not ("ab", "c"). */
uint64_t table_hash(struct weir_str text);
uint64_t table_hash_more(uint64_t hash, struct weir_str text);

void table_add(struct table *table, struct table_link *entry, uint64_t hash);
/* Nothing when it is in none. */
void table_remove(struct table_link *entry);

/* The entries of one hash, one after the other; NULL: there is none (any more). */
struct table_link *table_first(const struct table *table, uint64_t hash);
struct table_link *table_next(const struct table_link *entry);

/* Frees the table's own memory; the entries that are still in it are taken out. */
void table_end(struct table *table);

#endif
