/* SPDX-License-Identifier: MIT */
/*
 * What an instance that outlives generations needs, such as a store's: its options, filled from a
 * copy of the module block, and what conf_create has prepared from them. Control thread.
 */
#ifndef CONTROL_API_RESIDENT_H
#define CONTROL_API_RESIDENT_H

#include "proxy/plan/plan.h"

struct resident {
    struct module *module; /* referenced */
    struct arena arena;
    struct conf_node *block;
    void *conf, *prepared;
    bool conf_created;
    struct module_context conf_context;
    struct module_context context; /* the instance's */
};

/* Of a module block; `loop` NULL: its instance has none. NULL: the options cannot be used, which is
 * logged. */
struct resident *resident_new(const struct use *use, const struct plan *plan, struct loop *loop);
/* After the instance's destroy hook. */
void resident_free(struct resident **resident);
/* Whether the use is of the same copy of the module, with the same block. */
bool resident_is(const struct resident *resident, const struct use *use);

#endif
