/* SPDX-License-Identifier: MIT */
/*
 * File descriptors. See descriptors.h.
 */
#include "proxy/descriptors.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "net/conn.h"
#include "proxy/generation.h"

#define OWN    32u
#define A_LOOP 8u

/* One of so many is kept back, within these bounds. */
#define RESERVE_SHARE 8u
#define RESERVE_LEAST 8u
#define RESERVE_MOST  1024u

uint64_t descriptors_limit(void)
{
    struct rlimit limit;
    bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    return known ? (uint64_t)limit.rlim_cur : UINT64_MAX;
}

uint64_t descriptors_own(unsigned loops)
{
    return OWN + (uint64_t)(A_LOOP + conn_linger_most()) * loops;
}

/* `part` of what is kept back is kept back here. */
static int all_but(uint64_t part)
{
    uint64_t limit = descriptors_limit();
    uint64_t kept = limit / RESERVE_SHARE;

    kept = kept < RESERVE_LEAST ? RESERVE_LEAST : kept > RESERVE_MOST ? RESERVE_MOST : kept;
    kept /= part;
    return limit > kept && limit - kept <= INT32_MAX ? (int)(limit - kept) : 0;
}

int descriptors_for_clients(void)
{
    return all_but(1);
}

int descriptors_for_servers(void)
{
    return all_but(2);
}

/* Connections to servers at once: no more than there are clients, or than the servers' limits allow. */
static uint64_t to_servers(const struct generation *generation, uint64_t clients)
{
    uint64_t most = 0;

    for (size_t i = 0; i < generation->pool_count; i++) {
        const struct pool_plan *plan = &generation->pools[i];
        for (size_t k = 0; k < plan->server_count; k++) {
            uint32_t limit = plan->servers[k]->max_connections;
            if (limit == 0) {
                return clients;
            }
            most += limit;
        }
    }
    return most < clients ? most : clients;
}

static uint64_t probed(const struct generation *generation)
{
    uint64_t count = 0;

    for (size_t i = 0; i < generation->pool_count; i++) {
        count += generation->pools[i].health != NULL ? generation->pools[i].server_count : 0;
    }
    return count;
}

bool descriptors_are_short(const struct generation *generation, char *out, size_t size)
{
    uint64_t limit = descriptors_limit();
    uint64_t own = descriptors_own(generation->loops) + probed(generation);
    uint64_t clients = 0;
    const char *raise = "raise the limit of open files (`ulimit -n`, LimitNOFILE= of the unit)";

    for (size_t i = 0; i < generation->listener_count; i++) {
        /* The others take what is there. */
        clients += (uint64_t)generation->listeners[i].settings->connection_limit;
    }
    uint64_t servers = to_servers(generation, clients);
    if (clients > 0 && own + clients + servers > limit) {
        snprintf(out, size,
                 "%" PRIu64 " connections of clients (connection_limit) and %" PRIu64
                 " to servers can need %" PRIu64 " file descriptors, and there are %" PRIu64
                 "; %s, or lower connection_limit",
                 clients, servers, own + clients + servers, limit, raise);
        return true;
    }
    if (own + 2 * RESERVE_LEAST > limit) {
        snprintf(out, size,
                 "%u workers and probes of %" PRIu64 " servers can need %" PRIu64
                 " file descriptors before the first client comes, and there are %" PRIu64 "; %s",
                 generation->loops - 1, probed(generation), own, limit, raise);
        return true;
    }
    return false;
}
