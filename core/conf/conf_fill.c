/* SPDX-License-Identifier: MIT */
/*
 * From a block of the tree to structs, by option tables.
 */
#include <stdio.h>
#include <stdlib.h>

#include <weir/text.h>

#include "conf/conf.h"
#include "conf/conf_places.h"
#include "conf/conf_value.h"
#include "option/option_value.h"

/* One row while a block is filled. */
struct row_state {
    const struct conf_node *first; /* first occurrence; NULL: none yet */
    struct weir_list items;        /* of a BLOCK: all items */
    size_t filled;                 /* items filled so far */
};

/* The state of filling one block. */
struct filling {
    const struct conf_fill *fill;
    const struct conf_node *block;
    const struct conf_target *targets;
    size_t target_count;
    const char *const *known_blocks;
    struct row_state *states; /* of all targets' rows in order */
    bool defaults;
    bool ok;
};

/* A row of one of the targets. */
struct found {
    const struct weir_option *row;
    const struct conf_target *target;
    struct row_state *state;
};

static void *field_of(const struct found *found)
{
    return (char *)found->target->conf + found->row->offset;
}

static void mistake(struct filling *filling, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void mistake(struct filling *filling, struct place place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mistakes_vadd(filling->fill->mistakes, place, format, args);
    va_end(args);
    filling->ok = false;
}

static bool in_context(const struct conf_fill *fill, const struct weir_option *row)
{
    return row->contexts == 0 || (row->contexts & fill->context) != 0;
}

/* Whether the block is the core's own, not a module's. */
static bool is_core(const struct conf_fill *fill)
{
    return (fill->context & WEIR_CONTEXT_GLOBAL) != 0;
}

static bool is_titled(const struct weir_option *row)
{
    return (row->flags & WEIR_OPTION_UNTITLED) == 0;
}

/* `server "api-1"`, for messages. */
static void show_name(const struct conf_node *block, char *out, size_t size)
{
    if (block->title.text.ptr == NULL) {
        snprintf(out, size, "`%.60s`", block->name.ptr);
    } else {
        snprintf(out, size, "`%.60s \"%.60s\"`", block->name.ptr, block->title.text.ptr);
    }
}

/* `in server "api-1"`. */
static void show_where(const struct conf_node *block, char *out, size_t size)
{
    char name[144];

    if (block->name.len == 0) {
        snprintf(out, size, "at the top level");
    } else {
        show_name(block, name, sizeof(name));
        snprintf(out, size, "in %s", name);
    }
}

/* ---- names ---- */

/* false: no row of that name in any context. A row of this context is preferred. */
static bool find_row(const struct filling *filling, struct weir_str name, struct found *found)
{
    struct row_state *state = filling->states;
    bool any = false;

    for (size_t i = 0; i < filling->target_count; i++) {
        const struct conf_target *target = &filling->targets[i];
        for (uint32_t j = 0; j < target->options->count; j++, state++) {
            const struct weir_option *row = option_row(target->options, j);
            if (!str_equal(str_from(row->name), name)) {
                continue;
            }
            bool fits = in_context(filling->fill, row);
            if (fits || !any) {
                *found = (struct found){row, target, state};
                any = true;
            }
            if (fits) {
                return true;
            }
        }
    }
    return any;
}

static bool is_known_block(const struct filling *filling, struct weir_str name)
{
    const char *const *known = filling->known_blocks;

    for (; known != NULL && *known != NULL; known++) {
        if (str_equal(str_from(*known), name)) {
            return true;
        }
    }
    return false;
}

static void append_name(char *list, size_t size, const char *name)
{
    size_t used = strlen(list);
    snprintf(list + used, size - used, "%s%s", used > 0 ? ", " : "", name);
}

static void tell_unknown(struct filling *filling, const struct conf_node *node)
{
    struct option_nearest search;
    char where[160], shown[80], known[480] = "";
    const char *kind = node->kind == CONF_BLOCK ? "block" : "option";

    option_nearest_begin(&search, node->name.ptr, node->name.len);
    for (size_t i = 0; i < filling->target_count; i++) {
        const struct weir_options *table = filling->targets[i].options;
        for (uint32_t j = 0; j < table->count; j++) {
            const struct weir_option *row = option_row(table, j);
            if (in_context(filling->fill, row)) {
                option_nearest_offer(&search, row->name);
                append_name(known, sizeof(known), row->name);
            }
        }
    }
    for (const char *const *name = filling->known_blocks; name != NULL && *name != NULL; name++) {
        option_nearest_offer(&search, *name);
        append_name(known, sizeof(known), *name);
    }
    show_where(filling->block, where, sizeof(where));
    option_show(shown, sizeof(shown), node->name.ptr, node->name.len);
    if (search.best != NULL) {
        mistake(filling, node->place, "unknown %s %s %s; did you mean `%s`?", kind, shown, where,
                search.best);
    } else if (known[0] != '\0') {
        mistake(filling, node->place, "unknown %s %s %s; known here: %s", kind, shown, where,
                known);
    } else {
        mistake(filling, node->place, "unknown %s %s %s, which has no options", kind, shown, where);
    }
}

static void tell_context(struct filling *filling, const struct conf_node *node,
                         const struct weir_option *row)
{
    static const struct {
        uint32_t bit;
        const char *words;
    } contexts[] = {
        {WEIR_CONTEXT_MODULE, "a module block"}, {WEIR_CONTEXT_LISTENER, "a block of a listener"},
        {WEIR_CONTEXT_ROUTE, "a route"},         {WEIR_CONTEXT_POOL, "a block of a pool"},
        {WEIR_CONTEXT_SERVER, "a server block"}, {WEIR_CONTEXT_GLOBAL, "the top level"},
    };
    char where[160], list[200] = "";

    for (size_t i = 0; i < ARRAY_COUNT(contexts); i++) {
        if ((row->contexts & contexts[i].bit) != 0) {
            append_name(list, sizeof(list), contexts[i].words);
        }
    }
    show_where(filling->block, where, sizeof(where));
    mistake(filling, node->place, "%s cannot stand %s; it belongs into: %s", row->name, where,
            list);
}

/* ---- settings ---- */

static void fill_setting(struct filling *filling, const struct conf_node *node,
                         const struct found *found)
{
    const struct weir_option *row = found->row;
    void *field = field_of(found);

    if (row->type == WEIR_TYPE_BLOCK) {
        mistake(filling, node->place, "%s is a block; write %s%s { ... }", row->name, row->name,
                is_titled(row) ? " \"NAME\"" : "");
        return;
    }
    if (row->type == WEIR_TYPE_LIST) {
        conf_places_add_field(filling->fill->places, field, node->place);
        filling->ok &= conf_value_store_list(filling->fill, row, node->place, node->values,
                                             node->value_count, field);
        return;
    }
    if (node->is_list) {
        mistake(filling, node->place, "%s takes one value, %s, not a list", row->name,
                option_value_type_name(row->type));
        return;
    }
    ASSERT(node->value_count == 1);
    if (conf_value_store(filling->fill, row, row->type, &node->values[0], field)) {
        conf_places_add_field(filling->fill->places, field, node->place);
    } else {
        filling->ok = false;
    }
}

/* ---- blocks ---- */

static size_t count_siblings(const struct conf_node *node)
{
    size_t count = 0;
    for (const struct conf_node *other = node; other != NULL; other = other->next) {
        count += other->kind == CONF_BLOCK && str_equal(other->name, node->name);
    }
    return count;
}

static bool check_title(struct filling *filling, const struct conf_node *node,
                        const struct weir_option *row)
{
    bool has_title = node->title.text.ptr != NULL;

    if (!is_titled(row) && has_title) {
        mistake(filling, node->place, "%s has no title; write %s { ... }", row->name, row->name);
        return false;
    }
    if (is_titled(row) && row->block->title_offset != WEIR_NO_TITLE && !node->title.bad &&
        (!has_title || node->title.text.len == 0)) {
        mistake(filling, node->place, "%s needs a title; write %s \"NAME\" { ... }", row->name,
                row->name);
        return false;
    }
    return true;
}

static void fill_child(struct filling *filling, const struct conf_node *node,
                       const struct found *found)
{
    static const char *const filters[] = {"filter", NULL};
    const struct weir_options *table = found->row->block;
    struct row_state *state = found->state;
    struct conf_fill inner = *filling->fill;

    /* The array is allocated for all items at the first one: places are addresses in it. */
    if (state->items.items == NULL) {
        state->items.count = is_titled(found->row) ? count_siblings(node) : 1;
        state->items.items =
            arena_zalloc(filling->fill->arena, state->items.count * table->conf_size);
        if (state->items.items == NULL) {
            mistake(filling, node->place, "%s: there is no memory left", found->row->name);
            return;
        }
        memcpy(field_of(found), &state->items, sizeof(state->items));
        conf_places_add_field(filling->fill->places, field_of(found), node->place);
    }
    ASSERT(state->filled < state->items.count);
    char *item = (char *)(uintptr_t)state->items.items + state->filled++ * table->conf_size;
    if (!check_title(filling, node, found->row)) {
        return;
    }
    if (table->title_offset != WEIR_NO_TITLE && node->title.text.ptr != NULL) {
        memcpy(item + table->title_offset, &node->title.text, sizeof(node->title.text));
        conf_places_add_title(filling->fill->places, item + table->title_offset, node);
    }
    /* A block's table belongs to this block alone: its rows are valid here whatever their contexts.
     */
    inner.context =
        is_core(filling->fill) ? UINT32_MAX : UINT32_MAX & ~(uint32_t)WEIR_CONTEXT_GLOBAL;
    struct conf_target target = {table, item};
    const char *const *known = (found->row->flags & WEIR_OPTION_FILTERS) != 0 ? filters : NULL;
    filling->ok &= conf_fill_block(&inner, node, &target, 1, known, true);
}

/* ---- one child ---- */

static void tell_twice(struct filling *filling, const struct conf_node *node,
                       const struct conf_node *first)
{
    char shown[144];

    if (node->kind == CONF_BLOCK) {
        show_name(node, shown, sizeof(shown));
    } else {
        option_show(shown, sizeof(shown), node->name.ptr, node->name.len);
    }
    if (first->place.file != NULL && node->place.file != NULL &&
        strcmp(first->place.file, node->place.file) != 0) {
        mistake(filling, node->place, "%s is given twice, first in %s:%u; take one away", shown,
                first->place.file, first->place.line);
    } else {
        mistake(filling, node->place, "%s is given twice, first in line %u; take one away", shown,
                first->place.line);
    }
}

static void fill_node(struct filling *filling, const struct conf_node *node)
{
    struct found found;
    bool known = is_known_block(filling, node->name);

    if (known && node->kind == CONF_BLOCK) {
        return;
    }
    if (!find_row(filling, node->name, &found)) {
        if (known) {
            mistake(filling, node->place, "%s is a block; write %s \"NAME\" { ... }",
                    node->name.ptr, node->name.ptr);
        } else {
            tell_unknown(filling, node);
        }
        return;
    }
    if (!in_context(filling->fill, found.row)) {
        tell_context(filling, node, found.row);
        return;
    }
    bool is_block_row = found.row->type == WEIR_TYPE_BLOCK;
    if (found.state->first != NULL && (!is_block_row || !is_titled(found.row))) {
        tell_twice(filling, node, found.state->first);
        return;
    }
    if (found.state->first == NULL) {
        found.state->first = node;
    }
    if (node->kind == CONF_SETTING) {
        fill_setting(filling, node, &found);
    } else if (is_block_row) {
        fill_child(filling, node, &found);
    } else {
        mistake(filling, node->place, "%s is no block; write %s = %s", found.row->name,
                found.row->name, found.row->type == WEIR_TYPE_LIST ? "{ ... }" : "VALUE");
    }
}

/* ---- the whole block ---- */

/* The slot for a block's name and title in an open-addressed table; `capacity` is a power of 2. */
static const struct conf_node **title_slot(const struct conf_node **slots, size_t capacity,
                                           const struct conf_node *node)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < node->name.len + node->title.text.len; i++) {
        char c = i < node->name.len ? node->name.ptr[i] : node->title.text.ptr[i - node->name.len];
        hash = (hash ^ (unsigned char)c) * UINT64_C(1099511628211);
    }
    size_t index = (size_t)(hash ^ hash >> 32) & (capacity - 1);
    while (slots[index] != NULL && !(str_equal(slots[index]->name, node->name) &&
                                     str_equal(slots[index]->title.text, node->title.text))) {
        index = (index + 1) & (capacity - 1);
    }
    return &slots[index];
}

