/* SPDX-License-Identifier: MIT */
/*
 * Runs something on every loop, then something when all have done it. Control thread.
 */
#ifndef CONTROL_LOOPS_H
#define CONTROL_LOOPS_H

#include "proxy/runtime.h"
#include "proxy/worker.h"

/* Runs `fn` on one of the next turns of each of the first `count` loops (the control thread's is
 * the last), then `done` (may be NULL) on the control thread. */
void loops_do(struct runtime *runtime, unsigned count, void (*fn)(struct worker *worker, void *arg),
              void (*done)(void *arg), void *arg);

#endif
