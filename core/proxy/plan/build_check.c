/* SPDX-License-Identifier: MIT */
/*
 * Modules look at their blocks (conf_create): the host finds the pools and makes the routes that they name,
 * looks at the files that they will log to, and takes the mistakes that they find.
 */
#include "base/log.h"
#include "base/logfile.h"
#include "module/check.h"
#include "option/option_value.h"
#include "proxy/plan/build.h"
#include "proxy/plan/traffic.h"

static weir_pool_ref find_pool(void *arg, struct weir_str name)
{
    struct build *b = arg;
    const struct pool_plan *plan = generation_pool(b->generation, name);
    return plan != NULL ? (weir_pool_ref)(plan - b->generation->pools) : WEIR_NO_REF;
}

static const char *suggest_pool(void *arg, struct weir_str name)
{
    struct build *b = arg;
    struct option_nearest search;

    option_nearest_begin(&search, name.ptr, name.len);
    for (size_t i = 0; i < b->generation->pool_count; i++) {
        option_nearest_offer(&search, b->generation->pools[i].settings->name.ptr);
    }
    return search.best;
}

/* With no reference yet where it is new. */
static struct route *route_find(struct runtime *runtime, struct weir_str name)
{
    uint64_t hash = table_hash(name);

    for (struct table_link *link = table_first(&runtime->routes, hash); link != NULL;
         link = table_next(link)) {
        struct route *route = container_of(link, struct route, link);
        if (str_equal(str_from(route->name), name)) {
            return route;
        }
    }
    unsigned loops = runtime->workers + 1;
    struct route *route = base_zalloc(sizeof(*route));
    route->name = base_strndup(name.ptr, name.len);
    route->loops = loops;
    route->traffic = traffic_new(loops);
    table_add(&runtime->routes, &route->link, hash);
    return route;
}

/* The filter blocks that stand in a route's own block. */
static void add_route_filters(struct build *b, struct use_list *filters,
                              const struct conf_node *block, struct weir_str name)
{
    for (const struct conf_node *node = block != NULL ? block->children : NULL; node != NULL;
         node = node->next) {
        if (build_is_block(node, "filter")) {
            struct use *use =
                build_use(b, node, MODULE_FILTER, WEIR_CONTEXT_ROUTE, (struct weir_str){NULL, 0},
                          (struct conf_target){NULL, NULL});
            if (use != NULL) {
                build_list_append(b, filters, use);
            }
        }
    }
    build_name_filters(b, filters, "route", name);
}

static weir_route_ref add_route(void *arg, const void *field, struct weir_str name,
                                struct place place, struct place *first)
{
    struct build *b = arg;
    struct generation *g = b->generation;

    struct route *route = route_find(b->runtime, name);
    if (route->listed_by == g->id) {
        *first = g->route_places[route->listed_at];
        return WEIR_NO_REF;
    }
    route->refs++;
    route->listed_by = g->id;
    route->listed_at = g->route_count;
    if (g->route_count == g->route_capacity) {
        size_t capacity = g->route_capacity == 0 ? 16 : g->route_capacity * 2;
        struct route **routes = build_alloc(b, capacity * sizeof(struct route *));
        struct place *places = build_alloc(b, capacity * sizeof(*places));
        const struct conf_node **blocks = build_alloc(b, capacity * sizeof(struct conf_node *));
        struct use_list *filters = build_alloc(b, capacity * sizeof(*filters));
        if (g->route_count > 0) {
            memcpy(routes, g->routes, g->route_count * sizeof(struct route *));
            memcpy(places, g->route_places, g->route_count * sizeof(*places));
            memcpy(blocks, g->route_blocks, g->route_count * sizeof(struct conf_node *));
            memcpy(filters, g->route_filters, g->route_count * sizeof(*filters));
        }
        g->routes = routes;
        g->route_places = places;
        g->route_blocks = blocks;
        g->route_filters = filters;
        g->route_capacity = capacity;
    }
    g->routes[g->route_count] = route;
    g->route_places[g->route_count] = place;
    g->route_blocks[g->route_count] = conf_block_of(g->places, field);
    add_route_filters(b, &g->route_filters[g->route_count], g->route_blocks[g->route_count], name);
    return (weir_route_ref)g->route_count++;
}

