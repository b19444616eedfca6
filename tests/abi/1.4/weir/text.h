/* SPDX-License-Identifier: MIT */
/*
 * Text: comparing, cutting, lists and tokens of header fields, weights, UTF-8, base64url. Strings
 * that come out point into those that went in. Pure; any thread. Compiled into the module: no ABI.
 */
#ifndef WEIR_TEXT_H
#define WEIR_TEXT_H

#include <string.h>

#include <weir/module.h>

WEIR_BEGIN_DECLS

static inline struct weir_str weir_str_of(const char *text)
{
    struct weir_str str = {text, strlen(text)};
    return str;
}

static inline bool weir_str_equal(struct weir_str a, struct weir_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool weir_str_is(struct weir_str text, const char *word)
{
    return weir_str_equal(text, weir_str_of(word));
}

/** ASCII letters alone have a lower case here, whatever the locale. */
static inline char weir_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/** Whether both are the same without regard to the case of ASCII letters. */
static inline bool weir_str_is_nocase(struct weir_str text, const char *word)
{
    bool same = text.len == strlen(word);

    for (size_t i = 0; same && i < text.len; i++) {
        same = weir_lower(text.ptr[i]) == weir_lower(word[i]);
    }
    return same;
}

static inline bool weir_str_starts(struct weir_str text, const char *with)
{
    size_t len = strlen(with);
    return text.len >= len && (len == 0 || memcmp(text.ptr, with, len) == 0);
}

static inline bool weir_str_ends(struct weir_str text, const char *with)
{
    size_t len = strlen(with);
    return text.len >= len && (len == 0 || memcmp(text.ptr + text.len - len, with, len) == 0);
}

/** What is behind the first `len` bytes, of which there must be as many. */
static inline struct weir_str weir_str_skip(struct weir_str text, size_t len)
{
    struct weir_str rest = {text.ptr + len, text.len - len};
    return rest;
}

/** Compares in time that depends on `len` alone. For secrets. */
static inline bool weir_bytes_equal_secret(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *left = (const volatile uint8_t *)a;
    const volatile uint8_t *right = (const volatile uint8_t *)b;
    uint8_t differs = 0;

    for (size_t i = 0; i < len; i++) {
        differs = (uint8_t)(differs | (left[i] ^ right[i]));
    }
    return differs == 0;
}

/* ---- bytes ---- */

static inline bool weir_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool weir_is_alnum(char c)
{
    return weir_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/** A hexadecimal digit's value; -1: it is none. */
static inline int weir_hex_digit(char c)
{
    c = weir_lower(c);
    return weir_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** A letter, a digit or one of `others`. */
static inline bool weir_is_one_of(char c, const char *others)
{
    return weir_is_alnum(c) || (c != '\0' && strchr(others, c) != NULL);
}

/** A token (RFC 9110 section 5.6.2): a method, a field's name, a cookie's name. */
static inline bool weir_is_token(struct weir_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!weir_is_one_of(text.ptr[i], "!#$%&'*+-.^_`|~")) {
            return false;
        }
    }
    return text.len > 0;
}

/* ---- cutting ---- */

/** Without the spaces and tabs around it. */
static inline struct weir_str weir_str_trim(struct weir_str text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

/** Takes what is before `len` off `*rest`, and the mark behind it, where there is one. Trimmed. */
static inline struct weir_str weir_str_take(struct weir_str *rest, size_t len)
{
    struct weir_str part = {rest->ptr, len};

    if (rest->len > 0) {
        *rest = weir_str_skip(*rest, len < rest->len ? len + 1 : len);
    }
    return weir_str_trim(part);
}

/** Takes what is before the first `mark` off `*rest`, and the mark with it: all of it where there
 * is no mark. Trimmed. */
static inline struct weir_str weir_str_cut(struct weir_str *rest, char mark)
{
    const char *at = rest->len > 0 ? (const char *)memchr(rest->ptr, mark, rest->len) : NULL;
    return weir_str_take(rest, at != NULL ? (size_t)(at - rest->ptr) : rest->len);
}

/** As weir_str_cut; a mark inside a quoted string (RFC 9110 section 5.6.4) is none. */
static inline struct weir_str weir_str_cut_unquoted(struct weir_str *rest, char mark)
{
    bool quoted = false;
    size_t len = 0;

    for (; len < rest->len && (quoted || rest->ptr[len] != mark); len++) {
        if (rest->ptr[len] == '"') {
            quoted = !quoted;
        } else if (quoted && rest->ptr[len] == '\\' && len + 1 < rest->len) {
            len++;
        }
    }
    return weir_str_take(rest, len);
}

/* ---- lists in fields: `one, two;parameter="a, b", three` ---- */

/** The next element, its parameters with it; empty ones are passed over. false: there is none. */
static inline bool weir_list_next(struct weir_str *rest, struct weir_str *element)
{
    element->len = 0;
    while (rest->len > 0 && element->len == 0) {
        *element = weir_str_cut_unquoted(rest, ',');
    }
    return element->len > 0;
}

/** The next parameter of an element, from what is behind its name. `value` is empty where it has
 * none. false: there is none. */
static inline bool weir_list_parameter(struct weir_str *rest, struct weir_str *name,
                                       struct weir_str *value)
{
    if (rest->len == 0) {
        return false;
    }
    *value = weir_str_cut_unquoted(rest, ';');
    *name = weir_str_cut(value, '=');
    *value = weir_str_trim(*value);
    return true;
}

/** Whether a list has an element of that name, in whatever case and with whatever parameters or
 * value. */
static inline bool weir_list_has(struct weir_str list, const char *word)
{
    struct weir_str element;

    while (weir_list_next(&list, &element)) {
        struct weir_str name = weir_str_cut_unquoted(&element, ';');
        if (weir_str_is_nocase(weir_str_cut(&name, '='), word)) {
            return true;
        }
    }
    return false;
}

/** A weight (qvalue, RFC 9110 section 12.4.2) in thousandths; -1: malformed. */
static inline int weir_weight(struct weir_str text)
{
    int weight = 0, unit = 100;

    if (text.len == 0 || text.len > 5 || (text.ptr[0] != '0' && text.ptr[0] != '1') ||
        (text.len > 1 && text.ptr[1] != '.')) {
        return -1;
    }
    weight = (text.ptr[0] - '0') * 1000;
    for (size_t i = 2; i < text.len; i++, unit /= 10) {
        if (!weir_is_digit(text.ptr[i])) {
            return -1;
        }
        weight += (text.ptr[i] - '0') * unit;
    }
    return weight <= 1000 ? weight : -1;
}

/** The weight of an element, from what is behind its name: 1000 where none is given, 0 where it is
 * malformed or given twice. */
static inline int weir_list_weight(struct weir_str parameters)
{
    struct weir_str name, value;
    int weight = 1000;
    bool weighted = false;

    while (weir_list_parameter(&parameters, &name, &value)) {
        if (weir_str_is_nocase(name, "q")) {
            weight = weighted ? 0 : weir_weight(value);
            weighted = true;
            if (weight <= 0) {
                return 0;
            }
        }
    }
    return weight;
}

/* ---- UTF-8 ---- */

/** Bytes of the character (RFC 3629) that `text` begins with, 1 to 4; 0: it begins with none,
 * that is, it is empty, cut, too long a form, a surrogate, or above U+10FFFF. */
static inline size_t weir_utf8_len(struct weir_str text)
{
    const unsigned char *at = (const unsigned char *)text.ptr;
    unsigned char first = text.len > 0 ? at[0] : 0xff;
    size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    /* The second byte's range keeps out long forms, surrogates and what is above U+10FFFF. */
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || len > text.len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if (at[i] < low || at[i] > high) {
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return len;
}

/** Whether all of it is UTF-8. */
static inline bool weir_str_is_utf8(struct weir_str text)
{
    size_t len = 1;

    while (text.len > 0 && (len = weir_utf8_len(text)) > 0) {
        text = weir_str_skip(text, len);
    }
    return text.len == 0;
}

/* ---- base64url without padding (RFC 4648 section 5) ---- */

/** Room for `len` bytes, NUL included. */
#define WEIR_BASE64_SIZE(len) (((len)*4 + 2) / 3 + 1)

/** Writes WEIR_BASE64_SIZE(len) bytes at most; the text's length. */
static inline size_t weir_base64_encode(const uint8_t *bytes, size_t len, char *out)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t at = 0;
    uint32_t bits = 0;
    unsigned have = 0;

    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | bytes[i];
        for (have += 8; have >= 6; have -= 6) {
            out[at++] = letters[bits >> (have - 6) & 63];
        }
    }
    if (have > 0) {
        out[at++] = letters[bits << (6 - have) & 63];
    }
    out[at] = '\0';
    return at;
}

/** Fills `out` (room for text.len * 3 / 4 bytes); how many bytes, or -1: it is no such text. */
static inline ptrdiff_t weir_base64_decode(struct weir_str text, uint8_t *out)
{
    ptrdiff_t at = 0;
    uint32_t bits = 0;
    unsigned have = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                    : c >= 'a' && c <= 'z' ? c - 'a' + 26
                    : weir_is_digit(c)     ? c - '0' + 52
                    : c == '-'             ? 62
                    : c == '_'             ? 63
                                           : -1;
        if (value < 0) {
            return -1;
        }
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[at++] = (uint8_t)(bits >> have);
        }
    }
    return have < 6 && (bits & ((1u << have) - 1)) == 0 ? at : -1;
}

WEIR_END_DECLS

#endif
