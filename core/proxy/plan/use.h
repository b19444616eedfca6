/* SPDX-License-Identifier: MIT */
/*
 * Uses of modules in a configuration, and the places of their instances on the loops.
 */
#ifndef PROXY_PLAN_USE_H
#define PROXY_PLAN_USE_H

#include "conf/conf.h"
#include "module/context.h"
#include "module/module.h"

struct listener_plan;
struct plan;

/* One use of a module in the configuration: its module block, or a `balance`, `sticky`, ...
 * block. */
struct use {
    size_t index;          /* in plan.uses, the same in those that are derived */
    size_t module_number;  /* of its module block, in plan.modules */
    struct module *module; /* NULL: given back */
    enum module_kind kind; /* what it is used as */
    struct plan *plan;
    const struct conf_node *block;
    const struct use *base; /* the module block's use; itself there */
    void *conf;
    void *prepared;
    struct weir_str pool;                 /* whose block it stands in; empty: none */
    const struct listener_plan *listener; /* likewise; NULL: none */
    struct module_context context;        /* of conf_create and conf_free: the control thread */
    bool conf_created;
    struct instance *instances; /* one a loop, for routers, loggers, filters, sticky, handlers */
    /* Of a module block of a base; control thread: */
    struct module *kept; /* the reference; NULL: nobody of these uses it any more */
    unsigned sharers;    /* plans with the configuration that have not given the module back */
};

/* A use on one loop; whoever prepares the loop makes it. */
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

/* Same module, same options: an instance of one can go on for the other. */
bool use_equal(const struct use *a, const struct use *b);

#endif
