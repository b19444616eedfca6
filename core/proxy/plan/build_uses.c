/* SPDX-License-Identifier: MIT */
/*
 * Modules and their uses in the configuration: module blocks are loaded, `balance`, `sticky`,
 * `health`, `filter` and `handler` blocks find their module and get its options, and each use gets
 * its name.
 */
#include "proxy/plan/build.h"

#include "module/blame.h"

/* ---- quarantine ---- */

/* A module in quarantine is wanted where there is nothing to be done without it. */
static void refuse(struct build *b, const struct module *module, struct place place,
                   const char *why)
{
    char faults[640];

    blame_tell(module->quarantine, faults, sizeof(faults));
    mistakes_add(b->mistakes, place,
                 "module \"%s\" is in quarantine, as Weir has died in it (%s), and %s; install a "
                 "mended file, or end the quarantine: weir --release-module %s, or weirctl module "
                 "release %s where Weir runs",
                 module->name, faults, why, module->name, module->name);
}

static const char no_other[] = "nothing can take its place";

/* Whether a block of that kind cannot even be read without its hooks. */
static bool is_unreadable(const struct module *module, enum module_kind kind)
{
    return module->quarantine != NULL &&
           (kind == MODULE_HEALTH || (module->shell && !module_has_kind(module, kind)));
}

/* Whether it is known what a shell is for: by its name, or by a block. */
static bool is_known(const struct build *b, const struct module *module)
{
    bool known = module_has_kind(module, MODULE_BALANCER) ||
                 module_has_kind(module, MODULE_STICKY) || module_has_kind(module, MODULE_ROUTER);

    for (size_t i = 0; i < b->plan->uses.count && !known; i++) {
        const struct use *use = b->plan->uses.items[i];
        known = use->module == module && use->kind == MODULE_FILTER;
    }
    return known;
}

static void check_quarantine(struct build *b, const struct use *use)
{
    const struct module *module = use->module;

    if (module->quarantine == NULL) {
        return;
    }
    if (use->guard->quarantined) {
        if (use->guard->closed) {
            refuse(b, module, use->block->place,
                   "on_fault closes this block without it (on_fault = open passes it over)");
        }
    } else if (use->kind != MODULE_KIND_COUNT || module_has_kind(module, MODULE_STORE) ||
               module_has_kind(module, MODULE_CONTROL) || (module->shell && !is_known(b, module))) {
        refuse(b, module, use->block->place, no_other);
    }
}

/* Of a shell nobody knows the options; those of the host count. */
static void fill(struct build *b, const struct module *module, const struct conf_node *block,
                 uint32_t context, const struct conf_target *targets, size_t count, bool defaults)
{
    struct mistakes ignored = {0}, *told = b->mistakes;

    b->mistakes = module->shell ? &ignored : told;
    build_fill(b, block, context, targets, count, NULL, defaults);
    b->mistakes = told;
    mistakes_free(&ignored);
}

/* ---- uses ---- */

struct use *build_new_use(struct build *b, struct module *module, enum module_kind kind,
                          const struct conf_node *block)
{
    struct use *use = build_alloc(b, sizeof(*use));
    use->index = b->plan->uses.count;
    use->module = module;
    use->kind = kind;
    use->plan = b->plan;
    use->block = block;
    use->instances = build_alloc(b, sizeof(*use->instances) * b->plan->loops);
    module_context_init(&use->context, b->input->host, module, NULL);
    use->context.worker_index = b->input->workers;
    use->context.worker_count = b->input->workers;
    build_list_append(b, &b->plan->uses, use);
    return use;
}

static const struct weir_options no_options = {
    sizeof(struct weir_options), sizeof(struct weir_option), 0, 0, NULL, WEIR_NO_TITLE};

static const struct weir_options *module_options(const struct module *module)
{
    return module->descriptor.options != NULL ? module->descriptor.options : &no_options;
}

