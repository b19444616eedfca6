/* SPDX-License-Identifier: MIT */
/*
 * How long a plan is used: what each loop has of it is counted there, without atomics, and the last
 * thing that a loop lets go of is told.
 *
 * References are of requests, and of the loop itself while the plan is its current one. Balancers
 * and clients whose options do not change go on under later plans; these keep the plan beyond its
 * last reference: reload after reload they may be all that is left of the one that made them.
 */
#ifndef PROXY_PLAN_LIFETIME_H
#define PROXY_PLAN_LIFETIME_H

#include <stdatomic.h>

#include "base/base.h"

/* Who owns the plan and what was made of it. */
struct lifetime_owner {
    /* On a loop: nothing there uses the module block's module from here on. */
    void (*module_left)(void *arg, size_t module, unsigned loop);
    /* On any loop: the last one has no reference any more, uses a module no more, or has nothing of
     * the plan. The owner may be about to be freed. */
    void (*changed)(void *changed_arg);
    void *arg, *changed_arg;
};

/* What one loop has of it. Thread: that loop. */
struct lifetime_local {
    uint64_t refs;       /* requests, and 1 while it is current there */
    uint64_t kept;       /* balancers and clients */
    uint32_t *balancers; /* of each module */
} __attribute__((aligned(64)));

struct lifetime {
    struct lifetime_owner owner;
    unsigned loops;
    size_t modules;
    _Atomic unsigned loops_left; /* loops that have not left: they have references, or will */
    _Atomic unsigned loops_kept; /* loops that have not left, or keep it */
    _Atomic unsigned
        *module_loops; /* by module: loops that have not left, or have balancers of it */
    struct lifetime_local *locals;
};

/* `modules`: number of module blocks. */
void lifetime_init(struct lifetime *life, unsigned loops, size_t modules,
                   const struct lifetime_owner *owner);
void lifetime_end(struct lifetime *life);

/* On a loop. */
static inline void lifetime_ref(struct lifetime *life, unsigned loop)
{
    life->locals[loop].refs++;
}
void lifetime_unref(struct lifetime *life, unsigned loop);

/* On a loop: a client of it begins and ends. */
static inline void lifetime_keep(struct lifetime *life, unsigned loop)
{
    life->locals[loop].kept++;
}
void lifetime_unkeep(struct lifetime *life, unsigned loop);

/* The same for a balancer, which keeps its module as well. */
void lifetime_keep_module(struct lifetime *life, size_t module, unsigned loop);
void lifetime_unkeep_module(struct lifetime *life, size_t module, unsigned loop);

#endif
