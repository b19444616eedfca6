/* SPDX-License-Identifier: MIT */
/*
 * Instances of balancers, one per pool and loop: replaced on reload only if module or options
 * changed.
 */
#ifndef PROXY_POOL_BALANCER_H
#define PROXY_POOL_BALANCER_H

#include <weir/balancer.h>

#include "module/call.h"
#include "module/context.h"
#include "module/guard.h"
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
    bool failed;           /* on_members failed: the host chooses, by its fallback */
    bool out;              /* so it was seen to be; its hooks are not called any more */
    uint32_t state;        /* of its guard, when it was looked at last */
};

/* A balancer has its call_budget for so many members. */
#define BALANCER_UNIT 100u

/* NULL: its create failed. Loop. */
struct balancer *balancer_new(const struct pool_plan *plan, struct pool_home *home);
void balancer_unref(struct balancer *balancer, struct pool_home *home);

/* Whether the host chooses by the balancer's fallback. */
static inline bool balancer_is_passed_over(const struct balancer *balancer)
{
    return balancer->failed || balancer->out;
}

/* Ranks the pool's members as they are now: as the balancer asks, or by its fallback where it picks
 * itself or is passed over. */
void balancer_rank(struct pool_local *local);

/* The pool's balancer has replaced `last` (the same one: the plan has changed; NULL: none): gives
 * each server of the plan its slot, and hands over what `last` has learnt if both support it. */
void balancer_take_over(struct pool_local *local, struct balancer *last);

/* Looks whether the pool's balancer is out, and ranks by its fallback from then on. One that is to
 * be tried again is replaced by a new instance as the candidates are built (balancer_renew). */
void balancer_look(struct pool_local *local);
void balancer_renew(struct pool_local *local);

/* The candidate's cost may have changed; see ranking_changed. */
void balancer_changed(struct pool_local *local, uint32_t index);

#endif
