/* SPDX-License-Identifier: MIT */
/*
 * Writes statistics to the log (SIGUSR2).
 */
#ifndef CONTROL_REPORT_H
#define CONTROL_REPORT_H

#include "proxy/runtime.h"

/* One line each for listeners, routes, pools and servers. Control thread. */
void report_statistics(const struct generation *generation);

#endif
