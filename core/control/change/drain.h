/* SPDX-License-Identifier: MIT */
/*
 * Servers that drain: removed when they are quiet or their time is over. Control thread.
 */
#ifndef CONTROL_CHANGE_DRAIN_H
#define CONTROL_CHANGE_DRAIN_H

#include "control/plane.h"

/* Once a second, and after each change. */
void drain_tick(struct plane *plane);

#endif
