/* SPDX-License-Identifier: MIT */
/*
 * Mistakes in a configuration (or another input), collected so that one run reports all. Each reads
 * `FILE:LINE: what is wrong, what to write`.
 */
#ifndef BASE_MISTAKES_H
#define BASE_MISTAKES_H

#include <stdarg.h>

#include "base/base.h"

/* Where something stands. `file` outlives the mistakes; NULL: nowhere in particular. */
struct place {
    const char *file;
    unsigned line; /* from 1; 0: the file as a whole */
};

struct mistakes {
    char **texts;
    size_t count;
};

void mistakes_add(struct mistakes *mistakes, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void mistakes_vadd(struct mistakes *mistakes, struct place place, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
void mistakes_free(struct mistakes *mistakes);

#endif
