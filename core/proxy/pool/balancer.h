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

struct arm;
struct pool_home;
struct pool_local;
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

/* An instance for the use. NULL: its create failed. Loop. */
struct balancer *balancer_new(const struct use *use, struct pool_home *home);
void balancer_unref(struct balancer *balancer, struct pool_home *home);

/* Whether the host chooses by the balancer's fallback. */
static inline bool balancer_is_passed_over(const struct balancer *balancer)
{
    return balancer->failed || balancer->out;
}

/* The arm that the balancer is at work in; NULL: none. */
struct arm *balancer_arm(struct pool_local *local, const struct balancer *balancer);

/* Ranks the arm's members as they are now: as the balancer asks, or by its fallback where it picks
 * itself or is passed over. */
void balancer_rank(struct arm *arm);
/* Only the host ranks the backups. */
void balancer_rank_reserves(struct pool_local *local);

/* The arm's balancer has replaced `last` (the same one: the plan has changed; NULL: none), whose
 * slots are those of number `slot`: gives each server of the plan its slot, and hands over what
 * `last` has learnt if both support it. Slots of the arm's own number are freed before. */
void balancer_take_over(struct pool_local *local, struct arm *arm, struct balancer *last,
                        unsigned slot);
/* The arm ends: its instance, and the slots at the servers. */
void balancer_end(struct pool_local *local, struct arm *arm);

/* Looks whether the arm's balancer is out, and ranks by its fallback from then on. One that is to
 * be tried again is replaced by a new instance of the use as the candidates are built
 * (balancer_renew). */
void balancer_look(struct arm *arm);
void balancer_renew(struct pool_local *local, struct arm *arm, const struct use *use);

/* The candidate's cost may have changed; see ranking_changed. */
void balancer_changed(struct pool_local *local, uint32_t index);

#endif
