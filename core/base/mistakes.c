/* SPDX-License-Identifier: MIT */
/*
 * Collecting mistakes as texts.
 */
#include "base/mistakes.h"

#include <stdio.h>
#include <stdlib.h>

/* Nobody reads more, and a binary file given by accident must not fill memory. */
#define MISTAKES_MAX 1000u

/* A copy in which control characters are escaped: what is quoted from a file neither ends the line
 * nor speaks to the reader's terminal. */
static char *one_line(const char *what)
{
    char *out = base_alloc(4 * strlen(what) + 1), *at = out;

    for (; *what != '\0'; what++) {
        unsigned char c = (unsigned char)*what;
        if (c < ' ' || c == 0x7f) {
            at += sprintf(at, "\\x%02x", c);
        } else {
            *at++ = *what;
        }
    }
    *at = '\0';
    return out;
}

void mistakes_vadd(struct mistakes *mistakes, struct place place, const char *format, va_list args)
{
    char *raw, *what, *text;

    if (mistakes->count > MISTAKES_MAX) {
        return;
    }
    if (mistakes->count == MISTAKES_MAX) {
        text = base_printf("there are more than %u mistakes; correct these first", MISTAKES_MAX);
    } else {
        if (vasprintf(&raw, format, args) < 0) {
            raw = base_strdup(format);
        }
        what = one_line(raw);
        free(raw);
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
