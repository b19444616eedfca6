/* SPDX-License-Identifier: MIT */
/*
 * The `balance` blocks of pools: those of the files, and those that were set at run time, as they
 * are kept: {"balance": NAME, "options": {NAME: TEXT}}, by pool. Control thread.
 */
#ifndef CONTROL_CHANGE_POOL_BLOCK_H
#define CONTROL_CHANGE_POOL_BLOCK_H

#include "control/change/changes.h"

/* As the files would have it: balance "NAME" { OPTION = TEXT ... }; in the arena. */
const struct conf_node *pool_block_of(struct arena *arena, const char *pool, const cJSON *entry);
/* The pool's block in the files; NULL: they have no such pool. */
const struct conf_node *pool_block_in_files(const struct plan *plan, struct weir_str pool);
bool pool_block_equal(const struct conf_node *a, const struct conf_node *b);
/* As it would be kept; options with several values are one text. */
cJSON *pool_block_json(const struct conf_node *block);

/* Fills in that the pool is balanced by the block, with the module that it names, all but the
 * step. false: no module block enables it. */
bool pool_block_swap(const struct plan *plan, struct weir_str pool, const struct conf_node *block,
                     struct plan_swap *how);
#define POOL_BLOCK_DISABLED "no module block enables that balancer; weirctl module enable does"

#endif
