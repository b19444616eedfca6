/* SPDX-License-Identifier: MIT */
/*
 * From a tree to an option struct.
 */
#include "fill.h"

#include <stdlib.h>

#include "option/option_value.h"

#define SECRET_MAX 65536

/* One struct that is being filled. */
struct fill {
    struct weir_test_block *block;
    const struct weir_options *table;
    char *conf;
    uint32_t contexts; /* rows that have none of these may not stand here */
    bool *set;         /* by row */
    unsigned *lines;   /* by row: where it was set in this block; 0: not */
    bool filters;      /* filter blocks may stand here, which are not the module's */
};

/* option_value.h's allocator on the block's arena. */
struct block_alloc {
    struct option_alloc base;
    struct fake_arena *arena;
};

static void *block_alloc(struct option_alloc *alloc, size_t len)
{
    return fake_arena_alloc(((struct block_alloc *)(void *)alloc)->arena, len);
}

static bool mistake(struct weir_test_block *block, unsigned line, const char *format, ...)
    WEIR_PRINTF(3, 4);
static bool mistake(struct weir_test_block *block, unsigned line, const char *format, ...)
{
    struct fake_buffer *out = &block->host->mistakes;
    va_list args;
    va_start(args, format);
    fake_buffer_printf(out, "%sconf:%u: ", out->len > 0 ? "\n" : "", line);
    fake_buffer_vprintf(out, format, args);
    va_end(args);
    return false;
}

static void add_place(struct weir_test_block *block, const void *field, size_t size, unsigned line)
{
    if (line == 0) {
        return; /* a default, which stands nowhere */
    }
    block->places = fake_grow(block->places, block->place_count + 1, sizeof(*block->places));
    block->places[block->place_count++] = (struct fake_place){field, size, line};
}

unsigned fill_line(const struct weir_test_block *block, const void *field)
{
    const struct fake_place *around = NULL;
    for (size_t i = 0; i < block->place_count && field != NULL; i++) {
        const struct fake_place *place = &block->places[i];
        if (place->size == 0 && place->field == field) {
            return place->line;
        }
        uintptr_t begin = (uintptr_t)place->field, at = (uintptr_t)field;
        if (at >= begin && at - begin < place->size &&
            (around == NULL || place->size < around->size)) {
            around = place;
        }
    }
    return around != NULL ? around->line : 1;
}

/* What `@FILE` stands for, without the line break at its end; false: a mistake was told. */
static bool read_secret(struct weir_test_block *block, const struct weir_option *row,
                        struct reader_value *value)
{
    char *text = fake_arena_alloc(&block->arena, SECRET_MAX + 1);
    FILE *file = fopen(value->text + 1, "re");
    if (file == NULL) {
        return mistake(block, value->line, "%s: cannot read the secret from %s", row->name,
                       value->text + 1);
    }
    value->len = fread(text, 1, SECRET_MAX, file);
    fclose(file);
    if (value->len > 0 && text[value->len - 1] == '\n') {
        text[--value->len] = '\0';
    }
    value->text = text;
    value->quoted = true;
    return true;
}

/* Relative paths are taken as if /etc/weir/weir.conf named them. */
static void resolve_path(struct weir_test_block *block, struct weir_str *path)
{
    static const char folder[] = "/etc/weir/";
    const size_t folder_len = sizeof(folder) - 1;
    if (path->len == 0 || path->ptr[0] == '/' || strcmp(path->ptr, "-") == 0) {
        return;
    }
    char *full = fake_arena_alloc(&block->arena, folder_len + path->len + 1);
    memcpy(full, folder, folder_len);
    memcpy(full + folder_len, path->ptr, path->len);
    *path = (struct weir_str){full, folder_len + path->len};
}

static bool set_value(struct weir_test_block *block, const struct weir_option *row,
                      enum weir_option_type type, const struct reader_value *given, void *field)
{
    struct block_alloc alloc = {{block_alloc}, &block->arena};
    char error[OPTION_ERROR_SIZE];
    struct reader_value value = *given;

    if (type == WEIR_TYPE_STRING && (row->flags & WEIR_OPTION_SECRET) != 0 && value.len > 1 &&
        value.text[0] == '@') {
        if (value.text[1] == '@') {
            value.text++;
            value.len--;
        } else if (!read_secret(block, row, &value)) {
            return false;
        }
    }
    if (!option_value_parse(row, type, value.text, value.len, value.quoted, field, &alloc.base,
                            error, sizeof(error))) {
        return mistake(block, value.line, "%s: %s", row->name, error);
    }
    if (type == WEIR_TYPE_STRING && (row->flags & WEIR_OPTION_PATH) != 0) {
        resolve_path(block, field);
    }
    add_place(block, field, 0, value.line);
    return true;
}

