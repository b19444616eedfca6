/* SPDX-License-Identifier: MIT */
/*
 * File descriptors. See descriptors.h.
 */
#include "proxy/plan/descriptors.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/conn.h"
#include "proxy/plan/plan.h"

#define OWN    32u
#define A_LOOP 8u

/* One in this many is kept back, within these bounds. */
#define RESERVE_SHARE 8u
#define RESERVE_LEAST 16u
#define RESERVE_MOST  1024u

#define PROBES_SHARE 8u
#define PROBES_LEAST 64u

/* Entries of the kernel's table, eight bytes each, that are there from the start. */
#define TABLE_MOST 65536u

uint64_t descriptors_limit(void)
{
    struct rlimit limit;
    bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    return known ? (uint64_t)limit.rlim_cur : UINT64_MAX;
}

void descriptors_raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* The table grows by doubling, and where there are threads, the one that needs the next place waits
 * until all processors have passed (expand_files and synchronize_rcu in Linux): ten milliseconds in
 * which a worker stands still. It never shrinks. */
void descriptors_widen_table(void)
{
    uint64_t limit = descriptors_limit();
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int most = (int)(limit < TABLE_MOST ? limit : TABLE_MOST);
    int last = fd != -1 ? fcntl(fd, F_DUPFD_CLOEXEC, most - 1) : -1;

    if (last != -1) {
        close(last);
    }
    if (fd != -1) {
        close(fd);
    }
}

uint64_t descriptors_own(unsigned loops)
{
    return OWN + (uint64_t)(A_LOOP + conn_linger_most()) * loops;
}

uint64_t descriptors_for_probes(void)
{
    uint64_t share = descriptors_limit() / PROBES_SHARE;
    return share > PROBES_LEAST ? share : PROBES_LEAST;
}

struct descriptors_kept descriptors_keep_back(void)
{
    uint64_t limit = descriptors_limit();
    int lowest = dup(STDERR_FILENO);
    uint64_t kept = limit / RESERVE_SHARE;

    if (lowest != -1) {
        close(lowest);
    }
    if (lowest == -1 || limit > INT32_MAX) {
        return (struct descriptors_kept){0, 0};
    }
    kept = kept < RESERVE_LEAST ? RESERVE_LEAST : kept > RESERVE_MOST ? RESERVE_MOST : kept;
    uint64_t half = (limit - (uint64_t)lowest) / 2;
    kept = kept < half ? kept : half;
    return (struct descriptors_kept){(int)(limit - kept), (int)(limit - kept / 2)};
}

/* Concurrent connections to servers: at most one per client, and what the servers' limits allow. */
static uint64_t to_servers(const struct plan *plan, uint64_t clients)
{
    uint64_t most = 0;

    for (size_t i = 0; i < plan->pool_count; i++) {
        const struct weir_list *list = &plan->pools[i].settings->servers;
        const struct server_settings *servers = list->items;
        for (size_t k = 0; k < list->count; k++) {
            if (servers[k].max_connections == 0) {
                return clients;
            }
            most += (uint64_t)servers[k].max_connections;
        }
    }
    return most < clients ? most : clients;
}

static uint64_t probed(const struct plan *plan)
{
    uint64_t count = 0;

    for (size_t i = 0; i < plan->pool_count; i++) {
        count += plan->pools[i].health != NULL ? plan->pools[i].settings->servers.count : 0;
    }
    return count < descriptors_for_probes() ? count : descriptors_for_probes();
}

bool descriptors_are_short(const struct plan *plan, char *out, size_t size)
{
    uint64_t limit = descriptors_limit();
    uint64_t own = descriptors_own(plan->loops) + probed(plan);
    uint64_t clients = 0;
    const char *raise = "raise the limit of open files (`ulimit -n`, LimitNOFILE= of the unit)";

    for (size_t i = 0; i < plan->listener_count; i++) {
        /* The others take what is left. */
        clients += (uint64_t)plan->listeners[i].settings->connection_limit;
    }
    uint64_t servers = to_servers(plan, clients);
    if (clients > 0 && own + clients + servers > limit) {
        snprintf(out, size,
                 "%" PRIu64 " connections of clients (connection_limit) and %" PRIu64
                 " to servers can need %" PRIu64 " file descriptors, and there are %" PRIu64
                 "; %s, or lower connection_limit",
                 clients, servers, own + clients + servers, limit, raise);
        return true;
    }
    if (own + RESERVE_LEAST > limit) {
        snprintf(out, size,
                 "%u workers and %" PRIu64 " probes at once can need %" PRIu64
                 " file descriptors before the first client comes, and there are %" PRIu64 "; %s",
                 plan->loops - 1, probed(plan), own, limit, raise);
        return true;
    }
    return false;
}

uint32_t descriptors_for_listener(unsigned loops)
{
    uint64_t limit = descriptors_limit();
    uint64_t own = descriptors_own(loops);

    if (limit / 2 > UINT32_MAX / 2) {
        return UINT32_MAX / 2;
    }
    return limit > own + 16 ? (uint32_t)((limit - own) / 2) : 8;
}
