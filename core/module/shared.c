/* SPDX-License-Identifier: MIT */
/*
 * Blocks of memory, found by name while in use. See shared.h.
 */
#include "module/shared.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/list.h"

struct shared {
    struct list link;
    unsigned refs;
    char *owner;
    char *name;
    size_t size;
    max_align_t bytes[];
};

/* One user's reference to a block. */
struct shared_use {
    struct shared_use *next;
    struct shared *shared;
};

static struct list all = {&all, &all};

static struct shared *find(const char *owner, const char *name, size_t size)
{
    list_each(link, &all)
    {
        struct shared *shared = container_of(link, struct shared, link);
        if (shared->size == size && strcmp(shared->owner, owner) == 0 &&
            strcmp(shared->name, name) == 0) {
            return shared;
        }
    }
    struct shared *shared = base_zalloc(sizeof(*shared) + size);
    shared->owner = base_strdup(owner);
    shared->name = base_strdup(name);
    shared->size = size;
    list_push_back(&all, &shared->link);
    return shared;
}

void *shared_get(struct shared_use **uses, const char *owner, const char *name, size_t size)
{
    struct shared *shared = find(owner, name, size);

    for (const struct shared_use *use = *uses; use != NULL; use = use->next) {
        if (use->shared == shared) {
            return shared->bytes;
        }
    }
    struct shared_use *use = base_zalloc(sizeof(*use));
    *use = (struct shared_use){*uses, shared};
    *uses = use;
    shared->refs++;
    return shared->bytes;
}

void shared_release(struct shared_use **uses)
{
    while (*uses != NULL) {
        struct shared_use *use = *uses;
        struct shared *shared = use->shared;
        *uses = use->next;
        free(use);
        if (--shared->refs == 0) {
            list_remove(&shared->link);
            free(shared->owner);
            free(shared->name);
            free(shared);
        }
    }
}
