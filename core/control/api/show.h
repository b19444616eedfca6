/* SPDX-License-Identifier: MIT */
/*
 * Parts of what is shown, shared by the reading commands. Control thread.
 */
#ifndef CONTROL_API_SHOW_H
#define CONTROL_API_SHOW_H

#include "control/plane.h"

/* requests, responses, errors, retries, bytes. */
void show_counters(cJSON *object, const struct traffic *traffic);
/* rates and latency_ms. */
void show_rates(cJSON *object, const struct plane *plane, uint64_t key);
/* Servers that are well and ready. */
unsigned show_servers_up(const struct pool_plan *plan);

#endif