/* Reports blocks with the same name and title. In the core's blocks titles are names and must be
 * unique; a module decides for its own: two routes may share a path and differ in host. */
static void check_titles(struct filling *filling)
{
    size_t count = 0, capacity = 8;

    for (const struct conf_node *node = filling->block->children; node != NULL; node = node->next) {
        count += node->title.text.ptr != NULL;
    }
    if (count < 2) {
        return;
    }
    while (capacity < 2 * count) {
        capacity *= 2;
    }
    const struct conf_node **slots = base_zalloc(capacity * sizeof(*slots));
    for (const struct conf_node *node = filling->block->children; node != NULL; node = node->next) {
        if (node->title.text.ptr == NULL || node->title.bad ||
            str_equal(node->name, STR("filter"))) { /* one module may filter several times */
            continue;
        }
        const struct conf_node **slot = title_slot(slots, capacity, node);
        if (*slot == NULL) {
            *slot = node;
        } else {
            tell_twice(filling, node, *slot);
        }
    }
    free(slots);
}

/* Titles appear in answers, logs and metrics: they are UTF-8 without control characters. */
static void check_title_text(struct filling *filling, const struct conf_node *node)
{
    struct weir_str title = node->title.text;
    bool good = weir_str_is_utf8(title);

    for (size_t i = 0; i < title.len; i++) {
        good = good && (unsigned char)title.ptr[i] >= ' ' && title.ptr[i] != 0x7f;
    }
    if (!good) {
        mistake(
            filling, node->place,
            "the title of this `%.*s` is not text: it has a control character, or bytes that are "
            "no UTF-8; letters, digits, '-', '_' and '.' are always right",
            STR_ARGS(node->name));
    }
}

