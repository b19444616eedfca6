/* SPDX-License-Identifier: MIT */
/*
 * Copies of configuration nodes, for instances that outlive their generation.
 */
#include "conf/conf.h"

struct copy {
    struct arena *arena;
    const char *file, *file_copy; /* of the last place */
};

static void *alloc(struct copy *copy, size_t len)
{
    void *memory = arena_zalloc(copy->arena, len > 0 ? len : 1);
    ASSERT(memory != NULL); /* as much as reading took */
    return memory;
}

static struct weir_str copy_str(struct copy *copy, struct weir_str from)
{
    return from.ptr != NULL ? arena_copy(copy->arena, from) : from;
}

static struct place copy_place(struct copy *copy, struct place from)
{
    if (from.file != copy->file) {
        copy->file = from.file;
        copy->file_copy =
            from.file != NULL ? arena_copy(copy->arena, str_from(from.file)).ptr : NULL;
    }
    return (struct place){copy->file_copy, from.line};
}

static struct conf_value copy_value(struct copy *copy, const struct conf_value *from)
{
    struct conf_value to = *from;
    to.text = copy_str(copy, from->text);
    to.place = copy_place(copy, from->place);
    return to;
}

static void copy_node(struct copy *copy, struct conf_node *to, const struct conf_node *from)
{
    struct conf_node **tail = &to->children;

    *to = *from;
    to->next = NULL;
    to->children = NULL;
    to->name = copy_str(copy, from->name);
    to->place = copy_place(copy, from->place);
    to->title = copy_value(copy, &from->title);
    to->values = alloc(copy, from->value_count * sizeof(*to->values));
    for (size_t i = 0; i < from->value_count; i++) {
        to->values[i] = copy_value(copy, &from->values[i]);
    }
    for (const struct conf_node *child = from->children; child != NULL; child = child->next) {
        *tail = alloc(copy, sizeof(**tail));
        copy_node(copy, *tail, child);
        tail = &(*tail)->next;
    }
}

struct conf_node *conf_node_copy(struct arena *arena, const struct conf_node *from)
{
    struct copy copy = {.arena = arena};
    struct conf_node *to = alloc(&copy, sizeof(*to));
    copy_node(&copy, to, from);
    return to;
}

static bool values_equal(const struct conf_node *a, const struct conf_node *b)
{
    if (a->kind != b->kind || !str_equal(a->name, b->name) ||
        !str_equal(a->title.text, b->title.text) || a->value_count != b->value_count) {
        return false;
    }
    for (size_t i = 0; i < a->value_count; i++) {
        if (!str_equal(a->values[i].text, b->values[i].text)) {
            return false;
        }
    }
    return true;
}

bool conf_nodes_equal(const struct conf_node *a, const struct conf_node *b)
{
    for (; a != NULL && b != NULL; a = a->next, b = b->next) {
        if (!values_equal(a, b) || !conf_nodes_equal(a->children, b->children)) {
            return false;
        }
    }
    return a == NULL && b == NULL;
}
