/* SPDX-License-Identifier: MIT */
/*
 * Generations: a plan with the live objects and the instances that were made of it.
 *
 * Life: the control thread builds it (reads, checks, loads modules, opens sockets); every loop
 * prepares its instances; when all succeed, every loop commits. Each loop leaves the generation
 * before when its last stream there ends; when all have left, the control thread frees that one. A
 * failure at any step frees the new one and changes nothing.
 *
 * What outlives generations (pools, servers, listeners, routes) is found by name (runtime.h) and
 * shared by reference count.
 */
#ifndef PROXY_GENERATION_H
#define PROXY_GENERATION_H

#include "proxy/plan/lifetime.h"
#include "proxy/plan/plan.h"

struct log_next;
struct logfile;
struct runtime;
struct worker;

struct generation {
    struct list link; /* the control thread's: all that are not freed */
    uint64_t id;
    struct plan *plan;    /* referenced */
    struct lifetime life; /* plan->life */
    struct runtime *runtime;
    bool in_force; /* it has been committed; control thread */
    bool retired;
    struct log_next *log;       /* the program's log, until the commit takes it */
    struct logfile **log_files; /* those that modules named, referenced: loops find them open */
    size_t log_file_count;
};

/* Reads and checks `path`. NULL: mistakes were added, nothing has changed. With `open_sockets`
 * false (weir -t), addresses and log files are checked but not opened. */
struct generation *generation_build(struct runtime *runtime, const char *path, bool open_sockets,
                                    struct mistakes *mistakes);

/* The configuration of `from` (running or starting) again, with the servers that runtime.adjust and
 * DNS give now, and another copy of a module (NULL: none): no file is read and no module is asked
 * but that copy. */
struct generation *generation_derive(struct runtime *runtime, const struct generation *from,
                                     const struct plan_swap *swap, struct mistakes *mistakes);

/* A generation ends by and by, since requests, clients and balancers may go on under later ones. */

/* Control thread, whenever a loop has left it or something of it: gives back the modules that no
 * loop uses any more, and after the last reference everything except its listeners and the modules
 * whose balancers go on, so that what is no longer configured is unloaded and closed. */
void generation_let_go(struct generation *generation);
/* Control thread, when no loop holds anything of it, or none has prepared it. */
void generation_free(struct generation **generation);

/* On a loop: creates the instances there and takes a reference for it (plan->life). false: a hook
 * failed, `error` says which; undo with generation_abandon. */
bool generation_prepare(struct generation *generation, struct worker *worker, char *error,
                        size_t error_size);

/* On a loop: undoes a prepare, even a failed one. */
void generation_abandon(struct generation *generation, struct worker *worker);

/* The generation that owns the plan's lifetime. */
static inline struct generation *generation_of(const struct plan *plan)
{
    return container_of(plan->life, struct generation, life);
}

#endif
