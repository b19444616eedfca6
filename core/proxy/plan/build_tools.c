/* SPDX-License-Identifier: MIT */
/*
 * Helpers for building a plan. See build.h.
 */
#include "proxy/plan/build.h"

struct plan *build_plan(const struct plan_input *input, struct plan *base)
{
    struct plan *plan = base_zalloc(sizeof(*plan));

    plan->host = input->host;
    plan->workers = input->workers;
    plan->loops = input->workers + 1;
    plan->refs = 1;
    plan->base = base != NULL ? base : plan;
    if (base != NULL) {
        base->refs++;
    }
    arena_init(&plan->arena, NULL, 0);
    return plan;
}

void *build_alloc(struct build *b, size_t len)
{
    void *memory = arena_zalloc(&b->plan->arena, len > 0 ? len : 1);
    ASSERT(memory != NULL);
    return memory;
}

struct place build_place_of(struct build *b, const void *field)
{
    return conf_place_of(b->plan->places, field);
}

struct place build_place_for_tls(void *arg, const void *field)
{
    return build_place_of(arg, field);
}

bool build_is_block(const struct conf_node *node, const char *name)
{
    return node->kind == CONF_BLOCK && str_equal(node->name, str_from(name));
}

size_t build_count_blocks(const struct conf_node *parent, const char *name)
{
    size_t count = 0;
    for (const struct conf_node *node = parent->children; node != NULL; node = node->next) {
        count += build_is_block(node, name);
    }
    return count;
}

void build_fill(struct build *b, const struct conf_node *block, uint32_t context,
                const struct conf_target *targets, size_t count, const char *const *known,
                bool defaults)
{
    struct conf_fill filling = {.arena = &b->plan->arena,
                                .places = b->plan->places,
                                .mistakes = b->mistakes,
                                .context = context};
    conf_fill_block(&filling, block, targets, count, known, defaults);
}

void *build_grow(struct build *b, void *items, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0) {
        return items;
    }
    void *grown = build_alloc(b, (count == 0 ? 1 : count * 2) * size);
    return count > 0 ? memcpy(grown, items, count * size) : grown;
}

void build_list_append(struct build *b, struct use_list *list, struct use *use)
{
    list->items = build_grow(b, list->items, list->count, sizeof(struct use *));
    list->items[list->count++] = use;
    list->transforms |=
        use->kind == MODULE_FILTER && use->module->descriptor.filter->on_response_data != NULL;
}

void build_check_name(struct build *b, struct place place, const char *kind, struct weir_str name)
{
    const char *wrong = NULL;

    if (name.len > 128) {
        wrong = "is longer than 128 bytes";
    } else if (name.len > 0 && memchr(name.ptr, '/', name.len) != NULL) {
        wrong = "has a '/', which stands between pool and server";
    } else if (str_equal(name, STR(".")) || str_equal(name, STR(".."))) {
        wrong = "means a folder in a path";
    }
    if (wrong != NULL) {
        mistakes_add(b->mistakes, place,
                     "\"%.*s%s\" cannot name a %s: it %s; use letters, digits, '-', '_' and "
                     "'.'",
                     (int)(name.len < 64 ? name.len : 64), name.ptr, name.len > 64 ? "..." : "",
                     kind, wrong);
    }
}
