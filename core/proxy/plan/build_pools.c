/* SPDX-License-Identifier: MIT */
/*
 * Pools of a plan: blocks become settings and uses.
 */
#include "http/up_conn.h"
#include "proxy/plan/build.h"

/* Names are resolved before the plan comes into force. */
static void check_probe_address(struct build *b, const struct probe_settings *probe)
{
    char error[256];
    struct address address;
    struct weir_str host;
    uint16_t port = 0;

    if (probe->address.len == 0) {
        return;
    }
    bool named = address_parse_name(probe->address, &host, &port);
    if (!named && !address_parse(&address, probe->address, error, sizeof(error))) {
        mistakes_add(b->mistakes, build_place_of(b, &probe->address), "%s", error);
    } else if (named ? port == 0
                     : address.u.any.sa_family != AF_UNIX && address_port(&address) == 0) {
        mistakes_add(b->mistakes, build_place_of(b, &probe->address),
                     "address: port 0 cannot be probed; write the port that answers probes");
    }
}

/* One `health` block: it probes, listens to outcomes, or both; the host has its own options for
 * each. */
static void build_health(struct build *b, struct pool_plan *plan, const struct conf_node *node,
                         struct weir_str name)
{
    struct use *use = build_begin_use(b, node, MODULE_HEALTH, name);
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
    build_fill_use(b, use, WEIR_CONTEXT_POOL, own, count);
    if (probe != NULL && plan->health != NULL) {
        mistakes_add(b->mistakes, node->place,
                     "pool \"%.*s\" is probed by health \"%.*s\" already; keep one "
                     "of the blocks",
                     STR_ARGS(name), STR_ARGS(plan->health->block->title.text));
        return;
    }
    if (probe != NULL) {
        check_probe_address(b, probe);
        plan->health = use;
        plan->probe = probe;
    }
    if (ops->on_outcomes != NULL) {
        bool first = plan->observers.count == 0;
        plan->max_ejected = first || passive.max_ejected < plan->max_ejected ? passive.max_ejected
                                                                             : plan->max_ejected;
        build_list_append(b, &plan->observers, use);
    }
}

/* The block, or the one that an operator has set. */
static const struct conf_node *balance_block(struct build *b, const struct conf_node *node,
                                             struct weir_str pool)
{
    const struct conf_node *set =
        b->input->balance != NULL ? b->input->balance(b->input->arg, &b->plan->arena, pool) : NULL;
    return set != NULL ? set : node;
}

static void build_pool_blocks(struct build *b, struct pool_plan *plan, const struct conf_node *node,
                              struct weir_str name)
{
    for (const struct conf_node *child = node->children; child != NULL; child = child->next) {
        struct use **single = NULL;
        const struct conf_node *block = child;
        enum module_kind kind = MODULE_FILTER;
        if (build_is_block(child, "balance")) {
            single = &plan->balance;
            kind = MODULE_BALANCER;
            block = balance_block(b, child, name);
        } else if (build_is_block(child, "shadow")) {
            single = &plan->shadow;
            kind = MODULE_BALANCER;
        } else if (build_is_block(child, "sticky")) {
            single = &plan->sticky;
            kind = MODULE_STICKY;
        } else if (build_is_block(child, "health")) {
            build_health(b, plan, child, name);
            continue;
        } else if (!build_is_block(child, "filter")) {
            continue;
        }
        if (single != NULL && *single != NULL) {
            mistakes_add(b->mistakes, child->place,
                         "pool \"%.*s\" has a second %.*s block; remove one", STR_ARGS(name),
                         STR_ARGS(child->name));
            continue;
        }
        struct use *use =
            build_use(b, block, kind, WEIR_CONTEXT_POOL, name, (struct conf_target){NULL, NULL});
        if (single != NULL) {
            *single = use;
        } else if (use != NULL) {
            build_list_append(b, &plan->filters, use);
        }
    }
    if (plan->balance == NULL && build_count_blocks(node, "balance") == 0) {
        mistakes_add(
            b->mistakes, node->place,
            "pool \"%.*s\" has no balance block; write for example: balance \"least_conn\" {}",
            STR_ARGS(name));
    }
}

/* The block with `resolve` of that id; NULL: there is none. */
static const struct server_settings *find_resolving(const struct pool_settings *settings,
                                                    struct weir_str id)
{
    const struct server_settings *servers = settings->servers.items;
    for (size_t i = 0; i < settings->servers.count; i++) {
        if (servers[i].resolve != RESOLVE_FIRST && str_equal(servers[i].id, id)) {
            return &servers[i];
        }
    }
    return NULL;
}

/* A server at one of the block's addresses is named BLOCK-ADDRESS:PORT: no other may have such a
 * name. */
static void check_id(struct build *b, const struct pool_settings *settings,
                     const struct server_settings *server)
{
    struct weir_str id = server->id;

    for (size_t at = 1; at + 1 < id.len && server->resolve == RESOLVE_FIRST; at++) {
        struct weir_str rest = {id.ptr + at + 1, id.len - at - 1};
        const struct server_settings *block = NULL;
        struct address address;
        char error[256];
        if (id.ptr[at] == '-' && memchr(rest.ptr, ':', rest.len) != NULL &&
            address_parse(&address, rest, error, sizeof(error))) {
            block = find_resolving(settings, (struct weir_str){id.ptr, at});
        }
        if (block != NULL) {
            mistakes_add(
                b->mistakes, build_place_of(b, &server->url),
                "server \"%.*s\" has the id that the server at %.*s of \"%.*s\" (resolve = "
                "%s) would have; give it another",
                STR_ARGS(id), STR_ARGS(rest), STR_ARGS(block->id),
                block->resolve == RESOLVE_SRV ? "srv" : "all");
        }
    }
}

