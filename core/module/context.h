/* SPDX-License-Identifier: MIT */
/*
 * The host's side of struct weir_context: the context of one instance of a module.
 *
 * Thread: the loop's, but for what post does; a context without a loop belongs to the control
 * thread.
 */
#ifndef MODULE_CONTEXT_H
#define MODULE_CONTEXT_H

#include <weir/host.h>

#include "base/list.h"

struct call_meter;
struct guard;
struct loop;
struct module;
struct module_mailbox;

/* Embed it or keep it; it never moves between init and end. After init the owner sets what it
 * has of the fields in the middle, and leaves the rest zero. */
struct module_context {
    struct weir_context base; /* modules get its address */
    struct module *module;    /* the owner keeps a reference to it; NULL: a test */

    const char *component; /* the name in the log; init: the module's name */
    struct loop *loop;     /* NULL: no timers and no posts (load, or only checking) */
    uint32_t worker_index;
    uint32_t worker_count;
    struct weir_str pool;       /* empty: not in a pool's block; lives as long as the context */
    struct weir_str block_name; /* see weir_block_name; lives as long as the context */
    void *scope;                /* the owner's */
    const char *place;          /* for people: the pool or block; empty: the module's own block */
    struct guard *guard;        /* that its calls strike; NULL: they are only counted */
    struct call_meter *meter;   /* of its calls; see call.h. NULL: they are not measured */

    /* host.c's */
    struct module_mailbox *mailbox;
    struct list timers;
    struct shared_use *shared; /* the blocks it uses; see shared.c */
};

static inline struct module_context *module_context_of(struct weir_context *ctx)
{
    return container_of(ctx, struct module_context, base);
}

/* Sets all fields; `loop` may be NULL. */
void module_context_init(struct module_context *ctx, const struct weir_host *host,
                         struct module *module, struct loop *loop);

/* After the destroy, stop or free hook. Timers that the module forgot are freed, and that is
 * logged; posts on their way are dropped. On the loop's thread, or when that has stopped. */
void module_context_end(struct module_context *ctx);

#endif
