/* SPDX-License-Identifier: MIT */
/*
 * Watches over the workers. Each is asked for a sign of life, again and again; one that does not
 * give it hangs, in a module most likely, and takes its share of the clients with it. The control
 * thread goes on meanwhile and says so; after `stall_limit` it writes a record (base/crash.h) and
 * ends the program, so that whoever supervises it starts it anew.
 *
 * Time in which the control thread itself did not run (SIGSTOP, a suspended machine) does not
 * count, nor does a worker that would run if the machine let it. Control thread.
 */
#ifndef CONTROL_WATCH_H
#define CONTROL_WATCH_H

#include "proxy/worker.h"

/* Exit status of a program that has ended itself. */
#define WATCH_EXIT 70

struct watch;

/* Watches the first `count` loops from `self`, the control thread's. `well` (may be NULL) is called
 * some times a second as long as the control thread itself runs. */
struct watch *watch_new(struct worker *self, struct worker *const *loops, unsigned count,
                        void (*well)(void));
/* No loop runs any more, and their last messages have been handled. */
void watch_free(struct watch **watch);

/* Of the next three `watch` may be NULL: nobody is watched yet. Limit 0: nobody is ended for it. */
void watch_set_limit(struct watch *watch, uint64_t stall_limit_ns);
/* The program is to end: if it has not within that time, whoever does not let it is named, and it
 * ends nevertheless. */
void watch_end_within(struct watch *watch, uint64_t ns);
/* For how long the worker has given no sign; 0: it is well. */
uint64_t watch_late_ms(const struct watch *watch, unsigned worker);

#endif
