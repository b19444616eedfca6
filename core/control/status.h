/* SPDX-License-Identifier: MIT */
/*
 * The command that shows the state of the program. Control thread.
 */
#ifndef CONTROL_STATUS_H
#define CONTROL_STATUS_H

#include "control/api/command.h"

extern const struct command status_commands[];

#endif
