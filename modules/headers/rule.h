/* SPDX-License-Identifier: MIT */
/*
 * Rules: what a filter block says, checked and compiled. Made by conf_create, shared by all workers
 * and never changed.
 */
#ifndef HEADERS_RULE_H
#define HEADERS_RULE_H

#include "condition.h"
#include "template.h"

struct conf {
    struct weir_list path; /* of struct weir_str, as all lists here */
    struct weir_list method;
    int32_t scheme;
    struct weir_list status;
    struct weir_list request_set, request_add, request_remove;
    struct weir_list response_set, response_add, response_remove;
    struct weir_str strip_prefix, add_prefix;
    struct weir_str redirect;
    int64_t redirect_status;
};

enum { SCHEME_ANY, SCHEME_HTTP, SCHEME_HTTPS };
enum act { ACT_REMOVE, ACT_SET, ACT_ADD };

struct change {
    enum act act;
    struct weir_str name;
    struct compiled value;
};

struct changes {
    struct change *items; /* owned */
    size_t count;
};

/* Owner: who calls rule_new. */
struct rule {
    const struct conf *conf;
    struct changes request, response;
    struct status_range *statuses; /* owned; conf->status.count of them */
    struct compiled redirect;      /* empty: none */
};

/* A list's string. */
static inline struct weir_str str_at(const struct weir_list *list, size_t index)
{
    return ((const struct weir_str *)list->items)[index];
}

/* Tells mistakes by `check`. NULL: no memory. */
struct rule *rule_new(struct weir_context *ctx, struct weir_check *check, const struct conf *conf);
void rule_free(struct rule *rule);

#endif
