/* SPDX-License-Identifier: MIT */
/*
 * Memory that never fails, growing text, the nearest word.
 */
#include "util.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void *or_end(void *memory)
{
    if (memory == NULL) {
        fputs("weirctl: no memory left\n", stderr);
        exit(1);
    }
    return memory;
}

void *allocate(size_t len)
{
    return or_end(calloc(1, len > 0 ? len : 1));
}

void *reallocate(void *old, size_t count, size_t size)
{
    return or_end(reallocarray(old, count > 0 ? count : 1, size));
}

char *copy_string(const char *text)
{
    return or_end(strdup(text));
}

char *copy_slice(const char *text, size_t len)
{
    return or_end(strndup(text, len));
}

/* ---- text ---- */

void text_add(struct text *text, const void *data, size_t len)
{
    assert(len < SIZE_MAX / 4);
    if (text->room - text->len <= len) {
        text->room = (text->len + len + 64) * 2;
        text->data = reallocate(text->data, text->room, 1);
    }
    if (len > 0) {
        memcpy(text->data + text->len, data, len);
    }
    text->len += len;
    text->data[text->len] = '\0';
}

void text_puts(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
    char *whole = NULL;
    va_list args;

    va_start(args, format);
    int len = vasprintf(&whole, format, args);
    va_end(args);
    if (len < 0) {
        or_end(NULL);
    }
    text_add(text, whole, (size_t)len);
    free(whole);
}

void text_encode(struct text *text, const char *string)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (; *string != '\0'; string++) {
        if (strchr(plain, *string) != NULL) {
            text_add(text, string, 1);
        } else {
            text_printf(text, "%%%02X", (unsigned char)*string);
        }
    }
}

const char *text_get(const struct text *text)
{
    return text->data != NULL ? text->data : "";
}

void text_clear(struct text *text)
{
    free(text->data);
    memset(text, 0, sizeof(*text));
}

/* ---- files and time ---- */

bool write_file(const char *path, const char *text, mode_t mode, bool replace)
{
    struct text temporary = {0};
    size_t len = strlen(text);
    size_t done = 0;

    text_printf(&temporary, "%s.XXXXXX", path);
    int fd = mkostemp(temporary.data, O_CLOEXEC);
    bool good = fd >= 0 && fchmod(fd, mode) == 0;
    while (good && done < len) {
        ssize_t wrote = write(fd, text + done, len - done);
        good = wrote > 0 || (wrote < 0 && errno == EINTR);
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    good = good && fsync(fd) == 0;
    good = good && (replace ? rename(temporary.data, path) : link(temporary.data, path)) == 0;
    int failed = errno;
    if (fd >= 0) {
        close(fd);
        unlink(temporary.data);
    }
    text_clear(&temporary);
    errno = failed;
    return good;
}

uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the nearest word ---- */

#define WORD_LIMIT 32

/* Levenshtein's distance, case aside; words above the limit are far from everything. */
static unsigned distance(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    unsigned row[WORD_LIMIT + 1];

    if (a_len > WORD_LIMIT || b_len > WORD_LIMIT) {
        return WORD_LIMIT;
    }
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned change = diagonal + (strncasecmp(a + i - 1, b + j - 1, 1) != 0);
            diagonal = row[j];
            unsigned least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = change < least ? change : least;
        }
    }
    return row[b_len];
}

const char *nearest_word(const char *word, const char *const *words, size_t count)
{
    const char *best = NULL;
    unsigned best_distance = 1 + (unsigned)(strlen(word) / 3);

    for (size_t i = 0; i < count; i++) {
        /* A beginning of a word is near to it, however long the rest is. */
        bool begins = strlen(word) >= 2 && strncasecmp(word, words[i], strlen(word)) == 0;
        unsigned d = begins ? 0 : distance(word, words[i]);
        if (d < best_distance || (d == best_distance && best == NULL)) {
            best = words[i];
            best_distance = d;
        }
    }
    return best;
}
