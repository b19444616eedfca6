/* SPDX-License-Identifier: MIT */
/*
 * Building a generation: files are read, blocks become settings, modules are loaded and asked, live
 * objects are found again or made, sockets are opened last. Every mistake is told; one is enough to give
 * the whole up, and nothing that runs has changed by then. Control thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/log.h"
#include "module/check.h"
#include "module/host.h"
#include "proxy/discovery.h"
#include "proxy/client.h"
#include "proxy/worker.h"

struct build {
    struct runtime *runtime;
    struct generation *generation;
    struct mistakes *mistakes;
    bool open_sockets;
};

static void *build_alloc(struct build *b, size_t len)
{
    void *memory = arena_zalloc(&b->generation->arena, len > 0 ? len : 1);
    ASSERT(memory != NULL);
    return memory;
}

static struct place place_of(struct build *b, const void *field)
{
    return conf_place_of(b->generation->places, field);
}

static struct place place_for_tls(void *arg, const void *field)
{
    return place_of(arg, field);
}

static bool is_block(const struct conf_node *node, const char *name)
{
    return node->kind == CONF_BLOCK && str_equal(node->name, str_from(name));
}

static size_t count_blocks(const struct conf_node *parent, const char *name)
{
    size_t count = 0;
    for (const struct conf_node *node = parent->children; node != NULL; node = node->next) {
        count += is_block(node, name);
    }
    return count;
}

static void fill(struct build *b, const struct conf_node *block, uint32_t context,
                 const struct conf_target *targets, size_t count, const char *const *known,
                 bool defaults)
{
    struct conf_fill filling = {.arena = &b->generation->arena,
                                .places = b->generation->places,
                                .mistakes = b->mistakes,
                                .context = context};
    conf_fill_block(&filling, block, targets, count, known, defaults);
}

/* ---- uses of modules ---- */

static void list_append(struct build *b, struct use_list *list, struct use *use)
{
    /* Doubling in the arena: what is left behind is freed with it. */
    if ((list->count & (list->count - 1)) == 0) {
        size_t capacity = list->count == 0 ? 1 : list->count * 2;
        struct use **items = build_alloc(b, capacity * sizeof(*items));
        if (list->count > 0) {
            memcpy(items, list->items, list->count * sizeof(*items));
        }
        list->items = items;
    }
    list->items[list->count++] = use;
}

static struct use *use_new(struct build *b, struct module *module, enum module_kind kind,
                           const struct conf_node *block)
{
    struct use *use = build_alloc(b, sizeof(*use));
    use->module = module;
    use->kind = kind;
    use->generation = b->generation;
    use->block = block;
    use->instances = build_alloc(b, sizeof(*use->instances) * b->generation->loops);
    module_context_init(&use->context, b->runtime->host, module, NULL);
    use->context.worker_index = b->runtime->workers;
    use->context.worker_count = b->runtime->workers;
    list_append(b, &b->generation->uses, use);
    return use;
}

static const struct weir_options no_options = {
    sizeof(struct weir_options), sizeof(struct weir_option), 0, 0, NULL, WEIR_NO_TITLE};

static const struct weir_options *module_options(const struct module *module)
{
    return module->descriptor.options != NULL ? module->descriptor.options : &no_options;
}

static void build_module(struct build *b, const struct conf_node *node)
{
    struct generation *g = b->generation;
    struct module *module = NULL;

    if (node->title.text.len == 0) {
        mistakes_add(b->mistakes, node->place,
                     "a module block needs a name: module \"route_path\" { }");
        return;
    }
    module = module_load(b->runtime->modules, node->title.text.ptr, b->runtime->host, node->place,
                         b->mistakes);
    if (module == NULL) {
        return;
    }
    for (size_t i = 0; i < g->modules.count; i++) {
        if (g->modules.items[i]->module == module) {
            mistakes_add(b->mistakes, node->place,
                         "module \"%s\" is enabled twice; the first time at %s:%u", module->name,
                         g->modules.items[i]->block->place.file,
                         g->modules.items[i]->block->place.line);
            module_unref(&module);
            return;
        }
    }
    const struct weir_options *options = module_options(module);
    struct use *use = use_new(b, module, MODULE_KIND_COUNT, node);
    use->base = use;
    use->conf = build_alloc(b, options->conf_size);
    use->context.slot = (uint32_t)g->modules.count;
    list_append(b, &g->modules, use);
    struct conf_target target = {options, use->conf};
    fill(b, node, WEIR_CONTEXT_MODULE, &target, 1, NULL, true);

    static const enum module_kind by_block[] = {MODULE_ROUTER, MODULE_LOGGER};
    for (size_t i = 0; i < ARRAY_COUNT(by_block); i++) {
        if (module_has_kind(module, by_block[i])) {
            struct use *part = use_new(b, module, by_block[i], node);
            part->base = use;
            part->conf = use->conf;
            list_append(b, by_block[i] == MODULE_ROUTER ? &g->routers : &g->loggers, part);
        }
    }
}

