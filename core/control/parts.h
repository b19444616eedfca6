/* SPDX-License-Identifier: MIT */
/*
 * What the program's control plane is made of: the commands and parts of all rooms. Control thread.
 */
#ifndef CONTROL_PARTS_H
#define CONTROL_PARTS_H

#include "control/change/changes.h"

/* Between changes_init and changes_start. */
void parts_add(struct changes *changes);

#endif
