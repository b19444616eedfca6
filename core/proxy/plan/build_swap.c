/* SPDX-License-Identifier: MIT */
/*
 * Another copy of a module in a derived plan: it is asked about the blocks that the files give to
 * the copy that runs, and the plan becomes the home of what it prepares. Blocks, routes, pools and
 * listeners are those of the plan before; a copy that would need others is refused. Another
 * balancer in a pool, or another block of the same one, is the same with the module's copy that
 * runs already.
 */
#include "proxy/plan/build.h"

#include "proxy/plan/trial.h"

/* ---- does it fit? ---- */

static const char *differs(const struct module *copy, const struct module *before)
{
    for (enum module_kind kind = 0; kind < MODULE_KIND_COUNT; kind++) {
        if (module_has_kind(copy, kind) != module_has_kind(before, kind)) {
            return "it is of other kinds";
        }
    }
    if (module_has_kind(copy, MODULE_HEALTH) &&
        ((copy->health.request != NULL) != (before->health.request != NULL) ||
         (copy->health.on_outcomes != NULL) != (before->health.on_outcomes != NULL))) {
        return "it probes or listens where the other does not";
    }
    return NULL;
}

/* ---- its uses ---- */

/* The use becomes one of the copy, which knows nothing of it yet. */
static void become(struct build *b, struct use *use, struct module *copy)
{
    struct weir_str name = use->context.block_name;

    guard_unref(&use->guard);
    if (use->kind == MODULE_BALANCER) { /* it may be the home's before, not the base's */
        use->block = conf_node_copy(&b->plan->arena, use->block);
    }
    use->module = copy;
    use->prepared = NULL;
    use->conf_created = false;
    module_context_init(&use->context, b->input->host, copy, NULL);
    use->context.worker_index = use->context.worker_count = b->input->workers;
    use->context.pool = use->pool;
    use->context.block_name = name;
}

/* Options of the host's in the same block; they are filled already, and go on. */
static size_t host_options(struct build *b, const struct use *use, struct conf_target own[2])
{
    size_t count = 0;

    if (use->kind == MODULE_HANDLER) {
        own[count++].options = &handler_options;
    }
    if (use->kind == MODULE_HEALTH && use->module->health.request != NULL) {
        own[count++].options = &probe_options;
    }
    if (use->kind == MODULE_HEALTH && use->module->health.on_outcomes != NULL) {
        own[count++].options = &passive_options;
    }
    for (size_t i = 0; i < count; i++) {
        own[i].conf = build_alloc(b, own[i].options->conf_size);
    }
    return count;
}

static void fill(struct build *b, struct use *use)
{
    struct conf_target own[2] = {{NULL, NULL}};

    if (use->base == use) {
        build_fill_module(b, use);
    } else if (use->kind == MODULE_ROUTER || use->kind == MODULE_LOGGER) {
        use->conf = use->base->conf;
        use->supervision = use->base->supervision;
    } else {
        build_inherit(b, use);
        build_fill_use(b, use, use->where, own, host_options(b, use, own));
    }
}

/* Fills and asks about all uses of the block; the module block is the first of them. */
static void ask(struct build *b, const struct use *block)
{
    for (size_t i = 0; i < b->plan->uses.count; i++) {
        if (b->plan->uses.items[i]->base == block) {
            fill(b, b->plan->uses.items[i]);
        }
    }
    for (size_t i = 0; i < b->plan->uses.count && b->mistakes->count == 0; i++) {
        if (b->plan->uses.items[i]->base == block) {
            build_check_use(b, b->plan->uses.items[i]);
        }
    }
    for (size_t i = 0; i < b->plan->uses.count; i++) {
        if (b->plan->uses.items[i]->base == block) {
            build_guard(b, b->plan->uses.items[i]);
        }
    }
}

/* ---- in the place of the other ---- */

static void look_at_filters(struct use_list *filters)
{
    filters->transforms = false;
    for (size_t i = 0; i < filters->count; i++) {
        filters->transforms |= filters->items[i]->module->filter.on_response_data != NULL;
    }
}

