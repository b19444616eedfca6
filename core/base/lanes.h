/* SPDX-License-Identifier: MIT */
/*
 * Records on their way from all threads to the one that writes them: bounded, in the order of time.
 * A loop puts into a lane of its own, without a lock and without a cache line that another thread
 * writes; threads that have none share one, under a lock. Nobody ever waits for the reader: what
 * finds no room is dropped and counted.
 */
#ifndef BASE_LANES_H
#define BASE_LANES_H

#include "base/base.h"

struct lanes;

/* The shared lane is number 0. */
#define LANES_MAX 260u

/* What a lane grows by; each lane has one, whatever the bound. */
#define LANES_CHUNK ((size_t)32 << 10)

struct lanes_record {
    uint64_t stamp_ns; /* CLOCK_MONOTONIC, when it was put, by the putting thread's clock */
    uint32_t len;
    uint32_t reserved;
    char data[];
};

enum lanes_put {
    LANES_DROPPED,
    LANES_KEPT,
    LANES_FILLING, /* kept, and the lane has grown: the reader should come soon */
};

/* This thread's lane from now on, 1..LANES_MAX-1, in all lanes; of no other thread at the same
 * time. `clock` tells CLOCK_MONOTONIC at a loop's last turn, which is cheaper than to ask for it;
 * NULL: it is asked for. */
void lanes_join(unsigned lane, uint64_t (*clock)(void *arg), void *arg);

/* `max`: bytes beyond each lane's first chunk. NULL: no memory. */
struct lanes *lanes_new(size_t max);
void lanes_free(struct lanes **lanes);

/* Copies a record of `len` bytes, whole or not at all. Any thread. */
enum lanes_put lanes_put(struct lanes *lanes, const void *data, size_t len);

/* The oldest record that is there and was put at `until_ns` at the latest; NULL: none. Until it is
 * removed. With one `until_ns`, which has passed, records come in the order of their stamps; with
 * exact clocks none is missed that was put before another was begun. One reader at a time. */
const struct lanes_record *lanes_first(struct lanes *lanes, uint64_t until_ns);
void lanes_remove_first(struct lanes *lanes);

/* Lines (a record without a line break is one) that found no room, since the beginning. Any
 * thread. */
uint64_t lanes_dropped(const struct lanes *lanes);

/* Bytes that wait, about. Any thread. */
size_t lanes_held(const struct lanes *lanes);

/* Line breaks in `data`; at least 1. */
uint64_t lanes_count_lines(const char *data, size_t len);

uint64_t lanes_now_ns(void);

#endif
