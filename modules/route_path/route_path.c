/* SPDX-License-Identifier: MIT */
/*
 * Routes requests by host and path to pools, or redirects them.
 *
 * The path of a request comes normalised from the host, and the rules' paths are brought into the
 * same form here, so that no way of writing a path gets round a rule. All is prepared once a
 * configuration and shared by the workers; a lookup allocates nothing.
 */
#include <weir/weir.h>

#include "route_path.h"

#include <stdlib.h>

/* ---- options ---- */

static const struct weir_option route_rows[] = {
    WEIR_OPTION(struct route_conf, pool, STRING, NULL, WEIR_CONTEXT_ROUTE,
                WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY, "The pool that gets the requests."),
    WEIR_OPTION(
        struct route_conf, redirect, STRING, NULL, WEIR_CONTEXT_ROUTE,
        WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
        "Where to send the client instead of to a pool. {host}, {path}, {rest} (what follows "
        "the route's own path) and {query} are filled in."),
    WEIR_OPTION_RANGE(struct route_conf, status, INTEGER, "302", "301", "308", WEIR_CONTEXT_ROUTE,
                      WEIR_OPTION_RELOADABLE, "Of the redirect: 301, 302, 303, 307 or 308."),
    WEIR_OPTION_LIST(
        struct route_conf, host, STRING, NULL, WEIR_CONTEXT_ROUTE, WEIR_OPTION_RELOADABLE,
        "Hosts that the route is for, without port; \"*.example\" stands for all names "
        "that end in \".example\". None: every host."),
    WEIR_OPTION(struct route_conf, exact, BOOLEAN, "off", WEIR_CONTEXT_ROUTE,
                WEIR_OPTION_RELOADABLE, "This path alone, and none below it."),
};

static const struct weir_options route_options =
    WEIR_OPTIONS_TITLED(struct route_conf, route_rows, path);

static const struct weir_option rows[] = {
    WEIR_OPTION_BLOCK(struct conf, routes, "route", &route_options, WEIR_CONTEXT_MODULE,
                      WEIR_OPTION_RELOADABLE | WEIR_OPTION_FILTERS,
                      "A rule. Its title is a path, which covers all that is below it, on whole "
                      "segments. The most specific rule decides: by host first, then by path. "
                      "filter \"NAME\" { } in it sees the requests that it takes."),
    WEIR_ROW_(struct conf, fallback, "default", WEIR_TYPE_STRING, (enum weir_option_type)0, NULL,
              NULL, NULL, WEIR_CONTEXT_MODULE, WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY, NULL,
              NULL,
              "The pool for requests that no route covers. None: the next router is asked, and 404 "
              "answered where there is none."),
};

static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

/* ---- prepared ---- */

/* State of conf_create. */
struct builder {
    struct weir_context *ctx;
    struct weir_check *check;
    const struct conf *conf;
    struct router *router;
    char *text;  /* the next free byte of router->text */
    char *name;  /* to write a route's name into */
    size_t keys; /* used of router->keys */
};

static size_t count_segments(struct weir_str path)
{
    size_t count = 0;
    struct weir_str segment;
    while (table_next_segment(&path, &segment)) {
        count++;
    }
    return count;
}

static const struct route_conf *route_at(const struct conf *conf, size_t index)
{
    return (const struct route_conf *)conf->routes.items + index;
}

static size_t append(char *to, size_t at, struct weir_str text)
{
    if (text.len > 0) {
        memcpy(to + at, text.ptr, text.len);
    }
    return at + text.len;
}

struct weir_str route_name(const struct route_conf *conf, struct weir_str path, char *buffer)
{
    const struct weir_str *hosts = conf->host.items;
    size_t len = 0;
    for (size_t i = 0; i < conf->host.count; i++) {
        if (i > 0) {
            buffer[len++] = ',';
        }
        len = append(buffer, len, hosts[i]);
    }
    len = append(buffer, len, path);
    if (conf->exact) {
        len = append(buffer, len, (struct weir_str)WEIR_STR_INIT(" (exact)"));
    }
    return (struct weir_str){buffer, len};
}

