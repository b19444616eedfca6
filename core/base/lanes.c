/* SPDX-License-Identifier: MIT */
/*
 * Each lane is a list of chunks, with one thread at each end. The putting thread fills the last
 * chunk and publishes how far (`end`); the reader takes from the first. A chunk that is read
 * becomes its lane's spare, so nothing is allocated in steady state.
 */
#include "base/lanes.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

struct chunk {
    _Atomic(struct chunk *)
        next;           /* set once, by the putting thread, which adds nothing here after it */
    _Atomic size_t end; /* of whole records; <= size */
    size_t size;
    _Alignas(struct lanes_record) char data[];
};

struct lane {
    /* the putting thread's */
    struct chunk *last;
    size_t at; /* == last->end */
    _Atomic uint64_t dropped;
    _Atomic(struct chunk *) spare; /* from the reader; NULL: none */
    /* the reader's */
    _Alignas(64) struct chunk *first;
    size_t pos; /* <= first->end */
};

struct lanes {
    size_t max;
    _Atomic size_t held;      /* bytes of chunks, beyond the first of each lane */
    _Atomic uint64_t dropped; /* where no lane could be made */
    pthread_mutex_t shared;   /* who puts into lane 0 */
    _Atomic unsigned count;   /* lanes below it may be there */
    _Atomic(struct lane *) items[LANES_MAX];

    /* The reader's: while the first record of `lane` is not after `limit_ns`, it is the oldest. */
    struct lane *lane;
    uint64_t until_ns, limit_ns;
};

static _Thread_local struct {
    unsigned lane;
    uint64_t (*clock)(void *arg);
    void *arg;
} own;

void lanes_join(unsigned lane, uint64_t (*clock)(void *arg), void *arg)
{
    ASSERT(lane < LANES_MAX);
    own.lane = lane;
    own.clock = clock;
    own.arg = arg;
}

uint64_t lanes_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t lanes_count_lines(const char *data, size_t len)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < len; i++) {
        lines += data[i] == '\n';
    }
    return lines > 0 ? lines : 1;
}

/* ---- making ---- */

static struct chunk *chunk_new(size_t size)
{
    struct chunk *chunk = malloc(sizeof(*chunk) + size);
    if (chunk != NULL) {
        atomic_init(&chunk->next, NULL);
        atomic_init(&chunk->end, 0);
        chunk->size = size;
    }
    return chunk;
}

struct lanes *lanes_new(size_t max)
{
    struct lanes *lanes = calloc(1, sizeof(*lanes));
    if (lanes != NULL) {
        lanes->max = max;
        pthread_mutex_init(&lanes->shared, NULL);
    }
    return lanes;
}

void lanes_free(struct lanes **lanes)
{
    struct lanes *freed = *lanes;

    *lanes = NULL;
    for (unsigned i = 0; freed != NULL && i < LANES_MAX; i++) {
        struct lane *lane = atomic_load(&freed->items[i]);
        if (lane == NULL) {
            continue;
        }
        free(atomic_load(&lane->spare));
        for (struct chunk *chunk = lane->first, *next; chunk != NULL; chunk = next) {
            next = atomic_load(&chunk->next);
            free(chunk);
        }
        free(lane);
    }
    if (freed != NULL) {
        pthread_mutex_destroy(&freed->shared);
    }
    free(freed);
}

/* By the thread whose lane it is (lane 0: under the lock). NULL: no memory. */
static struct lane *lane_new(struct lanes *lanes, unsigned number)
{
    struct lane *lane = aligned_alloc(64, (sizeof(*lane) + 63) / 64 * 64);
    struct chunk *chunk = chunk_new(LANES_CHUNK);

    if (lane == NULL || chunk == NULL) {
        free(lane);
        free(chunk);
        return NULL;
    }
    memset(lane, 0, sizeof(*lane));
    lane->first = lane->last = chunk;
    atomic_store(&lanes->items[number], lane);
    unsigned count = atomic_load(&lanes->count);
    while (count <= number && !atomic_compare_exchange_weak(&lanes->count, &count, number + 1)) {}
    return lane;
}

/* ---- putting ---- */

static size_t record_size(size_t len)
{
    size_t unit = _Alignof(struct lanes_record);
    return (sizeof(struct lanes_record) + len + unit - 1) / unit * unit;
}

/* One more chunk for `need` bytes at least; NULL: no room, or no memory. */
static struct chunk *grow(struct lanes *lanes, struct lane *lane, size_t need)
{
    size_t size = need > LANES_CHUNK ? need : LANES_CHUNK;
    struct chunk *chunk = NULL;

    if (size == LANES_CHUNK) {
        chunk = atomic_exchange_explicit(&lane->spare, NULL, memory_order_acq_rel);
    }
    if (chunk == NULL) {
        size_t held = atomic_fetch_add_explicit(&lanes->held, size, memory_order_relaxed);
        if (held > lanes->max || lanes->max - held < size || (chunk = chunk_new(size)) == NULL) {
            atomic_fetch_sub_explicit(&lanes->held, size, memory_order_relaxed);
            return NULL;
        }
    }
    atomic_store_explicit(&lane->last->next, chunk, memory_order_release);
    lane->last = chunk;
    lane->at = 0;
    return chunk;
}

