/* SPDX-License-Identifier: MIT */
/*
 * Memory that never fails (the program ends with a message instead), and growing text.
 */
#ifndef WEIRCTL_UTIL_H
#define WEIRCTL_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if defined(__GNUC__)
#define WEIRCTL_PRINTF(string_, first_) __attribute__((format(printf, string_, first_)))
#else
#define WEIRCTL_PRINTF(string_, first_)
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** Zeroed memory; the caller frees it. */
void *allocate(size_t len);
/** `count` items of `size` in place of `old`; what is new is not zeroed. */
void *reallocate(void *old, size_t count, size_t size);
char *copy_string(const char *text);
char *copy_slice(const char *text, size_t len);

/** Text that grows. `data` is NUL-ended once something was added; text_clear frees it. */
struct text {
    char *data;
    size_t len;
    size_t room;
};

void text_add(struct text *text, const void *data, size_t len);
void text_puts(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) WEIRCTL_PRINTF(2, 3);
/** Adds `string` with all but RFC 3986's unreserved characters as %XX. */
void text_encode(struct text *text, const char *string);
/** The text; "" where nothing was added. Valid until the next change. */
const char *text_get(const struct text *text);
void text_clear(struct text *text);

/** Writes a file, whole or not at all. false: errno; EEXIST where there is one and `replace` is not
 * given. */
bool write_file(const char *path, const char *text, mode_t mode, bool replace);

/** Milliseconds of a clock that never goes back. */
uint64_t now_ms(void);

/** The word of `words` (`count` of them) that is nearest to `word`; NULL: none is near enough to
 * be what was meant. */
const char *nearest_word(const char *word, const char *const *words, size_t count);

#endif
