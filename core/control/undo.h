/* SPDX-License-Identifier: MIT */
/*
 * Changes that wait for their confirmation in vain are taken back. Control thread.
 */
#ifndef CONTROL_UNDO_H
#define CONTROL_UNDO_H

#include "control/plane.h"

/* Once a second. */
void undo_tick(struct plane *plane);

#endif
