/* SPDX-License-Identifier: MIT */
/*
 * A router: a table from the request's host to a pool. What is not in it is left to the next
 * router.
 */
#include <weir/weir.h>

#include <stdlib.h>

struct rule {
    struct weir_str host;
    struct weir_str pool;
};

struct conf {
    struct weir_list rules; /* of struct rule */
};

static const struct weir_option rule_rows[] = {
    WEIR_OPTION(struct rule, pool, STRING, NULL, WEIR_CONTEXT_ROUTE,
                WEIR_OPTION_REQUIRED | WEIR_OPTION_RELOADABLE, "The pool that serves this host."),
};
static const struct weir_options rule_options = WEIR_OPTIONS_TITLED(struct rule, rule_rows, host);
static const struct weir_option option_rows[] = {
    WEIR_OPTION_BLOCK(struct conf, rules, "host", &rule_options, WEIR_CONTEXT_MODULE,
                      WEIR_OPTION_RELOADABLE | WEIR_OPTION_FILTERS,
                      "A host, in lower case and without a port, and where its requests go."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, option_rows);

/* What conf_create prepares: all workers read it, and nobody writes it. */
struct target {
    struct weir_str host;
    weir_pool_ref pool;
    weir_route_ref route;
};
struct table {
    size_t count;
    struct target targets[];
};

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf_ptr, void **prepared)
{
    const struct conf *conf = conf_ptr;
    const struct rule *rules = conf->rules.items;
    struct table *table = calloc(1, sizeof(*table) + conf->rules.count * sizeof(table->targets[0]));

    if (table == NULL) {
        return WEIR_NO_MEMORY;
    }
    table->count = conf->rules.count;
    for (size_t i = 0; i < table->count; i++) {
        table->targets[i] = (struct target){
            .host = rules[i].host,
            .pool = weir_check_pool(ctx, check, &rules[i].pool),
            .route = weir_check_route(ctx, check, &rules[i].host, rules[i].host),
        };
    }
    *prepared = table;
    return WEIR_OK;
}

static void conf_free(struct weir_context *ctx, void *prepared)
{
    (void)ctx;
    free(prepared);
}

/* Without a hook `create` the instance is what was prepared. */
static enum weir_status route(struct weir_context *ctx, void *instance, struct weir_request *req,
                              struct weir_route_result *out)
{
    const struct table *table = instance;
    struct weir_str host = weir_request_host(req);

    (void)ctx;
    for (size_t i = 0; i < table->count; i++) {
        if (weir_str_equal(table->targets[i].host, host)) {
            out->pool = table->targets[i].pool;
            out->route = table->targets[i].route;
            return WEIR_OK;
        }
    }
    return WEIR_DECLINED;
}

/* Each rule with its verdict, for an operator who asks where a request would go. */
static void explain(struct weir_context *ctx, void *instance, struct weir_request *req,
                    const struct weir_rule_sink *sink)
{
    const struct table *table = instance;
    struct weir_str host = weir_request_host(req);

    (void)ctx;
    for (size_t i = 0; i < table->count; i++) {
        bool wins = weir_str_equal(table->targets[i].host, host);
        const struct weir_rule rule = {
            .size = sizeof(rule),
            .verdict = wins ? WEIR_RULE_WINS : WEIR_RULE_DIFFERS,
            .name = table->targets[i].host,
            .why = weir_str_of(wins ? "it is this host" : "host differs"),
            .route = table->targets[i].route,
        };
        weir_rule_tell(sink, &rule);
    }
}

static const struct weir_router router = {
    .size = sizeof(router),
    .route = route,
    .explain = explain,
};
WEIR_DEFINE_MODULE("route_host_table", "1.0", "MIT", "pools by host", .options = &options,
                   .conf_create = conf_create, .conf_free = conf_free, .router = &router);
