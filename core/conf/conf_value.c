/* SPDX-License-Identifier: MIT */
/*
 * Values: the SDK's option parser handles types; this adds what needs files and places.
 */
#include "conf/conf_value.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file_open.h"
#include "conf/conf_path.h"
#include "conf/conf_places.h"
#include "option/option_value.h"

/* A secret in a file is a password or a token, not a document. */
#define SECRET_MAX 65536u

struct arena_alloc_base {
    struct option_alloc base;
    struct arena *arena;
};

static void *alloc_from_arena(struct option_alloc *alloc, size_t len)
{
    return arena_alloc(container_of(alloc, struct arena_alloc_base, base)->arena, len);
}

/* Notes the absolute meaning of a path that is relative to its file. `value` is in the tree, whose
 * owner fills from it. */
static void note_elsewhere(const struct conf_value *value, struct weir_str meaning)
{
    if (!str_equal(value->text, meaning)) {
        ((struct conf_value *)(uintptr_t)value)->elsewhere = meaning;
    }
}

/* ---- secrets in files ---- */

/* The contents of the file without the line break at its end, ended by NUL, for the caller to wipe
 * and free; NULL: `*why` says why. */
static char *read_secret(const char *path, size_t *len, const char **why)
{
    int fd = file_open(path, why);

    if (fd == -1) {
        return NULL;
    }
    char *text = file_read(fd, SECRET_MAX, len);
    if (text == NULL) {
        *why = errno == EFBIG ? "it has more than 64 KiB" : strerror(errno);
    } else if (*len > 0 && text[*len - 1] == '\n') {
        --*len;
        *len -= *len > 0 && text[*len - 1] == '\r';
        text[*len] = '\0';
    }
    close(fd);
    return text;
}

static bool parse(const struct conf_fill *fill, const struct weir_option *row,
                  enum weir_option_type type, const struct conf_value *value, void *field)
{
    struct arena_alloc_base alloc = {{alloc_from_arena}, fill->arena};
    char error[OPTION_ERROR_SIZE];

    if (option_value_parse(row, type, value->text.ptr, value->text.len, value->quoted, field,
                           &alloc.base, error, sizeof(error))) {
        return true;
    }
    mistakes_add(fill->mistakes, value->place, "%s: %s", row->name, error);
    return false;
}

/* `@FILE` is the contents of FILE; `@@` at the start is one `@`. */
static bool store_secret(const struct conf_fill *fill, const struct weir_option *row,
                         const struct conf_value *value, void *field)
{
    struct conf_value real = *value;

    if (value->text.len == 0 || value->text.ptr[0] != '@') {
        return parse(fill, row, WEIR_TYPE_STRING, value, field);
    }
    real.text.ptr++;
    real.text.len--;
    if (real.text.len > 0 && real.text.ptr[0] == '@') {
        return parse(fill, row, WEIR_TYPE_STRING, &real, field);
    }
    struct weir_str path = conf_path_beside(fill->arena, value->place.file, real.text);
    const char *why = strerror(ENOMEM);
    char *text = path.ptr != NULL ? read_secret(path.ptr, &real.text.len, &why) : NULL;
    if (text == NULL) {
        mistakes_add(fill->mistakes, value->place, "%s: cannot read the secret from %s: %s",
                     row->name, path.ptr != NULL ? path.ptr : real.text.ptr, why);
        return false;
    }
    note_elsewhere(value, arena_printf(fill->arena, "@%s", path.ptr));
    real.text.ptr = text;
    real.quoted = true;
    bool ok = parse(fill, row, WEIR_TYPE_STRING, &real, field);
    explicit_bzero(text, real.text.len);
    free(text);
    return ok;
}

/* ---- values ---- */

/* Names of streams rather than files: "-", and the row's own words. */
static bool is_stream(const struct weir_option *row, struct weir_str text)
{
    bool found = str_equal(text, STR("-"));
    for (size_t i = 0; !found && row->names != NULL && row->names[i] != NULL; i++) {
        found = str_equal(text, str_from(row->names[i]));
    }
    return found;
}

/* Makes the path in `field` absolute. */
static bool resolve_path(const struct conf_fill *fill, const struct weir_option *row,
                         struct place place, struct weir_str *field)
{
    if (field->len == 0 || is_stream(row, *field)) {
        return true;
    }
    struct weir_str full = conf_path_beside(fill->arena, place.file, *field);
    if (full.ptr == NULL) {
        mistakes_add(fill->mistakes, place, "%s: the path cannot be made absolute: %s", row->name,
                     strerror(errno));
        return false;
    }
    *field = full;
    return true;
}

