/* SPDX-License-Identifier: MIT */
/*
 * Memory of modules that outlives generations. Control thread.
 */
#ifndef MODULE_SHARED_H
#define MODULE_SHARED_H

#include <stddef.h>

struct shared_use;

/* The block of that owner, name and size, zeroed when new; `uses` holds it from then on. */
void *shared_get(struct shared_use **uses, const char *owner, const char *name, size_t size);
/* Drops all; a block without users is freed. */
void shared_release(struct shared_use **uses);

#endif