static enum lanes_put lane_put(struct lanes *lanes, struct lane *lane, const void *data, size_t len)
{
    enum lanes_put result = LANES_KEPT;
    size_t need = record_size(len);

    if (unlikely(need > lane->last->size - lane->at)) {
        if (grow(lanes, lane, need) == NULL) {
            uint64_t dropped = atomic_load_explicit(&lane->dropped, memory_order_relaxed);
            atomic_store_explicit(&lane->dropped, dropped + lanes_count_lines(data, len),
                                  memory_order_relaxed);
            return LANES_DROPPED;
        }
        result = LANES_FILLING;
    }
    struct lanes_record *record = (void *)(lane->last->data + lane->at);
    record->stamp_ns = own.clock != NULL ? own.clock(own.arg) : lanes_now_ns();
    record->len = (uint32_t)len;
    memcpy(record->data, data, len);
    lane->at += need;
    /* In one order with what the caller looks at next: whether the reader sleeps. */
    atomic_store(&lane->last->end, lane->at);
    return result;
}

enum lanes_put lanes_put(struct lanes *lanes, const void *data, size_t len)
{
    unsigned number = own.lane;
    enum lanes_put result = LANES_DROPPED;

    if (number == 0) {
        pthread_mutex_lock(&lanes->shared);
    }
    struct lane *lane = atomic_load_explicit(&lanes->items[number], memory_order_relaxed);
    if (unlikely(lane == NULL)) {
        lane = lane_new(lanes, number);
    }
    if (unlikely(lane == NULL || len > UINT32_MAX / 2)) {
        atomic_fetch_add_explicit(&lanes->dropped, lanes_count_lines(data, len),
                                  memory_order_relaxed);
    } else {
        result = lane_put(lanes, lane, data, len);
    }
    if (number == 0) {
        pthread_mutex_unlock(&lanes->shared);
    }
    return result;
}

/* ---- reading ---- */

/* The lane's first record; NULL: none is there. Chunks that are read are given back. */
static const struct lanes_record *lane_first(struct lanes *lanes, struct lane *lane)
{
    for (;;) {
        struct chunk *chunk = lane->first;
        /* `next` before `end`: nothing is added to a chunk once it has a next. */
        struct chunk *next = atomic_load_explicit(&chunk->next, memory_order_acquire);
        if (lane->pos < atomic_load(&chunk->end)) {
            return (const void *)(chunk->data + lane->pos);
        }
        if (next == NULL) {
            return NULL;
        }
        lane->first = next;
        lane->pos = 0;
        if (chunk->size == LANES_CHUNK &&
            atomic_load_explicit(&lane->spare, memory_order_relaxed) == NULL) {
            atomic_store_explicit(&chunk->next, NULL, memory_order_relaxed);
            atomic_store_explicit(&chunk->end, 0, memory_order_relaxed);
            atomic_store_explicit(&lane->spare, chunk, memory_order_release);
        } else {
            atomic_fetch_sub_explicit(&lanes->held, chunk->size, memory_order_relaxed);
            free(chunk);
        }
    }
}

const struct lanes_record *lanes_first(struct lanes *lanes, uint64_t until_ns)
{
    const struct lanes_record *first = NULL;

    if (lanes->lane != NULL && lanes->until_ns == until_ns) {
        first = lane_first(lanes, lanes->lane);
        if (first != NULL && first->stamp_ns <= lanes->limit_ns) {
            return first;
        }
    }
    first = NULL;
    lanes->lane = NULL;
    lanes->until_ns = lanes->limit_ns = until_ns;
    unsigned count = atomic_load(&lanes->count);
    for (unsigned i = 0; i < count; i++) {
        struct lane *lane = atomic_load(&lanes->items[i]);
        const struct lanes_record *record = lane != NULL ? lane_first(lanes, lane) : NULL;
        if (record == NULL || record->stamp_ns > until_ns) {
            continue;
        }
        if (first == NULL || record->stamp_ns < first->stamp_ns) {
            if (first != NULL) {
                lanes->limit_ns = first->stamp_ns;
            }
            first = record;
            lanes->lane = lane;
        } else if (record->stamp_ns < lanes->limit_ns) {
            lanes->limit_ns = record->stamp_ns;
        }
    }
    return first;
}

void lanes_remove_first(struct lanes *lanes)
{
    struct lane *lane = lanes->lane;
    const struct lanes_record *record = (const void *)(lane->first->data + lane->pos);
    lane->pos += record_size(record->len);
}

uint64_t lanes_dropped(const struct lanes *lanes)
{
    uint64_t dropped = atomic_load_explicit(&lanes->dropped, memory_order_relaxed);
    unsigned count = atomic_load(&lanes->count);

    for (unsigned i = 0; i < count; i++) {
        const struct lane *lane = atomic_load(&lanes->items[i]);
        dropped += lane != NULL ? atomic_load_explicit(&lane->dropped, memory_order_relaxed) : 0;
    }
    return dropped;
}

size_t lanes_held(const struct lanes *lanes)
{
    return atomic_load_explicit(&lanes->held, memory_order_relaxed);
}