/* The same for the path in unix:PATH, which may become too long. */
static bool resolve_socket(const struct conf_fill *fill, const struct weir_option *row,
                           const struct conf_value *value, struct weir_str *field)
{
    if (field->len <= 5 || memcmp(field->ptr, "unix:", 5) != 0 || field->ptr[5] == '/') {
        return true;
    }
    struct weir_str path = {field->ptr + 5, field->len - 5};
    if (!resolve_path(fill, row, value->place, &path)) {
        return false;
    }
    struct conf_value full = *value;
    full.text = arena_printf(fill->arena, "unix:%.*s", STR_ARGS(path));
    note_elsewhere(value, full.text);
    return full.text.ptr != NULL && parse(fill, row, WEIR_TYPE_ADDRESS, &full, field);
}

bool conf_value_store(const struct conf_fill *fill, const struct weir_option *row,
                      enum weir_option_type type, const struct conf_value *value, void *field)
{
    bool ok;

    if (value->bad) {
        return false;
    }
    if (type == WEIR_TYPE_STRING && (row->flags & WEIR_OPTION_SECRET) != 0) {
        ok = store_secret(fill, row, value, field);
    } else {
        ok = parse(fill, row, type, value, field);
    }
    if (ok && type == WEIR_TYPE_STRING && (row->flags & WEIR_OPTION_PATH) != 0) {
        ok = resolve_path(fill, row, value->place, field);
        note_elsewhere(value, *(const struct weir_str *)field);
    }
    if (ok && type == WEIR_TYPE_ADDRESS) {
        ok = resolve_socket(fill, row, value, field);
    }
    return ok;
}

bool conf_value_store_list(const struct conf_fill *fill, const struct weir_option *row,
                           struct place place, const struct conf_value *values, size_t count,
                           struct weir_list *list)
{
    size_t size = option_value_size(row->element);
    char error[OPTION_ERROR_SIZE];
    bool ok = true;

    if (!option_list_check(row, count, error, sizeof(error))) {
        mistakes_add(fill->mistakes, place, "%s: %s", row->name, error);
        return false;
    }
    if (count == 0) {
        *list = (struct weir_list){NULL, 0};
        return true;
    }
    ASSERT(size > 0);
    char *items = arena_zalloc(fill->arena, count * size);
    if (items == NULL) {
        mistakes_add(fill->mistakes, values[0].place, "%s: there is no memory left", row->name);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        ok &= conf_value_store(fill, row, row->element, &values[i], items + i * size);
        conf_places_add_field(fill->places, items + i * size, values[i].place);
    }
    if (ok) {
        *list = (struct weir_list){items, count};
    }
    return ok;
}

/* ---- defaults ---- */

/* A list's default is parsed like a file. */
static bool store_default_list(const struct conf_fill *fill, const struct weir_option *row,
                               struct place place, struct weir_list *list)
{
    struct weir_str text = arena_printf(fill->arena, "x = %s", row->fallback);
    struct conf_fill quiet = *fill;
    struct mistakes mistakes = {0};
    struct conf_tree tree;

    quiet.places = NULL;
    quiet.mistakes = &mistakes;
    bool ok = text.ptr != NULL &&
              conf_read_text(&tree, fill->arena, "default", text.ptr, text.len, &mistakes);
    const struct conf_node *node = ok ? tree.root.children : NULL;
    if (node != NULL) {
        for (size_t i = 0; i < node->value_count; i++) {
            node->values[i].place = place; /* paths in it are relative to that file */
        }
        ok = conf_value_store_list(&quiet, row, place, node->values, node->value_count, list);
    }
    if (!ok) {
        mistakes_add(fill->mistakes, place,
                     "%s: the default `%s` of the option's table is wrong: %s", row->name,
                     row->fallback, mistakes.count > 0 ? mistakes.texts[0] : "no memory");
    }
    mistakes_free(&mistakes);
    return ok;
}

bool conf_value_store_default(const struct conf_fill *fill, const struct weir_option *row,
                              struct place place, void *field)
{
    if (row->fallback == NULL || row->type == WEIR_TYPE_BLOCK) {
        return true;
    }
    if (row->type == WEIR_TYPE_LIST) {
        return row->fallback[0] == '\0' || store_default_list(fill, row, place, field);
    }
    struct conf_value value = {.text = str_from(row->fallback), .place = place, .quoted = true};
    return conf_value_store(fill, row, row->type, &value, field);
}
