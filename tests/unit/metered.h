/* SPDX-License-Identifier: MIT */
/*
 * A module of a test's own whose calls and strikes are counted, on one loop.
 */
#ifndef UNIT_METERED_H
#define UNIT_METERED_H

#include <stdlib.h>

#include "module/call.h"

struct metered {
    struct call_meter meter;
    struct call_stack stack;
};

static inline void metered_begin(struct metered *metered, const struct module *module)
{
    metered->meter.module = module;
    metered->meter.stack = &metered->stack;
}

static inline void metered_end(struct metered *metered)
{
    for (unsigned i = 0; i < MODULE_HOOKS; i++) {
        free(metered->meter.hooks[i]);
    }
    memset(metered, 0, sizeof(*metered));
}

/* The context's calls are counted there. */
static inline void metered_context(struct metered *metered, struct module_context *context)
{
    context->meter = &metered->meter;
    context->place = "";
}

/* Of all hooks. */
static inline uint64_t metered_strikes(const struct metered *metered)
{
    uint64_t count = 0;

    for (enum module_hook hook = 0; hook < MODULE_HOOKS; hook++) {
        struct call_times sum;
        call_sum(&metered->meter, 1, hook, &sum);
        count += call_strikes(&sum);
    }
    return count;
}

#endif
