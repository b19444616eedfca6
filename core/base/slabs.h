/* SPDX-License-Identifier: MIT */
/*
 * Memory of any size for a library that asks for and frees small pieces all the time, kept in lists
 * of free blocks by size: in steady state nothing comes from malloc.
 *
 * Thread: one.
 */
#ifndef BASE_SLABS_H
#define BASE_SLABS_H

#include "base/base.h"

/* Blocks of 32, 64, 96, ... bytes, from 128 on four sizes between powers of two, up to 16 KiB;
 * larger ones come from malloc. */
#define SLAB_LEAST   32u
#define SLAB_STEPS   4u
#define SLAB_LARGEST 16384u
#define SLAB_CLASSES 32u

struct slab_head;

struct slabs {
    struct slab_head *free[SLAB_CLASSES];
    size_t kept[SLAB_CLASSES]; /* bytes in each list */
    size_t limit;              /* of them; what is above goes back to malloc */
};

void slabs_init(struct slabs *slabs, size_t limit);
/* Frees what is free; what is in use stays, and may be given back to malloc by slabs_give. */
void slabs_free(struct slabs *slabs);

/* Aligned to 16, not zeroed; NULL: out of memory. */
void *slabs_take(struct slabs *slabs, size_t size);
void *slabs_grow(struct slabs *slabs, void *piece, size_t size);
void slabs_give(struct slabs *slabs, void *piece);

#endif