/* The use of a module in a `balance`, `sticky`, `health`, `filter` or `handler` block, whose options are
 * those of the module block so far. NULL: a mistake. */
static struct use *begin_use(struct build *b, const struct conf_node *node, enum module_kind kind,
                             struct weir_str pool)
{
    struct generation *g = b->generation;
    struct module *enabled[256] = {NULL};
    size_t count = 0;

    for (; count < g->modules.count && count < ARRAY_COUNT(enabled); count++) {
        enabled[count] = g->modules.items[count]->module;
    }
    struct module *module =
        module_find(enabled, count, kind, node->title.text, node->place, b->mistakes);
    if (module == NULL) {
        return NULL;
    }
    const struct use *base = NULL;
    for (size_t i = 0; i < count; i++) {
        if (enabled[i] == module) {
            base = g->modules.items[i];
        }
    }
    const struct weir_options *options = module_options(module);
    struct use *use = use_new(b, module, kind, node);
    use->base = base;
    use->pool = pool;
    use->context.pool = pool;
    use->context.slot = base->context.slot;
    use->conf = build_alloc(b, options->conf_size);
    if (options->conf_size > 0) {
        memcpy(use->conf, base->conf, options->conf_size);
    }
    return use;
}

/* Fills what the block says: options of the module's, and `count` kinds of the host's own. */
static void fill_use(struct build *b, struct use *use, uint32_t context,
                     const struct conf_target *own, size_t count)
{
    static const struct conf_node nothing = {.kind = CONF_BLOCK};
    struct conf_target targets[3] = {{module_options(use->module), use->conf}};

    ASSERT(count < ARRAY_COUNT(targets));
    for (size_t i = 0; i < count; i++) {
        targets[i + 1] = own[i];
    }
    if (count > 0) { /* the host's part has defaults of its own */
        fill(b, &nothing, context, &targets[1], count, NULL, true);
    }
    fill(b, use->block, context, targets, count + 1, NULL, false);
}

/* Both in one; `own` is filled with the host's options of such a block, where it has any (options NULL:
 * none). */
static struct use *build_use(struct build *b, const struct conf_node *node, enum module_kind kind,
                             uint32_t context, struct weir_str pool, struct conf_target own)
{
    struct use *use = begin_use(b, node, kind, pool);
    if (use != NULL) {
        fill_use(b, use, context, &own, own.options != NULL ? 1 : 0);
    }
    return use;
}

/* ---- pools ---- */

static void plan_index(struct build *b, struct pool_plan *plan)
{
    size_t slots = 4;
    while (slots < plan->server_count * 2) {
        slots *= 2;
    }
    plan->by_id = build_alloc(b, slots * sizeof(*plan->by_id));
    plan->by_id_mask = slots - 1;
    for (size_t i = 0; i < plan->server_count; i++) {
        size_t at = plan->servers[i]->id & plan->by_id_mask;
        while (plan->by_id[at] != NULL) {
            at = (at + 1) & plan->by_id_mask;
        }
        plan->by_id[at] = plan->servers[i];
    }
}

/* One `health` block: it probes, listens, or both; the host has options of its own for each. */
static void build_health(struct build *b, struct pool_plan *plan, const struct conf_node *node,
                         struct weir_str name)
{
    struct use *use = begin_use(b, node, MODULE_HEALTH, name);
    struct passive_settings passive = {0};
    struct probe_settings *probe = NULL;
    struct conf_target own[2];
    size_t count = 0;

