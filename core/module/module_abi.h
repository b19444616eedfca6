/* SPDX-License-Identifier: MIT */
/*
 * The border to a module: its descriptor is checked and copied. Private to core/module.
 */
#ifndef MODULE_MODULE_ABI_H
#define MODULE_MODULE_ABI_H

#include "module/module.h"

/* Copies what a module's entry gave into `module` (whose name is set already). false: `error`
 * says what is wrong with it. Runs nothing of the module. */
bool module_abi_accept(struct module *module, const struct weir_module *descriptor, char *error,
                       size_t error_size);

/* The row of that index, with zero for what an older one lacks. */
void module_operation(const struct weir_control *control, size_t index, struct weir_operation *out);

#endif
