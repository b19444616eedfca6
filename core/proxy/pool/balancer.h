/* SPDX-License-Identifier: MIT */
/*
 * Instances of balancers, one a pool and loop: replaced on reload only when module or options changed.
 */
#ifndef PROXY_POOL_BALANCER_H
#define PROXY_POOL_BALANCER_H

#include <weir/balancer.h>

#include "module/context.h"

struct generation;
struct pool_home;
struct pool_plan;
struct use;

struct balancer {
    struct module_context context;
    const struct weir_balancer *ops;
    void *data;
    struct generation *generation; /* kept on this loop: conf and prepared are its */
    const struct use *use;         /* of that generation */
    uint32_t refs;                 /* pool_local and attempts assigned by it */
    bool failed;                   /* on_members failed: the host chooses */
};

/* NULL: its create failed. Loop. */
struct balancer *balancer_new(const struct pool_plan *plan, struct pool_home *home);
void balancer_unref(struct balancer *balancer, struct pool_home *home);

#endif
