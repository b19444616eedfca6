/* SPDX-License-Identifier: MIT */
/*
 * Which of the two formats a client would rather have.
 */
#ifndef METRICS_ACCEPT_H
#define METRICS_ACCEPT_H

#include <stdbool.h>

#include <weir/module.h>

/** Whether an Accept field names OpenMetrics (version 1.0.0, or none) with a quality above
 * nought, and at least that of text/plain. Who names neither gets the older format. */
bool accept_openmetrics(struct weir_str accept);

#endif
