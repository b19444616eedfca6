/* SPDX-License-Identifier: MIT */
/* Rules: checking names, cutting templates. See rule.h. */
#include "rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* State of conf_create. */
struct builder {
    struct weir_context *ctx;
    struct weir_check *check;
    struct rule *rule;
    bool no_memory;
};

/* Why a field is not a rule's to change; NULL: it is. */
static const char *name_refused(struct weir_str name, bool request)
{
    static const char *const framing[] = {
        "Connection", "Content-Length", "HTTP2-Settings",    "Keep-Alive", "Proxy-Connection",
        "TE",         "Trailer",        "Transfer-Encoding", "Upgrade",
    };
    static const char *const own[] = {
        "Forwarded",
        "Host",
        "Via",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
    };
    if (!weir_is_token(name)) {
        return "is no field name; write \"Name: value\"";
    }
    for (size_t i = 0; i < sizeof(framing) / sizeof(framing[0]); i++) {
        if (weir_str_is_nocase(name, framing[i])) {
            return "frames the message or belongs to the connection; Weir alone writes it";
        }
    }
    for (size_t i = 0; request && i < sizeof(own) / sizeof(own[0]); i++) {
        if (weir_str_is_nocase(name, own[i])) {
            return "is written by Weir itself for servers; trusted_proxies of the listener says "
                   "whose word counts";
        }
    }
    return NULL;
}

static void build_change(struct builder *b, struct changes *changes, const struct weir_list *list,
                         size_t index, enum act act, bool request)
{
    struct change *change = &changes->items[changes->count];
    struct weir_str text = str_at(list, index), value = {"", 0};
    char error[512];

    change->act = act;
    change->name = weir_str_trim(text);
    if (act != ACT_REMOVE) {
        const char *colon = text.len > 0 ? memchr(text.ptr, ':', text.len) : NULL;
        size_t len = colon != NULL ? (size_t)(colon - text.ptr) : 0;
        change->name = (struct weir_str){text.ptr, len};
        value = (struct weir_str){text.ptr + len + 1, colon != NULL ? text.len - len - 1 : 0};
    }
    const char *wrong = name_refused(change->name, request);
    if (wrong != NULL) {
        struct weir_str shown = change->name.len > 0 ? change->name : text;
        weir_check_error(b->ctx, b->check, list, "\"%.*s\" %s", (int)shown.len, shown.ptr,
                         act == ACT_REMOVE && !weir_is_token(shown) ? "is no field name" : wrong);
        return;
    }
    changes->count++;
    wrong = template_compile(&change->value, weir_str_trim(value),
                             request ? TEMPLATE_REQUEST : TEMPLATE_RESPONSE, error, sizeof(error));
    if (wrong != NULL) {
        weir_check_error(b->ctx, b->check, list, "\"%.*s\": %s", (int)text.len, text.ptr, wrong);
    }
}

static void build_changes(struct builder *b, struct changes *changes, const struct weir_list *sets,
                          const struct weir_list *adds, const struct weir_list *removes,
                          bool request)
{
    size_t count = sets->count + adds->count + removes->count;

    if (count == 0) {
        return;
    }
    changes->items = calloc(count, sizeof(*changes->items));
    if (changes->items == NULL) {
        b->no_memory = true;
        return;
    }
    for (size_t i = 0; i < removes->count; i++) {
        build_change(b, changes, removes, i, ACT_REMOVE, request);
    }
    for (size_t i = 0; i < sets->count; i++) {
        build_change(b, changes, sets, i, ACT_SET, request);
    }
    for (size_t i = 0; i < adds->count; i++) {
        build_change(b, changes, adds, i, ACT_ADD, request);
    }
}

static void check_prefix(struct builder *b, const void *field, struct weir_str prefix)
{
    const char *wrong = prefix_check(prefix);
    if (wrong != NULL) {
        weir_check_error(b->ctx, b->check, field, "\"%.*s\": %s", (int)prefix.len, prefix.ptr,
                         wrong);
    }
}

static void build_conditions(struct builder *b)
{
    const struct conf *conf = b->rule->conf;

    for (size_t i = 0; i < conf->path.count; i++) {
        check_prefix(b, &conf->path, str_at(&conf->path, i));
    }
    for (size_t i = 0; i < conf->method.count; i++) {
        struct weir_str method = str_at(&conf->method, i);
        if (!weir_is_token(method)) {
            weir_check_error(b->ctx, b->check, &conf->method, "\"%.*s\" is no method",
                             (int)method.len, method.ptr);
        }
    }
    if (conf->status.count == 0) {
        return;
    }
    b->rule->statuses = calloc(conf->status.count, sizeof(*b->rule->statuses));
    if (b->rule->statuses == NULL) {
        b->no_memory = true;
        return;
    }
    for (size_t i = 0; i < conf->status.count; i++) {
        struct weir_str text = str_at(&conf->status, i);
        if (!status_parse(text, &b->rule->statuses[i])) {
            weir_check_error(b->ctx, b->check, &conf->status,
                             "status: \"%.*s\" is neither a status nor a range of them; write for "
                             "example \"404\" or \"200-299\"",
                             (int)text.len, text.ptr);
        }
    }
}

static void build_redirect(struct builder *b)
{
    const struct conf *conf = b->rule->conf;
    char error[512];

    if (conf->redirect.len == 0) {
        return;
    }
    const char *wrong = template_compile(&b->rule->redirect, conf->redirect, TEMPLATE_REDIRECT,
                                         error, sizeof(error));
    if (wrong != NULL) {
        weir_check_error(b->ctx, b->check, &conf->redirect, "redirect: \"%.*s\": %s",
                         (int)conf->redirect.len, conf->redirect.ptr, wrong);
    }
    if (conf->redirect_status > 303 && conf->redirect_status < 307) {
        weir_check_error(b->ctx, b->check, &conf->redirect_status,
                         "redirect_status: %d does not redirect; 301, 302, 303, 307 and 308 do",
                         (int)conf->redirect_status);
    }
}

void rule_free(struct rule *rule)
{
    struct changes *both[] = {&rule->request, &rule->response};

    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < both[i]->count; k++) {
            template_free(&both[i]->items[k].value);
        }
        free(both[i]->items);
    }
    template_free(&rule->redirect);
    free(rule->statuses);
    free(rule);
}

struct rule *rule_new(struct weir_context *ctx, struct weir_check *check, const struct conf *conf)
{
    struct rule *rule = calloc(1, sizeof(*rule));
    struct builder b = {ctx, check, rule, false};

    if (rule == NULL) {
        return NULL;
    }
    rule->conf = conf;
    build_conditions(&b);
    build_changes(&b, &rule->request, &conf->request_set, &conf->request_add, &conf->request_remove,
                  true);
    build_changes(&b, &rule->response, &conf->response_set, &conf->response_add,
                  &conf->response_remove, false);
    build_redirect(&b);
    if (conf->strip_prefix.len > 0) {
        check_prefix(&b, &conf->strip_prefix, conf->strip_prefix);
    }
    if (conf->add_prefix.len > 0) {
        check_prefix(&b, &conf->add_prefix, conf->add_prefix);
    }
    if (b.no_memory) {
        rule_free(rule);
        return NULL;
    }
    return rule;
}
