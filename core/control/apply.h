/* SPDX-License-Identifier: MIT */
/*
 * Putting a generation into force on all loops: each prepares its instances; when all could, each commits;
 * when one could not, each abandons. Control thread.
 */
#ifndef CONTROL_APPLY_H
#define CONTROL_APPLY_H

#include "proxy/worker.h"

/* `error` NULL: the generation is in force on every loop. Else it is in force on none, and has been left
 * by all that had prepared it; the callee frees it. */
typedef void (*apply_fn)(void *arg, struct generation *generation, const char *error);

struct apply;

/* Every loop has prepared it: what else must be, before it is in force, is done now; apply_pass goes on. */
typedef void (*apply_gate_fn)(void *arg, struct apply *apply);

/* Begins; `fn` is called later on the control thread's loop. One at a time. `gate` may be NULL. */
void apply_begin(struct runtime *runtime, struct generation *generation, apply_gate_fn gate,
                 apply_fn fn, void *arg);

struct generation *apply_generation(const struct apply *apply);

/* The gate is passed; with an error it is not, and all loops abandon the generation. */
void apply_pass(struct apply *apply, const char *error);

#endif
