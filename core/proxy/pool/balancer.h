/* SPDX-License-Identifier: MIT */
/*
 * Instances of balancers, one per pool and loop: replaced on reload only if module or options
 * changed.
 */
#ifndef PROXY_POOL_BALANCER_H
#define PROXY_POOL_BALANCER_H

#include <weir/balancer.h>

#include "module/context.h"
#include "proxy/pool/ranking.h"

struct pool_home;
struct pool_local;
struct pool_plan;
struct use;

struct balancer {
    struct module_context context;
    const struct weir_balancer *ops;
    void *data;
    void *memory;          /* of its instance_size, zeroed at first; NULL: it allocates its own */
    uint32_t choices;      /* how many candidates are drawn; 0: all are ranked */
    const struct use *use; /* kept on this loop: its plan owns conf and prepared */
    uint32_t refs;         /* pool_local and attempts assigned by it */
    bool failed;           /* on_members failed: the host chooses */
};

/* NULL: its create failed. Loop. */
struct balancer *balancer_new(const struct pool_plan *plan, struct pool_home *home);
void balancer_unref(struct balancer *balancer, struct pool_home *home);

/* Whether the host ranks for it, by its cost or in turns. */
static inline bool balancer_is_ranked(const struct balancer *balancer)
{
    return balancer->ops->pick == NULL && !balancer->failed;
}

/* How the host ranks: as the balancer asks, or by load where the balancer picks itself or has
 * failed. */
struct ranking_policy balancer_policy(struct balancer *balancer);

/* The pool's balancer has replaced `last` (the same one: the plan has changed; NULL: none): gives
 * each server of the plan its slot, and hands over what `last` has learnt if both support it. */
void balancer_take_over(struct pool_local *local, struct balancer *last);

#endif
