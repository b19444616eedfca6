/* SPDX-License-Identifier: MIT */
/*
 * Sums over loops and servers. See totals.h.
 */
#include "control/api/totals.h"

struct traffic totals_sum(struct totals totals)
{
    struct traffic sum = {0};
    for (unsigned i = 0; i < totals.loops; i++) {
        traffic_sum(&sum, totals_on(totals, i));
    }
    return sum;
}

struct traffic totals_counters(struct totals totals)
{
    struct traffic sum = {0};
    for (unsigned i = 0; i < totals.loops; i++) {
        traffic_sum_counters(&sum, totals_on(totals, i));
    }
    return sum;
}

uint64_t totals_requests(struct totals totals)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < totals.loops; i++) {
        sum += __atomic_load_n(&totals_on(totals, i)->requests, __ATOMIC_RELAXED);
    }
    return sum;
}

uint32_t totals_in_flight(const struct pool_plan *plan)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < plan->server_count; i++) {
        sum += totals_server_in_flight(plan->servers[i]);
    }
    return sum;
}

unsigned totals_servers_up(const struct pool_plan *plan)
{
    unsigned up = 0;
    for (size_t i = 0; i < plan->server_count; i++) {
        const struct server *server = plan->servers[i];
        up += server_is_well(server) && server->admin == ADMIN_READY;
    }
    return up;
}
