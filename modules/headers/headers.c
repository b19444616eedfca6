/* SPDX-License-Identifier: MIT */
/*
 * Sets, adds and removes fields of requests and responses; redirects; takes a path's prefix away or
 * puts another in its place. Each filter block is one rule, with its conditions.
 *
 * All is compiled once a configuration: names are checked, templates cut into pieces. What would
 * frame a message or belongs to a connection is refused there, and again by the host.
 */
#include <stdio.h>
#include <weir/weir.h>

#include "rule.h"

/* ---- options ---- */

static const char *const schemes[] = {"any", "http", "https", NULL};

#define HERE (WEIR_CONTEXT_LISTENER | WEIR_CONTEXT_ROUTE | WEIR_CONTEXT_POOL)

static const struct weir_option rows[] = {
    WEIR_OPTION_LIST(struct conf, path, STRING, NULL, HERE,
                     WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                     "Only for these paths and what is below them, on whole segments. None: all."),
    WEIR_OPTION_LIST(struct conf, method, STRING, NULL, HERE,
                     WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                     "Only for these methods. None: all."),
    WEIR_OPTION_ENUM(struct conf, scheme, schemes, "any", HERE, WEIR_OPTION_RELOADABLE,
                     "Only for requests that came in this way."),
    WEIR_OPTION_LIST(struct conf, status, STRING, NULL, HERE,
                     WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                     "The response's fields change only with these statuses: \"404\", \"200-299\". "
                     "None: all."),
    WEIR_OPTION_LIST(struct conf, request_set, STRING, NULL, HERE,
                     WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                     "Fields that the server gets, \"Name: value\", in the place of those of that "
                     "name. Variables in braces are filled in."),
    WEIR_OPTION_LIST(struct conf, request_add, STRING, NULL, HERE,
                     WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                     "Fields that the server gets besides those of that name."),
    WEIR_OPTION_LIST(struct conf, request_remove, STRING, NULL, HERE,
                     WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                     "Names of fields that the server does not get."),
    WEIR_OPTION_LIST(struct conf, response_set, STRING, NULL, HERE,
                     WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                     "Fields that the client gets, in the place of those of that name."),
    WEIR_OPTION_LIST(struct conf, response_add, STRING, NULL, HERE,
                     WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                     "Fields that the client gets besides those of that name."),
    WEIR_OPTION_LIST(struct conf, response_remove, STRING, NULL, HERE,
                     WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                     "Names of fields that the client does not get."),
    WEIR_OPTION(
        struct conf, strip_prefix, STRING, NULL, HERE,
        WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
        "Is taken away from the start of the path, on whole segments, before the request is "
        "routed (in a listener) and sent. Other paths stay as they are."),
    WEIR_OPTION(struct conf, add_prefix, STRING, NULL, HERE,
                WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                "Is put before the path; with strip_prefix, in the place of that."),
    WEIR_OPTION(struct conf, redirect, STRING, NULL, HERE,
                WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                "Answers by sending the client elsewhere: \"https://{host}{path}{query}\"."),
    WEIR_OPTION_RANGE(struct conf, redirect_status, INTEGER, "302", "301", "308", HERE,
                      WEIR_OPTION_RELOADABLE, "Of the redirect: 301, 302, 303, 307 or 308."),
};

static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

/* ---- configuration ---- */

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf, void **prepared)
{
    *prepared = rule_new(ctx, check, conf);
    return *prepared != NULL ? WEIR_OK : WEIR_NO_MEMORY;
}

static void conf_free(struct weir_context *ctx, void *prepared)
{
    (void)ctx;
    rule_free(prepared);
}

/* ---- conditions ---- */

/* What a rule found out about a request, while its path was what the client sent; in the
 * request's slot, one after the other for all rules of this module. */
struct verdict {
    struct verdict *next;
    const struct rule *rule;
    bool holds;
    struct weir_str rest;
};

static bool path_holds(const struct rule *rule, const struct weir_request *req,
                       struct weir_str *rest)
{
    const struct weir_list *paths = &rule->conf->path;
    struct weir_str path = weir_request_path(req);

