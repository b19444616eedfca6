/* SPDX-License-Identifier: MIT */
/* Token buckets in a shared table. See buckets.h. */
#include "buckets.h"

#include <sched.h>
#include <string.h>

#define ALIGNMENT 64u

/* Spins before a waiter yields: the lock's holder may have been preempted. */
#define SPINS 100

/* ---- the hash ---- */

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static uint64_t read_word(const uint8_t *bytes, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        word |= (uint64_t)bytes[i] << (8 * i);
    }
    return word;
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

uint64_t buckets_id(const struct buckets *buckets, const void *key, size_t len)
{
    const uint8_t *bytes = key;
    const uint64_t *k = buckets->hash_key;
    uint64_t v[4] = {k[0] ^ UINT64_C(0x736f6d6570736575), k[1] ^ UINT64_C(0x646f72616e646f6d),
                     k[0] ^ UINT64_C(0x6c7967656e657261), k[1] ^ UINT64_C(0x7465646279746573)};
    size_t at = 0;

    for (; len - at >= 8; at += 8) {
        sip_word(v, read_word(bytes + at, 8));
    }
    sip_word(v, read_word(bytes + at, len - at) | (uint64_t)len << 56);
    v[2] ^= 0xff;
    for (unsigned i = 0; i < 4; i++) {
        sip_round(v);
    }
    uint64_t id = v[0] ^ v[1] ^ v[2] ^ v[3];
    return id != 0 ? id : 1;
}

/* ---- the table ---- */

static size_t sets_for(size_t entries)
{
    return (entries + BUCKETS_WAYS - 1) / BUCKETS_WAYS;
}

size_t buckets_size(size_t entries)
{
    return sizeof(struct buckets) + sets_for(entries) * sizeof(struct bucket_set) + ALIGNMENT;
}

struct buckets *buckets_at(void *memory, size_t entries, const uint8_t random[16])
{
    uintptr_t address = ((uintptr_t)memory + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
    struct buckets *buckets = (struct buckets *)address;

    if (!buckets->keyed) {
        memcpy(buckets->hash_key, random, sizeof(buckets->hash_key));
        buckets->set_count = sets_for(entries);
        buckets->keyed = true;
    }
    return buckets;
}

static void set_lock(struct bucket_set *set)
{
    unsigned spins = 0;
    unsigned open = 0;

    while (!atomic_compare_exchange_weak_explicit(&set->lock, &open, 1, memory_order_acquire,
                                                  memory_order_relaxed)) {
        open = 0;
        if (++spins >= SPINS) {
            spins = 0;
            sched_yield();
        }
    }
}

static void set_unlock(struct bucket_set *set)
{
    atomic_store_explicit(&set->lock, 0, memory_order_release);
}

/* The bucket of the key; where it has none, the one that gives way, emptied of what it was;
 * `*pushed_out`: that one was in use. */
static struct bucket *set_find(struct bucket_set *set, uint64_t id, uint64_t now_ns,
                               bool *pushed_out)
{
    struct bucket *fullest = &set->ways[0];

    for (unsigned i = 0; i < BUCKETS_WAYS; i++) {
        struct bucket *bucket = &set->ways[i];
        if (bucket->id == id) {
            return bucket;
        }
        if (bucket->full_at_ns < fullest->full_at_ns) {
            fullest = bucket; /* free ones have always been full */
        }
    }
    *pushed_out = fullest->full_at_ns > now_ns;
    *fullest = (struct bucket){id, now_ns};
    return fullest;
}

/* Decides by the bucket's time alone. */
static struct bucket_answer take(struct bucket *bucket, const struct bucket_rate *rate,
                                 uint64_t now_ns)
{
    uint64_t capacity_ns = rate->interval_ns * rate->burst;
    uint64_t full_at_ns = bucket->full_at_ns > now_ns ? bucket->full_at_ns : now_ns;
    struct bucket_answer answer = {0};
    uint64_t used_ns = full_at_ns - now_ns;

    answer.granted = used_ns + rate->interval_ns <= capacity_ns;
    if (answer.granted) {
        used_ns += rate->interval_ns;
        bucket->full_at_ns = now_ns + used_ns;
    }
    answer.remaining = used_ns < capacity_ns ? (capacity_ns - used_ns) / rate->interval_ns : 0;
    answer.wait_ns =
        used_ns + rate->interval_ns > capacity_ns ? used_ns + rate->interval_ns - capacity_ns : 0;
    answer.full_ns = used_ns;
    return answer;
}

struct bucket_answer buckets_look(struct buckets *buckets, const struct bucket_rate *rate,
                                  uint64_t id, uint64_t now_ns)
{
    struct bucket_set *set = &buckets->sets[(size_t)(id >> 16) % buckets->set_count];
    struct bucket copy = {id, now_ns};

    set_lock(set);
    for (unsigned i = 0; i < BUCKETS_WAYS; i++) {
        if (set->ways[i].id == id) {
            copy = set->ways[i];
        }
    }
    set_unlock(set);
    return take(&copy, rate, now_ns);
}

struct bucket_answer buckets_take(struct buckets *buckets, const struct bucket_rate *rate,
                                  uint64_t id, uint64_t now_ns)
{
    struct bucket_set *set = &buckets->sets[(size_t)(id >> 16) % buckets->set_count];

    bool pushed_out = false;

    set_lock(set);
    struct bucket_answer answer = take(set_find(set, id, now_ns, &pushed_out), rate, now_ns);
    set_unlock(set);
    answer.pushed_out = pushed_out;
    return answer;
}