    if (use == NULL) {
        return;
    }
    const struct weir_health *ops = use->module->descriptor.health;
    if (ops->request != NULL) {
        probe = build_alloc(b, sizeof(*probe));
        own[count++] = (struct conf_target){&probe_options, probe};
    }
    if (ops->on_outcomes != NULL) {
        own[count++] = (struct conf_target){&passive_options, &passive};
    }
    fill_use(b, use, WEIR_CONTEXT_POOL, own, count);
    if (probe != NULL && plan->health != NULL) {
        mistakes_add(b->mistakes, node->place,
                     "pool \"%.*s\" is probed by health \"%.*s\" already; one block that probes is "
                     "right",
                     STR_ARGS(name), STR_ARGS(plan->health->block->title.text));
        return;
    }
    if (probe != NULL) {
        plan->health = use;
        plan->probe = probe;
    }
    if (ops->on_outcomes != NULL) {
        bool first = plan->observers.count == 0;
        plan->max_ejected = first || passive.max_ejected < plan->max_ejected ? passive.max_ejected
                                                                             : plan->max_ejected;
        list_append(b, &plan->observers, use);
    }
}

static void build_pool_blocks(struct build *b, struct pool_plan *plan, const struct conf_node *node,
                              struct weir_str name)
{
    for (const struct conf_node *child = node->children; child != NULL; child = child->next) {
        struct use **single = NULL;
        enum module_kind kind = MODULE_FILTER;
        if (is_block(child, "balance")) {
            single = &plan->balance;
            kind = MODULE_BALANCER;
        } else if (is_block(child, "sticky")) {
            single = &plan->sticky;
            kind = MODULE_STICKY;
        } else if (is_block(child, "health")) {
            build_health(b, plan, child, name);
            continue;
        } else if (!is_block(child, "filter")) {
            continue;
        }
        if (single != NULL && *single != NULL) {
            mistakes_add(b->mistakes, child->place,
                         "pool \"%.*s\" has a second %.*s block; one is right", STR_ARGS(name),
                         STR_ARGS(child->name));
            continue;
        }
        struct use *use =
            build_use(b, child, kind, WEIR_CONTEXT_POOL, name, (struct conf_target){NULL, NULL});
        if (single != NULL) {
            *single = use;
        } else if (use != NULL) {
            list_append(b, &plan->filters, use);
        }
    }
    if (plan->balance == NULL && count_blocks(node, "balance") == 0) {
        mistakes_add(
            b->mistakes, node->place,
            "pool \"%.*s\" has no balance block; write for example: balance \"least_conn\" {}",
            STR_ARGS(name));
    }
}

static void build_pool(struct build *b, struct pool_plan *plan, const struct conf_node *node)
{
    static const char *const known[] = {"balance", "sticky", "health", "filter", NULL};
    struct pool_settings *settings = build_alloc(b, sizeof(*settings));
    struct conf_target target = {&pool_options, settings};

    plan->generation = b->generation;
    plan->settings = settings;
    fill(b, node, WEIR_CONTEXT_GLOBAL, &target, 1, known, true);
    settings->name = node->title.text;
    if (settings->name.len == 0) {
        mistakes_add(b->mistakes, node->place, "a pool needs a name: pool \"api_servers\" { ... }");
    }
    if (settings->servers.count == 0 && count_blocks(node, "server") == 0) {
        mistakes_add(b->mistakes, node->place,
                     "pool \"%.*s\" has no server; write for example: server \"api-1\" { url = "
                     "\"http://127.0.0.1:3001\" }",
                     STR_ARGS(settings->name));
    }
    /* Ours, in the arena: filled a moment ago. */
    struct server_settings *own = (void *)(uintptr_t)settings->servers.items;
    const struct server_settings *servers = own;
    bool https = false;
    for (size_t i = 0; i < settings->servers.count; i++) {
        if (own[i].resolve != RESOLVE_FIRST && own[i].url.host.len == 0) {
            mistakes_add(b->mistakes, place_of(b, &own[i].url),
                         "`resolve` is for host names; \"%.*s\" has none",
                         STR_ARGS(own[i].url.text));
            own[i].resolve = RESOLVE_FIRST;
        }
        own[i].file_weight = own[i].weight;
        own[i].file_max_connections = own[i].max_connections;
        if (servers[i].url.path.len > 1 && servers[i].url.port != 0) {
            mistakes_add(b->mistakes, place_of(b, &servers[i].url),
                         "a server's URL has no path; \"%.*s\" would be right without \"%.*s\"",
                         STR_ARGS(servers[i].url.text), STR_ARGS(servers[i].url.path));
        }
    }
    discovery_expand(b->runtime->discovery, &b->generation->arena, settings);
    if (b->runtime->adjust != NULL) {
        b->runtime->adjust(b->runtime->adjust_arg, &b->generation->arena, settings);
    }
    servers = settings->servers.items;
    for (size_t i = 0; i < settings->servers.count; i++) {
        https = https || servers[i].url.tls;
    }
    plan->limits =
        (struct h1_limits){.head = (uint32_t)settings->header_limit, .fields = 1000, .target = 1};
    build_pool_blocks(b, plan, node, settings->name);
    if (https || settings->tls.count > 0) {
        static const struct tls_server_conf defaults = {.verify = true};
        const struct tls_server_conf *tls =
            settings->tls.count > 0 ? settings->tls.items : &defaults;
        plan->tls = tls_server_ctx_new(tls, place_for_tls, b, b->mistakes);
    }
    plan->balancers = build_alloc(b, sizeof(*plan->balancers) * b->generation->loops);
}