/* Adds the rule under one host. false: a rule has that key already, and both were told. */
static bool add_key(struct builder *b, const struct route_conf *conf, const struct table_key *key,
                    uint32_t index)
{
    uint32_t other = table_add(b->router->table, key, index);
    if (other == TABLE_NONE) {
        b->router->keys[b->keys++] = *key;
        b->router->rules[index].key_count++;
        return true;
    }
    const struct route_conf *first = route_at(b->conf, other);
    const char *host_is = key->host.len > 0 ? " for host " : "";
    const char *wildcard = key->wildcard ? "*." : "";
    if (other == index) {
        weir_check_error(b->ctx, b->check, &conf->host, "host \"%s%.*s\" stands here twice",
                         wildcard, (int)key->host.len, key->host.ptr);
        return false;
    }
    weir_check_error(b->ctx, b->check, &conf->path,
                     "route \"%.*s\"%s%s%.*s is the same rule as route \"%.*s\" before it: give it "
                     "another path or host, or remove one of them",
                     (int)conf->path.len, conf->path.ptr, host_is, wildcard, (int)key->host.len,
                     key->host.ptr, (int)first->path.len, first->path.ptr);
    weir_check_error(b->ctx, b->check, &first->path,
                     "route \"%.*s\" is repeated further down by route \"%.*s\"",
                     (int)first->path.len, first->path.ptr, (int)conf->path.len, conf->path.ptr);
    return false;
}

/* Adds the rule under each of its hosts. */
static bool add_keys(struct builder *b, const struct route_conf *conf, struct weir_str path,
                     uint32_t index)
{
    const struct weir_str *hosts = conf->host.items;
    struct table_key key = {.exact = conf->exact, .path = path};
    bool good = true;

    if (conf->host.count == 0) {
        return add_key(b, conf, &key, index);
    }
    for (size_t i = 0; i < conf->host.count; i++) {
        const char *wrong = table_host(hosts[i], b->text, &key.host, &key.wildcard);
        if (wrong != NULL) {
            weir_check_error(b->ctx, b->check, &conf->host, "host \"%.*s\": %s", (int)hosts[i].len,
                             hosts[i].ptr, wrong);
            good = false;
            continue;
        }
        b->text += key.host.len;
        good = add_key(b, conf, &key, index) && good;
    }
    return good;
}

