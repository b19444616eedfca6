/* SPDX-License-Identifier: MIT */
/*
 * Arenas on chains of blocks. The newest block is at the head and the only one that is taken from;
 * a piece that would waste much of it gets a block of its own behind the head.
 *
 * Under AddressSanitizer what is not handed out is poisoned, blocks in a cache included, so that
 * the use of a stream's memory after the stream is found although nothing was freed.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/poison.h"

#define ALIGNMENT 16u

/* `size` includes this head, and is a multiple of ALIGNMENT: so the end of a block is aligned as
 * well, and aligning a position can never leave the block. */
struct arena_block {
    struct arena_block *next;
    size_t size;
    char data[] __attribute__((aligned(ALIGNMENT)));
};

#define BLOCK_ROOM ARENA_BLOCK_ROOM
_Static_assert(BLOCK_ROOM == ARENA_BLOCK_SIZE - sizeof(struct arena_block), "one block's");

/* What needs more than this gets a block of its own when the newest one has no room. */
#define OWN_BLOCK_FROM (BLOCK_ROOM / 4)

void arena_cache_init(struct arena_cache *cache, size_t limit)
{
    *cache = (struct arena_cache){.limit = limit};
}

void arena_cache_free(struct arena_cache *cache)
{
    while (cache->free != NULL) {
        struct arena_block *block = cache->free;
        cache->free = block->next;
        UNPOISON(block->data, block->size - sizeof(*block));
        free(block);
    }
    cache->count = 0;
}

static struct arena_block *block_new(struct arena *arena, size_t size)
{
    struct arena_cache *cache = arena->cache;
    struct arena_block *block;

    if (arena->limit > 0 && (size > arena->limit || arena->total > arena->limit - size)) {
        return NULL;
    }
    if (size == ARENA_BLOCK_SIZE && cache != NULL && cache->free != NULL) {
        block = cache->free;
        cache->free = block->next;
        cache->count--;
    } else {
        block = malloc(size);
        if (unlikely(block == NULL)) {
            return NULL;
        }
        block->size = size;
        POISON(block->data, size - sizeof(*block));
    }
    block->next = NULL;
    arena->total += size;
    return block;
}

static void block_free(struct arena_cache *cache, struct arena_block *block)
{
    if (block->size == ARENA_BLOCK_SIZE && cache != NULL && cache->count < cache->limit) {
        POISON(block->data, block->size - sizeof(*block));
        block->next = cache->free;
        cache->free = block;
        cache->count++;
        return;
    }
    UNPOISON(block->data, block->size - sizeof(*block));
    free(block);
}

void arena_init(struct arena *arena, struct arena_cache *cache, size_t limit)
{
    *arena = (struct arena){.cache = cache, .limit = limit};
}

void arena_init_on(struct arena *arena, void *memory, size_t len)
{
    *arena = (struct arena){.pos = memory, .end = (char *)memory + len};
}

void arena_reset(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        block_free(arena->cache, block);
    }
    arena->pos = arena->end = NULL;
    arena->total = 0;
}

/* A block for this piece alone; the head, if there is one, keeps its room. Where blocks are kept
 * for reuse it is one of those, as far as they are large enough. */
static void *own_block(struct arena *arena, size_t len)
{
    size_t head = sizeof(struct arena_block);
    struct arena_block *block;

    if (len > (size_t)PTRDIFF_MAX - head - ALIGNMENT) {
        return NULL;
    }
    size_t size = head + ((len + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1));
    block =
        block_new(arena, arena->cache != NULL && size < ARENA_BLOCK_SIZE ? ARENA_BLOCK_SIZE : size);
    if (block == NULL) {
        return NULL;
    }
    if (arena->blocks != NULL) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        arena->blocks = block;
        if (arena->pos == NULL) {
            arena->pos = arena->end = (char *)block + block->size;
        }
    }
    UNPOISON(block->data, len);
    return block->data;
}

static __attribute__((noinline)) void *alloc_slowly(struct arena *arena, size_t len)
{
    struct arena_block *block;

    if (len > OWN_BLOCK_FROM) {
        return own_block(arena, len);
    }
    block = block_new(arena, ARENA_BLOCK_SIZE);
    if (block == NULL) {
        return NULL;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    arena->pos = block->data + len;
    arena->end = (char *)block + block->size;
    UNPOISON(block->data, len);
    return block->data;
}

/* From `pos`, which is inside the newest block, or NULL with `end` where there is no block. */
static inline void *take(struct arena *arena, char *pos, size_t len)
{
    if (unlikely(len == 0)) {
        len = 1; /* a piece without bytes has an address of its own too */
    }
    if (unlikely(len > (size_t)(arena->end - pos))) {
        return alloc_slowly(arena, len);
    }
    arena->pos = pos + len;
    UNPOISON(pos, len);
    return pos;
}

void *arena_alloc(struct arena *arena, size_t len)
{
    size_t padding = -(uintptr_t)arena->pos & (ALIGNMENT - 1);
    /* Without a block pos is NULL, to which not even 0 may be added. */
    return take(arena, padding > 0 ? arena->pos + padding : arena->pos, len);
}

void *arena_zalloc(struct arena *arena, size_t len)
{
    void *ptr = arena_alloc(arena, len);
    if (likely(ptr != NULL)) {
        memset(ptr, 0, len);
    }
    return ptr;
}

char *arena_bytes(struct arena *arena, size_t len)
{
    return take(arena, arena->pos, len);
}

struct weir_str arena_copy(struct arena *arena, struct weir_str from)
{
    char *copy = from.len < SIZE_MAX ? arena_bytes(arena, from.len + 1) : NULL;
    if (unlikely(copy == NULL)) {
        return (struct weir_str){NULL, 0};
    }
    if (from.len > 0) {
        memcpy(copy, from.ptr, from.len);
    }
    copy[from.len] = '\0';
    return (struct weir_str){copy, from.len};
}

struct weir_str arena_printf(struct arena *arena, const char *format, ...)
{
    char *text = NULL;
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len >= 0) {
        text = arena_bytes(arena, (size_t)len + 1);
    }
    if (text != NULL) {
        vsnprintf(text, (size_t)len + 1, format, again);
    }
    va_end(again);
    return (struct weir_str){text, text != NULL ? (size_t)len : 0};
}
