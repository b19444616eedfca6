/* SPDX-License-Identifier: MIT */
/*
 * Buffers for bytes that wait, in a few sizes, and a loop's free ones of each size.
 */
#include <stdlib.h>

#include "net/conn_pool.h"

static size_t class_size(unsigned class)
{
    return (size_t)BUFFER_CLASS_MIN << (2 * class);
}

/* The smallest class of at least `len`; BUFFER_CLASSES: larger than all. */
static unsigned class_for(size_t len)
{
    unsigned class = 0;
    while (class < BUFFER_CLASSES && class_size(class) < len) {
        class ++;
    }
    return class;
}

static char *take(struct conn_pool *pool, size_t len, size_t *size)
{
    unsigned class = class_for(len);

    if (class == BUFFER_CLASSES) {
        /* Twice of what is needed, so that appending piece by piece does not copy each time. */
        *size = len * 2;
        return malloc(*size);
    }
    *size = class_size(class);
    struct buffer_free *buffer = pool->buffers[class];
    if (buffer == NULL) {
        return malloc(*size);
    }
    pool->buffers[class] = buffer->next;
    pool->buffer_count[class]--;
    return (char *)buffer;
}

static void give(struct conn_pool *pool, char *data, size_t size)
{
    unsigned class = class_for(size);

    if (class == BUFFER_CLASSES || pool->buffer_count[class] >= BUFFER_CLASS_KEPT / size) {
        free(data);
        return;
    }
    struct buffer_free *buffer = (struct buffer_free *)(void *)data;
    buffer->next = pool->buffers[class];
    pool->buffers[class] = buffer;
    pool->buffer_count[class]++;
}

bool buffer_append(struct conn_pool *pool, struct conn_buffer *buffer, const char *data, size_t len)
{
    size_t waiting = buffer->tail - buffer->head;

    if (buffer->size - buffer->tail < len) {
        if (waiting + len <= buffer->size) {
            memmove(buffer->data, buffer->data + buffer->head, waiting);
        } else {
            size_t size;
            char *larger = take(pool, waiting + len, &size);
            if (larger == NULL) {
                return false;
            }
            if (buffer->data != NULL) {
                memcpy(larger, buffer->data + buffer->head, waiting);
                give(pool, buffer->data, buffer->size);
            }
            buffer->data = larger;
            buffer->size = size;
        }
        buffer->head = 0;
        buffer->tail = waiting;
    }
    memcpy(buffer->data + buffer->tail, data, len);
    buffer->tail += len;
    return true;
}

void buffer_release(struct conn_pool *pool, struct conn_buffer *buffer)
{
    if (buffer->data != NULL) {
        give(pool, buffer->data, buffer->size);
        *buffer = (struct conn_buffer){0};
    }
}
