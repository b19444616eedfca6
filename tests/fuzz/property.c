/* SPDX-License-Identifier: MIT */
/* Shared by the properties. */
#include "fuzz/property.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void property_broken(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

char *property_copy(const void *data, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL) {
        abort();
    }
    if (len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}
