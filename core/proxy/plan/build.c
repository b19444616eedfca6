/* SPDX-License-Identifier: MIT */
/*
 * Building a plan, in order: files are read, blocks become settings (build_pools.c,
 * build_listeners.c), modules are loaded (build_uses.c) and asked (build_check.c). Every mistake is
 * reported; one is enough to refuse the plan. Nothing that runs is changed. Control thread.
 */
#include "proxy/plan/build.h"

#include "module/host.h"
#include "net/nameservers.h"

static void build_blocks(struct build *b)
{
    const struct conf_node *root = &b->plan->tree.root;

    for (const struct conf_node *node = root->children; node != NULL; node = node->next) {
        if (build_is_block(node, "module")) {
            build_module(b, node);
        }
    }
    b->plan->pools = build_alloc(b, build_count_blocks(root, "pool") * sizeof(*b->plan->pools));
    b->plan->listeners =
        build_alloc(b, build_count_blocks(root, "listener") * sizeof(*b->plan->listeners));
    for (const struct conf_node *node = root->children; node != NULL; node = node->next) {
        if (build_is_block(node, "pool")) {
            build_pool(b, &b->plan->pools[b->plan->pool_count++], node);
        } else if (build_is_block(node, "listener")) {
            build_listener(b, &b->plan->listeners[b->plan->listener_count++], node);
        }
    }
    if (b->plan->listener_count == 0) {
        mistakes_add(
            b->mistakes,
            (struct place){b->plan->tree.file_count > 0 ? b->plan->tree.files[0] : NULL, 0},
            "no listener is configured; write for example: listener \"public\" { bind = "
            "{\"127.0.0.1:8080\"} }");
    }
}

struct plan *plan_build(const struct plan_input *input, const char *path, struct mistakes *mistakes)
{
    static const char *const known[] = {"module", "pool", "listener", NULL};
    struct plan *plan = build_plan(input, NULL);
    struct build b = {.input = input, .plan = plan, .mistakes = mistakes};

    plan->places = conf_places_new(&plan->arena);
    conf_read(&plan->tree, &plan->arena, path, mistakes);
    if (plan->tree.broken) { /* other mistakes would only follow from it */
        plan_unref(&plan);
        return NULL;
    }
    struct conf_target target = {&global_options, &plan->global};
    build_fill(&b, &plan->tree.root, WEIR_CONTEXT_GLOBAL, &target, 1, known, true);
    char error[256];
    if (!nameservers_check(plan->global.nameservers, error, sizeof(error))) {
        mistakes_add(mistakes, build_place_of(&b, &plan->global.nameservers), "%s", error);
    }
    build_globals(&b);
    build_check_log(&b);
    build_blocks(&b);
    build_name_uses(&b);
    for (size_t i = 0; i < plan->uses.count; i++) {
        build_check_use(&b, plan->uses.items[i]);
    }
    table_end(&b.routes);
    for (size_t i = 0; i < plan->uses.count; i++) {
        build_guard(&b, plan->uses.items[i]);
    }
    build_check_binds(&b);
    module_host_set_next_state_dir(NULL);
    build_try_start(&b, path);
    if (mistakes->count > 0) {
        plan_unref(&plan);
    }
    return plan;
}
