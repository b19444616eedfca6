/* SPDX-License-Identifier: MIT */
/*
 * Zeroed pieces of memory whose pages go back to the kernel while they are all zero: what reads
 * them finds zeros all the same. For what is large, and empty most of the time. A part that nobody
 * writes to costs nothing.
 *
 * Thread: one.
 */
#ifndef BASE_COLD_H
#define BASE_COLD_H

#include "base/base.h"

#define COLD_PAGE 4096u

struct cold {
    size_t size;  /* of a piece */
    void **free;  /* a stack, with room for all pieces */
    size_t count; /* in it */
    size_t total; /* pieces */
    struct cold_block *blocks;
};

/* `pages`: of COLD_PAGE, in each piece. */
void cold_init(struct cold *cold, size_t pages);
/* All pieces were given back. */
void cold_free(struct cold *cold);

/* Aligned to COLD_PAGE and zeroed. NULL: out of memory, or the system's pages are of another
 * size. */
void *cold_take(struct cold *cold);
void cold_give(struct cold *cold, void *piece);
/* Gives the page back to the kernel if it is all zero. false: it is not. */
bool cold_rest(void *page);

#endif
