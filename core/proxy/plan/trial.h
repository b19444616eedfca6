/* SPDX-License-Identifier: MIT */
/*
 * The trial of another balancer in a pool, or of its other copy: which share of the picks it has,
 * and how the picks of both went, at the same time and among the same servers.
 *
 * Owner: the plans of the pool, by reference (control thread). Thread: a loop counts in its own
 * part; any may read it.
 */
#ifndef PROXY_PLAN_TRIAL_H
#define PROXY_PLAN_TRIAL_H

#include <stdatomic.h>

#include "proxy/plan/traffic.h"

/* Servers by how fast they have been lately: within 1 ms, 4, 16, 64, 256, and slower. */
#define TRIAL_CLASSES 6u
/* The upper bound of a class, in ms; 0: none. */
unsigned trial_class_ms(unsigned class);

enum trial_arm { ARM_OLD, ARM_NEW };
#define TRIAL_ARMS 2u

/* What became of picks. */
struct trial_counts {
    uint64_t requests; /* that have ended, and say something of the server */
    uint64_t errors;   /* of them: 5xx, or no whole answer */
    struct histogram first_byte;
};

struct trial_local {
    struct trial_counts counts[TRIAL_ARMS][TRIAL_CLASSES];
    uint64_t picks[TRIAL_ARMS];
    uint32_t credit; /* of the canary's share, of 2^32 */
} __attribute__((aligned(64)));

struct trial {
    unsigned refs;
    unsigned loops;
    _Atomic uint32_t share; /* of the picks, of 2^32 */
    _Atomic bool unable;    /* the new one's on_members failed */
    struct trial_local *locals;
};

/* Of the picks that the new copy has from now on. Control thread. */
void trial_set_share(struct trial *trial, double share);
/* With a reference. */
struct trial *trial_new(unsigned loops, double share);
struct trial *trial_ref(struct trial *trial);
/* NULL is legal. */
void trial_unref(struct trial **trial);

/* Whether the next pick is the new one's: each loop counts on its own, without chance. */
static inline bool trial_turn(const struct trial *trial, struct trial_local *local)
{
    uint32_t share = atomic_load_explicit(&trial->share, memory_order_relaxed);
    return __builtin_add_overflow(local->credit, share, &local->credit);
}

/* A pick has ended, at a server whose smoothed latency was that. `first_byte_ns` 0: no answer. */
void trial_count(struct trial_local *local, enum trial_arm arm, uint32_t latency_us, bool error,
                 uint64_t first_byte_ns);

/* Errors of the arm, of all loops and classes. */
uint64_t trial_errors(const struct trial *trial, enum trial_arm arm);
/* Adds what all loops have counted of the arm; `counts` has TRIAL_CLASSES. */
void trial_sum(const struct trial *trial, enum trial_arm arm, uint64_t *picks,
               struct trial_counts *counts);
/* All classes of servers in one. */
void trial_total(const struct trial *trial, enum trial_arm arm, uint64_t *picks,
                 struct trial_counts *total);

#endif