/* ---- listeners ---- */

static void build_trusted(struct build *b, struct listener_plan *plan)
{
    const struct weir_list *list = &plan->settings->trusted_proxies;
    const struct weir_str *texts = list->items;

    plan->trusted = build_alloc(b, list->count * sizeof(*plan->trusted));
    for (size_t i = 0; i < list->count; i++) {
        if (network_parse(&plan->trusted[plan->trusted_count], texts[i])) {
            plan->trusted_count++;
        } else {
            mistakes_add(
                b->mistakes, place_of(b, list),
                "\"%.*s\" is not a network; write for example 10.0.0.0/8, 2001:db8::/32 or "
                "unix",
                STR_ARGS(texts[i]));
        }
    }
}

/* Descriptors that Weir itself needs: logs, store, listening sockets, probes; and those of a loop, beside the
 * connections that end there. */
#define DESCRIPTORS_OWN    32u
#define DESCRIPTORS_A_LOOP 8u

/* connection_limit, or half of the descriptors: a client in need of a server always finds one then. */
static uint32_t listener_connections(const struct build *b,
                                     const struct listener_settings *settings)
{
    struct rlimit limit;
    rlim_t own = DESCRIPTORS_OWN + (DESCRIPTORS_A_LOOP + conn_linger_most()) * b->generation->loops;

    if (settings->connection_limit > 0) {
        return (uint32_t)settings->connection_limit;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 2 > UINT32_MAX / 2) {
        return UINT32_MAX / 2;
    }
    return limit.rlim_cur > own + 16 ? (uint32_t)((limit.rlim_cur - own) / 2) : 8;
}

/* The field may not be one that frames a message, says where it goes, or is Weir's own. */
static void build_request_id(struct build *b, const struct listener_settings *settings)
{
    struct weir_str name = settings->request_id_header;
    enum field_id id = name.len > 0 ? field_id_of(name) : FIELD_OTHER;

    if (name.len > 0 &&
        (!field_name_valid(name) || (id != FIELD_OTHER && id != FIELD_X_REQUEST_ID))) {
        mistakes_add(b->mistakes, place_of(b, &settings->request_id_header),
                     "\"%.*s\" cannot carry a request's id; write for example X-Request-Id or "
                     "X-Correlation-Id",
                     STR_ARGS(name));
    }
}

/* A handler's place among the others, the longest path first. */
static void add_handler(struct build *b, struct listener_plan *plan, struct use *use,
                        const struct handler_settings *settings, const struct conf_node *node)
{
    struct weir_str path = settings->path;

    if (path.len == 0 || path.ptr[0] != '/') {
        mistakes_add(b->mistakes, place_of(b, &settings->path),
                     "\"%.*s\" is not a path; write for example \"/metrics\"", STR_ARGS(path));
        return;
    }
    while (path.len > 0 && path.ptr[path.len - 1] == '/') {
        path.len--;
    }
    size_t at = 0;
    while (at < plan->handler_count && plan->handlers[at].path.len >= path.len) {
        if (str_equal(plan->handlers[at].path, path)) {
            mistakes_add(b->mistakes, node->place,
                         "listener \"%.*s\" has two handlers for the path \"%.*s\", the first at "
                         "%s:%u; give one of them a path of its own: path = \"/metrics\"",
                         STR_ARGS(plan->settings->name), STR_ARGS(settings->path),
                         plan->handlers[at].use->block->place.file,
                         plan->handlers[at].use->block->place.line);
            return;
        }
        at++;
    }
    memmove(&plan->handlers[at + 1], &plan->handlers[at],
            (plan->handler_count - at) * sizeof(plan->handlers[0]));
    plan->handlers[at] = (struct handler_plan){path, use};
    plan->handler_count++;
}

