/* SPDX-License-Identifier: MIT */
/*
 * Kinds: their names, and which module a block means.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "module/module.h"
#include "module/module_library.h"
#include "option/option_value.h"

static const struct {
    const char *name;
    const char *block;  /* that names it; NULL: the module block does */
    const char *prefix; /* of the module's name before what the block says */
    size_t offset;      /* of the kind's table in the descriptor */
} kinds[MODULE_KIND_COUNT] = {
    [MODULE_ROUTER] = {"router", NULL, "route_", offsetof(struct weir_module, router)},
    [MODULE_BALANCER] = {"balancer", "balance", "balance_", offsetof(struct weir_module, balancer)},
    [MODULE_STICKY] = {"sticky", "sticky", "sticky_", offsetof(struct weir_module, sticky)},
    [MODULE_HEALTH] = {"health", "health", "health_", offsetof(struct weir_module, health)},
    [MODULE_FILTER] = {"filter", "filter", "", offsetof(struct weir_module, filter)},
    [MODULE_HANDLER] = {"handler", "handler", "", offsetof(struct weir_module, handler)},
    [MODULE_LOGGER] = {"logger", NULL, "", offsetof(struct weir_module, logger)},
    [MODULE_STORE] = {"store", NULL, "store_", offsetof(struct weir_module, store)},
    [MODULE_CONTROL] = {"control", NULL, "", offsetof(struct weir_module, control)},
};

bool module_has_kind(const struct module *module, enum module_kind kind)
{
    const void *table;

    memcpy(&table, (const char *)&module->descriptor + kinds[kind].offset, sizeof(table));
    return table != NULL;
}

const char *module_kind_name(enum module_kind kind)
{
    return kinds[kind].name;
}

const char *module_kind_block(enum module_kind kind)
{
    return kinds[kind].block;
}

void module_full_name(enum module_kind kind, struct weir_str title, char *out, size_t size)
{
    snprintf(out, size, "%s%.*s", kinds[kind].prefix, STR_ARGS(title));
}

/* What is enabled and was perhaps meant; NULL: nothing near. Without the prefix, as a block
 * names it. */
static const char *suggest(struct module *const *enabled, size_t count, enum module_kind kind,
                           struct weir_str title)
{
    size_t prefix = strlen(kinds[kind].prefix);
    struct option_nearest search;

    option_nearest_begin(&search, title.ptr, title.len);
    for (size_t i = 0; i < count; i++) {
        if (module_has_kind(enabled[i], kind) &&
            strncmp(enabled[i]->name, kinds[kind].prefix, prefix) == 0) {
            option_nearest_offer(&search, enabled[i]->name + prefix);
        }
    }
    return search.best;
}

/* Whether the module could be enabled. If not, `meant` is the nearest one that could, as a block
 * names it, for the caller to free; NULL: none is near. */
static bool is_installed(const char *module_dir, enum module_kind kind, const char *name,
                         char **meant)
{
    const char *prefix = kinds[kind].prefix;
    char *path = base_printf("%s/%s.so", module_dir, name);
    bool there = access(path, F_OK) == 0;

    *meant = there ? NULL : library_nearest(module_dir, prefix, name + strlen(prefix));
    free(path);
    return there;
}

struct module *module_find(const char *module_dir, struct module *const *enabled, size_t count,
                           enum module_kind kind, struct weir_str title, struct place place,
                           struct mistakes *mistakes)
{
    const char *block = kinds[kind].block != NULL ? kinds[kind].block : "module";
    char name[256];

    if (title.len == 0) {
        mistakes_add(mistakes, place, "%s needs the name of a module; write %s \"NAME\" { ... }",
                     block, block);
        return NULL;
    }
    module_full_name(kind, title, name, sizeof(name));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(enabled[i]->name, name) != 0) {
            continue;
        }
        if (module_has_kind(enabled[i], kind)) {
            return enabled[i];
        }
        mistakes_add(mistakes, place, "%s \"%.*s\": the module \"%s\" is no %s", block,
                     STR_ARGS(title), name, kinds[kind].name);
        return NULL;
    }
    const char *meant = suggest(enabled, count, kind, title);
    if (meant != NULL) {
        mistakes_add(mistakes, place,
                     "%s \"%.*s\" needs module \"%s\", which no module block enables; did you mean "
                     "%s \"%s\"?",
                     block, STR_ARGS(title), name, block, meant);
        return NULL;
    }
    char *other = NULL;
    if (is_installed(module_dir, kind, name, &other)) {
        mistakes_add(mistakes, place,
                     "%s \"%.*s\" needs module \"%s\", which no module block enables; add: module "
                     "\"%s\" {}",
                     block, STR_ARGS(title), name, name);
    } else if (other != NULL) {
        mistakes_add(mistakes, place, "%s \"%.*s\": there is no %s/%s.so; did you mean %s \"%s\"?",
                     block, STR_ARGS(title), module_dir, name, block, other);
    } else {
        mistakes_add(mistakes, place,
                     "%s \"%.*s\": there is no %s/%s.so; install the module, or set module_dir",
                     block, STR_ARGS(title), module_dir, name);
    }
    free(other);
    return NULL;
}
