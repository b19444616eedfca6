/* SPDX-License-Identifier: MIT */
/*
 * Finds and loads a module's `.so` for programs that run it in the fake host.
 */
#ifndef MODULE_FILE_H
#define MODULE_FILE_H

#include <stddef.h>

#include <weir/module.h>

/** The file of a module: what has a slash or ends with .so is a path, any other text a name, with
 * or without `prefix` (NULL: none), in $WEIR_MODULE_DIR or the installation's folder. Text in
 * `path`, or `what` itself. */
const char *module_file_path(const char *what, const char *prefix, char *path, size_t size);

/** Loads it, for as long as `*library` is open. NULL: why not is in `error`. */
const struct weir_module *module_file_load(const char *path, void **library, char *error,
                                           size_t error_size);

#endif
