/* SPDX-License-Identifier: MIT */
/*
 * Conditions: which requests and responses a filter is for. Pure; any thread.
 */
#ifndef HEADERS_CONDITION_H
#define HEADERS_CONDITION_H

#include <weir/option.h>

/* A path as a prefix on whole segments: NULL, or what is wrong with it. */
const char *prefix_check(struct weir_str prefix);
/* Whether the path is the prefix or below it; runs of slashes count as one, and one at the end
 * of the prefix does not matter. `*rest` is what follows: empty, or from a slash on (one where
 * there are more). */
bool prefix_matches(struct weir_str prefix, struct weir_str path, struct weir_str *rest);

struct status_range {
    uint32_t low, high;
};
/* "404" or "200-299". false: it is neither. */
bool status_parse(struct weir_str text, struct status_range *out);

#endif
