/* SPDX-License-Identifier: MIT */
/*
 * What every loop is to do, and what comes when all have done it. Control thread.
 */
#ifndef CONTROL_LOOPS_H
#define CONTROL_LOOPS_H

#include "proxy/worker.h"

/* `fn` runs on each of the first `count` loops (the control thread's is the last of all), on one of its next
 * turns; then `done` on the control thread. */
void loops_do(struct runtime *runtime, unsigned count, void (*fn)(struct worker *worker, void *arg),
              void (*done)(void *arg), void *arg);

#endif
