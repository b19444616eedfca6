/* SPDX-License-Identifier: MIT */
/*
 * Memory of the fake host: arenas whose every allocation is a malloc of its own, and growing
 * buffers.
 */
#include "fake.h"

#include <stdlib.h>

/* An allocation of an arena; its bytes follow. */
struct fake_chunk {
    struct fake_chunk *next;
    max_align_t data[];
};

void *fake_alloc(size_t len)
{
    void *memory = calloc(1, len > 0 ? len : 1);
    if (memory == NULL) {
        fake_abort(__func__, "there is no memory left");
    }
    return memory;
}

void *fake_grow(void *array, size_t count, size_t size)
{
    void *memory = reallocarray(array, count, size);
    if (memory == NULL) {
        fake_abort(__func__, "there is no memory left");
    }
    return memory;
}

char *fake_copy(const char *text, size_t len)
{
    char *copy = fake_alloc(len + 1);
    if (len > 0) {
        memcpy(copy, text, len);
    }
    return copy;
}

char *fake_str_copy(const char *text)
{
    return fake_copy(text, strlen(text));
}

void *fake_arena_alloc(struct fake_arena *arena, size_t len)
{
    struct fake_chunk *chunk =
        fake_lend(sizeof(*chunk) + len, "the memory of a request that is over");
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk->data;
}

void fake_arena_free(struct fake_arena *arena)
{
    while (arena->chunks != NULL) {
        struct fake_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        fake_take_back(chunk);
    }
}

static void reserve(struct fake_buffer *buffer, size_t len)
{
    if (buffer->capacity - buffer->len <= len) {
        buffer->capacity = (buffer->len + len + 1) * 2;
        buffer->data = fake_grow(buffer->data, buffer->capacity, 1);
    }
}

void fake_buffer_append(struct fake_buffer *buffer, const void *data, size_t len)
{
    reserve(buffer, len);
    if (len > 0) {
        memcpy(buffer->data + buffer->len, data, len);
    }
    buffer->len += len;
    buffer->data[buffer->len] = '\0';
}

void fake_buffer_vprintf(struct fake_buffer *buffer, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0) {
        fake_abort(__func__, "a format cannot be printed");
    }
    reserve(buffer, (size_t)len);
    vsnprintf(buffer->data + buffer->len, (size_t)len + 1, format, args);
    buffer->len += (size_t)len;
}

void fake_buffer_printf(struct fake_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fake_buffer_vprintf(buffer, format, args);
    va_end(args);
}

void fake_buffer_clear(struct fake_buffer *buffer)
{
    buffer->len = 0;
    if (buffer->data != NULL) {
        buffer->data[0] = '\0';
    }
}

void fake_buffer_free(struct fake_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct fake_buffer){0};
}

const char *fake_buffer_text(const struct fake_buffer *buffer)
{
    return buffer->data != NULL ? buffer->data : "";
}