    *rest = path.len > 0 && path.ptr[0] == '/' ? path : (struct weir_str){"", 0};
    for (size_t i = 0; i < paths->count; i++) {
        if (prefix_matches(str_at(paths, i), path, rest)) {
            return true;
        }
    }
    return paths->count == 0;
}

static bool request_holds(const struct rule *rule, const struct weir_request *req,
                          struct weir_str *rest)
{
    const struct conf *conf = rule->conf;
    struct weir_str method = weir_request_method(req);
    bool listed = conf->method.count == 0;

    for (size_t i = 0; i < conf->method.count && !listed; i++) {
        listed = weir_str_equal(str_at(&conf->method, i), method);
    }
    if (conf->scheme != SCHEME_ANY) {
        struct weir_str scheme = weir_request_str(req, WEIR_REQUEST_SCHEME);
        listed = listed && (scheme.len == 5) == (conf->scheme == SCHEME_HTTPS);
    }
    return path_holds(rule, req, rest) && listed;
}

/* Without memory the verdict is not kept, and is reached again later. */
static void remember(struct weir_context *ctx, const struct rule *rule, struct weir_request *req,
                     bool holds, struct weir_str rest)
{
    void **slot = weir_request_slot(req, ctx);
    struct verdict *verdict = weir_request_alloc(req, sizeof(*verdict));

    if (verdict != NULL) {
        *verdict = (struct verdict){*slot, rule, holds, weir_request_copy(req, rest)};
        *slot = verdict;
    }
}

static bool recall(struct weir_context *ctx, const struct rule *rule, struct weir_request *req,
                   struct weir_str *rest)
{
    for (const struct verdict *v = *weir_request_slot(req, ctx); v != NULL; v = v->next) {
        if (v->rule == rule) {
            *rest = v->rest;
            return v->holds;
        }
    }
    return request_holds(rule, req, rest);
}

static bool status_holds(const struct rule *rule, uint32_t status)
{
    for (size_t i = 0; i < rule->conf->status.count; i++) {
        if (status >= rule->statuses[i].low && status <= rule->statuses[i].high) {
            return true;
        }
    }
    return rule->conf->status.count == 0;
}

/* ---- requests ---- */

static enum weir_status change_request(const struct change *change,
                                       const struct template_source *source)
{
    struct weir_str value;

    if (change->act == ACT_REMOVE) {
        weir_request_remove_header(source->req, change->name);
        return WEIR_OK;
    }
    enum weir_status status = template_fill(&change->value, source, &value);
    if (status != WEIR_OK) {
        return status;
    }
    if (value.len == 0 && change->value.has_variables) { /* nothing to say */
        if (change->act == ACT_SET) {
            weir_request_remove_header(source->req, change->name);
        }
        return WEIR_OK;
    }
    return change->act == ACT_SET ? weir_request_set_header(source->req, change->name, value)
                                  : weir_request_add_header(source->req, change->name, value);
}

static enum weir_status change_path(const struct conf *conf, struct weir_request *req)
{
    struct weir_str prefix = conf->add_prefix, path = weir_request_path(req), rest = path;

    if (path.len == 0 || path.ptr[0] != '/' || (prefix.len == 0 && conf->strip_prefix.len == 0)) {
        return WEIR_OK;
    }
    if (conf->strip_prefix.len > 0 && !prefix_matches(conf->strip_prefix, path, &rest)) {
        return WEIR_OK;
    }
    while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/' && rest.len > 0) {
        prefix.len--;
    }
    size_t len = prefix.len + rest.len;
    if (len == 0) {
        return weir_request_set_path(req, (struct weir_str)WEIR_STR_INIT("/"));
    }
    char *text = weir_request_alloc(req, len);
    if (text == NULL) {
        return WEIR_NO_MEMORY;
    }
    if (prefix.len > 0) {
        memcpy(text, prefix.ptr, prefix.len);
    }
    if (rest.len > 0) {
        memcpy(text + prefix.len, rest.ptr, rest.len);
    }
    return weir_request_set_path(req, (struct weir_str){text, len});
}

/* The target and the status. */
static enum weir_status make_redirect(const struct rule *rule, const struct template_source *source,
                                      struct weir_str *location, uint32_t *code)
{
    bool no_host = weir_request_host(source->req).len == 0;
    bool absolute = rule->conf->redirect.ptr[0] != '/';

