/* SPDX-License-Identifier: MIT */
/*
 * Pools and servers by name. See find.h.
 */
#include "control/api/find.h"

#include <stdlib.h>

#include "control/api/plane.h"
#include "control/api/show.h"

struct weir_str find_pool_name(const char *key)
{
    const char *slash = strrchr(key, '/');
    return (struct weir_str){key, slash != NULL ? (size_t)(slash - key) : strlen(key)};
}

struct found find_server(const struct generation *generation, struct weir_str pool,
                         struct weir_str id)
{
    struct found found = {.plan = plan_pool(generation->plan, pool)};

    if (found.plan != NULL) {
        found.server = pool_plan_named(found.plan, id, &found.index);
    }
    if (found.server != NULL) {
        found.settings = found.plan->settings->servers.items;
        found.settings += found.index;
    }
    return found;
}

struct found find_by_key(const struct generation *generation, const char *key)
{
    struct weir_str pool = find_pool_name(key);
    return find_server(generation, pool, str_from(key + pool.len + (key[pool.len] == '/')));
}

struct pool_plan *find_pool_of(struct operation *operation)
{
    const char *name = operation->params[0];
    struct pool_plan *plan = plan_pool(operation->plane->runtime->current->plan, str_from(name));
    if (plan == NULL) {
        operation_problem(operation, 404, "there is no pool \"%s\"", name);
    }
    return plan;
}

struct server *find_server_of(struct operation *operation, struct found *found)
{
    *found = find_server(operation->plane->runtime->current, str_from(operation->params[0]),
                         str_from(operation->params[1]));
    if (found->plan == NULL) {
        find_pool_of(operation); /* says so */
    } else if (found->server == NULL) {
        operation_problem(operation, 404, "the pool \"%s\" has no server \"%s\"",
                          operation->params[0], operation->params[1]);
    }
    return found->server;
}

struct pool_plan *find_matched_pool_of(struct operation *operation)
{
    struct pool_plan *plan = find_pool_of(operation);
    char *tag = plan != NULL ? show_pool_tag(operation->plane, plan) : NULL;
    bool matches = tag != NULL && operation_matches(operation, tag);

    free(tag);
    return matches ? plan : NULL;
}
