/* SPDX-License-Identifier: MIT */
/*
 * Lifetimes of plans: each loop counts its own references, without atomics, and reports when it
 * drops the last one.
 *
 * References are held by requests, and by the loop itself while the plan is current. Balancers and
 * clients whose options do not change go on under later plans and keep their own plan beyond its
 * last reference, possibly over many reloads.
 *
 * A module goes earlier than its plan: once the loop has left the plan (lifetime_leave), with the
 * last balancer or request that uses that module. Requests are counted by module only from then on,
 * since most do not outlive their plan's time.
 */
#ifndef PROXY_PLAN_LIFETIME_H
#define PROXY_PLAN_LIFETIME_H

#include <stdatomic.h>

#include "base/base.h"

/* Callbacks to the plan's owner. */
struct lifetime_owner {
    /* On a loop: nothing on it uses the module block's module any more. */
    void (*module_left)(void *arg, size_t module, unsigned loop);
    /* On a loop: whether any reference there may be one to the module. NULL: none is. */
    bool (*module_lasts)(void *arg, size_t module, unsigned loop);
    /* On any loop: the last loop has dropped its references, a module, or everything of the plan.
     * The owner may be about to be freed. */
    void (*changed)(void *changed_arg);
    void *arg, *changed_arg;
};

/* One loop's counts. Thread: that loop. */
struct lifetime_local {
    uint64_t refs;   /* requests, plus 1 while the plan is current there */
    uint64_t kept;   /* balancers and clients */
    uint32_t *users; /* by module: balancers, and requests once the loop has left the plan */
    bool *gone;      /* by module: the owner was told */
    bool left;
} __attribute__((aligned(64)));

struct lifetime {
    struct lifetime_owner owner;
    unsigned loops;
    size_t modules;
    _Atomic unsigned loops_left;    /* loops that have or will have references */
    _Atomic unsigned loops_kept;    /* loops that have not left or keep it */
    _Atomic unsigned *module_loops; /* by module: loops that have not left or have users of it */
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

/* On a loop: one of its clients begins, or ends. */
static inline void lifetime_keep(struct lifetime *life, unsigned loop)
{
    life->locals[loop].kept++;
}
void lifetime_unkeep(struct lifetime *life, unsigned loop);

/* The same for who uses a module, and keeps it too. */
void lifetime_keep_module(struct lifetime *life, size_t module, unsigned loop);
void lifetime_unkeep_module(struct lifetime *life, size_t module, unsigned loop);

/* The plan is not the loop's any more: whatever still runs under it keeps what it uses. */
void lifetime_leave(struct lifetime *life, unsigned loop);

#endif
