/* SPDX-License-Identifier: MIT */
/*
 * Looks through a configuration file for a module's block. It understands comments, strings and
 * braces, which is all that is needed; what the file means is Weir's to say.
 */
#ifndef WEIRCTL_CONFSCAN_H
#define WEIRCTL_CONFSCAN_H

#include <stdbool.h>

#include "util.h"

enum conf_blocks {
    CONF_ABSENT,       /**< the file has no such block, or cannot be read */
    CONF_ALONE,        /**< it has that block and nothing else */
    CONF_AMONG_OTHERS, /**< and it has something else at its top level */
};

enum conf_blocks conf_scan(const char *text, const char *module);
enum conf_blocks conf_scan_file(const char *path, const char *module);

/** Adds a file's bytes to `out`. false: errno. Files above 1 MiB are refused. */
bool conf_read_file(const char *path, struct text *out);

#endif
