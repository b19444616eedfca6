/* SPDX-License-Identifier: MIT */
/*
 * The servers of a pool in one plan: live ones are found, new ones created. Control thread, except
 * for lookups.
 */
#ifndef PROXY_POOL_MEMBERS_H
#define PROXY_POOL_MEMBERS_H

#include "proxy/plan/plan.h"
#include "proxy/pool/server.h"

/* Gives the plan, whose pool is set, the servers of its settings. `running`: the pool in the
 * running plan; NULL: not there. A server that the running plan lacks is a newcomer: it awaits its
 * first probe and starts slowly. */
void members_attach(struct pool_plan *plan, const struct pool_plan *running, bool in_force);

/* Drops the plan's references to live objects, except the pool. */
void members_detach(struct pool_plan *plan);

struct server *pool_plan_server(const struct pool_plan *plan, weir_server_id id);
/* The server with the name and its index in `servers` and the settings; NULL: there is none. */
struct server *pool_plan_named(const struct pool_plan *plan, struct weir_str name, size_t *index);
/* The name to verify in a server's certificate and to send as SNI; NULL: none (plain HTTP). */
const char *pool_plan_tls_name(const struct pool_plan *plan, const struct server *server);

#endif
