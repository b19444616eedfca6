/* SPDX-License-Identifier: MIT */
/*
 * The part of changes for pools' balancers; see changes.h. Control thread.
 */
#ifndef CONTROL_CHANGE_POOL_PART_H
#define CONTROL_CHANGE_POOL_PART_H

#include "control/change/changes.h"

/* A reload is in force: forgets what the files say by now, and adds the rest to what contradicts
 * them. */
void pools_settle(struct changes *changes, struct change *change, cJSON *contradictions);

/* What is kept comes into force: the pools of `generation`, from number `*at` on, whose balancer is
 * another than was set at run time, one after the other: fills in how that changes. false: no
 * more. */
bool pools_restore(struct changes *changes, const struct generation *generation,
                   struct arena *arena, size_t *at, struct plan_swap *out);

/* The block that was set at run time, as files have it; NULL: none. The caller frees it. */
char *pools_text(const struct changes *changes, struct weir_str pool);

#endif
