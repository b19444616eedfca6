/* SPDX-License-Identifier: MIT */
/*
 * The statistics half of the host's table (weir/stats.h).
 */
#ifndef CONTROL_API_SDK_STATS_H
#define CONTROL_API_SDK_STATS_H

#include <weir/stats.h>

/* Sets the table's services about statistics; leaves the others alone. */
void sdk_stats_fill(struct weir_host *host);

#endif
