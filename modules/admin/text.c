/* SPDX-License-Identifier: MIT */
/*
 * Strings. See text.h.
 */
#include "text.h"

#include <stdlib.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

bool text_is(struct weir_str text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

bool text_is_nocase(struct weir_str text, const char *word)
{
    if (text.len != strlen(word)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (lower(text.ptr[i]) != lower(word[i])) {
            return false;
        }
    }
    return true;
}

bool text_equal(struct weir_str a, struct weir_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool text_begins(struct weir_str text, const char *with)
{
    size_t len = strlen(with);
    return text.len >= len && memcmp(text.ptr, with, len) == 0;
}

bool text_ends(struct weir_str text, const char *with)
{
    size_t len = strlen(with);
    return text.len >= len && memcmp(text.ptr + text.len - len, with, len) == 0;
}

bool text_has(struct weir_str text, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= text.len; i++) {
        if (memcmp(text.ptr + i, word, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Bytes of the character at `at`; 0: it is none (RFC 3629). */
static size_t utf8_len(const char *text, size_t left)
{
    const unsigned char *at = (const unsigned char *)text;
    unsigned char first = at[0];
    size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || left < len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++, low = 0x80, high = 0xbf) {
        if (at[i] < low || at[i] > high) {
            return 0;
        }
    }
    return len;
}

bool text_is_utf8(struct weir_str text)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = utf8_len(text.ptr + at, text.len - at);
        if (len == 0) {
            return false;
        }
        at += len;
    }
    return true;
}

bool text_equal_secret(struct weir_str a, struct weir_str b)
{
    unsigned char differs = 0;
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        differs |= (unsigned char)(a.ptr[i] ^ b.ptr[i]);
    }
    return differs == 0;
}

struct weir_str text_trim(struct weir_str text)
{
    while (text.len > 0 && (*text.ptr == ' ' || *text.ptr == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

bool text_next(struct weir_str *rest, char separator, struct weir_str *element)
{
    if (rest->len == 0) {
        return false;
    }
    const char *end = memchr(rest->ptr, separator, rest->len);
    size_t len = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
    *element = text_trim((struct weir_str){rest->ptr, len});
    size_t skip = end != NULL ? len + 1 : len;
    rest->ptr += skip;
    rest->len -= skip;
    return true;
}

/* A weight above 0: qvalue, RFC 9110 section 12.4.2. */
static bool is_weight(struct weir_str text)
{
    bool whole = text.len > 0 && text.ptr[0] == '1';
    bool zero = true;

    if (text.len == 0 || text.len > 5 || (!whole && text.ptr[0] != '0') ||
        (text.len > 1 && text.ptr[1] != '.')) {
        return false;
    }
    for (size_t i = 2; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        zero = zero && text.ptr[i] == '0';
    }
    return whole == zero; /* 1.000 at most, and not 0.000 */
}

/* Whether parameters say q=0, or what cannot be understood: another q behind it, say. */
static bool is_refused(struct weir_str parameters)
{
    struct weir_str parameter;
    bool weighted = false;

    while (text_next(&parameters, ';', &parameter)) {
        if (parameter.len >= 2 && lower(parameter.ptr[0]) == 'q' && parameter.ptr[1] == '=') {
            struct weir_str value = {parameter.ptr + 2, parameter.len - 2};
            if (weighted || !is_weight(value)) {
                return true;
            }
            weighted = true;
        }
    }
    return false;
}

bool text_accepts_gzip(struct weir_str field)
{
    bool any = false;
    struct weir_str element, coding;
    while (text_next(&field, ',', &element)) {
        struct weir_str rest = element;
        if (!text_next(&rest, ';', &coding)) {
            continue;
        }
        if (text_is_nocase(coding, "gzip") || text_is_nocase(coding, "x-gzip")) {
            return !is_refused(rest);
        }
        any = any || (text_is(coding, "*") && !is_refused(rest));
    }
    return any;
}

bool text_matches_etag(struct weir_str field, struct weir_str etag)
{
    struct weir_str element;
    while (text_next(&field, ',', &element)) {
        if (text_begins(element, "W/")) {
            element.ptr += 2;
            element.len -= 2;
        }
        if (text_is(element, "*") || text_equal(element, etag)) {
            return true;
        }
    }
    return false;
}

size_t text_put_json(char *out, size_t at, size_t size, struct weir_str text)
{
    static const char hex[] = "0123456789abcdef";

    if (size < at + 3) {
        return at;
    }
    out[at++] = '"';
    for (size_t i = 0; i < text.len && at + 7 < size; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\') {
            out[at++] = '\\';
            out[at++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            memcpy(out + at, "\\u00", 4);
            out[at + 4] = hex[c >> 4];
            out[at + 5] = hex[c & 15];
            at += 6;
        } else {
            size_t len = utf8_len(text.ptr + i, text.len - i);
            bool bad = len == 0; /* a part of one that was cut, or no text: U+FFFD */
            memcpy(out + at, bad ? "\xef\xbf\xbd" : text.ptr + i, bad ? 3 : len);
            at += bad ? 3 : len;
            i += bad ? 0 : len - 1;
        }
    }
    out[at++] = '"';
    out[at] = '\0';
    return at;
}

void text_hex(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

size_t text_base64(const uint8_t *bytes, size_t len, char *out)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t at = 0;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t word = (uint32_t)bytes[i] << 16;
        word |= i + 1 < len ? (uint32_t)bytes[i + 1] << 8 : 0;
        word |= i + 2 < len ? bytes[i + 2] : 0;
        out[at++] = letters[word >> 18];
        out[at++] = letters[word >> 12 & 63];
        if (i + 1 < len) {
            out[at++] = letters[word >> 6 & 63];
        }
        if (i + 2 < len) {
            out[at++] = letters[word & 63];
        }
    }
    out[at] = '\0';
    return at;
}

/* ---- JSON objects of strings ---- */

struct reader {
    char *at;
    char *end;
};

static void skip_space(struct reader *r)
{
    while (r->at < r->end &&
           (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) {
        r->at++;
    }
}

static bool take(struct reader *r, char c)
{
    skip_space(r);
    if (r->at < r->end && *r->at == c) {
        r->at++;
        return true;
    }
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex4(struct reader *r, uint32_t *code)
{
    *code = 0;
    if (r->end - r->at < 4) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*r->at++);
        if (digit < 0) {
            return false;
        }
        *code = *code << 4 | (uint32_t)digit;
    }
    return true;
}

static char *put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 63));
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    }
    return out;
}

