/* SPDX-License-Identifier: MIT */
/*
 * From a tree of settings and blocks to an option struct, by an option table. Private to the fake host.
 */
#ifndef FILL_H
#define FILL_H

#include "reader.h"

/* Sets what the table's rows say without any text. */
bool fill_defaults(struct weir_test_block *block, const struct weir_options *table, void *conf);

/* Fills block->conf from `nodes`. Rows of other contexts may not stand; rows that are required must have
 * been set here or before (block->set); the module block leaves what may stand elsewhere too to the other
 * blocks. Mistakes are added to the host's; false: there was one. */
bool fill_block(struct weir_test_block *block, const struct weir_options *table,
                const struct reader_node *nodes);

/* The line where `field` was set; that of the block around it; 1 where neither is known. */
unsigned fill_line(const struct weir_test_block *block, const void *field);

#endif
