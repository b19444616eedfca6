/* SPDX-License-Identifier: MIT */
/*
 * Paths in a configuration. Private to core/conf.
 */
#ifndef CONF_CONF_PATH_H
#define CONF_CONF_PATH_H

#include "base/arena.h"

/* `path` relative to the working folder, or unchanged when absolute. .ptr NULL: out of memory, or
 * no folder. */
struct weir_str conf_path_absolute(struct arena *arena, const char *path);

/* `path` relative to the folder of `file`, or unchanged when absolute. .ptr NULL as above. */
struct weir_str conf_path_beside(struct arena *arena, const char *file, struct weir_str path);

#endif
