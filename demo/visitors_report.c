/* SPDX-License-Identifier: MIT */
/* What people see of the visitors: the live line, and the table at the end. */
#include "visitors.h"

#include <inttypes.h>
#include <string.h>

static size_t bucket_of(uint64_t value_ns)
{
    if (value_ns < BUCKETS_PER_DOUBLING) {
        return (size_t)value_ns;
    }
    unsigned doubling = 63 - (unsigned)__builtin_clzll(value_ns); /* at least 4 */
    uint64_t part = (value_ns >> (doubling - 4)) - BUCKETS_PER_DOUBLING;
    return (doubling - 3) * BUCKETS_PER_DOUBLING + (size_t)part;
}

/* The middle of a bucket. */
static double bucket_ns(size_t bucket)
{
    if (bucket < BUCKETS_PER_DOUBLING) {
        return (double)bucket;
    }
    unsigned shift = (unsigned)(bucket / BUCKETS_PER_DOUBLING) - 1;
    double part = (double)(bucket % BUCKETS_PER_DOUBLING) + BUCKETS_PER_DOUBLING + 0.5;
    return part * (double)(UINT64_C(1) << shift);
}

void histogram_add(struct histogram *histogram, uint64_t value_ns)
{
    histogram->count++;
    histogram->buckets[bucket_of(value_ns)]++;
}

double histogram_ms(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)((double)histogram->count * share);
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > wanted || (seen > 0 && seen == histogram->count)) {
            return bucket_ns(i) / 1e6;
        }
    }
    return 0;
}

void report_second(struct world *world)
{
    if (!world->quiet) {
        printf("%4" PRIu64 " s %6" PRIu64 " req/s %5" PRIu64
               " failed   p50 %6.1f ms  p99 %6.1f ms ",
               (now_ns() - world->started_ns) / 1000000000, world->second_requests, world->failed,
               histogram_ms(&world->second_times, 0.5), histogram_ms(&world->second_times, 0.99));
        for (size_t i = 0; i < world->row_count; i++) {
            printf("  %s %" PRIu64, world->rows[i].name, world->rows[i].second_requests);
        }
        putchar('\n');
        fflush(stdout);
    }
    world->second_requests = 0;
    memset(&world->second_times, 0, sizeof world->second_times);
    for (size_t i = 0; i < world->row_count; i++) {
        world->rows[i].second_requests = 0;
    }
}

static void report_carts(const struct world *world)
{
    printf("carts: %" PRIu64 " times looked for, %" PRIu64 " orders, %" PRIu64
           " lost with their server, %" PRIu64 " lost while it lived (failures)\n",
           world->carts_checked, world->orders, world->carts_lost, world->carts_lost_alive);
    printf("connections: %" PRIu64, world->target.connections);
    if (world->target.tls) {
        printf(", %" PRIu64 " of them resumed a TLS session", world->target.resumed);
    }
    putchar('\n');
}

void report_end(struct world *world)
{
    printf("\n%-16s %10s %7s %8s %10s %10s %12s\n", "server", "requests", "share", "failed",
           "p50 ms", "p99 ms", "KiB");
    for (size_t i = 0; i < world->row_count; i++) {
        const struct server_row *row = &world->rows[i];
        printf("%-16s %10" PRIu64 " %6.1f%% %8" PRIu64 " %10.2f %10.2f %12" PRIu64 "\n", row->name,
               row->requests, 100.0 * (double)row->requests / (double)world->requests, row->failed,
               histogram_ms(&row->times, 0.5), histogram_ms(&row->times, 0.99), row->bytes / 1024);
    }
    report_carts(world);
    printf("visitors: %" PRIu64 " requests, %" PRIu64 " failed\n", world->requests, world->failed);
    fflush(stdout);
}