static void look_at_all_filters(struct plan *plan)
{
    for (size_t i = 0; i < plan->pool_count; i++) {
        look_at_filters(&plan->pools[i].filters);
    }
    for (size_t i = 0; i < plan->listener_count; i++) {
        look_at_filters(&plan->listeners[i].filters);
    }
    for (size_t i = 0; i < plan->route_count; i++) {
        look_at_filters(&plan->routes[i]->filters);
    }
}

/* The pool's balancer is of another module block from now on, and has another block of its own. */
static void move(struct build *b, const struct plan_swap *swap, struct use *block)
{
    struct use *use = plan_pool(b->plan, swap->pool)->balance;

    use->module_number = block->module_number;
    use->base = block;
    use->block = swap->block;
}

static void take(struct build *b, const struct plan_swap *swap)
{
    struct plan *plan = b->plan;
    struct module *copy = swap->copy;
    size_t number = swap->module;
    struct use *block = plan->modules.items[number];

    plan->homes[number]->modules.items[number]->sharers--; /* others share it: it is in force */
    plan_unref(&plan->homes[number]);
    plan->homes[number] = plan;
    block->kept = module_ref(copy);
    block->sharers = 1;
    if (swap->block != NULL) {
        move(b, swap, block);
    }
    for (size_t i = 0; i < plan->uses.count; i++) {
        if (plan->uses.items[i]->base == block) {
            become(b, plan->uses.items[i], copy);
        }
    }
    ask(b, block);
    look_at_all_filters(plan);
}

/* ---- beside the other ---- */

/* A copy of the use, at the end, with that block. */
static struct use *beside(struct build *b, const struct use *use, struct module *copy,
                          const struct conf_node *block)
{
    struct use *other = build_new_use(b, copy, use->kind, block);

    other->module_number = b->plan->modules.count;
    other->where = use->where;
    other->pool = other->context.pool = use->pool;
    other->context.block_name = use->context.block_name;
    return other;
}

/* Whether the pool is one of those where the swap is tried. */
static bool is_tried_in(const struct plan_swap *swap, const struct pool_plan *pool)
{
    return swap->block != NULL ? str_equal(pool->settings->name, swap->pool)
                               : pool->balance->module_number == swap->module;
}

static void try(struct build *b, const struct plan_swap *swap)
{
    struct plan *plan = b->plan;
    struct module *copy = swap->copy;
    const struct use *module = plan->modules.items[swap->module];
    struct use *block = beside(b, module, copy, module->block);

    block->base = block;
    block->kept = module_ref(copy);
    block->sharers = 1;
    plan->homes[plan->modules.count] = plan;
    build_list_append(b, &plan->modules, block);
    plan->has_canary = true;
    for (size_t i = 0; i < plan->pool_count; i++) {
        struct pool_plan *pool = &plan->pools[i];
        if (is_tried_in(swap, pool)) {
            pool->canary = beside(b, pool->balance, copy,
                                  swap->block != NULL ? conf_node_copy(&plan->arena, swap->block)
                                                      : pool->balance->block);
            pool->canary->module_number = block->module_number;
            pool->canary->base = block;
            pool->trial = trial_new(plan->loops, swap->share);
        }
    }
    ask(b, block);
}

void build_swap(struct build *b, const struct plan_swap *swap)
{
    struct plan *plan = b->plan;
    const struct use *block = plan->modules.items[swap->module];
    struct conf_places *places = plan->places;
    const char *why = differs(swap->copy, block->module);

    if (why != NULL) {
        mistakes_add(b->mistakes, block->block->place,
                     "module \"%s\": %s than the copy that runs; a reload takes it",
                     block->module->name, why);
        return;
    }
    plan->places = conf_places_new(&plan->arena); /* the base's are not this plan's to add to */
    b->swaps = true;
    if (swap->step == SWAP_TRY) {
        try(b, swap);
    } else {
        take(b, swap);
    }
    table_end(&b->routes);
    plan->places = places;
}
