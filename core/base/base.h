/* SPDX-License-Identifier: MIT */
/*
 * What every file of the core uses: assertions that stay in release builds, likelihood, containers.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <weir/module.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The struct of `type` whose `member` is at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* A programming error: says where and aborts, in release too. Operational errors return instead. */
#define ASSERT(condition)                                       \
    do {                                                        \
        if (unlikely(!(condition)))                             \
            base_assert_failed(#condition, __FILE__, __LINE__); \
    } while (0)

/* Says why the program ends; the log takes it over when it begins. */
extern void (*base_last_words)(const char *text);

_Noreturn void base_assert_failed(const char *condition, const char *file, int line);

#define NS_PER_MS     UINT64_C(1000000)
#define NS_PER_SECOND UINT64_C(1000000000)

/* A slice from a literal. */
#define STR(literal) ((struct weir_str){(literal), sizeof(literal) - 1})

/* printf arguments for "%.*s". */
#define STR_ARGS(slice) (int)(slice).len, ((slice).len > 0 ? (slice).ptr : "")

static inline bool str_equal(struct weir_str a, struct weir_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_equal_nocase(struct weir_str a, struct weir_str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

static inline struct weir_str str_from(const char *text)
{
    return (struct weir_str){text, text != NULL ? strlen(text) : 0};
}

/* malloc family that ends the program with a message when memory is out: for the control thread's
 * start-up work and small fixed objects. What a peer can make grow is bounded elsewhere. */
void *base_alloc(size_t len) __attribute__((malloc, returns_nonnull));
void *base_zalloc(size_t len) __attribute__((malloc, returns_nonnull));
/* Zeroed and on cache lines of its own; freed by free(). */
void *base_zalloc_lines(size_t len) __attribute__((malloc, returns_nonnull));
void *base_realloc(void *ptr, size_t len) __attribute__((returns_nonnull));
char *base_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *base_strndup(const char *text, size_t len) __attribute__((malloc, returns_nonnull));
char *base_printf(const char *format, ...) __attribute__((malloc, format(printf, 1, 2)));

#endif
