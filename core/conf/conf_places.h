/* SPDX-License-Identifier: MIT */
/*
 * Where fields were set. Private to core/conf but for what conf.h shows.
 */
#ifndef CONF_CONF_PLACES_H
#define CONF_CONF_PLACES_H

#include "conf/conf.h"

/* They do nothing where `places` is NULL or memory is out: a message is then less exact. */
void conf_places_add_field(struct conf_places *places, const void *field, struct place place);
/* A field that holds a block's title. */
void conf_places_add_title(struct conf_places *places, const void *field,
                           const struct conf_node *block);
void conf_places_add_block(struct conf_places *places, const void *conf, size_t size,
                           struct place place);

#endif
