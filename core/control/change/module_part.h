/* SPDX-License-Identifier: MIT */
/*
 * Changes by modules' operations, and their services. Control thread.
 */
#ifndef CONTROL_CHANGE_MODULE_PART_H
#define CONTROL_CHANGE_MODULE_PART_H

#include "control/change/changes.h"

extern const struct change_part module_part;

void module_part_fill(struct weir_host *host);

#endif
