/* SPDX-License-Identifier: MIT */
/*
 * Strings. See text.h.
 */
#include "text.h"

#include <weir/json.h>

#include <stdlib.h>

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

void text_hex(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

bool text_equal_secret(struct weir_str a, struct weir_str b)
{
    return a.len == b.len && weir_bytes_equal_secret(a.ptr, b.ptr, a.len);
}

bool text_accepts_gzip(struct weir_str field)
{
    bool any = false;
    struct weir_str element;

    while (weir_list_next(&field, &element)) {
        struct weir_str coding = weir_str_cut_unquoted(&element, ';');
        bool taken = weir_list_weight(element) > 0;
        if (weir_str_is_nocase(coding, "gzip") || weir_str_is_nocase(coding, "x-gzip")) {
            return taken;
        }
        any = any || (weir_str_is(coding, "*") && taken);
    }
    return any;
}

bool text_matches_etag(struct weir_str field, struct weir_str etag)
{
    struct weir_str element;

    while (weir_list_next(&field, &element)) {
        if (weir_str_starts(element, "W/")) {
            element = weir_str_skip(element, 2);
        }
        if (weir_str_is(element, "*") || weir_str_equal(element, etag)) {
            return true;
        }
    }
    return false;
}

size_t text_put_json(char *out, size_t at, size_t size, struct weir_str text)
{
    struct weir_buffer buffer = {out, at, size - 2, true, false}; /* room for the quote and NUL */

    if (size < at + 3) {
        return at;
    }
    weir_buffer_byte(&buffer, '"');
    weir_buffer_escaped(&buffer, text, WEIR_ESCAPE_JSON, SIZE_MAX);
    out[buffer.len] = '"';
    out[buffer.len + 1] = '\0';
    return buffer.len + 1;
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

static bool read_hex4(struct reader *r, uint32_t *code)
{
    *code = 0;
    if (r->end - r->at < 4) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        int digit = weir_hex_digit(*r->at++);
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
        if (weir_str_is(name, members[i].name)) {
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
