/* SPDX-License-Identifier: MIT */
/*
 * Cookie fields of requests.
 */
#include "cookie.h"

bool cookie_next(struct weir_str *rest, struct cookie *out)
{
    while (rest->len > 0) {
        struct weir_str pair = weir_str_cut(rest, ';');
        if (pair.len == 0) {
            continue;
        }
        struct weir_str value = pair;
        struct weir_str name = weir_str_cut(&value, '=');
        out->pair = pair;
        if (name.len == pair.len) { /* no "=": a value without a name, as browsers take it */
            out->name = (struct weir_str){pair.ptr, 0};
            out->value = pair;
            return true;
        }
        out->name = name;
        value = weir_str_trim(value);
        if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"') {
            value.ptr++;
            value.len -= 2;
        }
        out->value = value;
        return true;
    }
    return false;
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
        size += weir_str_is_nocase(field.name, "Cookie") ? 2 * field.value.len + 2 : 0;
    }
    char *text = size > 0 ? weir_request_alloc(req, size) : NULL;
    if (text == NULL) {
        return; /* no cookie; or no memory, and the server gets to see a value that it cannot
                 * read */
    }
    for (size_t i = 0; i < count; i++) {
        struct weir_field field = weir_request_field(req, i);
        while (weir_str_is_nocase(field.name, "Cookie") && cookie_next(&field.value, &cookie)) {
            if (weir_str_equal(cookie.name, name)) {
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
