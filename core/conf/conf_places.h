/* SPDX-License-Identifier: MIT */
/*
 * Where fields were set. Private to core/conf, except for what conf.h declares.
 */
#ifndef CONF_CONF_PLACES_H
#define CONF_CONF_PLACES_H

#include "conf/conf.h"

/* No-ops when `places` is NULL or memory is out: messages are less exact then. */
void conf_places_add_field(struct conf_places *places, const void *field, struct place place);
/* A field with a block's title. */
void conf_places_add_title(struct conf_places *places, const void *field,
                           const struct conf_node *block);
void conf_places_add_block(struct conf_places *places, const void *conf, size_t size,
                           struct place place);

#endif