/* A `filter` or `handler` block of a listener. */
static void build_listener_use(struct build *b, struct listener_plan *plan,
                               const struct conf_node *node)
{
    bool handler = is_block(node, "handler");
    struct handler_settings *settings = build_alloc(b, sizeof(*settings));
    struct conf_target own = {handler ? &handler_options : NULL, settings};
    struct use *use = build_use(b, node, handler ? MODULE_HANDLER : MODULE_FILTER,
                                WEIR_CONTEXT_LISTENER, (struct weir_str){NULL, 0}, own);

    if (use == NULL) {
        return;
    }
    use->listener = plan;
    if (handler) {
        add_handler(b, plan, use, settings, node);
    } else {
        list_append(b, &plan->filters, use);
    }
}

static void build_listener(struct build *b, struct listener_plan *plan,
                           const struct conf_node *node)
{
    static const char *const known[] = {"handler", "filter", NULL};
    struct listener_settings *settings = build_alloc(b, sizeof(*settings));
    struct conf_target target = {&listener_options, settings};

    plan->generation = b->generation;
    plan->settings = settings;
    fill(b, node, WEIR_CONTEXT_GLOBAL, &target, 1, known, true);
    settings->name = node->title.text;
    if (settings->name.len == 0) {
        mistakes_add(b->mistakes, node->place,
                     "a listener needs a name: listener \"public\" { ... }");
    }
    plan->handlers = build_alloc(b, count_blocks(node, "handler") * sizeof(*plan->handlers));
    for (const struct conf_node *child = node->children; child != NULL; child = child->next) {
        if (is_block(child, "filter") || is_block(child, "handler")) {
            build_listener_use(b, plan, child);
        }
    }
    build_trusted(b, plan);
    build_request_id(b, settings);
    plan->connection_limit = listener_connections(b, settings);
    if (settings->proxy_protocol != PROXY_PROTOCOL_OFF && settings->trusted_proxies.count == 0) {
        mistakes_add(b->mistakes, place_of(b, &settings->proxy_protocol),
                     "proxy_protocol believes trusted_proxies, and none are set; write for example "
                     "trusted_proxies = {\"10.0.0.0/8\"}");
    }
    const struct tls_listener_conf *tls = settings->tls.count > 0 ? settings->tls.items : NULL;
    if (tls != NULL) {
        plan->tls = tls_listener_new(tls, place_for_tls, b, b->mistakes);
    }
    plan->http = (struct h1_server_conf){
        .limits = {.head = (uint32_t)settings->header_limit,
                   .fields = (uint32_t)settings->header_count_limit,
                   .target = (uint32_t)settings->target_limit},
        .header_timeout_ns = settings->header_timeout,
        .body_timeout_ns = settings->body_timeout,
        .body_rate = settings->body_rate,
        .body_rate_period_ns = settings->body_rate_period,
        .idle_timeout_ns = settings->idle_timeout,
        .handshake_timeout_ns = tls != NULL ? tls->handshake_timeout : settings->header_timeout,
        .body_limit = settings->body_limit,
    };
}

/* ---- names that modules resolve ---- */

static weir_pool_ref find_pool(void *arg, struct weir_str name)
{
    struct build *b = arg;
    for (size_t i = 0; i < b->generation->pool_count; i++) {
        if (str_equal(b->generation->pools[i].settings->name, name)) {
            return (weir_pool_ref)i;
        }
    }
    return WEIR_NO_REF;
}

static struct route *route_find(struct runtime *runtime, struct weir_str name)
{
    list_each(link, &runtime->routes)
    {
        struct route *route = container_of(link, struct route, link);
        if (str_equal(str_from(route->name), name)) {
            route->refs++;
            return route;
        }
    }
    unsigned loops = runtime->workers + 1;
    struct route *route = base_zalloc(sizeof(*route));
    route->name = base_strndup(name.ptr, name.len);
    route->refs = 1;
    route->loops = loops;
    route->traffic = traffic_new(loops);
    list_push_back(&runtime->routes, &route->link);
    return route;
}

