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

/* What the loops count of a server, listener or pool. */
struct totals {
    const struct traffic *first;
    size_t stride;
    unsigned loops;
};
#define TOTALS_OF(of) ((struct totals){&(of)->locals->traffic, sizeof(*(of)->locals), (of)->loops})

/* One loop's. */
static inline const struct traffic *totals_on(struct totals totals, unsigned loop)
{
    return (const struct traffic *)(const void *)((const char *)totals.first +
                                                  loop * totals.stride);
}

struct traffic totals_sum(struct totals totals);
/* Without the histograms: less to read. */
struct traffic totals_counters(struct totals totals);
/* Of the requests alone: even less. */
uint64_t totals_requests(struct totals totals);

/* Requests on the pool's servers. */
uint32_t totals_in_flight(const struct pool_plan *plan);
/* Healthy and ready servers. */
unsigned totals_servers_up(const struct pool_plan *plan);

#endif