static bool is_zero(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Reports options that are required and neither set here nor inherited. A module's block may leave
 * options to other contexts that allow them. */
static void check_required(struct filling *filling)
{
    const struct row_state *state = filling->states;
    char where[160];

    for (size_t i = 0; i < filling->target_count; i++) {
        const struct conf_target *target = &filling->targets[i];
        for (uint32_t j = 0; j < target->options->count; j++, state++) {
            const struct weir_option *row = option_row(target->options, j);
            uint32_t context = filling->fill->context;
            if ((row->flags & WEIR_OPTION_REQUIRED) == 0 || !in_context(filling->fill, row) ||
                state->first != NULL ||
                (context == WEIR_CONTEXT_MODULE && row->contexts != WEIR_CONTEXT_MODULE) ||
                (!filling->defaults && !is_zero((const char *)target->conf + row->offset,
                                                option_value_size(row->type)))) {
                continue;
            }
            show_where(filling->block, where, sizeof(where));
            const char *how = row->type != WEIR_TYPE_BLOCK ? " = ..." : " { ... }";
            mistake(filling, filling->block->place, "%s is missing %s; add: %s%s%s", row->name,
                    where, row->name,
                    row->type == WEIR_TYPE_BLOCK && is_titled(row) ? " \"NAME\"" : "", how);
        }
    }
}

bool conf_fill_block(const struct conf_fill *fill, const struct conf_node *block,
                     const struct conf_target *targets, size_t target_count,
                     const char *const *known_blocks, bool defaults)
{
    struct filling filling = {fill,         block, targets,  target_count,
                              known_blocks, NULL,  defaults, true};
    size_t rows = 0;

    for (size_t i = 0; i < target_count; i++) {
        const struct weir_options *table = targets[i].options;
        rows += table->count;
        conf_places_add_block(fill->places, targets[i].conf, table->conf_size, block->place);
        for (uint32_t j = 0; defaults && j < table->count; j++) {
            const struct weir_option *row = option_row(table, j);
            filling.ok &= conf_value_store_default(fill, row, block->place,
                                                   (char *)targets[i].conf + row->offset);
        }
    }
    filling.states = base_zalloc(rows * sizeof(*filling.states));
    for (const struct conf_node *node = block->children; node != NULL; node = node->next) {
        if (node->title.text.ptr != NULL && !node->title.bad) {
            check_title_text(&filling, node);
        }
        fill_node(&filling, node);
    }
    if (is_core(fill)) {
        check_titles(&filling);
    }
    check_required(&filling);
    free(filling.states);
    return filling.ok;
}