/* Names that stay over reloads: `listener public filter 2` is the second of that module there. */
static void name_use(struct build *b, struct use *use, const char *where, struct weir_str name,
                     size_t number)
{
    if (use != NULL) {
        use->context.block_name =
            arena_printf(&b->generation->arena, "%s %.*s %s %zu", where, STR_ARGS(name),
                         module_kind_block(use->kind), number);
    }
}

static void name_filters(struct build *b, const struct use_list *filters, const char *where,
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

static void name_uses(struct build *b)
{
    const struct generation *g = b->generation;

    for (size_t i = 0; i < g->pool_count; i++) {
        const struct pool_plan *plan = &g->pools[i];
        struct weir_str name = plan->settings->name;
        name_use(b, plan->balance, "pool", name, 1);
        name_use(b, plan->sticky, "pool", name, 1);
        name_use(b, plan->health, "pool", name, 1);
        name_filters(b, &plan->filters, "pool", name);
    }
    for (size_t i = 0; i < g->listener_count; i++) {
        name_filters(b, &g->listeners[i].filters, "listener", g->listeners[i].settings->name);
    }
}

/* The filter blocks that stand in a route's own block. */
static void add_route_filters(struct build *b, struct use_list *filters, const void *field,
                              struct weir_str name)
{
    const struct conf_node *block = conf_block_of(b->generation->places, field);

    for (const struct conf_node *node = block != NULL ? block->children : NULL; node != NULL;
         node = node->next) {
        if (is_block(node, "filter")) {
            struct use *use =
                build_use(b, node, MODULE_FILTER, WEIR_CONTEXT_ROUTE, (struct weir_str){NULL, 0},
                          (struct conf_target){NULL, NULL});
            if (use != NULL) {
                list_append(b, filters, use);
            }
        }
    }
    name_filters(b, filters, "route", name);
}

static weir_route_ref add_route(void *arg, const void *field, struct weir_str name,
                                struct place place, struct place *first)
{
    struct build *b = arg;
    struct generation *g = b->generation;

    for (size_t i = 0; i < g->route_count; i++) {
        if (str_equal(str_from(g->routes[i]->name), name)) {
            *first = g->route_places[i];
            return WEIR_NO_REF;
        }
    }
    if (g->route_count == g->route_capacity) {
        size_t capacity = g->route_capacity == 0 ? 16 : g->route_capacity * 2;
        struct route **routes = build_alloc(b, capacity * sizeof(struct route *));
        struct place *places = build_alloc(b, capacity * sizeof(*places));
        struct use_list *filters = build_alloc(b, capacity * sizeof(*filters));
        if (g->route_count > 0) {
            memcpy(routes, g->routes, g->route_count * sizeof(struct route *));
            memcpy(places, g->route_places, g->route_count * sizeof(*places));
            memcpy(filters, g->route_filters, g->route_count * sizeof(*filters));
        }
        g->routes = routes;
        g->route_places = places;
        g->route_filters = filters;
        g->route_capacity = capacity;
    }
    g->routes[g->route_count] = route_find(b->runtime, name);
    g->route_places[g->route_count] = place;
    add_route_filters(b, &g->route_filters[g->route_count], field, name);
    return (weir_route_ref)g->route_count++;
}

/* The listener as modules are shown it. */
static struct weir_listener *describe_listener(struct build *b, const struct listener_plan *plan)
{
    const struct listener_settings *settings = plan->settings;
    const struct weir_str *texts = settings->bind.items;
    struct weir_listener *listener = build_alloc(b, sizeof(*listener));
    struct weir_bind *binds = build_alloc(b, settings->bind.count * sizeof(*binds));

    for (size_t i = 0; i < settings->bind.count; i++) {
        struct address address;
        char error[256];
        bool known = address_parse(&address, texts[i], error, sizeof(error)); /* told elsewhere */
        binds[i].address = texts[i];
        binds[i].unix_socket = known && address.u.any.sa_family == AF_UNIX;
        binds[i].loopback = known && !binds[i].unix_socket && address_is_loopback(&address);
    }
    *listener = (struct weir_listener){settings->name, binds, settings->bind.count,
                                       settings->tls.count > 0};
    return listener;
}

static void check_use(struct build *b, struct use *use)
{
    const struct weir_module *module = &use->module->descriptor;
    size_t before = b->mistakes->count;
    struct weir_check check = {
        .mistakes = b->mistakes,
        .places = b->generation->places,
        .block_place = use->block->place,
        .find_pool = find_pool,
        .add_route = add_route,
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

/* ---- live objects ---- */

static struct pool *pool_find(struct build *b, struct weir_str name)
{
    list_each(link, &b->runtime->pools)
    {
        struct pool *pool = container_of(link, struct pool, link);
        if (str_equal(str_from(pool->name), name)) {
            pool->refs++;
            return pool;
        }
    }
    struct pool *pool = pool_new(name, b->generation->loops);
    for (unsigned i = 0; i < b->generation->loops && b->runtime->loops != NULL; i++) {
        pool->locals[i].worker = b->runtime->loops[i];
    }
    list_push_back(&b->runtime->pools, &pool->link);
    return pool;
}

/* The running generation's server of that name, when its URL is the same. */
static struct server *server_find(struct build *b, const struct pool_plan *plan,
                                  const struct server_settings *settings)
{
    const struct generation *current = b->runtime->current;
    const struct pool *pool = plan->pool;
    bool runs = false;

    for (size_t i = 0; current != NULL && i < current->pool_count; i++) {
        if (current->pools[i].pool != pool) {
            continue;
        }
        runs = true;
        weir_server_id id = server_id_of(str_from(pool->name), settings->id);
        struct server *server = pool_plan_server(&current->pools[i], id);
        if (server != NULL && str_equal(server->url.text, settings->url.text)) {
            return server_ref(server);
        }
    }
    struct server *server =
        server_new(str_from(pool->name), settings->id, &settings->url, b->generation->loops);
    if (settings->called.len > 0) {
        server_set_called(server, settings->called);
    }
    server->held = runs && plan->health != NULL; /* a newcomer shows that it is well first */
    return server;
}

/* The same settings as before: the same context, by which the loops see that their idle connections may
 * stay. */
static void share_tls(struct build *b, struct pool_plan *plan)
{
    const struct generation *current = b->runtime->current;
    for (size_t i = 0; current != NULL && i < current->pool_count; i++) {
        const struct pool_plan *last = &current->pools[i];
        if (last->pool == plan->pool && tls_server_ctx_equal(last->tls, plan->tls)) {
            SSL_CTX_free(plan->tls);
            plan->tls = last->tls;
            SSL_CTX_up_ref(plan->tls);
        }
    }
}

static void attach_pool(struct build *b, struct pool_plan *plan)
{
    const struct server_settings *settings = plan->settings->servers.items;
    size_t count = plan->settings->servers.count;

    plan->pool = pool_find(b, plan->settings->name);
    plan->servers = build_alloc(b, count * sizeof(struct server *));
    for (size_t i = 0; i < count; i++) {
        plan->servers[i] = server_find(b, plan, &settings[i]);
        plan->server_count++;
    }
    plan_index(b, plan);
    share_tls(b, plan);
}

static struct listener *listener_find(struct build *b, struct weir_str name)
{
    list_each(link, &b->runtime->listeners)
    {
        struct listener *listener = container_of(link, struct listener, link);
        if (str_equal(str_from(listener->name), name)) {
            listener->refs++;
            return listener;
        }
    }
    struct listener *listener = listener_new(name, b->generation->loops);
    list_push_back(&b->runtime->listeners, &listener->link);
    return listener;
}

/* A socket that the running generation has on the address, for as many loops. */
static struct listen_socket *socket_find(struct build *b, struct weir_str text, bool control)
{
    const struct generation *current = b->runtime->current;
    for (size_t i = 0; current != NULL && i < current->listener_count; i++) {
        const struct listener_plan *plan = &current->listeners[i];
        const struct weir_str *bind = plan->settings->bind.items;
        for (size_t k = 0; k < plan->socket_count; k++) {
            if (str_equal(bind[k], text) && listener_plan_on_control(plan) == control) {
                return listen_socket_ref(plan->sockets[k]);
            }
        }
    }
    return NULL;
}

static void open_socket(struct build *b, struct listener_plan *plan, size_t index)
{
    const struct listener_settings *settings = plan->settings;
    struct weir_str text = ((const struct weir_str *)settings->bind.items)[index];
    struct address address;
    char error[256];

    if (!address_parse(&address, text, error, sizeof(error))) {
        mistakes_add(b->mistakes, place_of(b, &settings->bind), "%s", error);
        return;
    }
    char *end = NULL;
    unsigned long mode = strtoul(settings->socket_mode.ptr, &end, 8);
    if (end == settings->socket_mode.ptr || *end != '\0' || mode > 0777) {
        mistakes_add(b->mistakes, place_of(b, &settings->socket_mode),
                     "\"%s\" is not a file mode; write for example 0660",
                     settings->socket_mode.ptr);
        return;
    }
    if (!b->open_sockets) {
        return;
    }
    struct listen_socket *socket = socket_find(b, text, listener_plan_on_control(plan));
    if (socket == NULL) {
        size_t count = listener_plan_on_control(plan) ? 1 : b->runtime->workers;
        socket = listen_socket_open(&address, count, (int)settings->backlog, (unsigned)mode, error,
                                    sizeof(error));
    }
    if (socket == NULL) {
        mistakes_add(b->mistakes, place_of(b, &settings->bind), "%s", error);
        return;
    }
    plan->sockets[plan->socket_count++] = socket;
}

static void attach_listener(struct build *b, struct listener_plan *plan)
{
    size_t count = plan->settings->bind.count;
    plan->listener = listener_find(b, plan->settings->name);
    plan->sockets = build_alloc(b, count * sizeof(struct listen_socket *));
    for (size_t i = 0; i < count; i++) {
        open_socket(b, plan, i);
    }
}

/* ---- all of it ---- */

static void build_blocks(struct build *b)
{
    struct generation *g = b->generation;
    const struct conf_node *root = &g->tree.root;

    for (const struct conf_node *node = root->children; node != NULL; node = node->next) {
        if (is_block(node, "module")) {
            build_module(b, node);
        }
    }
    g->pools = build_alloc(b, count_blocks(root, "pool") * sizeof(*g->pools));
    g->listeners = build_alloc(b, count_blocks(root, "listener") * sizeof(*g->listeners));
    for (const struct conf_node *node = root->children; node != NULL; node = node->next) {
        if (is_block(node, "pool")) {
            build_pool(b, &g->pools[g->pool_count++], node);
        } else if (is_block(node, "listener")) {
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

static struct generation *build_all(struct runtime *runtime, const char *path,
                                    const struct conf_tree *tree, bool open_sockets,
                                    struct mistakes *mistakes)
{
    static const char *const known[] = {"module", "pool", "listener", NULL};
    struct generation *g = base_zalloc(sizeof(*g));
    struct build b = {runtime, g, mistakes, open_sockets};

    g->id = ++runtime->last_id;
    g->runtime = runtime;
    g->loops = runtime->workers + 1;
    g->loops_left = g->loops;
    g->locals = base_zalloc(sizeof(*g->locals) * g->loops);
    arena_init(&g->arena, NULL, 0);
    g->places = conf_places_new(&g->arena);

    if (tree != NULL) {
        conf_tree_copy(&g->tree, &g->arena, tree);
    } else {
        conf_read(&g->tree, &g->arena, path, mistakes);
    }
    struct conf_target target = {&global_options, &g->global};
    fill(&b, &g->tree.root, WEIR_CONTEXT_GLOBAL, &target, 1, known, true);
    if (g->global.module_dir.len > 0) {
        module_registry_set_dir(runtime->modules, g->global.module_dir.ptr);
    }
    build_blocks(&b);
    name_uses(&b);
    if (open_sockets) {
        module_host_set_state_dir(g->global.state_dir.ptr);
    }
    for (size_t i = 0; i < g->uses.count; i++) {
        check_use(&b, g->uses.items[i]);
    }
    if (mistakes->count == 0) {
        for (size_t i = 0; i < g->pool_count; i++) {
            attach_pool(&b, &g->pools[i]);
        }
        for (size_t i = 0; i < g->listener_count; i++) {
            attach_listener(&b, &g->listeners[i]);
        }
    }
    if (mistakes->count > 0) {
        generation_free(&g);
    }
    return g;
}

struct generation *generation_build(struct runtime *runtime, const char *path, bool open_sockets,
                                    struct mistakes *mistakes)
{
    return build_all(runtime, path, NULL, open_sockets, mistakes);
}

struct generation *generation_rebuild(struct runtime *runtime, const struct generation *from,
                                      struct mistakes *mistakes)
{
    return build_all(runtime, NULL, &from->tree, true, mistakes);
}
