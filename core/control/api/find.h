/* SPDX-License-Identifier: MIT */
/*
 * Pools and servers of a generation by name, for reads and writes. Control thread.
 */
#ifndef CONTROL_API_FIND_H
#define CONTROL_API_FIND_H

#include "control/api/operation.h"
#include "proxy/runtime.h"

/* The target of a key "pool/id" or a path. */
struct found {
    struct pool_plan *plan;                 /* NULL: there is no such pool */
    struct server *server;                  /* NULL: it has no such server */
    size_t index;                           /* of the server in the plan */
    const struct server_settings *settings; /* likewise */
};

/* The pool's part of a key; a slash and the server's id follow. */
struct weir_str find_pool_name(const char *key);

struct found find_server(const struct generation *generation, struct weir_str pool,
                         struct weir_str id);
struct found find_by_key(const struct generation *generation, const char *key);

/* Those of the operation's path in the running generation; NULL: 404 is the answer. */
struct pool_plan *find_pool_of(struct operation *operation);
struct server *find_server_of(struct operation *operation, struct found *found);
/* The pool as the operation's author has read it (If-Match); NULL: 404 or 412 is the answer. */
struct pool_plan *find_matched_pool_of(struct operation *operation);

#endif
