/* SPDX-License-Identifier: MIT */
/*
 * The `balance` blocks of pools. See pool_block.h.
 */
#include "control/change/pool_block.h"

#include <stdlib.h>

static struct weir_str copy(struct arena *arena, const char *text)
{
    struct weir_str copied = arena_copy(arena, str_from(text));
    ASSERT(copied.ptr != NULL);
    return copied;
}

static struct conf_node *new_node(struct arena *arena, enum conf_kind kind, const char *name,
                                  struct place place)
{
    struct conf_node *node = arena_zalloc(arena, sizeof(*node));

    ASSERT(node != NULL);
    node->kind = kind;
    node->name = copy(arena, name);
    node->place = place;
    return node;
}

const struct conf_node *pool_block_of(struct arena *arena, const char *pool, const cJSON *entry)
{
    struct place place = {arena_printf(arena, "balance of pool \"%s\", set at run time", pool).ptr,
                          0};
    struct conf_node *block = new_node(arena, CONF_BLOCK, "balance", place);
    struct conf_node **tail = &block->children;
    const cJSON *option = NULL;

    block->title = (struct conf_value){
        .text = copy(arena, json_text(entry, "balance")), .place = place, .quoted = true};
    cJSON_ArrayForEach(option, json_get(entry, "options"))
    {
        struct conf_node *node = new_node(arena, CONF_SETTING, option->string, place);
        node->values = arena_zalloc(arena, sizeof(*node->values));
        ASSERT(node->values != NULL);
        node->value_count = 1;
        node->values[0] = (struct conf_value){
            .text = copy(arena, option->valuestring), .place = place, .quoted = true};
        *tail = node;
        tail = &node->next;
    }
    return block;
}

bool pool_block_equal(const struct conf_node *a, const struct conf_node *b)
{
    return str_equal(a->title.text, b->title.text) && conf_nodes_equal(a->children, b->children);
}

const struct conf_node *pool_block_in_files(const struct plan *plan, struct weir_str pool)
{
    for (const struct conf_node *node = plan->tree.root.children; node != NULL; node = node->next) {
        if (node->kind != CONF_BLOCK || !str_equal(node->name, STR("pool")) ||
            !str_equal(node->title.text, pool)) {
            continue;
        }
        for (const struct conf_node *child = node->children; child != NULL; child = child->next) {
            if (child->kind == CONF_BLOCK && str_equal(child->name, STR("balance"))) {
                return child;
            }
        }
    }
    return NULL;
}

cJSON *pool_block_json(const struct conf_node *block)
{
    cJSON *json = cJSON_CreateObject();
    cJSON *options = cJSON_CreateObject();

    json_set_str(json, "balance", block->title.text);
    for (const struct conf_node *node = block->children; node != NULL; node = node->next) {
        char *text = node->value_count == 0 ? base_strdup("") : NULL;
        for (size_t i = 0; i < node->value_count; i++) {
            char *longer = base_printf("%s%s%.*s", text != NULL ? text : "", i > 0 ? ", " : "",
                                       STR_ARGS(node->values[i].text));
            free(text);
            text = longer;
        }
        char *name = base_strndup(node->name.ptr, node->name.len);
        json_set(options, name, text);
        free(name);
        free(text);
    }
    cJSON_AddItemToObject(json, "options", options);
    return json;
}

bool pool_block_swap(const struct plan *plan, struct weir_str pool, const struct conf_node *block,
                     struct plan_swap *how)
{
    char name[256];

    module_full_name(MODULE_BALANCER, block->title.text, name, sizeof(name));
    for (size_t i = 0; i < plan->modules.count; i++) {
        struct module *module = plan->modules.items[i]->module;
        if (strcmp(module->name, name) == 0 && module_has_kind(module, MODULE_BALANCER)) {
            how->module = i;
            how->copy = module;
            how->pool = pool;
            how->block = block;
            return true;
        }
    }
    return false;
}