    *code = (uint32_t)rule->conf->redirect_status;
    if (no_host && absolute && strstr(rule->conf->redirect.ptr, "{host}") != NULL) {
        *code = 400; /* an address without a host would lead nowhere */
    }
    return template_fill(&rule->redirect, source, location);
}

static enum weir_status answer_redirect(const struct rule *rule,
                                        const struct template_source *source)
{
    struct weir_field location = {WEIR_STR_INIT("Location"), {NULL, 0}};
    uint32_t code = 0;
    enum weir_status status = make_redirect(rule, source, &location.value, &code);

    if (status != WEIR_OK) {
        return status;
    }
    status = weir_reply_begin(source->req, code, &location, code != 400 ? 1 : 0, 0);
    if (status == WEIR_OK) {
        weir_reply_end(source->req);
        return WEIR_DONE;
    }
    return status;
}

static enum weir_status change(const struct rule *rule, const struct template_source *source)
{
    for (size_t i = 0; i < rule->request.count; i++) {
        enum weir_status status = change_request(&rule->request.items[i], source);
        if (status != WEIR_OK) {
            return status;
        }
    }
    return change_path(rule->conf, source->req);
}

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    const struct rule *rule = instance;
    struct template_source source = {.req = req};
    bool holds = request_holds(rule, req, &source.rest);

    if (rule->response.count > 0) {
        remember(ctx, rule, req, holds, source.rest);
    }
    if (!holds) {
        return WEIR_OK;
    }
    return rule->redirect.count > 0 ? answer_redirect(rule, &source) : change(rule, &source);
}

static enum weir_status explain(struct weir_context *ctx, void *instance, struct weir_request *req,
                                struct weir_filter_verdict *verdict)
{
    const struct rule *rule = instance;
    struct template_source source = {.req = req};
    struct weir_str before = weir_request_path(req);
    (void)ctx;

    if (!request_holds(rule, req, &source.rest)) {
        return WEIR_OK;
    }
    if (rule->redirect.count > 0) {
        return make_redirect(rule, &source, &verdict->location, &verdict->status);
    }
    enum weir_status status = change(rule, &source);
    struct weir_str after = weir_request_path(req);
    if (!weir_str_equal(after, before)) {
        snprintf(verdict->why, sizeof(verdict->why), "the path becomes %.*s", (int)after.len,
                 after.ptr);
    } else if (rule->request.count > 0) {
        snprintf(verdict->why, sizeof(verdict->why), "changes fields of the request");
    }
    return status;
}

/* ---- responses ---- */

static enum weir_status change_response(const struct change *change, struct weir_response *resp,
                                        const struct template_source *source)
{
    struct weir_str value;

    if (change->act == ACT_REMOVE) {
        weir_response_remove_header(resp, change->name);
        return WEIR_OK;
    }
    enum weir_status status = template_fill(&change->value, source, &value);
    if (status != WEIR_OK) {
        return status;
    }
    if (value.len == 0 && change->value.has_variables) {
        if (change->act == ACT_SET) {
            weir_response_remove_header(resp, change->name);
        }
        return WEIR_OK;
    }
    return change->act == ACT_SET ? weir_response_set_header(resp, change->name, value)
                                  : weir_response_add_header(resp, change->name, value);
}

static void on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp)
{
    const struct rule *rule = instance;
    struct template_source source = {.req = req, .resp = resp};

    if (rule->response.count == 0 || !status_holds(rule, weir_response_status(resp)) ||
        !recall(ctx, rule, req, &source.rest)) {
        return;
    }
    for (size_t i = 0; i < rule->response.count; i++) {
        if (change_response(&rule->response.items[i], resp, &source) != WEIR_OK) {
            /* Operators rely on it: no response is better than one without. */
            weir_reply_abort(req);
            return;
        }
    }
}

/* ---- descriptor ---- */

static const struct weir_filter filter_kind = {
    .size = sizeof(filter_kind),
    .on_request = on_request,
    .on_response = on_response,
    .explain = explain,
};

WEIR_DEFINE_MODULE("headers", "1.0", "MIT", "Changes fields and paths, and redirects",
                   .options = &options, .conf_create = conf_create, .conf_free = conf_free,
                   .filter = &filter_kind);
