/* SPDX-License-Identifier: MIT */
/*
 * Token buckets, in a table of fixed size that all workers share.
 *
 * A bucket is kept as the time at which it will be full again (the "theoretical arrival time" of
 * the generic cell rate algorithm): one number, nothing to refill. A full bucket needs no entry, so
 * an entry whose time has come is free.
 *
 * The table is made of small sets, each with a lock of its own that is held for some ten
 * instructions. A key belongs to one set, chosen by a keyed hash that clients cannot foresee. Where
 * a set is full of buckets that are not, the fullest one gives way: a flood of new keys pushes out
 * other new ones, not those that have used up what they had; and a key that was pushed out begins
 * with a full bucket.
 */
#ifndef RATE_LIMIT_BUCKETS_H
#define RATE_LIMIT_BUCKETS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Entries of a set; with its lock it fills two cache lines. */
#define BUCKETS_WAYS 7

struct bucket {
    uint64_t id;         /* hash of the key; 0: free */
    uint64_t full_at_ns; /* when it is full again */
};

struct bucket_set {
    atomic_uint lock; /* guards the rest */
    struct bucket ways[BUCKETS_WAYS];
} __attribute__((aligned(64)));

/* Memory is from outside, zeroed, and may be older than the code that uses it. */
struct buckets {
    uint64_t hash_key[2];
    bool keyed; /* hash_key is set; before workers come */
    size_t set_count;
    struct bucket_set sets[];
} __attribute__((aligned(64)));

/* Bytes for a table of `entries` at least, to be aligned by buckets_at. */
size_t buckets_size(size_t entries);
/* The table in `memory` of that size: sets it up where it is new. `random`: 16 bytes. */
struct buckets *buckets_at(void *memory, size_t entries, const uint8_t random[16]);

/* How fast a bucket fills, and how much it holds. Immutable. */
struct bucket_rate {
    uint64_t interval_ns; /* a token each */
    uint64_t burst;       /* tokens of a full bucket */
};

struct bucket_answer {
    bool granted;
    uint64_t remaining; /* tokens that are left */
    uint64_t wait_ns;   /* until there is one again; 0: there is */
    uint64_t full_ns;   /* until it is full */
    bool pushed_out;    /* another key's bucket, which was not full, has given way */
};

/* Takes a token from the bucket of the key. Any thread; never blocks for long. */
struct bucket_answer buckets_take(struct buckets *buckets, const struct bucket_rate *rate,
                                  uint64_t id, uint64_t now_ns);

/* What it would answer, without taking one. */
struct bucket_answer buckets_look(struct buckets *buckets, const struct bucket_rate *rate,
                                  uint64_t id, uint64_t now_ns);

/* Identifies a key in this table (by SipHash-2-4); never 0. */
uint64_t buckets_id(const struct buckets *buckets, const void *key, size_t len);

#endif