void build_pool_servers(struct build *b, struct pool_plan *plan, SSL_CTX *tls)
{
    static const struct tls_server_conf defaults = {.verify = true};
    struct pool_settings *settings = (void *)(uintptr_t)plan->settings; /* writable, in the arena */
    size_t size = settings->configured.count * sizeof(struct server_settings);
    bool https = settings->tls.count > 0;

    settings->servers = settings->configured;
    if (size > 0) { /* changes do not reach the settings of the files */
        void *own = build_alloc(b, size);
        memcpy(own, settings->configured.items, size);
        settings->servers.items = own;
    }
    if (b->input->expand != NULL) {
        b->input->expand(b->input->arg, &b->plan->arena, settings);
    }
    const struct server_settings *servers = settings->servers.items;
    for (size_t i = 0; i < settings->servers.count; i++) {
        https = https || servers[i].url.tls;
    }
    if (tls != NULL) {
        SSL_CTX_up_ref(tls);
        plan->tls = tls;
    } else if (https) {
        plan->tls = tls_server_ctx_new(settings->tls.count > 0 ? settings->tls.items : &defaults,
                                       up_protocol_names((enum up_protocol)settings->protocol),
                                       build_place_for_tls, b, b->mistakes);
    }
}

static bool has_option(const struct conf_node *block, const char *name)
{
    for (const struct conf_node *node = block->children; node != NULL; node = node->next) {
        if (node->kind != CONF_BLOCK && str_equal(node->name, str_from(name))) {
            return true;
        }
    }
    return false;
}

/* The limit has two names: max_requests, and max_connections from before HTTP/2. */
static void settle_limit(struct build *b, struct server_settings *server)
{
    const struct conf_node *block = conf_block_of(b->plan->places, &server->id);

    if (block == NULL || !has_option(block, "max_requests")) {
        return;
    }
    if (has_option(block, "max_connections") && server->max_connections != server->max_requests) {
        mistakes_add(b->mistakes, build_place_of(b, &server->max_requests),
                     "`max_requests` and `max_connections` are the same limit, and differ; remove "
                     "`max_connections`");
    }
    server->max_connections = server->max_requests;
}

void build_pool(struct build *b, struct pool_plan *plan, const struct conf_node *node)
{
    static const char *const known[] = {"balance", "shadow", "sticky", "health", "filter", NULL};
    struct pool_settings *settings = build_alloc(b, sizeof(*settings));
    struct conf_target target = {&pool_options, settings};

    plan->owner = b->plan;
    plan->settings = settings;
    build_fill(b, node, WEIR_CONTEXT_GLOBAL, &target, 1, known, true);
    settings->name = node->title.text;
    table_add(&b->plan->pools_by_name, &plan->by_name, table_hash(settings->name));
    if (settings->name.len == 0) {
        mistakes_add(b->mistakes, node->place, "a pool needs a name: pool \"api_servers\" { ... }");
    }
    build_check_name(b, node->place, "pool", settings->name);
    if (settings->servers.count == 0 && build_count_blocks(node, "server") == 0) {
        mistakes_add(b->mistakes, node->place,
                     "pool \"%.*s\" has no server; write for example: server \"api-1\" { url = "
                     "\"http://127.0.0.1:3001\" }",
                     STR_ARGS(settings->name));
    }
    /* Writable, in the arena: filled just before. */
    struct server_settings *own = (void *)(uintptr_t)settings->servers.items;
    const struct server_settings *servers = own;
    for (size_t i = 0; i < settings->servers.count; i++) {
        struct address literal;
        if (own[i].resolve != RESOLVE_FIRST &&
            (own[i].url.host.len == 0 ||
             address_from_host(&literal, own[i].url.host, own[i].url.port))) {
            mistakes_add(b->mistakes, build_place_of(b, &own[i].url),
                         "`resolve` is for host names; \"%.*s\" has none",
                         STR_ARGS(own[i].url.text));
            own[i].resolve = RESOLVE_FIRST;
        }
        build_check_name(b, build_place_of(b, &own[i].id), "server", own[i].id);
        check_id(b, settings, &own[i]);
        own[i].file_weight = own[i].weight;
        settle_limit(b, &own[i]);
        own[i].file_max_connections = own[i].max_connections;
        if (servers[i].url.path.len > 1 && servers[i].url.port != 0) {
            mistakes_add(b->mistakes, build_place_of(b, &servers[i].url),
                         "the URL \"%.*s\" of a server cannot have a path; remove \"%.*s\"",
                         STR_ARGS(servers[i].url.text), STR_ARGS(servers[i].url.path));
        }
    }
    settings->configured = settings->servers;
    plan->watch = (struct tcp_watch){settings->tcp_keepalive, settings->tcp_user_timeout};
    plan->limits = (struct http_limits){.head = (uint32_t)settings->header_limit,
                                        .fields = 1000,
                                        .target = 1,
                                        .h2_streams = (uint32_t)settings->h2_streams,
                                        .h2_window = (uint32_t)settings->h2_window};
    build_pool_blocks(b, plan, node, settings->name);
    build_pool_servers(b, plan, NULL);
    plan->balancers = build_alloc(b, sizeof(*plan->balancers) * b->plan->loops);
    plan->canaries = build_alloc(b, sizeof(*plan->canaries) * b->plan->loops);
    plan->shadows = build_alloc(b, sizeof(*plan->shadows) * b->plan->loops);
}
