/* SPDX-License-Identifier: MIT */
/*
 * Paths in a configuration. Private to core/conf.
 */
#ifndef CONF_CONF_PATH_H
#define CONF_CONF_PATH_H

#include "base/arena.h"

/* `path` from the working folder, or as it is when absolute. .ptr NULL: no memory, or no folder. */
struct weir_str conf_path_absolute(struct arena *arena, const char *path);

/* `path` from the folder of `file`, or as it is when absolute. .ptr NULL as above. */
struct weir_str conf_path_beside(struct arena *arena, const char *file, struct weir_str path);

#endif
