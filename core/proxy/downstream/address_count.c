/* SPDX-License-Identifier: MIT */
/*
 * Connections by client address. See address_count.h.
 */
#include "proxy/downstream/address_count.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#define SHARDS        16u
#define BUCKETS_FIRST 64u

struct address_count {
    struct address_count *next; /* in its bucket */
    uint64_t key[2];
    uint32_t count;
};

/* Invariant: bucket_count is a power of two, or 0 with no buckets. */
struct shard {
    pthread_mutex_t lock;
    struct address_count **buckets;
    size_t bucket_count;
    size_t used;
} __attribute__((aligned(64)));

struct address_counts {
    uint64_t secret[2];
    struct shard shards[SHARDS];
};

struct address_counts *address_counts_new(void)
{
    struct address_counts *counts = base_zalloc_lines(sizeof(*counts));

    /* Never short nor interrupted for so few bytes, once the system is up. */
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
        ASSERT(c->shards[i].used == 0);
        free(c->shards[i].buckets);
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

/* ---- one shard, locked ---- */

/* Doubles the buckets. Without memory for it chains grow instead. */
static void grow(struct address_counts *counts, struct shard *shard)
{
    size_t count = shard->bucket_count == 0 ? BUCKETS_FIRST : shard->bucket_count * 2;
    struct address_count **buckets = calloc(count, sizeof(*buckets));

    if (buckets == NULL) {
        return;
    }
    for (size_t i = 0; i < shard->bucket_count; i++) {
        struct address_count *entry = shard->buckets[i];
        while (entry != NULL) {
            struct address_count *next = entry->next;
            struct address_count **bucket = &buckets[hash_of(counts, entry->key) & (count - 1)];
            entry->next = *bucket;
            *bucket = entry;
            entry = next;
        }
    }
    free(shard->buckets);
    shard->buckets = buckets;
    shard->bucket_count = count;
}

/* The pointer that points to the entry, or to the NULL at its chain's end; NULL: no buckets. */
static struct address_count **place_of(const struct shard *shard, uint64_t hash,
                                       const uint64_t key[2])
{
    if (shard->bucket_count == 0) {
        return NULL;
    }
    struct address_count **place = &shard->buckets[hash & (shard->bucket_count - 1)];
    while (*place != NULL && ((*place)->key[0] != key[0] || (*place)->key[1] != key[1])) {
        place = &(*place)->next;
    }
    return place;
}

static struct address_count *add(struct shard *shard, struct address_count **place,
                                 const uint64_t key[2])
{
    struct address_count *entry = place != NULL ? calloc(1, sizeof(*entry)) : NULL;

    if (entry != NULL) {
        entry->key[0] = key[0];
        entry->key[1] = key[1];
        *place = entry;
        shard->used++;
    }
    return entry;
}

/* ---- for all ---- */

struct address_count *address_counts_take(struct address_counts *counts,
                                          const struct address *address, uint32_t limit)
{
    uint64_t key[2];

    key_of(address, key);
    uint64_t hash = hash_of(counts, key);
    struct shard *shard = shard_of(counts, hash);
    pthread_mutex_lock(&shard->lock);
    if (shard->used >= shard->bucket_count) {
        grow(counts, shard);
    }
    struct address_count **place = place_of(shard, hash, key);
    struct address_count *entry = place != NULL ? *place : NULL;
    if (entry == NULL) {
        entry = add(shard, place, key);
    }
    if (entry != NULL && entry->count < limit) {
        entry->count++;
    } else {
        entry = NULL;
    }
    pthread_mutex_unlock(&shard->lock);
    return entry;
}

void address_counts_give(struct address_counts *counts, struct address_count *count)
{
    uint64_t hash = hash_of(counts, count->key);
    struct shard *shard = shard_of(counts, hash);

    pthread_mutex_lock(&shard->lock);
    ASSERT(count->count > 0);
    if (--count->count == 0) {
        *place_of(shard, hash, count->key) = count->next;
        shard->used--;
        free(count);
    }
    pthread_mutex_unlock(&shard->lock);
}

size_t address_counts_used(struct address_counts *counts)
{
    size_t used = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&counts->shards[i].lock);
        used += counts->shards[i].used;
        pthread_mutex_unlock(&counts->shards[i].lock);
    }
    return used;
}
