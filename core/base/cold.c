/* SPDX-License-Identifier: MIT */
/*
 * Pieces that cost nothing while they are zero. See cold.h.
 */
#include "base/cold.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/poison.h"

#define BLOCK_PIECES 64u

/* Mapped memory; it goes when all goes. */
struct cold_block {
    struct cold_block *next;
    char *pieces;
};

void cold_init(struct cold *cold, size_t pages)
{
    *cold = (struct cold){.size = pages * COLD_PAGE};
}

void cold_free(struct cold *cold)
{
    ASSERT(cold->count == cold->total);
    while (cold->blocks != NULL) {
        struct cold_block *block = cold->blocks;
        cold->blocks = block->next;
        munmap(block->pieces, BLOCK_PIECES * cold->size);
        free(block);
    }
    free(cold->free);
    cold_init(cold, cold->size / COLD_PAGE);
}

static bool add_block(struct cold *cold)
{
    size_t size = BLOCK_PIECES * cold->size;
    struct cold_block *block = malloc(sizeof(*block));
    void **free_pieces = realloc(cold->free, (cold->total + BLOCK_PIECES) * sizeof(*cold->free));

    cold->free = free_pieces != NULL ? free_pieces : cold->free;
    if (block == NULL || free_pieces == NULL || sysconf(_SC_PAGESIZE) != COLD_PAGE) {
        free(block);
        return false;
    }
    block->pieces = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block->pieces == MAP_FAILED) {
        free(block);
        return false;
    }
    (void)madvise(block->pieces, size, MADV_NOHUGEPAGE); /* which would be whole, not by pages */
    block->next = cold->blocks;
    cold->blocks = block;
    cold->total += BLOCK_PIECES;
    for (size_t i = BLOCK_PIECES; i-- > 0;) {
        cold->free[cold->count++] = block->pieces + i * cold->size;
    }
    return true;
}

void *cold_take(struct cold *cold)
{
    if (cold->count == 0 && !add_block(cold)) {
        return NULL;
    }
    void *piece = cold->free[--cold->count];
    UNPOISON(piece, cold->size);
    return piece;
}

void cold_give(struct cold *cold, void *piece)
{
    if (madvise(piece, cold->size, MADV_DONTNEED) != 0) { /* locked memory */
        memset(piece, 0, cold->size);
    }
    POISON(piece, cold->size);
    cold->free[cold->count++] = piece;
}

bool cold_rest(void *page)
{
    const uint64_t *words = page;
    uint64_t any = 0;

    for (size_t i = 0; i < COLD_PAGE / sizeof(*words) && any == 0; i += 8) {
        for (size_t k = 0; k < 8; k++) {
            any |= words[i + k];
        }
    }
    return any == 0 && madvise(page, COLD_PAGE, MADV_DONTNEED) == 0;
}
