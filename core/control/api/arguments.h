/* SPDX-License-Identifier: MIT */
/*
 * Arguments of operations: each is checked against its row of the command table. Control thread.
 */
#ifndef CONTROL_API_ARGUMENTS_H
#define CONTROL_API_ARGUMENTS_H

#include "control/api/operation.h"

/* Checks that every member is known, of its type and in range, and that no required one is missing.
 * Mistakes become the operation's answer (422); `prefix` begins their pointers: "/" for bodies, "?"
 * for queries. */
void arguments_check(struct operation *operation, const struct weir_argument *arguments,
                     const cJSON *object, const char *prefix);

/* One value. */
void argument_check(struct operation *operation, const struct weir_argument *argument,
                    const char *pointer, const cJSON *value);

#endif
