/* SPDX-License-Identifier: MIT */
/*
 * Building a generation, in order: files are read, blocks become settings (build_pools.c,
 * build_listeners.c), modules are loaded (build_uses.c) and asked (build_check.c), live objects are found
 * again or made, sockets are opened last. Every mistake is told; one is enough to give the whole up, and
 * nothing that runs has changed by then. Control thread.
 */
#include "proxy/plan/build.h"

#include "module/host.h"
#include "net/resolver.h"

void *build_alloc(struct build *b, size_t len)
{
    void *memory = arena_zalloc(&b->generation->arena, len > 0 ? len : 1);
    ASSERT(memory != NULL);
    return memory;
}

struct place build_place_of(struct build *b, const void *field)
{
    return conf_place_of(b->generation->places, field);
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
    struct conf_fill filling = {.arena = &b->generation->arena,
                                .places = b->generation->places,
                                .mistakes = b->mistakes,
                                .context = context};
    conf_fill_block(&filling, block, targets, count, known, defaults);
}

static void build_blocks(struct build *b)
{
    struct generation *g = b->generation;
    const struct conf_node *root = &g->tree.root;

    for (const struct conf_node *node = root->children; node != NULL; node = node->next) {
        if (build_is_block(node, "module")) {
            build_module(b, node);
        }
    }
    g->pools = build_alloc(b, build_count_blocks(root, "pool") * sizeof(*g->pools));
    g->listeners = build_alloc(b, build_count_blocks(root, "listener") * sizeof(*g->listeners));
    for (const struct conf_node *node = root->children; node != NULL; node = node->next) {
        if (build_is_block(node, "pool")) {
            build_pool(b, &g->pools[g->pool_count++], node);
        } else if (build_is_block(node, "listener")) {
            build_listener(b, &g->listeners[g->listener_count++], node);
        }
    }
    if (g->listener_count == 0) {
        mistakes_add(b->mistakes,
                     (struct place){g->tree.file_count > 0 ? g->tree.files[0] : NULL, 0},
                     "no listener is configured; write for example: listener \"public\" { bind = "
                     "{\"127.0.0.1:8080\"} }");
    }
}

struct generation *build_generation(struct runtime *runtime, struct generation *base)
{
    struct generation *g = base_zalloc(sizeof(*g));

    g->id = ++runtime->last_id;
    g->runtime = runtime;
    g->loops = runtime->workers + 1;
    g->loops_left = g->loops_kept = g->loops;
    g->locals = base_zalloc(sizeof(*g->locals) * g->loops);
    g->base = base != NULL ? base : g;
    g->base->held++;
    arena_init(&g->arena, NULL, 0);
    return g;
}

void build_attach(struct build *b)
{
    struct generation *g = b->generation;

    for (size_t i = 0; i < g->pool_count; i++) {
        build_attach_pool(b, &g->pools[i]);
    }
    for (size_t i = 0; i < g->listener_count; i++) {
        build_attach_listener(b, &g->listeners[i]);
    }
}

struct generation *generation_build(struct runtime *runtime, const char *path, bool open_sockets,
                                    struct mistakes *mistakes)
{
    static const char *const known[] = {"module", "pool", "listener", NULL};
    struct generation *g = build_generation(runtime, NULL);
    struct build b = {runtime, g, mistakes, open_sockets, NULL, {NULL, 0}};

    g->places = conf_places_new(&g->arena);
    conf_read(&g->tree, &g->arena, path, mistakes);
    if (g->tree.broken) { /* whatever else would be told follows from that */
        generation_free(&g);
        return NULL;
    }
    struct conf_target target = {&global_options, &g->global};
    build_fill(&b, &g->tree.root, WEIR_CONTEXT_GLOBAL, &target, 1, known, true);
    char error[256];
    if (!resolver_check_servers(g->global.nameservers, error, sizeof(error))) {
        mistakes_add(mistakes, build_place_of(&b, &g->global.nameservers), "%s", error);
    }
    build_globals(&b);
    build_check_log(&b);
    build_blocks(&b);
    build_name_uses(&b);
    for (size_t i = 0; i < g->uses.count; i++) {
        build_check_use(&b, g->uses.items[i]);
    }
    build_check_binds(&b);
    module_host_set_next_state_dir(NULL);
    build_try_start(&b, path);
    if (mistakes->count == 0) {
        build_attach(&b);
    }
    if (mistakes->count == 0 && open_sockets) {
        build_open_logs(&b);
    }
    if (mistakes->count > 0) {
        generation_free(&g);
    }
    return g;
}