/* \uXXXX, or the two of a surrogate pair; no lone surrogate, no NUL. */
static bool read_unicode(struct reader *r, char **out)
{
    uint32_t code, low;
    if (!read_hex4(r, &code) || code == 0 || (code >= 0xdc00 && code < 0xe000)) {
        return false;
    }
    if (code >= 0xd800 && code < 0xdc00) {
        if (r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u') {
            return false;
        }
        r->at += 2;
        if (!read_hex4(r, &low) || low < 0xdc00 || low > 0xdfff) {
            return false;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *out = put_utf8(*out, code);
    return true;
}

/* A string is never longer than what stands for it, so that it is unescaped where it is. */
static bool read_string(struct reader *r, struct weir_str *text)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (!take(r, '"')) {
        return false;
    }
    char *start = r->at, *out = r->at;
    while (r->at < r->end && *r->at != '"') {
        char c = *r->at++;
        if ((unsigned char)c < 0x20) {
            return false;
        }
        if (c != '\\') {
            *out++ = c;
            continue;
        }
        const char *known = NULL;
        if (r->at == r->end) {
            return false;
        }
        c = *r->at++;
        if (c == 'u') {
            if (!read_unicode(r, &out)) {
                return false;
            }
        } else if (c != '\0' && (known = strchr(from, c)) != NULL) {
            *out++ = to[known - from];
        } else {
            return false;
        }
    }
    *text = (struct weir_str){start, (size_t)(out - start)};
    return take(r, '"');
}

static struct text_member *find_member(struct text_member *members, size_t count,
                                       struct weir_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (text_is(name, members[i].name)) {
            return &members[i];
        }
    }
    return NULL;
}

bool text_read_object(char *body, size_t len, struct text_member *members, size_t count,
                      const char **error, bool *malformed)
{
    struct reader r = {body, body + len};
    bool more = true;

    *malformed = true;
    *error = "the body is no JSON object";
    if (!take(&r, '{')) {
        return false;
    }
    if (take(&r, '}')) {
        more = false;
    }
    while (more) {
        struct weir_str name, value;
        if (!read_string(&r, &name) || !take(&r, ':')) {
            return false;
        }
        skip_space(&r);
        if (r.at < r.end && *r.at != '"') {
            *malformed = false;
            *error = "each member's value is a string";
            return false;
        }
        if (!read_string(&r, &value)) {
            return false;
        }
        struct text_member *member = find_member(members, count, name);
        if (member == NULL || member->value.ptr != NULL) {
            *malformed = false;
            *error = member == NULL ? "the body has an unknown member" : "a member is there twice";
            return false;
        }
        member->value = value;
        more = take(&r, ',');
        if (!more && !take(&r, '}')) {
            return false;
        }
    }
    skip_space(&r);
    return r.at == r.end;
}
