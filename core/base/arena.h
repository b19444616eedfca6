/* SPDX-License-Identifier: MIT */
/*
 * Arenas: memory with one lifetime, taken piece by piece, given back whole. A stream has one, on
 * blocks that its loop keeps for reuse; a generation has one, on plain blocks.
 *
 * Thread: an arena and its cache belong to one thread (a generation's: the control thread until it
 * is published, read-only afterwards).
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/base.h"

struct arena_block;

#define ARENA_BLOCK_SIZE 4096u
/* The largest piece that a block has room for. */
#define ARENA_BLOCK_ROOM (ARENA_BLOCK_SIZE - 16u)

/* Free blocks of ARENA_BLOCK_SIZE, at most `limit` of them. */
struct arena_cache {
    struct arena_block *free;
    size_t count;
    size_t limit;
};

struct arena {
    struct arena_block *blocks; /* newest first */
    char *pos, *end;            /* of the newest block, or what it began on: pos <= end */
    struct arena_cache *cache;  /* NULL: plain malloc and free */
    size_t total;               /* bytes in all blocks */
    size_t limit;               /* of `total`; 0: none */
};

void arena_cache_init(struct arena_cache *cache, size_t limit);
void arena_cache_free(struct arena_cache *cache);

/* Takes no memory yet. */
void arena_init(struct arena *arena, struct arena_cache *cache, size_t limit);

/* Likewise, but `memory`, aligned to 16, is used first: the caller's, who has it longer. */
void arena_init_on(struct arena *arena, void *memory, size_t len);

/* Raises the limit, if there is one: for what has to be said when it is reached. */
static inline void arena_allow(struct arena *arena, size_t more)
{
    arena->limit += arena->limit > 0 ? more : 0;
}

/* Gives all blocks back; the arena can be used again. */
void arena_reset(struct arena *arena);

/* `len` bytes aligned to 16, not zeroed; NULL: the limit is reached or memory is out. */
void *arena_alloc(struct arena *arena, size_t len);
void *arena_zalloc(struct arena *arena, size_t len);

/* `len` bytes without alignment, for text. */
char *arena_bytes(struct arena *arena, size_t len);

/* A copy that ends with a NUL (not counted in len); .ptr NULL: as arena_alloc. */
struct weir_str arena_copy(struct arena *arena, struct weir_str from);
struct weir_str arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
