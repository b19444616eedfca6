/* SPDX-License-Identifier: MIT */
/*
 * Hash tables with chains. See table.h.
 */
#include "base/table.h"

#include <stdlib.h>

#define BUCKETS_FIRST 16u

/* FNV-1a with a final mix (the one of SplitMix64). */
uint64_t table_hash_more(uint64_t hash, struct weir_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ (uint8_t)text.ptr[i]) * UINT64_C(0x100000001b3);
    }
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
    return hash ^ (hash >> 31);
}

uint64_t table_hash(struct weir_str text)
{
    return table_hash_more(UINT64_C(0xcbf29ce484222325), text);
}

static struct table_link *entry_of(struct list *link)
{
    return container_of(link, struct table_link, link);
}

static void buckets_make(struct table *table, size_t count)
{
    table->buckets = base_alloc(count * sizeof(*table->buckets));
    table->mask = count - 1;
    for (size_t i = 0; i < count; i++) {
        list_init(&table->buckets[i]);
    }
}

static void grow(struct table *table)
{
    struct list *old = table->buckets;
    size_t old_count = old != NULL ? table->mask + 1 : 0;

    buckets_make(table, old != NULL ? 2 * old_count : BUCKETS_FIRST);
    for (size_t i = 0; i < old_count; i++) {
        struct list *link = NULL;
        while ((link = list_pop_front(&old[i])) != NULL) {
            list_push_back(&table->buckets[entry_of(link)->hash & table->mask], link);
        }
    }
    free(old);
}

void table_add(struct table *table, struct table_link *entry, uint64_t hash)
{
    if (table->buckets == NULL || table->count > table->mask) {
        grow(table);
    }
    entry->table = table;
    entry->hash = hash;
    list_push_back(&table->buckets[hash & table->mask], &entry->link);
    table->count++;
}

void table_add_named(struct table *table, struct table_named *entry, struct weir_str name)
{
    entry->name = name;
    table_add(table, &entry->link, table_hash(name));
}

void table_remove(struct table_link *entry)
{
    struct table *table = entry->table;

    if (table == NULL) {
        return;
    }
    list_remove(&entry->link);
    entry->table = NULL;
    if (--table->count == 0) {
        table_end(table);
    }
}

/* The next one of the hash behind `link` in its bucket. */
static struct table_link *find(struct list *bucket, struct list *link, uint64_t hash)
{
    while ((link = link->next) != bucket) {
        if (entry_of(link)->hash == hash) {
            return entry_of(link);
        }
    }
    return NULL;
}

struct table_link *table_first(const struct table *table, uint64_t hash)
{
    if (table->buckets == NULL) {
        return NULL;
    }
    struct list *bucket = &table->buckets[hash & table->mask];
    return find(bucket, bucket, hash);
}

struct table_link *table_next(const struct table_link *entry)
{
    struct list *bucket = &entry->table->buckets[entry->hash & entry->table->mask];
    return find(bucket, (struct list *)(uintptr_t)&entry->link, entry->hash);
}

struct table_named *table_find(const struct table *table, struct weir_str name)
{
    for (struct table_link *link = table_first(table, table_hash(name)); link != NULL;
         link = table_next(link)) {
        struct table_named *entry = container_of(link, struct table_named, link);
        if (str_equal(entry->name, name)) {
            return entry;
        }
    }
    return NULL;
}

void table_end(struct table *table)
{
    for (size_t i = 0; table->buckets != NULL && i <= table->mask; i++) {
        struct list *link = NULL;
        while ((link = list_pop_front(&table->buckets[i])) != NULL) {
            entry_of(link)->table = NULL;
        }
    }
    free(table->buckets);
    *table = (struct table){NULL, 0, 0};
}
