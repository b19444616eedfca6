/* SPDX-License-Identifier: MIT */
/*
 * From written values to fields. Private to core/conf.
 */
#ifndef CONF_CONF_VALUE_H
#define CONF_CONF_VALUE_H

#include "conf/conf.h"

/* Stores `value` in `field` as `type`, the row's or its element's, and does what the flags ask for
 * (secrets in files, paths). false: the mistake is reported. */
bool conf_value_store(const struct conf_fill *fill, const struct weir_option *row,
                      enum weir_option_type type, const struct conf_value *value, void *field);

/* Stores `count` values as the list that the row describes; `place` is the list's. */
bool conf_value_store_list(const struct conf_fill *fill, const struct weir_option *row,
                           struct place place, const struct conf_value *values, size_t count,
                           struct weir_list *list);

/* Stores the row's default, if any; `place` is the block's. */
bool conf_value_store_default(const struct conf_fill *fill, const struct weir_option *row,
                              struct place place, void *field);

#endif