void build_fill_module(struct build *b, struct use *use)
{
    const struct weir_options *options = module_options(use->module);
    const struct weir_options *tables[GUARD_TABLES];
    struct conf_target targets[1 + GUARD_TABLES] = {{options, NULL}};
    size_t count = guard_tables(use->module, tables);

    use->where = WEIR_CONTEXT_MODULE;
    use->conf = targets[0].conf = build_alloc(b, options->conf_size);
    for (size_t i = 0; i < count; i++) {
        targets[i + 1] = (struct conf_target){tables[i], &use->supervision};
    }
    fill(b, use->module, use->block, use->where, targets, count + 1, true);
}

void build_inherit(struct build *b, struct use *use)
{
    const struct weir_options *options = module_options(use->module);

    use->supervision = use->base->supervision;
    use->conf = build_alloc(b, options->conf_size);
    if (options->conf_size > 0) {
        memcpy(use->conf, use->base->conf, options->conf_size);
    }
}

void build_module(struct build *b, const struct conf_node *node)
{
    struct module *module = NULL;

    if (node->title.text.len == 0) {
        mistakes_add(b->mistakes, node->place,
                     "a module block needs a name: module \"route_path\" { }");
        return;
    }
    module = module_load(b->input->modules, b->plan->global.module_dir.ptr, node->title.text.ptr,
                         b->input->host, node->place, b->mistakes);
    if (module == NULL) {
        return;
    }
    for (size_t i = 0; i < b->plan->modules.count; i++) {
        if (b->plan->modules.items[i]->module == module) {
            mistakes_add(b->mistakes, node->place,
                         "module \"%s\" is enabled twice; the first time at %s:%u", module->name,
                         b->plan->modules.items[i]->block->place.file,
                         b->plan->modules.items[i]->block->place.line);
            module_unref(&module);
            return;
        }
    }
    struct use *use = build_new_use(b, module, MODULE_KIND_COUNT, node);
    use->base = use;
    use->module_number = b->plan->modules.count;
    use->kept = module;
    use->sharers = 1;
    build_list_append(b, &b->plan->modules, use);
    build_fill_module(b, use);

    static const enum module_kind by_block[] = {MODULE_ROUTER, MODULE_LOGGER};
    for (size_t i = 0; i < ARRAY_COUNT(by_block); i++) {
        if (module_has_kind(module, by_block[i])) {
            struct use *part = build_new_use(b, module, by_block[i], node);
            part->base = use;
            part->module_number = use->module_number;
            part->conf = use->conf;
            part->supervision = use->supervision;
            build_list_append(
                b, by_block[i] == MODULE_ROUTER ? &b->plan->routers : &b->plan->loggers, part);
        }
    }
}

/* Whether the module has a block but could not be loaded, which is reported already. */
static bool is_refused(const struct build *b, enum module_kind kind, struct weir_str title)
{
    char name[256];
    bool wanted = false;

    module_full_name(kind, title, name, sizeof(name));
    for (const struct conf_node *node = b->plan->tree.root.children; node != NULL;
         node = node->next) {
        wanted = wanted ||
                 (build_is_block(node, "module") && str_equal(node->title.text, str_from(name)));
    }
    for (size_t i = 0; i < b->plan->modules.count; i++) {
        wanted = wanted && strcmp(b->plan->modules.items[i]->module->name, name) != 0;
    }
    return wanted;
}

struct use *build_begin_use(struct build *b, const struct conf_node *node, enum module_kind kind,
                            struct weir_str pool)
{
    struct module *enabled[256] = {NULL};
    size_t count = 0;

    for (; count < b->plan->modules.count && count < ARRAY_COUNT(enabled); count++) {
        enabled[count] = b->plan->modules.items[count]->module;
    }
    if (is_refused(b, kind, node->title.text)) {
        return NULL;
    }
    char name[256];
    module_full_name(kind, node->title.text, name, sizeof(name));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(enabled[i]->name, name) == 0 && is_unreadable(enabled[i], kind)) {
            refuse(b, enabled[i], node->place, no_other);
            return NULL;
        }
    }
    struct module *module = module_find(b->plan->global.module_dir.ptr, enabled, count, kind,
                                        node->title.text, node->place, b->mistakes);
    if (module == NULL) {
        return NULL;
    }
    const struct use *base = NULL;
    for (size_t i = 0; i < count; i++) {
        if (enabled[i] == module) {
            base = b->plan->modules.items[i];
        }
    }
    struct use *use = build_new_use(b, module, kind, node);
    use->base = base;
    use->module_number = base->module_number;
    use->pool = pool;
    use->context.pool = pool;
    build_inherit(b, use);
    return use;
}

