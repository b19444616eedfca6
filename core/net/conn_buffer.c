/* SPDX-License-Identifier: MIT */
/*
 * Buffers for bytes that wait: blocks of a few sizes, and a loop's free ones of each size.
 */
#include <stdlib.h>

#include "net/conn_pool.h"

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
        buffer = pool->buffers[class];
        pool->buffers[class] = next_free(buffer);
        pool->buffer_count[class]--;
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

void buffer_release(struct conn_pool *pool, struct conn_buffer **buffer)
{
    struct conn_buffer *b = *buffer;

    if (b == NULL) {
        return;
    }
    *buffer = NULL;
    size_t block = sizeof(*b) + b->size;
    unsigned class = class_for(block);
    if (POISON_WORKS || class == BUFFER_CLASSES ||
        pool->buffer_count[class] >= BUFFER_CLASS_KEPT / block) {
        free(b);
        return;
    }
    memcpy(b->data, &pool->buffers[class], sizeof(b));
    pool->buffers[class] = b;
    pool->buffer_count[class]++;
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
        struct conn_buffer *buffer;
        while ((buffer = pool->buffers[class]) != NULL) {
            pool->buffers[class] = next_free(buffer);
            free(buffer);
        }
    }
}
