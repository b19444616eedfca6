/* SPDX-License-Identifier: MIT */
/*
 * Sums over loops and servers. Control thread; workers go on counting.
 */
#ifndef CONTROL_API_TOTALS_H
#define CONTROL_API_TOTALS_H

#include "proxy/downstream/downstream.h"
#include "proxy/pool/server.h"
#include "proxy/runtime.h"

static inline uint32_t totals_server_in_flight(const struct server *server)
{
    return __atomic_load_n(&server->in_flight, __ATOMIC_RELAXED);
}

struct traffic totals_server(const struct server *server);
struct traffic totals_listener(const struct listener *listener);

/* Requests on the pool's servers. */
uint32_t totals_in_flight(const struct pool_plan *plan);
/* Healthy and ready servers. */
unsigned totals_servers_up(const struct pool_plan *plan);

#endif
