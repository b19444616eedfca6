/* SPDX-License-Identifier: MIT */
/*
 * Collecting mistakes as texts.
 */
#include "base/mistakes.h"

#include <stdio.h>
#include <stdlib.h>

/* Nobody reads more, and a binary file given by accident must not fill memory. */
#define MISTAKES_MAX 1000u

void mistakes_vadd(struct mistakes *mistakes, struct place place, const char *format, va_list args)
{
    char *what, *text;

    if (mistakes->count > MISTAKES_MAX) {
        return;
    }
    if (mistakes->count == MISTAKES_MAX) {
        text = base_printf("there are more than %u mistakes; correct these first", MISTAKES_MAX);
    } else {
        if (vasprintf(&what, format, args) < 0) {
            what = base_strdup(format);
        }
        if (place.file == NULL) {
            text = base_strdup(what);
        } else if (place.line == 0) {
            text = base_printf("%s: %s", place.file, what);
        } else {
            text = base_printf("%s:%u: %s", place.file, place.line, what);
        }
        free(what);
    }
    mistakes->texts =
        base_realloc(mistakes->texts, (mistakes->count + 1) * sizeof(*mistakes->texts));
    mistakes->texts[mistakes->count++] = text;
}

void mistakes_add(struct mistakes *mistakes, struct place place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mistakes_vadd(mistakes, place, format, args);
    va_end(args);
}

void mistakes_free(struct mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes->count; i++) {
        free(mistakes->texts[i]);
    }
    free(mistakes->texts);
    *mistakes = (struct mistakes){0};
}