static bool set_list(struct weir_test_block *block, const struct weir_option *row,
                     const struct reader_node *node, void *field)
{
    size_t size = option_value_size(row->element);
    char *items = fake_arena_alloc(&block->arena, node->value_count * size);
    char error[OPTION_ERROR_SIZE];
    bool ok = option_list_check(row, node->value_count, error, sizeof(error)) ||
              mistake(block, node->line, "%s: %s", row->name, error);
    for (size_t i = 0; i < node->value_count; i++) {
        ok = set_value(block, row, row->element, &node->values[i], items + i * size) && ok;
    }
    *(struct weir_list *)field = (struct weir_list){items, node->value_count};
    add_place(block, field, 0, node->line);
    return ok;
}

static bool set_default_list(struct weir_test_block *block, const struct weir_option *row,
                             struct reader_node *node, void *field)
{
    node->line = 0;
    for (size_t i = 0; i < node->value_count; i++) {
        node->values[i].line = 0;
    }
    return set_list(block, row, node, field);
}

bool fill_defaults(struct weir_test_block *block, const struct weir_options *table, void *conf)
{
    bool ok = true;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct weir_option *row = option_row(table, i);
        struct reader_node node = {0};
        void *field = (char *)conf + row->offset;
        if (row->fallback == NULL || row->type == WEIR_TYPE_BLOCK) {
            continue;
        }
        if (row->type == WEIR_TYPE_LIST) {
            ok = reader_read_value(row->fallback, &block->arena, &block->host->mistakes, &node) &&
                 set_default_list(block, row, &node, field) && ok;
        } else {
            /* A default is what a user would write, with the quotes taken off. */
            struct reader_value value = {(char *)(uintptr_t)row->fallback, strlen(row->fallback), 0,
                                         true};
            ok = set_value(block, row, row->type, &value, field) && ok;
        }
    }
    return ok;
}

static const struct weir_option *find_row(const struct fill *fill, const char *name,
                                          uint32_t *index)
{
    for (uint32_t i = 0; i < fill->table->count; i++) {
        if (strcmp(option_row(fill->table, i)->name, name) == 0) {
            *index = i;
            return option_row(fill->table, i);
        }
    }
    return NULL;
}

/* Rows of a block inside have no context to keep to: fill->contexts has all bits. */
static bool may_stand(const struct fill *fill, const struct weir_option *row)
{
    return fill->contexts == UINT32_MAX || (row->contexts & fill->contexts) != 0;
}

static bool unknown(const struct fill *fill, const struct reader_node *node)
{
    struct option_nearest search;
    option_nearest_begin(&search, node->name, strlen(node->name));
    for (uint32_t i = 0; i < fill->table->count; i++) {
        const struct weir_option *row = option_row(fill->table, i);
        if (may_stand(fill, row)) {
            option_nearest_offer(&search, row->name);
        }
    }
    return search.best != NULL
               ? mistake(fill->block, node->line, "unknown option `%s`; did you mean `%s`?",
                         node->name, search.best)
               : mistake(fill->block, node->line, "unknown option `%s`", node->name);
}

static bool fill_nodes(struct fill *fill, const struct reader_node *nodes);
static bool fill_required(const struct fill *fill, unsigned line);

/* One struct of a BLOCK option, at `conf`. */
static bool fill_child(struct weir_test_block *block, const struct weir_option *row,
                       const struct reader_node *node, char *conf)
{
    const struct weir_options *table = row->block;
    bool filters = (row->flags & WEIR_OPTION_FILTERS) != 0;
    struct fill fill = {block, table, conf, UINT32_MAX, NULL, NULL, filters};
    bool ok = true;

    add_place(block, conf, table->conf_size, node->line);
    if (table->title_offset != WEIR_NO_TITLE && node->title.len == 0) {
        return mistake(block, node->line, "%s: a title is missing: write %s \"TITLE\" { ... }",
                       row->name, row->name);
    }
    if ((row->flags & WEIR_OPTION_UNTITLED) != 0 && node->has_title) {
        return mistake(block, node->line, "%s: this block has no title", row->name);
    }
    if (table->title_offset != WEIR_NO_TITLE) {
        struct weir_str *title = (struct weir_str *)(void *)(conf + table->title_offset);
        *title = (struct weir_str){node->title.text, node->title.len};
        add_place(block, title, 0, node->title.line);
    }
    fill.set = fake_alloc(table->count * sizeof(*fill.set));
    fill.lines = fake_alloc(table->count * sizeof(*fill.lines));
    ok = fill_defaults(block, table, conf);
    ok = fill_nodes(&fill, node->children) && ok;
    ok = fill_required(&fill, node->line) && ok;
    free(fill.set);
    free(fill.lines);
    return ok;
}

