/* SPDX-License-Identifier: MIT */
/*
 * Header fields of fake requests, responses and replies, and which of them a module may set.
 */
#include "fake.h"

#include <stdlib.h>
#include <strings.h>

bool fake_name_equals(struct weir_str a, struct weir_str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

const struct weir_field *fake_fields_find(const struct fake_fields *fields, struct weir_str name,
                                          size_t nth)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (fake_name_equals(fields->items[i].name, name) && nth-- == 0) {
            return &fields->items[i];
        }
    }
    return NULL;
}

static struct weir_str own(struct weir_str str)
{
    char *copy = fake_lend(str.len + 1, "a field of a message that is over");
    if (str.len > 0) {
        memcpy(copy, str.ptr, str.len);
    }
    return (struct weir_str){copy, str.len};
}

static void disown(struct weir_str str)
{
    fake_take_back((char *)(uintptr_t)str.ptr);
}

void fake_fields_add(struct fake_fields *fields, struct weir_str name, struct weir_str value)
{
    /* Copied first: the value may be a slice of a field that is moved or dropped now. */
    struct weir_field field = {own(name), own(value)};
    fields->items = fake_grow(fields->items, fields->count + 1, sizeof(*fields->items));
    fields->items[fields->count++] = field;
}

size_t fake_fields_remove(struct fake_fields *fields, struct weir_str name)
{
    size_t kept = 0, count = fields->count;
    /* The name may be the very field's. */
    struct weir_str key = own(name);
    for (size_t i = 0; i < count; i++) {
        if (fake_name_equals(fields->items[i].name, key)) {
            disown(fields->items[i].name);
            disown(fields->items[i].value);
        } else {
            fields->items[kept++] = fields->items[i];
        }
    }
    fields->count = kept;
    disown(key);
    return count - kept;
}

void fake_fields_set(struct fake_fields *fields, struct weir_str name, struct weir_str value)
{
    struct weir_str name_copy = own(name), value_copy = own(value);
    fake_fields_remove(fields, name_copy);
    fake_fields_add(fields, name_copy, value_copy);
    disown(name_copy);
    disown(value_copy);
}

void fake_fields_free(struct fake_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        disown(fields->items[i].name);
        disown(fields->items[i].value);
    }
    free(fields->items);
    *fields = (struct fake_fields){0};
}

static bool is_value(struct weir_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

bool fake_field_is_legal(struct weir_str name, struct weir_str value)
{
    /* Fields that frame the message, or belong to one connection: the host's own. */
    static const char *const reserved[] = {
        "connection", "content-length", "keep-alive", "proxy-connection",
        "te",         "trailer",        "upgrade",    "transfer-encoding",
    };
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (fake_name_equals(name, fake_str(reserved[i]))) {
            return false;
        }
    }
    return weir_is_token(name) && is_value(value);
}
