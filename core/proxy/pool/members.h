/* SPDX-License-Identifier: MIT */
/*
 * The servers of a pool as one plan has it: found by what lives, or made, and looked up. Control
 * thread, but for looking up.
 */
#ifndef PROXY_POOL_MEMBERS_H
#define PROXY_POOL_MEMBERS_H

#include "proxy/plan/plan.h"
#include "proxy/pool/server.h"

/* Gives the plan, whose pool is set, the servers of its settings. `running`: the pool as the plan
 * of now has it; NULL: there is none. Where that is in force, a server that it lacks is a newcomer:
 * it shows that it is well first, and begins slowly. */
void members_attach(struct pool_plan *plan, const struct pool_plan *running, bool in_force);

/* Gives back what the plan has of what lives, but the pool. */
void members_detach(struct pool_plan *plan);

struct server *pool_plan_server(const struct pool_plan *plan, weir_server_id id);
/* The server of a name and its place in `servers` and in the settings; NULL: there is none. */
struct server *pool_plan_named(const struct pool_plan *plan, struct weir_str name, size_t *index);
/* The name that a server's certificate is to have, also its SNI; NULL: none (plain HTTP). */
const char *pool_plan_tls_name(const struct pool_plan *plan, const struct server *server);

#endif
