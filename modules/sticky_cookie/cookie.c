/* SPDX-License-Identifier: MIT */
/*
 * Cookie fields of requests.
 */
#include "cookie.h"

#include <string.h>

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static struct weir_str trim(struct weir_str text)
{
    while (text.len > 0 && is_blank(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.ptr[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* Cuts the text up to `mark` off the front of `*rest`, and the mark with it. */
static struct weir_str cut(struct weir_str *rest, char mark)
{
    struct weir_str text = *rest;
    const char *at = rest->len > 0 ? memchr(rest->ptr, mark, rest->len) : NULL;
    if (at == NULL) {
        rest->len = 0;
        return text;
    }
    text.len = (size_t)(at - text.ptr);
    rest->len -= text.len + 1;
    rest->ptr = at + 1;
    return text;
}

bool cookie_next(struct weir_str *rest, struct cookie *out)
{
    while (rest->len > 0) {
        struct weir_str pair = trim(cut(rest, ';'));
        if (pair.len == 0) {
            continue;
        }
        struct weir_str value = pair;
        struct weir_str name = cut(&value, '=');
        out->pair = pair;
        if (name.len == pair.len) { /* no "=": a value without a name, as browsers take it */
            out->name = (struct weir_str){pair.ptr, 0};
            out->value = pair;
            return true;
        }
        out->name = trim(name);
        value = trim(value);
        if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"') {
            value.ptr++;
            value.len -= 2;
        }
        out->value = value;
        return true;
    }
    return false;
}

bool cookie_is_field(struct weir_str name)
{
    static const char lower[] = "cookie";
    if (name.len != sizeof(lower) - 1) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if ((name.ptr[i] | 0x20) != lower[i]) {
            return false;
        }
    }
    return true;
}

void cookie_remove(struct weir_request *req, struct weir_str name)
{
    static const struct weir_str field_name = WEIR_STR_INIT("Cookie");
    size_t count = weir_request_field_count(req);
    size_t size = 0;
    size_t len = 0;
    bool found = false;
    struct cookie cookie;

    for (size_t i = 0; i < count; i++) {
        struct weir_field field = weir_request_field(req, i);
        /* Each ";" may become "; ", and one more goes between two fields. */
        size += cookie_is_field(field.name) ? 2 * field.value.len + 2 : 0;
    }
    char *text = size > 0 ? weir_request_alloc(req, size) : NULL;
    if (text == NULL) {
        return; /* no cookie; or no memory, and the server gets to see a value that it cannot read */
    }
    for (size_t i = 0; i < count; i++) {
        struct weir_field field = weir_request_field(req, i);
        while (cookie_is_field(field.name) && cookie_next(&field.value, &cookie)) {
            if (cookie.name.len == name.len && memcmp(cookie.name.ptr, name.ptr, name.len) == 0) {
                found = true;
                continue;
            }
            if (len > 0) {
                text[len++] = ';';
                text[len++] = ' ';
            }
            memcpy(text + len, cookie.pair.ptr, cookie.pair.len);
            len += cookie.pair.len;
        }
    }
    if (found && len > 0) {
        weir_request_set_header(req, field_name, (struct weir_str){text, len});
    } else if (found) {
        weir_request_remove_header(req, field_name);
    }
}
