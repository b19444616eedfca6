/* SPDX-License-Identifier: MIT */
/*
 * Modules check their blocks (conf_create): the host finds the pools and creates the routes that
 * they name, checks the files that they log to, and collects their mistakes.
 */
#include "base/log.h"
#include "base/logfile.h"
#include "module/check.h"
#include "option/option_value.h"
#include "proxy/plan/build.h"

static weir_pool_ref find_pool(void *arg, struct weir_str name)
{
    struct build *b = arg;
    const struct pool_plan *plan = plan_pool(b->plan, name);
    return plan != NULL ? (weir_pool_ref)(plan - b->plan->pools) : WEIR_NO_REF;
}

static const char *suggest_pool(void *arg, struct weir_str name)
{
    struct build *b = arg;
    struct option_nearest search;

    option_nearest_begin(&search, name.ptr, name.len);
    for (size_t i = 0; i < b->plan->pool_count; i++) {
        option_nearest_offer(&search, b->plan->pools[i].settings->name.ptr);
    }
    return search.best;
}

/* The filter blocks inside a route's block. */
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

static struct route_plan *find_route(struct build *b, struct weir_str name, uint64_t hash)
{
    for (struct table_link *link = table_first(&b->routes, hash); link != NULL;
         link = table_next(link)) {
        struct route_plan *route = container_of(link, struct route_plan, by_name);
        if (str_equal(route->name, name)) {
            return route;
        }
    }
    return NULL;
}

/* Another copy of a module has the routes of the one before, with all that lives by them. */
static weir_route_ref same_route(struct build *b, struct weir_str name, uint64_t hash,
                                 struct place place)
{
    for (size_t i = 0; i < b->plan->route_count; i++) {
        struct route_plan *route = b->plan->routes[i];
        if (str_equal(route->name, name)) {
            route->by_name = (struct table_link){.hash = 0};
            table_add(&b->routes, &route->by_name, hash);
            return (weir_route_ref)i;
        }
    }
    mistakes_add(b->mistakes, place,
                 "route \"%.*s\" is none of the copy that runs; a reload takes a copy that makes "
                 "other routes",
                 STR_ARGS(name));
    return WEIR_NO_REF;
}

static weir_route_ref add_route(void *arg, const void *field, struct weir_str name,
                                struct place place, struct place *first)
{
    struct build *b = arg;
    struct plan *plan = b->plan;
    uint64_t hash = table_hash(name);
    struct route_plan *route = find_route(b, name, hash);

    if (route != NULL) {
        *first = route->place;
        return WEIR_NO_REF;
    }
    if (b->swaps) {
        return same_route(b, name, hash, place);
    }
    plan->routes = build_grow(b, plan->routes, plan->route_count, sizeof(struct route_plan *));
    route = build_alloc(b, sizeof(*route));
    route->name = arena_copy(&plan->arena, name);
    route->place = place;
    route->block = conf_block_of(plan->places, field);
    table_add(&b->routes, &route->by_name, hash);
    plan->routes[plan->route_count] = route;
    add_route_filters(b, &route->filters, route->block, name);
    return (weir_route_ref)plan->route_count++;
}

static bool add_file(void *arg, struct weir_str path, struct place place, char *error,
                     size_t error_size)
{
    struct build *b = arg;
    struct wanted_file *file = build_alloc(b, sizeof(*file));

    file->path = arena_printf(&b->plan->arena, "%.*s", STR_ARGS(path)).ptr;
    file->place = place;
    file->next = b->plan->log_files;
    b->plan->log_files = file;
    return logfile_check(file->path, error, error_size);
}

void build_check_log(struct build *b)
{
    const struct weir_str *target = &b->plan->global.log_target;
    char error[512];

    if (target->len > 0 && !log_check(target->ptr, error, sizeof(error))) {
        mistakes_add(b->mistakes, build_place_of(b, target), "%s", error);
    }
}

/* The listener as modules see it. */
static struct weir_listener *describe_listener(struct build *b, const struct listener_plan *plan)
{
    const struct listener_settings *settings = plan->settings;
    const struct weir_str *texts = settings->bind.items;
    struct weir_listener *listener = build_alloc(b, sizeof(*listener));
    struct weir_bind *binds = build_alloc(b, settings->bind.count * sizeof(*binds));

    for (size_t i = 0; i < settings->bind.count; i++) {
        const struct address *address = &plan->addresses[i]; /* no length: reported elsewhere */
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
        .places = b->plan->places,
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
    struct call *call = call_begin(&use->context, HOOK_CONF_CREATE);
    enum weir_status status =
        module->conf_create(&use->context.base, &check, use->conf, &use->prepared);
    call_end(call);
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
