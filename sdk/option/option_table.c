/* SPDX-License-Identifier: MIT */
/*
 * Whether an option table makes sense.
 */
#include "option_table.h"

#include <stdio.h>
#include <string.h>

/* Deeper nesting is a table that contains itself. */
#define DEPTH_MAX 8
#define ROWS_MAX  1000

/* The ends of the structs as ABI 1.0 has them: the least that a module's reach to. */
#define OPTION_SIZE_MIN \
    (offsetof(struct weir_option, block) + sizeof(((struct weir_option *)0)->block))
#define OPTIONS_SIZE_MIN \
    (offsetof(struct weir_options, title_offset) + sizeof(((struct weir_options *)0)->title_offset))

/* Room for the strings of one value at a time. */
struct scratch {
    struct option_alloc base;
    max_align_t memory[1024];
    size_t used;
};

static void *scratch_alloc(struct option_alloc *alloc, size_t len)
{
    struct scratch *scratch = (struct scratch *)(void *)alloc;
    size_t slots = len / sizeof(scratch->memory[0]) + 1;
    if (slots > sizeof(scratch->memory) / sizeof(scratch->memory[0]) - scratch->used) {
        return NULL;
    }
    void *memory = &scratch->memory[scratch->used];
    scratch->used += slots;
    return memory;
}

static bool name_is_legal(const char *name)
{
    if (name == NULL || name[0] < 'a' || name[0] > 'z') {
        return false;
    }
    for (const char *c = name; *c != '\0'; c++) {
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_')) {
            return false;
        }
    }
    return true;
}

static size_t field_alignment(enum weir_option_type type)
{
    switch (type) {
    case WEIR_TYPE_BOOLEAN: return _Alignof(bool);
    case WEIR_TYPE_ENUM: return _Alignof(int32_t);
    case WEIR_TYPE_INTEGER:
    case WEIR_TYPE_DURATION:
    case WEIR_TYPE_SIZE: return _Alignof(int64_t);
    case WEIR_TYPE_REAL:
    case WEIR_TYPE_PERCENTAGE: return _Alignof(double);
    default: return _Alignof(void *);
    }
}

static bool row_fail(const struct weir_option *row, const char *what, char *error,
                     size_t error_size)
{
    snprintf(error, error_size, "its option `%s` %s", row->name, what);
    return false;
}

static bool check_texts(const struct weir_option *row, char *error, size_t error_size)
{
    const char *texts[] = {row->fallback, row->minimum, row->maximum};
    char reason[OPTION_ERROR_SIZE];
    union {
        max_align_t align;
        char bytes[sizeof(struct weir_url)];
    } field;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct scratch scratch = {.base = {scratch_alloc}};
        if (texts[i] == NULL || row->type == WEIR_TYPE_LIST || row->type == WEIR_TYPE_BLOCK ||
            (i > 0 && row->type == WEIR_TYPE_STRING)) {
            continue;
        }
        if (!option_value_parse(row, row->type, texts[i], strlen(texts[i]), true, &field,
                                &scratch.base, reason, sizeof(reason))) {
            snprintf(error, error_size, "its option `%s` has a wrong %s: %s", row->name,
                     i == 0 ? "default" : "limit", reason);
            return false;
        }
    }
    return true;
}

static bool table_check(const struct weir_options *table, unsigned depth, char *error,
                        size_t error_size);

static bool row_check(const struct weir_options *table, const struct weir_option *row,
                      unsigned depth, char *error, size_t error_size)
{
    size_t size = option_value_size(row->type);
    bool is_enum = row->type == WEIR_TYPE_ENUM ||
                   (row->type == WEIR_TYPE_LIST && row->element == WEIR_TYPE_ENUM);

    if (size == 0) {
        return row_fail(row, "has an unknown type", error, error_size);
    }
    if (row->offset > table->conf_size || table->conf_size - row->offset < size ||
        row->offset % field_alignment(row->type) != 0) {
        return row_fail(row, "does not lie within the option struct", error, error_size);
    }
    if (row->type == WEIR_TYPE_LIST &&
        (row->element == WEIR_TYPE_LIST || row->element == WEIR_TYPE_BLOCK ||
         option_value_size(row->element) == 0)) {
        return row_fail(row, "is a list of no scalar type", error, error_size);
    }
    if (is_enum && (row->names == NULL || row->names[0] == NULL)) {
        return row_fail(row, "has no words to choose from", error, error_size);
    }
    if (depth == 0 && row->contexts == 0) {
        return row_fail(row, "may stand nowhere", error, error_size);
    }
    if (row->document == NULL || row->document[0] == '\0') {
        return row_fail(row, "has no document", error, error_size);
    }
    if ((row->flags & WEIR_OPTION_REQUIRED) != 0 && row->fallback != NULL) {
        return row_fail(row, "is required, and yet has a default", error, error_size);
    }
    if (row->type == WEIR_TYPE_BLOCK) {
        char reason[OPTION_ERROR_SIZE];
        if (row->block == NULL) {
            return row_fail(row, "is a block without a table", error, error_size);
        }
        if (!table_check(row->block, depth + 1, reason, sizeof(reason))) {
            snprintf(error, error_size, "in its block `%s`, %s", row->name, reason);
            return false;
        }
    }
    return check_texts(row, error, error_size);
}

static bool table_check(const struct weir_options *table, unsigned depth, char *error,
                        size_t error_size)
{
    if (depth > DEPTH_MAX) {
        snprintf(error, error_size, "its option tables are nested more than %d deep", DEPTH_MAX);
        return false;
    }
    if (table->size < OPTIONS_SIZE_MIN || table->option_size < OPTION_SIZE_MIN ||
        table->count > ROWS_MAX || (table->count > 0 && table->rows == NULL)) {
        snprintf(error, error_size, "its option table has wrong sizes");
        return false;
    }
    if (table->title_offset != WEIR_NO_TITLE &&
        (table->title_offset > table->conf_size ||
         table->conf_size - table->title_offset < sizeof(struct weir_str) ||
         table->title_offset % _Alignof(struct weir_str) != 0)) {
        snprintf(error, error_size, "the title does not lie within its option struct");
        return false;
    }
    for (uint32_t i = 0; i < table->count; i++) {
        const struct weir_option *row = option_row(table, i);
        if (!name_is_legal(row->name)) {
            snprintf(error, error_size, "row %u of its option table has no legal name", i);
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(option_row(table, j)->name, row->name) == 0) {
                return row_fail(row, "stands twice in its table", error, error_size);
            }
        }
        if (!row_check(table, row, depth, error, error_size)) {
            return false;
        }
    }
    return true;
}

bool option_table_check(const struct weir_options *table, char *error, size_t error_size)
{
    return table_check(table, 0, error, error_size);
}
