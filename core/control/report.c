/* SPDX-License-Identifier: MIT */
/*
 * Statistics in the log. See report.h.
 */
#include "control/report.h"

#include <stdio.h>

#include "base/log.h"
#include "control/api/totals.h"

static void write_line(const char *kind, const char *name, const struct traffic *t,
                       const char *rest)
{
    char errors[512] = "";
    size_t at = 0;

    for (unsigned i = 1; i < REASON_COUNT; i++) {
        if (t->errors[i] > 0 && at < sizeof(errors)) {
            struct weir_str word = reason_word((enum reason)i);
            int n = snprintf(errors + at, sizeof(errors) - at, " %.*s=%llu", STR_ARGS(word),
                             (unsigned long long)t->errors[i]);
            at += n > 0 ? (size_t)n : 0;
        }
    }
    log_write(WEIR_LOG_NOTICE, "statistics",
              "%s \"%s\": requests=%llu 1xx=%llu 2xx=%llu 3xx=%llu 4xx=%llu 5xx=%llu none=%llu "
              "bytes_in=%llu bytes_out=%llu connections=%llu retries=%llu connect_p50=%.3fms "
              "first_byte_p50=%.3fms p50=%.3fms p95=%.3fms p99=%.3fms%s%s",
              kind, name, (unsigned long long)t->requests, (unsigned long long)t->status[1],
              (unsigned long long)t->status[2], (unsigned long long)t->status[3],
              (unsigned long long)t->status[4], (unsigned long long)t->status[5],
              (unsigned long long)t->status[0], (unsigned long long)t->bytes_in,
              (unsigned long long)t->bytes_out, (unsigned long long)t->connections,
              (unsigned long long)t->retries, histogram_quantile_ms(&t->connect, 0.5),
              histogram_quantile_ms(&t->first_byte, 0.5), histogram_quantile_ms(&t->total, 0.5),
              histogram_quantile_ms(&t->total, 0.95), histogram_quantile_ms(&t->total, 0.99),
              errors, rest);
}

static void report_servers(const struct pool_plan *plan)
{
    for (size_t i = 0; i < plan->server_count; i++) {
        struct server *server = plan->servers[i];
        struct traffic total = totals_sum(TOTALS_OF(server));
        char name[256], rest[320], reason[sizeof(server->reason)];

        server_reason(server, reason, sizeof(reason));
        snprintf(rest, sizeof(rest), " in_flight=%u health=%s%s state=%s reason=\"%s\"",
                 totals_server_in_flight(server),
                 server_health_word((enum server_health)server->health),
                 server->ejected      ? " ejected=yes"
                 : server->no_address ? " address=none"
                                      : "",
                 server_admin_word((enum server_admin)server->admin), reason);
        snprintf(name, sizeof(name), "%s/%s", server->pool_name, server->name);
        write_line("server", name, &total, rest);
    }
}

void report_statistics(const struct generation *g)
{
    struct traffic total;
    char rest[64];

    for (size_t i = 0; g != NULL && i < g->plan->listener_count; i++) {
        total = totals_sum(TOTALS_OF(g->plan->listeners[i].listener));
        write_line("listener", g->plan->listeners[i].listener->name, &total, "");
    }
    for (size_t i = 0; g != NULL && i < g->plan->route_count; i++) {
        const struct route *route = g->plan->routes[i]->route;
        total = traffic_total(route->traffic, route->loops);
        write_line("route", route->name, &total, "");
    }
    for (size_t i = 0; g != NULL && i < g->plan->pool_count; i++) {
        const struct pool *pool = g->plan->pools[i].pool;
        total = pool_total(pool);
        snprintf(rest, sizeof(rest), " waiting=%u", pool->queue.waiting);
        write_line("pool", pool->name, &total, rest);
        report_servers(&g->plan->pools[i]);
    }
}
