/* SPDX-License-Identifier: MIT */
/*
 * Text that is put together: a buffer, escaping, and a writer of JSON (RFC 8259). One thread at a
 * time. Compiled into the module: no ABI.
 */
#ifndef WEIR_JSON_H
#define WEIR_JSON_H

#include <stdio.h>
#include <stdlib.h>

#include <weir/text.h>

WEIR_BEGIN_DECLS

/**
 * Bytes that grow by realloc, or, where `fixed`, an array of the owner's. Begin with a zeroed one,
 * or with {array, 0, sizeof(array), true, false}. Invariant: len <= room. What has no room is left
 * out, whole, and from then on `failed` is true and nothing is added.
 */
struct weir_buffer {
    char *data;
    size_t len;
    size_t room;
    bool fixed;
    bool failed;
};

static inline void weir_buffer_add(struct weir_buffer *out, const char *data, size_t len)
{
    if (out->room - out->len < len && !out->failed) {
        size_t room = (out->room + len) * 2 + 256;
        char *grown = out->fixed ? NULL : (char *)realloc(out->data, room);
        out->failed = grown == NULL;
        if (grown != NULL) {
            out->data = grown;
            out->room = room;
        }
    }
    if (!out->failed && len > 0) {
        memcpy(out->data + out->len, data, len);
        out->len += len;
    }
}

static inline void weir_buffer_text(struct weir_buffer *out, const char *text)
{
    weir_buffer_add(out, text, strlen(text));
}

static inline void weir_buffer_byte(struct weir_buffer *out, char byte)
{
    weir_buffer_add(out, &byte, 1);
}

static inline void weir_buffer_number(struct weir_buffer *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    weir_buffer_add(out, digits + at, sizeof(digits) - at);
}

/** A finite number, as short as it reads back the same. */
static inline void weir_buffer_real(struct weir_buffer *out, double number)
{
    char text[40];
    int digits = 6;

    if (number >= 0 && number < 1e15 && number == (double)(uint64_t)number) {
        weir_buffer_number(out, (uint64_t)number);
        return;
    }
    do {
        snprintf(text, sizeof(text), "%.*g", digits, number);
    } while (strtod(text, NULL) != number && ++digits <= 17);
    weir_buffer_text(out, text);
}

/** The text so far; valid until more is added. */
static inline struct weir_str weir_buffer_str(const struct weir_buffer *out)
{
    struct weir_str text = {out->data, out->len};
    return text;
}

/** Frees what grew, and empties it. */
static inline void weir_buffer_free(struct weir_buffer *out)
{
    if (!out->fixed) {
        free(out->data);
    }
    memset(out, 0, sizeof(*out));
}

/* ---- escaping ---- */

/** What a text is to stand in. Backslash and quote get a backslash in each of them. */
enum weir_escape {
    WEIR_ESCAPE_JSON,       /**< a JSON string; what is not UTF-8 becomes U+FFFD */
    WEIR_ESCAPE_JSON_BYTES, /**< a JSON string; what is not UTF-8 stands as \u00HH */
    WEIR_ESCAPE_QUOTED,     /**< a quoted text of a log: \xHH */
    WEIR_ESCAPE_WORD,       /**< a word of a log: blanks are escaped as well */
    WEIR_ESCAPE_LABEL,      /**< a label of Prometheus: \n; what is not UTF-8 becomes U+FFFD */
};

/** One byte in its escaped form; its length. */
static inline size_t weir_escape_byte(unsigned char byte, enum weir_escape how, char out[8])
{
    static const char hex[] = "0123456789abcdef";
    bool json = how == WEIR_ESCAPE_JSON || how == WEIR_ESCAPE_JSON_BYTES;
    size_t len = json ? 4 : 2;

    memcpy(out, json ? "\\u00" : "\\x", len);
    if (byte == '"' || byte == '\\' || how == WEIR_ESCAPE_LABEL) {
        out[1] = byte == '\n' ? 'n' : (char)byte;
        return 2;
    }
    out[len] = hex[byte >> 4];
    out[len + 1] = hex[byte & 15];
    return len + 2;
}

/** Bytes at the start of `text` that stand as they are; 0: the first one does not. */
static inline size_t weir_escape_plain(struct weir_str text, enum weir_escape how)
{
    unsigned char byte = (unsigned char)text.ptr[0];
    size_t len = weir_utf8_len(text);
    bool log =
        how == WEIR_ESCAPE_QUOTED || how == WEIR_ESCAPE_WORD || how == WEIR_ESCAPE_JSON_BYTES;

    if (len > 1) { /* U+0080 to U+009F are controls, which a terminal would obey */
        return log && byte == 0xc2 && (unsigned char)text.ptr[1] < 0xa0 ? 0 : len;
    }
    if (byte == '"' || byte == '\\' || (byte == ' ' && how == WEIR_ESCAPE_WORD)) {
        return 0;
    }
    return how == WEIR_ESCAPE_LABEL ? (byte == '\n' ? 0 : len)
                                    : (byte >= 0x20 && byte < 0x7f ? len : 0);
}

