/* SPDX-License-Identifier: MIT */
/*
 * HTTP's character classes, as a table generated from the grammar, and searches over them for the
 * hot path. Pure; any thread.
 */
#ifndef HTTP_SYNTAX_H
#define HTTP_SYNTAX_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/base.h"

enum {
    SYNTAX_TOKEN = 1,       /* tchar, RFC 9110 section 5.6.2 */
    SYNTAX_PATH = 2,        /* pchar and '/', without '%', RFC 3986 section 3.3 */
    SYNTAX_PATH_RAW = 4,    /* outside the grammar but sent by clients; Weir percent-encodes it */
    SYNTAX_HOST = 16,       /* reg-name without '%' and ',', RFC 3986 section 3.2.2 */
    SYNTAX_UNRESERVED = 32, /* RFC 3986 section 2.3 */
    SYNTAX_VALUE = 64,      /* VCHAR, SP, HTAB, obs-text, RFC 9110 section 5.5 */
    SYNTAX_VISIBLE = 128,   /* VCHAR */
};

extern const uint8_t syntax_class[256];

static inline bool syntax_is(char c, unsigned classes)
{
    return (syntax_class[(uint8_t)c] & classes) != 0;
}

/* Whether all bytes are of the class; true for the empty string. */
bool syntax_all(struct weir_str text, unsigned classes);

/* Value of a hexadecimal digit; -1: not one. */
static inline int syntax_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline bool syntax_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* `text` without the white space (SP, HTAB) around it. */
static inline struct weir_str syntax_trim(struct weir_str text)
{
    while (text.len > 0 && syntax_blank(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && syntax_blank(text.ptr[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* The first byte from `pos` that a field value may not hold; `end` if there is none. */
static inline const char *syntax_skip_value(const char *pos, const char *end)
{
#ifdef __SSE2__
    const __m128i top = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7f);
    while (end - pos >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)pos);
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, top), bytes);
        __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), control),
                                   _mm_cmpeq_epi8(bytes, del));
        int mask = _mm_movemask_epi8(bad);
        if (mask != 0) {
            return pos + __builtin_ctz((unsigned)mask);
        }
        pos += 16;
    }
#endif
    while (pos < end && syntax_is(*pos, SYNTAX_VALUE)) {
        pos++;
    }
    return pos;
}

/* Whether all bytes are visible US-ASCII and none is `not_this` (visible, or NUL for any); true for
 * the empty string. */
static inline bool syntax_visible(struct weir_str text, char not_this)
{
    size_t at = 0;
#ifdef __SSE2__
    const __m128i space = _mm_set1_epi8(' '), del = _mm_set1_epi8(0x7f);
    const __m128i other = _mm_set1_epi8(not_this);
    for (; text.len - at >= 16; at += 16) {
        /* Compared with signs: bytes above 0x7f are below the space. */
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(text.ptr + at));
        __m128i bad = _mm_or_si128(_mm_cmpeq_epi8(bytes, del), _mm_cmpeq_epi8(bytes, other));
        if (_mm_movemask_epi8(_mm_andnot_si128(bad, _mm_cmpgt_epi8(bytes, space))) != 0xffff) {
            return false;
        }
    }
#endif
    for (; at < text.len; at++) {
        if (!syntax_is(text.ptr[at], SYNTAX_VISIBLE) || text.ptr[at] == not_this) {
            return false;
        }
    }
    return true;
}

#ifdef __SSE2__
/* Bit i: byte i is in first..last. */
static inline __m128i syntax_in_range(__m128i bytes, char first, char last)
{
    __m128i offset = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8((char)(last - first))), offset);
}

static inline __m128i syntax_letters(__m128i bytes)
{
    return syntax_in_range(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 'z');
}
#endif

/* The first byte from `pos` that a token may not hold; `end` if there is none. */
static inline const char *syntax_skip_token(const char *pos, const char *end)
{
#ifdef __SSE2__
    /* Field names are letters, digits and '-', mostly below 16 bytes: any other byte ends the
     * vector step and the table continues. */
    if (end - pos >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)pos);
        __m128i plain = _mm_or_si128(syntax_in_range(bytes, '0', '9'),
                                     _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')));
        int mask = _mm_movemask_epi8(_mm_or_si128(plain, syntax_letters(bytes)));
        pos += __builtin_ctz(~(unsigned)mask);
    }
#endif
    while (pos < end && syntax_is(*pos, SYNTAX_TOKEN)) {
        pos++;
    }
    return pos;
}

/* The next element of a comma-separated list, trimmed, possibly empty; `*rest` is what follows its
 * comma. false: the end. An empty list has one empty element. */
static inline bool syntax_list_next(struct weir_str *rest, struct weir_str *element)
{
    if (rest->ptr == NULL) {
        return false;
    }
    const char *comma = rest->len > 0 ? memchr(rest->ptr, ',', rest->len) : NULL;
    if (comma == NULL) {
        *element = syntax_trim(*rest);
        *rest = (struct weir_str){NULL, 0};
    } else {
        size_t len = (size_t)(comma - rest->ptr);
        *element = syntax_trim((struct weir_str){rest->ptr, len});
        *rest = (struct weir_str){comma + 1, rest->len - len - 1};
    }
    return true;
}

/* Eight bytes, in memory order. */
static inline uint64_t syntax_load(const char *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

/*
 * Whether `text` equals a lower-case literal of letters, digits and '-', ignoring case. Only
 * letters have bit 0x40, and only they may differ in 0x20. The literal's side folds to constants,
 * so a name costs two or three word comparisons.
 */
static inline __attribute__((always_inline)) bool syntax_same(const char *text, const char *lower,
                                                              size_t len)
{
    const uint64_t letters = UINT64_C(0x4040404040404040);
    size_t at = 0;
    for (; at + 8 <= len; at += 8) {
        uint64_t want = syntax_load(lower + at);
        if ((syntax_load(text + at) | (want & letters) >> 1) != want) {
            return false;
        }
    }
    if (at < len && len >= 8) {
        uint64_t want = syntax_load(lower + len - 8);
        return (syntax_load(text + len - 8) | (want & letters) >> 1) == want;
    }
    for (; at < len; at++) {
        if ((uint8_t)(text[at] | (lower[at] & 0x40) >> 1) != (uint8_t)lower[at]) {
            return false;
        }
    }
    return true;
}

#define syntax_equals(slice, literal) \
    ((slice).len == sizeof(literal) - 1 && syntax_same((slice).ptr, literal, sizeof(literal) - 1))

#endif
