/* SPDX-License-Identifier: MIT */
/*
 * Listeners of a plan: blocks become settings, addresses and uses.
 */
#include <stdlib.h>

#include "net/listener.h"
#include "proxy/plan/build.h"
#include "proxy/plan/descriptors.h"

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
                b->mistakes, build_place_of(b, list),
                "\"%.*s\" is not a network; write for example 10.0.0.0/8, 2001:db8::/32 or "
                "unix",
                STR_ARGS(texts[i]));
        }
    }
}

/* Refuses fields that frame or route a message, and Weir's own. */
static void build_request_id(struct build *b, const struct listener_settings *settings)
{
    struct weir_str name = settings->request_id_header;
    enum field_id id = name.len > 0 ? field_id_of(name) : FIELD_OTHER;

    if (name.len > 0 &&
        (!field_name_valid(name) || (id != FIELD_OTHER && id != FIELD_X_REQUEST_ID))) {
        mistakes_add(b->mistakes, build_place_of(b, &settings->request_id_header),
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
        mistakes_add(b->mistakes, build_place_of(b, &settings->path),
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
    bool handler = build_is_block(node, "handler");
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
        build_list_append(b, &plan->filters, use);
    }
}

/* Parses addresses; one that is malformed has no length. */
static void build_addresses(struct build *b, struct listener_plan *plan)
{
    const struct listener_settings *settings = plan->settings;
    const struct weir_str *texts = settings->bind.items;
    char *end = NULL;

    plan->addresses = build_alloc(b, settings->bind.count * sizeof(*plan->addresses));
    for (size_t i = 0; i < settings->bind.count; i++) {
        char error[512];
        if (!address_parse(&plan->addresses[i], texts[i], error, sizeof(error))) {
            mistakes_add(b->mistakes, listener_plan_place(plan, i), "bind: %s", error);
            plan->addresses[i].len = 0;
        }
    }
    unsigned long mode = strtoul(settings->socket_mode.ptr, &end, 8);
    if (end == settings->socket_mode.ptr || *end != '\0' || mode > 0777) {
        mistakes_add(b->mistakes, build_place_of(b, &settings->socket_mode),
                     "socket_mode: \"%s\" is not a file mode; write for example 0660",
                     settings->socket_mode.ptr);
    }
    plan->socket_mode = (unsigned)mode;
}

void build_listener(struct build *b, struct listener_plan *plan, const struct conf_node *node)
{
    static const char *const known[] = {"handler", "filter", NULL};
    struct listener_settings *settings = build_alloc(b, sizeof(*settings));
    struct conf_target target = {&listener_options, settings};

    plan->owner = b->plan;
    plan->settings = settings;
    build_fill(b, node, WEIR_CONTEXT_GLOBAL, &target, 1, known, true);
    settings->name = node->title.text;
    if (settings->name.len == 0) {
        mistakes_add(b->mistakes, node->place,
                     "a listener needs a name: listener \"public\" { ... }");
    }
    build_check_name(b, node->place, "listener", settings->name);
    plan->handlers = build_alloc(b, build_count_blocks(node, "handler") * sizeof(*plan->handlers));
    for (const struct conf_node *child = node->children; child != NULL; child = child->next) {
        if (build_is_block(child, "filter") || build_is_block(child, "handler")) {
            build_listener_use(b, plan, child);
        }
    }
    build_addresses(b, plan);
    build_trusted(b, plan);
    build_request_id(b, settings);
    plan->watch = (struct tcp_watch){settings->tcp_keepalive, settings->tcp_user_timeout};
    plan->connection_limit = settings->connection_limit > 0
                                 ? (uint32_t)settings->connection_limit
                                 : descriptors_for_listener(b->plan->loops);
    if (settings->proxy_protocol != PROXY_PROTOCOL_OFF && settings->trusted_proxies.count == 0) {
        mistakes_add(b->mistakes, build_place_of(b, &settings->proxy_protocol),
                     "proxy_protocol believes trusted_proxies, and none are set; write for example "
                     "trusted_proxies = {\"10.0.0.0/8\"}");
    }
    const struct tls_listener_conf *tls = settings->tls.count > 0 ? settings->tls.items : NULL;
    if (tls != NULL) {
        plan->tls = tls_listener_new(tls, &down_protocols, build_place_for_tls, b, b->mistakes);
    }
    plan->http = (struct down_conf){
        .limits = {.head = (uint32_t)settings->header_limit,
                   .fields = (uint32_t)settings->header_count_limit,
                   .target = (uint32_t)settings->target_limit},
        .header_timeout_ns = settings->header_timeout,
        .body_timeout_ns = settings->body_timeout,
        .body_rate = settings->body_rate,
        .body_rate_period_ns = settings->body_rate_period,
        .idle_timeout_ns = settings->idle_timeout,
        .lame_duck_ns = settings->lame_duck,
        .abort_on_close = settings->abort_on_close,
        .handshake_timeout_ns = tls != NULL ? tls->handshake_timeout : settings->header_timeout,
        .body_limit = settings->body_limit,
        .h2c = settings->h2c && tls == NULL,
        .h2_streams = (uint32_t)settings->h2_streams,
        .h2_window = (uint32_t)settings->h2_window,
        .abuse_limit = (uint32_t)settings->abuse_limit,
    };
}

/* ---- addresses ---- */

static bool is_local(const struct address *address)
{
    return address->u.any.sa_family == AF_UNIX;
}

/* The addresses that an earlier `bind` takes for itself. */
static bool check_overlap(struct build *b, const struct listener_plan *plan, size_t index)
{
    const struct address *address = &plan->addresses[index];

    for (const struct listener_plan *other = b->plan->listeners; other <= plan; other++) {
        size_t count = other == plan ? index : other->settings->bind.count;
        for (size_t k = 0; k < count; k++) {
            if (other->addresses[k].len == 0 || !address_overlaps(&other->addresses[k], address)) {
                continue;
            }
            const struct weir_str *texts = plan->settings->bind.items;
            const struct weir_str *others = other->settings->bind.items;
            struct place place = listener_plan_place(other, k);
            if (is_local(address) || address_equal(&other->addresses[k], address)) {
                mistakes_add(b->mistakes, listener_plan_place(plan, index),
                             "bind: listener \"%.*s\" has %.*s already, at %s:%u; take one of them "
                             "away",
                             STR_ARGS(other->settings->name), STR_ARGS(others[k]), place.file,
                             place.line);
            } else {
                mistakes_add(b->mistakes, listener_plan_place(plan, index),
                             "bind: %.*s and %.*s of listener \"%.*s\", at %s:%u, have one port, "
                             "and one of them is all addresses; take one away",
                             STR_ARGS(texts[index]), STR_ARGS(others[k]),
                             STR_ARGS(other->settings->name), place.file, place.line);
            }
            return false;
        }
    }
    return true;
}

void build_check_binds(struct build *b)
{
    bool strangers = !b->input->check_only || b->input->running;
    char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];

    for (size_t i = 0; i < b->plan->listener_count; i++) {
        const struct listener_plan *plan = &b->plan->listeners[i];
        for (size_t k = 0; k < plan->settings->bind.count; k++) {
            const struct address *address = &plan->addresses[k];
            char error[512];
            if (address->len == 0 || !check_overlap(b, plan, k) ||
                (b->input->listens != NULL && b->input->listens(b->input->arg, plan, address)) ||
                (is_local(address) &&
                 listen_run_folder(address->u.un.sun_path, folder, sizeof(folder)) &&
                 build_is_given(b, folder))) {
                continue;
            }
            if (!listen_socket_check(address, strangers, error, sizeof(error))) {
                mistakes_add(b->mistakes, listener_plan_place(plan, k), "bind: %s", error);
            }
        }
    }
}
