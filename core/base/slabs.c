/* SPDX-License-Identifier: MIT */
/*
 * Free lists of blocks by size. See slabs.h.
 */
#include "base/slabs.h"

#include <stdlib.h>

#include "base/poison.h"

/* Before each piece; SLAB_CLASSES: from malloc. */
struct slab_head {
    _Alignas(16) size_t size; /* of the piece */
    struct slab_head *next;   /* in its free list */
};

/* The class of a size, and the size of its blocks; SLAB_CLASSES: none. */
static unsigned class_of(size_t size, size_t *room)
{
    size_t units = size > 0 ? (size - 1) / SLAB_LEAST : 0; /* above which the block must reach */
    unsigned shift = 0;

    *room = size;
    if (size > SLAB_LARGEST) {
        return SLAB_CLASSES;
    }
    while (units >> shift >= 2 * SLAB_STEPS) {
        shift++;
    }
    *room = (((units >> shift) + 1) << shift) * SLAB_LEAST;
    return (unsigned)(units >> shift) + shift * SLAB_STEPS;
}

static struct slab_head *head_of(void *piece)
{
    return (struct slab_head *)piece - 1;
}

void slabs_init(struct slabs *slabs, size_t limit)
{
    *slabs = (struct slabs){.limit = limit};
}

void slabs_free(struct slabs *slabs)
{
    for (unsigned i = 0; i < SLAB_CLASSES; i++) {
        while (slabs->free[i] != NULL) {
            struct slab_head *head = slabs->free[i];
            slabs->free[i] = head->next;
            free(head);
        }
        slabs->kept[i] = 0;
    }
    slabs->limit = 0;
}

void *slabs_take(struct slabs *slabs, size_t size)
{
    size_t room = 0;
    unsigned class = class_of(size, &room);
    struct slab_head *head = class < SLAB_CLASSES ? slabs->free[class] : NULL;

    if (likely(head != NULL)) {
        slabs->free[class] = head->next;
        slabs->kept[class] -= room;
        return head + 1;
    }
    if (size > SIZE_MAX - sizeof(*head) || (head = malloc(sizeof(*head) + room)) == NULL) {
        return NULL;
    }
    head->size = room;
    return head + 1;
}

void *slabs_grow(struct slabs *slabs, void *piece, size_t size)
{
    if (piece == NULL) {
        return slabs_take(slabs, size);
    }
    if (size <= head_of(piece)->size) {
        return piece;
    }
    void *larger = slabs_take(slabs, size);
    if (larger != NULL) {
        memcpy(larger, piece, head_of(piece)->size);
        slabs_give(slabs, piece);
    }
    return larger;
}

void slabs_give(struct slabs *slabs, void *piece)
{
    if (piece == NULL) {
        return;
    }
    struct slab_head *head = head_of(piece);
    size_t room = 0;
    unsigned class = class_of(head->size, &room);
    if (POISON_WORKS || class == SLAB_CLASSES || slabs->kept[class] + head->size > slabs->limit) {
        free(head);
        return;
    }
    head->next = slabs->free[class];
    slabs->free[class] = head;
    slabs->kept[class] += head->size;
}