/* A log file that a module named in conf_create. */
struct wanted_file {
    struct wanted_file *next;
    const char *path;
    struct place place;
};

static bool add_file(void *arg, struct weir_str path, struct place place, char *error,
                     size_t error_size)
{
    struct build *b = arg;
    struct wanted_file *file = build_alloc(b, sizeof(*file));

    file->path = arena_printf(&b->generation->arena, "%.*s", STR_ARGS(path)).ptr;
    file->place = place;
    file->next = b->files;
    b->files = file;
    return logfile_check(file->path, error, error_size);
}

void build_check_log(struct build *b)
{
    const struct weir_str *target = &b->generation->global.log_target;
    char error[512];

    if (target->len > 0 && !log_check(target->ptr, error, sizeof(error))) {
        mistakes_add(b->mistakes, build_place_of(b, target), "%s", error);
    }
}

void build_open_logs(struct build *b)
{
    struct generation *g = b->generation;
    size_t count = 0;
    char error[512];

    for (const struct wanted_file *file = b->files; file != NULL; file = file->next) {
        count++;
    }
    g->log_files = build_alloc(b, count * sizeof(struct logfile *));
    for (const struct wanted_file *file = b->files; file != NULL; file = file->next) {
        struct logfile *opened = logfile_open(file->path, error, sizeof(error));
        if (opened == NULL) {
            mistakes_add(b->mistakes, file->place, "%s", error);
        } else {
            g->log_files[g->log_file_count++] = opened;
        }
    }
    if (g->global.log_target.len > 0) {
        g->log = log_prepare(g->global.log_target.ptr, error, sizeof(error));
        if (g->log == NULL) {
            mistakes_add(b->mistakes, build_place_of(b, &g->global.log_target), "%s", error);
        }
    }
}

/* The listener as modules are shown it. */
static struct weir_listener *describe_listener(struct build *b, const struct listener_plan *plan)
{
    const struct listener_settings *settings = plan->settings;
    const struct weir_str *texts = settings->bind.items;
    struct weir_listener *listener = build_alloc(b, sizeof(*listener));
    struct weir_bind *binds = build_alloc(b, settings->bind.count * sizeof(*binds));

    for (size_t i = 0; i < settings->bind.count; i++) {
        const struct address *address = &plan->addresses[i]; /* without length: told elsewhere */
        binds[i].address = texts[i];
        binds[i].unix_socket = address->len > 0 && address->u.any.sa_family == AF_UNIX;
        binds[i].loopback =
            address->len > 0 && !binds[i].unix_socket && address_is_loopback(address);
    }
    *listener = (struct weir_listener){settings->name, binds, settings->bind.count,
                                       settings->tls.count > 0};
    return listener;
}

void build_check_use(struct build *b, struct use *use)
{
    const struct weir_module *module = &use->module->descriptor;
    size_t before = b->mistakes->count;
    struct weir_check check = {
        .mistakes = b->mistakes,
        .places = b->generation->places,
        .block_place = use->block->place,
        .find_pool = find_pool,
        .suggest_pool = suggest_pool,
        .add_route = add_route,
        .add_file = add_file,
        .arg = b,
        .listener = use->listener != NULL ? describe_listener(b, use->listener) : NULL};

    if (use->kind == MODULE_ROUTER || use->kind == MODULE_LOGGER) {
        use->prepared = use->base->prepared;
        return;
    }
    if (module->conf_create == NULL) {
        return;
    }
    use->conf_created = true;
    enum weir_status status =
        module->conf_create(&use->context.base, &check, use->conf, &use->prepared);
    if (status != WEIR_OK && b->mistakes->count == before) {
        mistakes_add(b->mistakes, use->block->place,
                     "module \"%s\" refused this block without saying why (its conf_create "
                     "returned %d)",
                     use->module->name, (int)status);
    }
    if (status != WEIR_OK) {
        use->conf_created = false;
    }
}
