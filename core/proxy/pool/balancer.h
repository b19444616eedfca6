/* SPDX-License-Identifier: MIT */
/*
 * Instances of balancers, one a pool and loop: replaced on reload only when module or options
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
    void *memory;          /* of its instance_size, zeroed at first; NULL: it makes its own */
    uint32_t choices;      /* how many candidates are drawn; 0: all are ranked */
    const struct use *use; /* whose plan is kept on this loop: conf and prepared are its */
    uint32_t refs;         /* pool_local and attempts assigned by it */
    bool failed;           /* on_members failed: the host chooses */
};

/* NULL: its create failed. Loop. */
struct balancer *balancer_new(const struct pool_plan *plan, struct pool_home *home);
void balancer_unref(struct balancer *balancer, struct pool_home *home);

/* Whether the host ranks for it, by its cost or by turns alone. */
static inline bool balancer_is_ranked(const struct balancer *balancer)
{
    return balancer->ops->pick == NULL && !balancer->failed;
}

/* How the host ranks: as the balancer says, or, where that picks itself or has failed, by load. */
struct ranking_policy balancer_policy(struct balancer *balancer);

/* The pool's balancer has taken over from `last` (the same one: the plan has changed; NULL: from
 * none): each server of the plan has its slot, and what `last` has learnt passes over, if both can
 * do that. */
void balancer_take_over(struct pool_local *local, struct balancer *last);

#endif