/* All blocks named as the row, from the first one on. Titles may be alike: what they mean is the module's
 * affair. */
static bool set_blocks(struct weir_test_block *block, const struct weir_option *row,
                       const struct reader_node *first, void *field)
{
    size_t count = 0, index = 0;
    bool ok = true;

    for (const struct reader_node *node = first; node != NULL; node = node->next) {
        count += node->is_block && strcmp(node->name, row->name) == 0 ? 1 : 0;
    }
    char *items = fake_arena_alloc(&block->arena, count * row->block->conf_size);
    for (const struct reader_node *node = first; node != NULL; node = node->next) {
        if (node->is_block && strcmp(node->name, row->name) == 0) {
            if (index > 0 && (row->flags & WEIR_OPTION_UNTITLED) != 0) {
                ok = mistake(block, node->line, "%s stands here once more; first on line %u",
                             row->name, first->line);
            }
            ok = fill_child(block, row, node, items + index++ * row->block->conf_size) && ok;
        }
    }
    *(struct weir_list *)field = (struct weir_list){items, count};
    return ok;
}

static bool fill_node(struct fill *fill, const struct reader_node *node)
{
    uint32_t index = 0;
    const struct weir_option *row = find_row(fill, node->name, &index);

    if (row == NULL && fill->filters && node->is_block && strcmp(node->name, "filter") == 0) {
        return true; /* another module's */
    }
    if (row == NULL) {
        return unknown(fill, node);
    }
    if (!may_stand(fill, row)) {
        return mistake(fill->block, node->line, "%s may not stand in this block", row->name);
    }
    if ((row->type == WEIR_TYPE_BLOCK) != node->is_block) {
        return mistake(fill->block, node->line, "%s is %s; write %s", row->name,
                       option_value_type_name(row->type),
                       node->is_block ? "`NAME = VALUE`" : "`NAME { ... }`");
    }
    unsigned before = fill->lines[index];
    void *field = fill->conf + row->offset;
    fill->set[index] = true;
    if (row->type == WEIR_TYPE_BLOCK) {
        /* The first one fills all. */
        fill->lines[index] = node->line;
        return before != 0 || set_blocks(fill->block, row, node, field);
    }
    if (before != 0) {
        return mistake(fill->block, node->line, "%s is set twice; first on line %u", row->name,
                       before);
    }
    fill->lines[index] = node->line;
    if (row->type == WEIR_TYPE_LIST) {
        return set_list(fill->block, row, node, field);
    }
    if (node->is_list) {
        return mistake(fill->block, node->line, "%s takes one value, not a list", row->name);
    }
    return set_value(fill->block, row, row->type, &node->values[0], field);
}

static bool fill_nodes(struct fill *fill, const struct reader_node *nodes)
{
    bool ok = true;
    for (const struct reader_node *node = nodes; node != NULL; node = node->next) {
        ok = fill_node(fill, node) && ok;
    }
    return ok;
}

static bool fill_required(const struct fill *fill, unsigned line)
{
    bool ok = true;
    for (uint32_t i = 0; i < fill->table->count; i++) {
        const struct weir_option *row = option_row(fill->table, i);
        bool elsewhere =
            fill->contexts == WEIR_CONTEXT_MODULE && row->contexts != WEIR_CONTEXT_MODULE;
        if ((row->flags & WEIR_OPTION_REQUIRED) != 0 && may_stand(fill, row) && !elsewhere &&
            !fill->set[i]) {
            ok = mistake(fill->block, line, "%s is missing: it must be set", row->name);
        }
    }
    return ok;
}

bool fill_block(struct weir_test_block *block, const struct weir_options *table,
                const struct reader_node *nodes)
{
    struct fill fill = {block,      table, block->conf, (uint32_t)block->context,
                        block->set, NULL,  false};
    fill.lines = fake_alloc(table->count * sizeof(*fill.lines));
    add_place(block, block->conf, table->conf_size, 1);
    bool ok = fill_nodes(&fill, nodes);
    ok = fill_required(&fill, 1) && ok;
    free(fill.lines);
    return ok;
}
