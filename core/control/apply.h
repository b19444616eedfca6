/* SPDX-License-Identifier: MIT */
/*
 * Brings a generation into force on all loops: each prepares its instances; if all could, each
 * commits, else each abandons it. Control thread.
 */
#ifndef CONTROL_APPLY_H
#define CONTROL_APPLY_H

#include "proxy/runtime.h"
#include "proxy/worker.h"

/* `error` NULL: the generation is in force on every loop. Else it is in force on none and
 * abandoned by all; the callee frees it. */
typedef void (*apply_fn)(void *arg, struct generation *generation, const char *error);

struct apply;

/* Every loop has prepared it. Does what must precede the commit, then calls apply_pass. */
typedef void (*apply_gate_fn)(void *arg, struct apply *apply);

/* `fn` is called on a later turn. One at a time. `gate` may be NULL. */
void apply_begin(struct runtime *runtime, struct generation *generation, apply_gate_fn gate,
                 apply_fn fn, void *arg);

struct generation *apply_generation(const struct apply *apply);

/* The gate's answer. NULL: commit; an error: all loops abandon the generation. */
void apply_pass(struct apply *apply, const char *error);

#endif
