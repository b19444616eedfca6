/* SPDX-License-Identifier: MIT */
/*
 * Reading Accept (RFC 9110 section 12.5.1) for two media types.
 */
#include "accept.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static struct weir_str trim(const char *begin, const char *end)
{
    while (begin < end && (*begin == ' ' || *begin == '\t')) {
        begin++;
    }
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    struct weir_str result = {begin, (size_t)(end - begin)};
    return result;
}

static bool is(struct weir_str text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

/* The next part of `*rest` up to `mark`, outside quotes; false: there is none. */
static bool next_part(struct weir_str *rest, char mark, struct weir_str *part)
{
    bool quoted = false;
    size_t i = 0;

    if (rest->len == 0) {
        return false;
    }
    for (; i < rest->len && (quoted || rest->ptr[i] != mark); i++) {
        quoted ^= rest->ptr[i] == '"';
    }
    *part = trim(rest->ptr, rest->ptr + i);
    i += i < rest->len;
    rest->ptr += i;
    rest->len -= i;
    return true;
}

/* Thousandths of a quality, 0.75 or 1; what is malformed is nought. */
static int quality(struct weir_str text)
{
    int value = 0;

    if (text.len == 0 || text.len > 5 || (text.ptr[0] != '0' && text.ptr[0] != '1') ||
        (text.len > 1 && text.ptr[1] != '.')) {
        return 0;
    }
    value = (text.ptr[0] - '0') * 1000;
    for (size_t i = 2, unit = 100; i < text.len; i++, unit /= 10) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return 0;
        }
        value += (text.ptr[i] - '0') * (int)unit;
    }
    return value <= 1000 ? value : 0;
}

/* One media range: which type it is, and its quality. A version that is not spoken has none, nor has one of two
 * qualities. */
static int range_quality(struct weir_str range, struct weir_str *type, const char *version)
{
    struct weir_str part = {NULL, 0};
    int result = 1000;
    bool weighted = false;

    next_part(&range, ';', type);
    while (next_part(&range, ';', &part)) {
        const char *equals = memchr(part.ptr, '=', part.len);
        if (equals == NULL) {
            continue;
        }
        struct weir_str name = trim(part.ptr, equals);
        struct weir_str value = trim(equals + 1, part.ptr + part.len);
        if (is(name, "q")) {
            result = weighted ? 0 : quality(value);
            weighted = true;
            if (result == 0) {
                return 0;
            }
        } else if (is(name, "version") && !is(value, version)) {
            return 0;
        }
    }
    return result;
}

bool accept_openmetrics(struct weir_str accept)
{
    struct weir_str range = {NULL, 0};
    struct weir_str type = {NULL, 0};
    int openmetrics = 0;
    int text = 0;

    while (next_part(&accept, ',', &range)) {
        struct weir_str whole = range;
        struct weir_str none = {NULL, 0};
        type = none;
        int q = range_quality(whole, &type, "1.0.0");
        if (is(type, "application/openmetrics-text")) {
            openmetrics = q > openmetrics ? q : openmetrics;
        } else if (is(type, "text/plain")) {
            q = range_quality(range, &type, "0.0.4");
            text = q > text ? q : text;
        }
    }
    return openmetrics > 0 && openmetrics >= text;
}
