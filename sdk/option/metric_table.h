/* SPDX-License-Identifier: MIT */
/*
 * Whether a module's table of metrics makes sense: checked once, when it is loaded, by the program
 * and by the fake host. Private: not installed.
 */
#ifndef METRIC_TABLE_H
#define METRIC_TABLE_H

#include <weir/metric.h>

/** Checks number, names, types and help texts. false: `error` says which row is wrong and why. */
bool metric_table_check(const struct weir_metrics *table, char *error, size_t error_size);

#endif
