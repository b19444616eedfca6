/* SPDX-License-Identifier: MIT */
/*
 * What a configuration of routes becomes. Made by route_path.c, then only read, by any number of
 * threads.
 */
#ifndef ROUTE_PATH_H
#define ROUTE_PATH_H

#include <weir/weir.h>

#include "redirect.h"
#include "table.h"

#define DEFAULT_NAME "default" /* of the rule for what no route covers */

struct route_conf {
    struct weir_str path; /* the block's title */
    struct weir_str pool;
    struct weir_str redirect;
    struct weir_list host; /* of struct weir_str */
    int64_t status;
    bool exact;
};

struct conf {
    struct weir_list routes; /* of struct route_conf */
    struct weir_str fallback;
};

struct rule {
    weir_pool_ref pool; /* WEIR_NO_REF: it redirects */
    weir_route_ref route;
    uint32_t status;
    uint32_t first_key, key_count; /* among the router's; the default has none */
    uint32_t segments;             /* of its path */
    struct weir_str path;          /* normalised */
    struct redirect *redirect;     /* owned; NULL: none */
};

struct router {
    const struct conf *conf; /* the generation's */
    struct table *table;
    struct rule *rules; /* one a route block; and the default's, if any, at the end */
    size_t count;
    uint32_t fallback; /* TABLE_NONE: none */
    struct table_key *keys;
    char *text;       /* the memory of all normalised hosts and paths */
    size_t name_size; /* of the longest route's name */
};

/* A route's name for statistics: "/api", "shop.example,*.example/api", "/api (exact)". `buffer` has
 * name_size bytes. */
struct weir_str route_name(const struct route_conf *conf, struct weir_str path, char *buffer);

/* Tells the rules that the request met on its way to `winner` (TABLE_NONE: none fits). See
 * explain.c. */
void explain_rules(const struct router *router, struct weir_request *req, uint32_t winner,
                   const struct weir_rule_sink *sink);

#endif
