/* SPDX-License-Identifier: MIT */
/*
 * Assertions and the allocators that end the program when memory is out.
 */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Before the log begins. */
static void print(const char *text)
{
    fprintf(stderr, "%s\n", text);
}

void (*base_last_words)(const char *text) = print;

_Noreturn void base_assert_failed(const char *condition, const char *file, int line)
{
    char text[512];
    snprintf(text, sizeof(text), "weir: %s:%d: this must hold and does not: %s", file, line,
             condition);
    base_last_words(text);
    abort();
}

static _Noreturn void out_of_memory(size_t len)
{
    char text[64];
    snprintf(text, sizeof(text), "weir: no memory left for %zu bytes", len);
    base_last_words(text);
    abort();
}

void *base_alloc(size_t len)
{
    void *ptr = malloc(len > 0 ? len : 1);
    if (unlikely(ptr == NULL)) {
        out_of_memory(len);
    }
    return ptr;
}

void *base_zalloc(size_t len)
{
    void *ptr = calloc(1, len > 0 ? len : 1);
    if (unlikely(ptr == NULL)) {
        out_of_memory(len);
    }
    return ptr;
}

void *base_zalloc_lines(size_t len)
{
    size_t size = (len + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);
    if (memory == NULL) {
        out_of_memory(size);
    }
    memset(memory, 0, size);
    return memory;
}

void *base_realloc(void *ptr, size_t len)
{
    void *grown = realloc(ptr, len > 0 ? len : 1);
    if (unlikely(grown == NULL)) {
        out_of_memory(len);
    }
    return grown;
}

char *base_strdup(const char *text)
{
    return base_strndup(text, strlen(text));
}

char *base_strndup(const char *text, size_t len)
{
    char *copy = base_alloc(len + 1);
    if (len > 0) {
        memcpy(copy, text, len);
    }
    copy[len] = '\0';
    return copy;
}

char *base_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (unlikely(len < 0)) {
        out_of_memory(strlen(format));
    }
    return text;
}
