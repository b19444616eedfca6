/* SPDX-License-Identifier: MIT */
/*
 * What the kernel knows of this process, under the names that Prometheus's own clients use.
 */
#ifndef METRICS_PROCESS_H
#define METRICS_PROCESS_H

/** The value of process_cpu_seconds and its like; NAN: not known. Reads /proc, which never
 * waits. */
double process_value(const char *name);

#endif