static bool status_is_redirect(int64_t status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where the rule leads. false: out of memory; mistakes are told, and true. */
static bool build_target(struct builder *b, const struct route_conf *conf, struct rule *rule)
{
    if (conf->pool.len > 0 && conf->redirect.len > 0) {
        weir_check_error(b->ctx, b->check, &conf->redirect,
                         "route \"%.*s\" has both a pool and a redirect: leave out one of them",
                         (int)conf->path.len, conf->path.ptr);
        return true;
    }
    if (conf->pool.len > 0) {
        rule->pool = weir_check_pool(b->ctx, b->check, &conf->pool);
        return true;
    }
    if (conf->redirect.len == 0) {
        weir_check_error(b->ctx, b->check, &conf->path,
                         "route \"%.*s\" leads nowhere: give it pool = \"...\" or redirect = "
                         "\"...\"",
                         (int)conf->path.len, conf->path.ptr);
        return true;
    }
    if (!status_is_redirect(conf->status)) {
        weir_check_error(b->ctx, b->check, &conf->status,
                         "%lld is no redirect: 301, 302, 303, 307 or 308", (long long)conf->status);
    }
    rule->status = (uint32_t)conf->status;
    rule->redirect = calloc(1, sizeof(*rule->redirect));
    if (rule->redirect == NULL) {
        return false;
    }
    const char *wrong = redirect_parse(conf->redirect, rule->redirect);
    if (wrong != NULL) {
        weir_check_error(b->ctx, b->check, &conf->redirect, "redirect \"%.*s\": %s",
                         (int)conf->redirect.len, conf->redirect.ptr, wrong);
    }
    return true;
}

/* false: out of memory. */
static bool build_rule(struct builder *b, uint32_t index)
{
    const struct route_conf *conf = route_at(b->conf, index);
    struct rule *rule = &b->router->rules[index];
    struct weir_str path;
    const char *wrong = table_path(conf->path, b->text, &path);

    if (wrong != NULL) {
        weir_check_error(b->ctx, b->check, &conf->path, "route \"%.*s\": %s", (int)conf->path.len,
                         conf->path.ptr, wrong);
    } else {
        b->text += path.len;
        while (path.len > 1 && path.ptr[path.len - 1] == '/') {
            path.len--; /* "/api/" and "/api" are one rule, with one name */
        }
        rule->path = path;
        rule->segments = (uint32_t)count_segments(path);
        rule->first_key = (uint32_t)b->keys;
        if (add_keys(b, conf, path, index)) {
            rule->route =
                weir_check_route(b->ctx, b->check, &conf->path, route_name(conf, path, b->name));
        }
    }
    return build_target(b, conf, rule);
}

static void build_fallback(struct builder *b)
{
    struct router *router = b->router;
    struct weir_str name = WEIR_STR_INIT(DEFAULT_NAME);

    if (b->conf->fallback.len > 0) {
        router->fallback = (uint32_t)router->count++;
        router->rules[router->fallback] =
            (struct rule){.pool = weir_check_pool(b->ctx, b->check, &b->conf->fallback),
                          .route = weir_check_route(b->ctx, b->check, &b->conf->fallback, name)};
    }
}

/* Gets all memory that the rules need, by counting first. */
static bool reserve(struct builder *b)
{
    size_t hosts = 0;
    size_t segments = 0;
    size_t text = 1;
    size_t count = b->conf->routes.count;

    size_t name_size = sizeof(DEFAULT_NAME);
    for (size_t i = 0; i < count; i++) {
        const struct route_conf *conf = route_at(b->conf, i);
        const struct weir_str *names = conf->host.items;
        size_t keys = conf->host.count > 0 ? conf->host.count : 1;
        size_t name = 3 * conf->path.len + sizeof(" (exact)");
        text += 3 * conf->path.len;
        for (size_t j = 0; j < conf->host.count; j++) {
            text += 3 * names[j].len;
            name += names[j].len + 1;
        }
        hosts += keys;
        segments += keys * count_segments(conf->path);
        name_size = name > name_size ? name : name_size;
    }
    b->router->count = count;
    b->router->rules = calloc(count + 1, sizeof(*b->router->rules));
    b->router->text = b->text = malloc(text);
    b->router->table = table_new(hosts, segments);
    b->router->keys = calloc(hosts + 1, sizeof(*b->router->keys));
    b->router->name_size = name_size;
    b->name = malloc(name_size);
    return b->router->rules != NULL && b->text != NULL && b->router->table != NULL &&
           b->router->keys != NULL && b->name != NULL;
}

static void conf_free(struct weir_context *ctx, void *prepared)
{
    struct router *router = prepared;
    (void)ctx;
    for (size_t i = 0; router->rules != NULL && i < router->count; i++) {
        free(router->rules[i].redirect);
    }
    table_free(router->table);
    free(router->rules);
    free(router->keys);
    free(router->text);
    free(router);
}

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf, void **prepared)
{
    struct builder b = {.ctx = ctx, .check = check, .conf = conf};
    bool good;

    b.router = calloc(1, sizeof(*b.router));
    if (b.router == NULL) {
        return WEIR_NO_MEMORY;
    }
    b.router->conf = conf;
    b.router->fallback = TABLE_NONE;
    good = reserve(&b);
    for (uint32_t i = 0; good && i < b.conf->routes.count; i++) {
        b.router->rules[i].pool = WEIR_NO_REF;
        b.router->rules[i].route = WEIR_NO_REF;
        good = build_rule(&b, i);
    }
    free(b.name);
    if (!good) {
        conf_free(ctx, b.router);
        return WEIR_NO_MEMORY;
    }
    build_fallback(&b);
    *prepared = b.router;
    return WEIR_OK;
}

/* ---- requests ---- */

/* The one lookup: what decides, and what is told of it. */
static uint32_t find_rule(const struct router *router, struct weir_request *req)
{
    uint32_t index = table_find(router->table, weir_request_host(req), weir_request_path(req));
    return index != TABLE_NONE ? index : router->fallback;
}

static enum weir_status route(struct weir_context *ctx, void *instance, struct weir_request *req,
                              struct weir_route_result *out)
{
    const struct router *router = instance;
    uint32_t index = find_rule(router, req);
    (void)ctx;

    if (index == TABLE_NONE) {
        return WEIR_DECLINED;
    }
    const struct rule *rule = &router->rules[index];
    out->route = rule->route;
    out->pool = rule->pool;
    if (rule->redirect != NULL) {
        enum weir_status status =
            redirect_fill(rule->redirect, req, rule->segments, &out->location);
        if (status != WEIR_OK && status != WEIR_INVALID) {
            return status;
        }
        out->status = status == WEIR_OK ? rule->status : 400;
    }
    return WEIR_OK;
}

static void explain(struct weir_context *ctx, void *instance, struct weir_request *req,
                    const struct weir_rule_sink *sink)
{
    const struct router *router = instance;
    (void)ctx;
    explain_rules(router, req, find_rule(router, req), sink);
}

static const struct weir_router router = {
    .size = sizeof(struct weir_router),
    .route = route,
    .explain = explain,
};

WEIR_DEFINE_MODULE("route_path", "1.0", "MIT", "Routes by host and path, to pools or by redirects",
                   .options = &options, .conf_create = conf_create, .conf_free = conf_free,
                   .router = &router);