/** Adds a text, escaped. It may take `limit` bytes (SIZE_MAX: any number); what is longer is cut,
 * and ends in "...". */
static inline void weir_buffer_escaped(struct weir_buffer *out, struct weir_str text,
                                       enum weir_escape how, size_t limit)
{
    bool replaces = how == WEIR_ESCAPE_JSON || how == WEIR_ESCAPE_LABEL;
    size_t start = out->len, cut = start; /* where "..." still fits, should the rest not */

    while (text.len > 0 && !out->failed) {
        char escaped[8];
        const char *bytes = text.ptr;
        size_t taken = weir_escape_plain(text, how), len = taken;
        if (taken == 0) {
            bytes = escaped;
            taken = 1;
            if (replaces && weir_utf8_len(text) == 0) {
                memcpy(escaped, "\xef\xbf\xbd", len = 3);
            } else {
                len = weir_escape_byte((unsigned char)text.ptr[0], how, escaped);
            }
        }
        if (out->len + len - start > limit) {
            out->len = cut;
            weir_buffer_text(out, "...");
            return;
        }
        weir_buffer_add(out, bytes, len);
        cut = limit - (out->len - start) >= 3 ? out->len : cut;
        text = weir_str_skip(text, taken);
    }
}

/* ---- JSON ---- */

/** Writes values one after the other; commas are its own. Begin with {buffer, false}. `name` is a
 * member's name inside an object, and NULL in an array and for the outermost value. */
struct weir_json {
    struct weir_buffer *out;
    bool comma; /**< the next value needs one before it */
};

/** What comes before a value: a comma, and the name. Names are the caller's own, and not
 * escaped. */
static inline void weir_json_name(struct weir_json *json, const char *name)
{
    if (json->comma) {
        weir_buffer_byte(json->out, ',');
    }
    json->comma = true;
    if (name != NULL) {
        weir_buffer_byte(json->out, '"');
        weir_buffer_text(json->out, name);
        weir_buffer_text(json->out, "\":");
    }
}

/** Opens an object with `{` or an array with `[`. */
static inline void weir_json_open(struct weir_json *json, const char *name, char bracket)
{
    weir_json_name(json, name);
    weir_buffer_byte(json->out, bracket);
    json->comma = false;
}

/** Closes with `}` or `]`. */
static inline void weir_json_close(struct weir_json *json, char bracket)
{
    weir_buffer_byte(json->out, bracket);
    json->comma = true;
}

/** Adds JSON text as it is. */
static inline void weir_json_raw(struct weir_json *json, const char *name, struct weir_str text)
{
    weir_json_name(json, name);
    weir_buffer_add(json->out, text.ptr, text.len);
}

/** A member whose name comes from elsewhere is opened by this, and its value written without a
 * name. */
static inline void weir_json_key(struct weir_json *json, struct weir_str name)
{
    weir_json_name(json, NULL);
    weir_buffer_byte(json->out, '"');
    weir_buffer_escaped(json->out, name, WEIR_ESCAPE_JSON, SIZE_MAX);
    weir_buffer_text(json->out, "\":");
    json->comma = false;
}

static inline void weir_json_str(struct weir_json *json, const char *name, struct weir_str text)
{
    weir_json_name(json, name);
    weir_buffer_byte(json->out, '"');
    weir_buffer_escaped(json->out, text, WEIR_ESCAPE_JSON, SIZE_MAX);
    weir_buffer_byte(json->out, '"');
}

/** NULL: null. */
static inline void weir_json_text(struct weir_json *json, const char *name, const char *text)
{
    if (text != NULL) {
        weir_json_str(json, name, weir_str_of(text));
    } else {
        weir_json_raw(json, name, weir_str_of("null"));
    }
}

static inline void weir_json_number(struct weir_json *json, const char *name, uint64_t number)
{
    weir_json_name(json, name);
    weir_buffer_number(json->out, number);
}

/** What is not finite is null. */
static inline void weir_json_real(struct weir_json *json, const char *name, double number)
{
    weir_json_name(json, name);
    if (number - number == 0) { /* neither infinite nor NAN */
        weir_buffer_real(json->out, number);
    } else {
        weir_buffer_text(json->out, "null");
    }
}

static inline void weir_json_bool(struct weir_json *json, const char *name, bool value)
{
    weir_json_raw(json, name, weir_str_of(value ? "true" : "false"));
}

WEIR_END_DECLS

#endif
