/* SPDX-License-Identifier: MIT */
/*
 * Intrusive hash tables: entries are found by name, or by a hash, and the caller compares. A table
 * grows with its entries, and finds each in constant time.
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

/* The same with a name, whose memory lasts as long as the entry. */
struct table_named {
    struct table_link link;
    struct weir_str name;
};

/* Hashes of names, fit for tables and for open addressing. table_hash_more goes on from another
 * hash, so that ("a", "bc") is not ("ab", "c"). */
uint64_t table_hash(struct weir_str text);
uint64_t table_hash_more(uint64_t hash, struct weir_str text);

void table_add(struct table *table, struct table_link *entry, uint64_t hash);
/* For table_find; all entries of the table are added so. */
void table_add_named(struct table *table, struct table_named *entry, struct weir_str name);
/* Nothing when it is in none. */
void table_remove(struct table_link *entry);

/* The first entry of that name; NULL: there is none. */
struct table_named *table_find(const struct table *table, struct weir_str name);

/* The entries of one hash, one after the other; NULL: there is none (any more). */
struct table_link *table_first(const struct table *table, uint64_t hash);
struct table_link *table_next(const struct table_link *entry);

/* Frees the table's own memory; the entries that are still in it are taken out. */
void table_end(struct table *table);

#endif
