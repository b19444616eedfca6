/* SPDX-License-Identifier: MIT */
/*
 * Buffers for bytes that wait: blocks of a few sizes, and a loop's free ones of each size.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "net/conn_pool.h"

/* Free blocks of this size above those that are kept go back to the kernel in small steps, the
 * loop's other work between. Left to malloc_trim (base/trim.h), a rush of them would cost 0.1 ms a
 * MiB at once, under the lock that the loop allocates with. */
#define LARGE        (64u * 1024)
#define STEP         (4096u * 1024)
#define STEP_EACH_NS (5 * NS_PER_MS)
/* What malloc writes in a freed block is before. */
#define MALLOC_EDGE 64u
#define PAGE        4096u

static size_t class_size(unsigned class)
{
    return (size_t)BUFFER_CLASS_MIN << (2 * class);
}

/* The smallest class of at least `block` bytes; BUFFER_CLASSES: larger than all. */
static unsigned class_for(size_t block)
{
    unsigned class = 0;
    while (class < BUFFER_CLASSES && class_size(class) < block) {
        class ++;
    }
    return class;
}

static struct conn_buffer *next_free(const struct conn_buffer *buffer)
{
    struct conn_buffer *next;
    memcpy(&next, buffer->data, sizeof(next));
    return next;
}

static struct conn_buffer *pop(struct conn_pool *pool, unsigned class)
{
    struct conn_buffer *buffer = pool->buffers[class];

    pool->buffers[class] = next_free(buffer);
    pool->buffer_count[class]--;
    return buffer;
}

/* An empty one with room for at least `len` bytes; NULL: no memory. */
static struct conn_buffer *take(struct conn_pool *pool, size_t len)
{
    size_t block = sizeof(struct conn_buffer) + len;
    unsigned class = class_for(block);
    struct conn_buffer *buffer = NULL;

    if (class == BUFFER_CLASSES) {
        block += len; /* twice what is needed: appending piece by piece does not copy each time */
        buffer = malloc(block);
    } else if (pool->buffers[class] != NULL) {
        buffer = pop(pool, class);
        block = class_size(class);
    } else {
        block = class_size(class);
        buffer = malloc(block);
    }
    if (buffer != NULL) {
        *buffer = (struct conn_buffer){.size = block - sizeof(*buffer)};
    }
    return buffer;
}

static bool is_full(const struct conn_pool *pool, unsigned class)
{
    return pool->buffer_count[class] >= BUFFER_CLASS_KEPT / class_size(class);
}

/* Its whole pages cost nothing until they are used again. */
static void give_back(struct conn_buffer *buffer, size_t block)
{
    uintptr_t begin = ((uintptr_t)buffer + MALLOC_EDGE + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    uintptr_t end = ((uintptr_t)buffer + block) & ~(uintptr_t)(PAGE - 1);

    (void)madvise((void *)begin, end - begin, MADV_DONTNEED); /* refused: they stay */
    free(buffer);
}

void buffers_step(struct timer *timer)
{
    struct conn_pool *pool = container_of(timer, struct conn_pool, buffers_timer);
    size_t given = 0;

    for (unsigned class = 0; class < BUFFER_CLASSES; class ++) {
        size_t block = class_size(class);
        while (given < STEP && block >= LARGE &&
               pool->buffer_count[class] > BUFFER_CLASS_KEPT / block) {
            give_back(pop(pool, class), block);
            given += block;
        }
    }
    if (given >= STEP) {
        timer_set(pool->loop, timer, STEP_EACH_NS);
    }
}

void buffer_release(struct conn_pool *pool, struct conn_buffer **buffer)
{
    struct conn_buffer *b = *buffer;

    if (b == NULL) {
        return;
    }
    *buffer = NULL;
    size_t block = sizeof(*b) + b->size;
    unsigned class = class_for(block);
    bool full = class == BUFFER_CLASSES || is_full(pool, class);
    if (POISON_WORKS || class == BUFFER_CLASSES || (full && (block < LARGE || pool->ending))) {
        free(b);
        return;
    }
    memcpy(b->data, &pool->buffers[class], sizeof(b));
    pool->buffers[class] = b;
    pool->buffer_count[class]++;
    if (full && !timer_is_set(&pool->buffers_timer)) {
        timer_set(pool->loop, &pool->buffers_timer, STEP_EACH_NS);
    }
}

bool buffer_append(struct conn_pool *pool, struct conn_buffer **buffer, const char *data,
                   size_t len)
{
    struct conn_buffer *b = *buffer;
    size_t waiting = b != NULL ? b->tail - b->head : 0;

    if (b != NULL && b->size - b->tail < len && waiting + len <= b->size) {
        memmove(b->data, b->data + b->head, waiting);
        b->head = 0;
        b->tail = waiting;
    } else if (b == NULL || b->size - b->tail < len) {
        struct conn_buffer *larger = take(pool, waiting + len);
        if (larger == NULL) {
            return false;
        }
        if (b != NULL) {
            memcpy(larger->data, b->data + b->head, waiting);
            larger->tail = waiting;
            buffer_release(pool, buffer);
        }
        *buffer = b = larger;
    }
    memcpy(b->data + b->tail, data, len);
    b->tail += len;
    return true;
}

void buffers_free(struct conn_pool *pool)
{
    for (unsigned class = 0; class < BUFFER_CLASSES; class ++) {
        while (pool->buffers[class] != NULL) {
            free(pop(pool, class));
        }
    }
}
