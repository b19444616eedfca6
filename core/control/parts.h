/* SPDX-License-Identifier: MIT */
/*
 * All commands and parts of the control plane. Control thread.
 */
#ifndef CONTROL_PARTS_H
#define CONTROL_PARTS_H

#include "control/change/changes.h"

/* Between changes_init and changes_start. */
void parts_add(struct changes *changes);

#endif
