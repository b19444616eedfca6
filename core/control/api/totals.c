/* SPDX-License-Identifier: MIT */
/*
 * Sums over loops and servers. See totals.h.
 */
#include "control/api/totals.h"

struct traffic totals_server(const struct server *server)
{
    struct traffic total = {0};
    for (unsigned i = 0; i < server->loops; i++) {
        traffic_sum(&total, &server->locals[i].traffic);
    }
    return total;
}

struct traffic totals_listener(const struct listener *listener)
{
    struct traffic total = {0};
    for (unsigned i = 0; i < listener->loops; i++) {
        traffic_sum(&total, &listener->locals[i].traffic);
    }
    return total;
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
