/* SPDX-License-Identifier: MIT */
/*
 * Uses of modules in a configuration, and their instances on the loops.
 */
#ifndef PROXY_PLAN_USE_H
#define PROXY_PLAN_USE_H

#include "conf/conf.h"
#include "module/call.h"
#include "module/context.h"
#include "module/guard.h"
#include "module/module.h"

struct listener_plan;
struct plan;

/* One use of a module in the configuration: its module block, or a `balance`, `sticky`, ...
 * block. */
struct use {
    size_t index;          /* in plan.uses, the same in derived plans */
    size_t module_number;  /* of its module block, in plan.modules */
    struct module *module; /* NULL: unloaded */
    enum module_kind kind; /* what it is used as */
    uint32_t where;        /* WEIR_CONTEXT_... of its block */
    struct plan *plan;
    const struct conf_node *block;
    const struct use *base; /* the module block's use; for that one, itself */
    void *conf;
    void *prepared;
    struct guard_conf supervision;
    struct guard *guard;  /* referenced; that of the plan before where the use is equal */
    struct weir_str pool; /* whose block it is in; empty: none */
    const struct listener_plan *listener; /* likewise; NULL: none */
    struct module_context context;        /* for conf_create and conf_free, on the control thread */
    bool conf_created;
    struct instance *instances; /* one per loop, for routers, loggers, filters, sticky, handlers */
    /* Of a module block in its home (plan.homes); control thread: */
    struct module *kept; /* referenced; NULL: no longer used by them */
    unsigned sharers;    /* plans of this configuration that still use the module */
};

/* A use on one loop; made by generation_prepare. */
struct instance {
    const struct use *use;
    struct module_context context;
    void *data;
    bool created; /* the context is set up */
    bool alive;   /* the kind's create has run */
    bool started; /* worker_start has run (module blocks) */
};

struct use_list {
    struct use **items;
    size_t count;
    bool transforms; /* a filter among them may transform bodies */
};

/* The instance of a use on a loop. */
static inline struct instance *use_on(const struct use *use, unsigned loop)
{
    return &use->instances[loop];
}

/* Sets up a context for a use on a loop. */
void use_context_init(struct module_context *context, const struct use *use, struct loop *loop,
                      unsigned index);

/* Of a `shadow` block: a balancer that is asked and not obeyed. */
bool use_is_shadow(const struct use *use);

/* Same module, same options: an instance of one can serve the other. */
bool use_equal(const struct use *a, const struct use *b);

#endif
