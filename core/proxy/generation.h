/* SPDX-License-Identifier: MIT */
/*
 * Generations: a plan with the live objects and the instances that were made of it.
 *
 * Life: the control thread builds it (reads, checks, loads modules, opens sockets); every loop
 * prepares its instances; when all could, every loop commits, and the generation before it is left
 * by each loop when its last stream there has ended; when all have left, the control thread frees
 * it. A failure at any step frees the new one and changes nothing.
 *
 * What outlives generations (pools, servers, listeners, routes) is found again by name (runtime.h)
 * and shared by reference count.
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
    bool in_force; /* it has been; control thread */
    bool retired;
    struct log_next *log;       /* the program's log, until the commit takes it */
    struct logfile **log_files; /* those that modules named, referenced: loops find them open */
    size_t log_file_count;
};

/* Reads and checks `path`. NULL: mistakes were added, nothing has changed. With `open_sockets`
 * false (weir -t) addresses and log files are checked but not opened. */
struct generation *generation_build(struct runtime *runtime, const char *path, bool open_sockets,
                                    struct mistakes *mistakes);

/* The configuration of `from` (which runs, or begins) once more, with the servers that
 * runtime.adjust and names say now: no file is read, no module asked. */
struct generation *generation_derive(struct runtime *runtime, const struct generation *from,
                                     struct mistakes *mistakes);

/* The end of a generation comes in two steps, since clients and balancers go on under later
 * ones. */

/* Control thread, when every loop has left it: gives back all but its listeners and those modules
 * of which a balancer goes on, so that modules and files that are not configured any more are
 * closed. Again when such a balancer has ended. */
void generation_retire(struct generation *generation);
/* Control thread, when no loop has anything of it, or none has prepared it. */
void generation_free(struct generation **generation);

/* On a loop: makes the instances there, and takes a reference for it (plan->life). false: a hook
 * failed, `error` says which; then undo by generation_abandon. */
bool generation_prepare(struct generation *generation, struct worker *worker, char *error,
                        size_t error_size);

/* On a loop: undoes a prepare, also one that failed. */
void generation_abandon(struct generation *generation, struct worker *worker);

/* The one of a plan that has its life. */
static inline struct generation *generation_of(const struct plan *plan)
{
    return container_of(plan->life, struct generation, life);
}

#endif
