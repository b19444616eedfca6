/* SPDX-License-Identifier: MIT */
/*
 * Listeners of a generation: first their blocks become plans; once no mistake is left, the plans get the
 * listeners that live already, or new ones, and their sockets are opened.
 */
#include <stdlib.h>
#include <sys/resource.h>

#include "proxy/client.h"
#include "proxy/generation_build.h"

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

void build_listener(struct build *b, struct listener_plan *plan, const struct conf_node *node)
{
    static const char *const known[] = {"handler", "filter", NULL};
    struct listener_settings *settings = build_alloc(b, sizeof(*settings));
    struct conf_target target = {&listener_options, settings};

    plan->generation = b->generation;
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
    build_trusted(b, plan);
    build_request_id(b, settings);
    plan->connection_limit = listener_connections(b, settings);
    if (settings->proxy_protocol != PROXY_PROTOCOL_OFF && settings->trusted_proxies.count == 0) {
        mistakes_add(b->mistakes, build_place_of(b, &settings->proxy_protocol),
                     "proxy_protocol believes trusted_proxies, and none are set; write for example "
                     "trusted_proxies = {\"10.0.0.0/8\"}");
    }
    const struct tls_listener_conf *tls = settings->tls.count > 0 ? settings->tls.items : NULL;
    if (tls != NULL) {
        plan->tls = tls_listener_new(tls, build_place_for_tls, b, b->mistakes);
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
        .lame_duck_ns = settings->lame_duck,
        .handshake_timeout_ns = tls != NULL ? tls->handshake_timeout : settings->header_timeout,
        .body_limit = settings->body_limit,
    };
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
        mistakes_add(b->mistakes, build_place_of(b, &settings->bind), "%s", error);
        return;
    }
    char *end = NULL;
    unsigned long mode = strtoul(settings->socket_mode.ptr, &end, 8);
    if (end == settings->socket_mode.ptr || *end != '\0' || mode > 0777) {
        mistakes_add(b->mistakes, build_place_of(b, &settings->socket_mode),
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
        mistakes_add(b->mistakes, build_place_of(b, &settings->bind), "%s", error);
        return;
    }
    plan->sockets[plan->socket_count++] = socket;
}

void build_attach_listener(struct build *b, struct listener_plan *plan)
{
    size_t count = plan->settings->bind.count;
    plan->listener = listener_find(b, plan->settings->name);
    plan->sockets = build_alloc(b, count * sizeof(struct listen_socket *));
    for (size_t i = 0; i < count; i++) {
        open_socket(b, plan, i);
    }
}
