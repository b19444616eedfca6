/* SPDX-License-Identifier: MIT */
/*
 * Whether an option table makes sense: checked once, when a module is loaded, so that nothing later
 * writes beyond a struct or meets a default that cannot be read. Private: not installed.
 */
#ifndef OPTION_TABLE_H
#define OPTION_TABLE_H

#include "option_value.h"

/** Checks sizes, names, types, offsets, words, limits, defaults and nested tables. false: `error`
 * says which row is wrong and why. Defaults of lists are left to the reader, which knows their
 * syntax. */
bool option_table_check(const struct weir_options *table, char *error, size_t error_size);

#endif
