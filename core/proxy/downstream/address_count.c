/* SPDX-License-Identifier: MIT */
/*
 * Connections by client address. See address_count.h.
 */
#include "proxy/downstream/address_count.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/table.h"

#define SHARDS 16u

struct address_count {
    struct table_link link;
    uint64_t key[2];
    uint32_t count;
};

struct shard {
    pthread_mutex_t lock;
    struct table table;
} __attribute__((aligned(64)));

struct address_counts {
    uint64_t secret[2];
    struct shard shards[SHARDS];
};

struct address_counts *address_counts_new(void)
{
    struct address_counts *counts = base_zalloc_lines(sizeof(*counts));

    /* A read this small is never short or interrupted once the system is up. */
    ASSERT(getrandom(counts->secret, sizeof(counts->secret), 0) == sizeof(counts->secret));
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&counts->shards[i].lock, NULL);
    }
    return counts;
}

void address_counts_free(struct address_counts **counts)
{
    struct address_counts *c = *counts;

    *counts = NULL;
    for (size_t i = 0; i < SHARDS; i++) {
        ASSERT(c->shards[i].table.count == 0);
        pthread_mutex_destroy(&c->shards[i].lock);
    }
    free(c);
}

/* ---- keys ---- */

static void key_of(const struct address *address, uint64_t key[2])
{
    key[0] = key[1] = 0;
    if (address->u.any.sa_family == AF_INET) {
        key[1] = (uint64_t)0xffff << 32 | address->u.in.sin_addr.s_addr;
        return;
    }
    const struct in6_addr *ip = &address->u.in6.sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(ip)) {
        uint32_t ip4;
        memcpy(&ip4, &ip->s6_addr[12], sizeof(ip4));
        key[1] = (uint64_t)0xffff << 32 | ip4;
        return;
    }
    memcpy(&key[0], ip->s6_addr, sizeof(key[0]));
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct address_counts *counts, const uint64_t key[2])
{
    uint64_t first = mix(key[0] ^ counts->secret[0], key[1] ^ counts->secret[1]);
    return mix(first ^ counts->secret[1], counts->secret[0] | 1);
}

static struct shard *shard_of(struct address_counts *counts, uint64_t hash)
{
    return &counts->shards[hash >> 60];
}

/* ---- for all ---- */

static struct address_count *find(const struct shard *shard, uint64_t hash, const uint64_t key[2])
{
    struct table_link *link = table_first(&shard->table, hash);

    for (; link != NULL; link = table_next(link)) {
        struct address_count *entry = container_of(link, struct address_count, link);
        if (entry->key[0] == key[0] && entry->key[1] == key[1]) {
            return entry;
        }
    }
    return NULL;
}

struct address_count *address_counts_take(struct address_counts *counts,
                                          const struct address *address, uint32_t limit)
{
    uint64_t key[2];

    key_of(address, key);
    uint64_t hash = hash_of(counts, key);
    struct shard *shard = shard_of(counts, hash);
    pthread_mutex_lock(&shard->lock);
    struct address_count *entry = find(shard, hash, key);
    if (entry == NULL && limit > 0 && (entry = calloc(1, sizeof(*entry))) != NULL) {
        memcpy(entry->key, key, sizeof(entry->key));
        table_add(&shard->table, &entry->link, hash);
    }
    bool taken = entry != NULL && entry->count < limit;
    if (taken) {
        entry->count++;
    }
    pthread_mutex_unlock(&shard->lock);
    return taken ? entry : NULL;
}

void address_counts_give(struct address_counts *counts, struct address_count *count)
{
    struct shard *shard = shard_of(counts, count->link.hash);

    pthread_mutex_lock(&shard->lock);
    ASSERT(count->count > 0);
    if (--count->count == 0) {
        table_remove(&count->link);
        free(count);
    }
    pthread_mutex_unlock(&shard->lock);
}

size_t address_counts_used(struct address_counts *counts)
{
    size_t used = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&counts->shards[i].lock);
        used += counts->shards[i].table.count;
        pthread_mutex_unlock(&counts->shards[i].lock);
    }
    return used;
}