void build_fill_use(struct build *b, struct use *use, uint32_t context,
                    const struct conf_target *own, size_t count)
{
    static const struct conf_node nothing = {.kind = CONF_BLOCK};
    const struct weir_options *tables[GUARD_TABLES];
    struct conf_target targets[3 + GUARD_TABLES] = {{module_options(use->module), use->conf}};

    ASSERT(count < 3);
    use->where = context;
    for (size_t i = 0; i < count; i++) {
        targets[i + 1] = own[i];
    }
    if (count > 0) { /* the host's options have their own defaults */
        build_fill(b, &nothing, context, &targets[1], count, NULL, true);
    }
    size_t supervising = guard_tables_of(use->kind, tables);
    for (size_t i = 0; i < supervising; i++) {
        targets[++count] = (struct conf_target){tables[i], &use->supervision};
    }
    fill(b, use->module, use->block, context, targets, count + 1, false);
}

struct use *build_use(struct build *b, const struct conf_node *node, enum module_kind kind,
                      uint32_t context, struct weir_str pool, struct conf_target own)
{
    struct use *use = build_begin_use(b, node, kind, pool);
    if (use != NULL) {
        build_fill_use(b, use, context, &own, own.options != NULL ? 1 : 0);
    }
    return use;
}

/* Names that survive reloads: `listener public filter 2` is the second use of that module there. */
static void name_use(struct build *b, struct use *use, const char *where, struct weir_str name,
                     size_t number)
{
    if (use != NULL) {
        const char *word = use_is_shadow(use) ? "shadow" : module_kind_block(use->kind);
        use->context.block_name =
            arena_printf(&b->plan->arena, "%s %.*s %s %zu", where, STR_ARGS(name), word, number);
    }
}

void build_name_filters(struct build *b, const struct use_list *filters, const char *where,
                        struct weir_str name)
{
    for (size_t i = 0; i < filters->count; i++) {
        size_t number = 1;
        for (size_t k = 0; k < i; k++) {
            number += filters->items[k]->module == filters->items[i]->module;
        }
        name_use(b, filters->items[i], where, name, number);
    }
}

void build_name_uses(struct build *b)
{
    for (size_t i = 0; i < b->plan->pool_count; i++) {
        const struct pool_plan *plan = &b->plan->pools[i];
        struct weir_str name = plan->settings->name;
        name_use(b, plan->balance, "pool", name, 1);
        name_use(b, plan->shadow, "pool", name, 1);
        name_use(b, plan->sticky, "pool", name, 1);
        name_use(b, plan->health, "pool", name, 1);
        build_name_filters(b, &plan->observers, "pool", name);
        build_name_filters(b, &plan->filters, "pool", name);
    }
    for (size_t i = 0; i < b->plan->listener_count; i++) {
        build_name_filters(b, &b->plan->listeners[i].filters, "listener",
                           b->plan->listeners[i].settings->name);
    }
}

/* ---- guards ---- */

static const struct use *equal_use(const struct plan *plan, const struct use *use)
{
    size_t count = plan != NULL ? plan->uses.count : 0;

    for (size_t i = 0; i < count; i++) { /* mostly it is at the same place */
        const struct use *other = plan->uses.items[(use->index + i) % count];
        if (other->module == use->module && other->kind == use->kind &&
            str_equal(other->context.block_name, use->context.block_name) &&
            use_equal(other, use)) {
            return other;
        }
    }
    return NULL;
}

void build_guard(struct build *b, struct use *use)
{
    const struct use *last = equal_use(b->input->last, use);
    const struct weir_str *name = &use->context.block_name;

    use->guard = last != NULL ? guard_ref(last->guard)
                              : guard_new(use->module, use->kind, name->len > 0 ? name->ptr : "",
                                          &use->supervision);
    use->guard->shadow = use_is_shadow(use);
    use->context.guard = use->guard;
    use->context.place = use->guard->place;
    check_quarantine(b, use);
}
