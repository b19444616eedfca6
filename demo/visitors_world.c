/* SPDX-License-Identifier: MIT */
/* What all visitors know together: the shop's processes, the counts, and what people see of
 * them. */
#include "visitors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COMPLAINTS_TOLD = 20 };

/* A process that is silent for this long after a cart was lost counts as gone. Any process that
 * lives is heard of far sooner, by another visitor. */
static const uint64_t gone_ns = UINT64_C(1000000000);

/* ---- times ---- */

static void histogram_add(struct histogram *histogram, uint64_t ns)
{
    histogram->count++;
    histogram->buckets[(size_t)(16 * log2((double)ns + 1))]++;
}

/* The middle of the bucket where that share of the times is below. */
static double histogram_ms(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)((double)histogram->count * share), seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > wanted || (seen > 0 && seen == histogram->count)) {
            return exp2(((double)i + 0.5) / 16) / 1e6;
        }
    }
    return 0;
}

/* ---- processes ---- */

static struct process *process_of(struct world *world, const char *name, const char *instance)
{
    struct process *at = world->processes;
    name = *name != '\0' ? name : "(none)";
    while (at < world->processes + world->process_count &&
           (strncmp(at->name, name, sizeof at->name - 1) != 0 ||
            strncmp(at->instance, instance, sizeof at->instance - 1) != 0)) {
        at++;
    }
    if (at == world->processes + PROCESS_LIMIT) {
        return at - 1; /* too many died and came back: they are told of as the latest one */
    }
    if (at == world->processes + world->process_count) {
        world->process_count++;
        snprintf(at->name, sizeof at->name, "%s", name);
        snprintf(at->instance, sizeof at->instance, "%s", instance);
    }
    return at;
}

/* The carts that were lost while their process lives. */
static void lost_alive(struct world *world, struct process *process, const char *why)
{
    fprintf(stderr, "%s %s: %" PRIu64 " lost cart(s) fail\n", process->name, why,
            process->lost_pending);
    world->failed += process->lost_pending;
    world->carts_lost_alive += process->lost_pending;
    process->failed += process->lost_pending;
    process->lost_pending = 0;
}

size_t world_count(struct world *world, const char *name, const char *instance, uint64_t began_ns,
                   size_t bytes)
{
    uint64_t time_ns = now_ns() - began_ns;
    pthread_mutex_lock(&world->lock);
    struct process *by = process_of(world, name, instance);
    world->requests++;
    world->second_requests++;
    histogram_add(&world->second_times, time_ns);
    by->requests++;
    by->second_requests++;
    by->bytes += bytes;
    histogram_add(&by->times, time_ns);
    if (by->lost_pending > 0 && began_ns > by->lost_first_ns) {
        lost_alive(world, by, "lives, and carts that it keeps were asked for elsewhere");
    }
    pthread_mutex_unlock(&world->lock);
    return (size_t)(by - world->processes);
}

void world_fail(struct world *world, size_t process, unsigned visitor, const char *what,
                const char *why)
{
    pthread_mutex_lock(&world->lock);
    world->failed++;
    world->processes[process].failed++;
    if (world->complaints++ < COMPLAINTS_TOLD) {
        fprintf(stderr, "visitor %u: %s: %s (served by %s)%s\n", visitor, what, why,
                world->processes[process].name,
                world->complaints == COMPLAINTS_TOLD ? "; more are counted, not told" : "");
    }
    pthread_mutex_unlock(&world->lock);
}

void world_lose_cart(struct world *world, size_t process)
{
    struct process *keeper = &world->processes[process];
    pthread_mutex_lock(&world->lock);
    if (keeper->lost_pending++ == 0) {
        keeper->lost_first_ns = now_ns();
    }
    pthread_mutex_unlock(&world->lock);
}

void world_settle(struct world *world)
{
    for (size_t i = 0; i < world->process_count; i++) {
        struct process *process = &world->processes[i];
        if (process->lost_pending > 0 && now_ns() - process->lost_first_ns < gone_ns) {
            lost_alive(world, process, "may be gone, but it is too late to tell");
        }
        world->carts_lost += process->lost_pending;
    }
}

/* ---- what people see ---- */

void report_second(struct world *world)
{
    pthread_mutex_lock(&world->lock);
    if (!world->quiet) {
        printf("%4" PRIu64 " s %6" PRIu64 " req/s %5" PRIu64
               " failed   p50 %6.1f ms  p99 %6.1f ms ",
               (now_ns() - world->started_ns) / 1000000000, world->second_requests, world->failed,
               histogram_ms(&world->second_times, 0.5), histogram_ms(&world->second_times, 0.99));
        for (size_t i = 0; i < world->process_count; i++) {
            if (world->processes[i].second_requests > 0) {
                printf("  %s %" PRIu64, world->processes[i].name,
                       world->processes[i].second_requests);
            }
        }
        putchar('\n');
        fflush(stdout);
    }
    world->second_requests = 0;
    memset(&world->second_times, 0, sizeof world->second_times);
    for (size_t i = 0; i < world->process_count; i++) {
        world->processes[i].second_requests = 0;
    }
    pthread_mutex_unlock(&world->lock);
}

void report_end(struct world *world)
{
    printf("\n%-16s %10s %7s %8s %10s %10s %12s\n", "server", "requests", "share", "failed",
           "p50 ms", "p99 ms", "KiB");
    for (size_t i = 0; i < world->process_count; i++) {
        const struct process *row = &world->processes[i];
        printf("%-16s %10" PRIu64 " %6.1f%% %8" PRIu64 " %10.2f %10.2f %12" PRIu64 "\n", row->name,
               row->requests, 100.0 * (double)row->requests / (double)world->requests, row->failed,
               histogram_ms(&row->times, 0.5), histogram_ms(&row->times, 0.99), row->bytes / 1024);
    }
    printf("carts: %llu times looked for, %llu orders, %" PRIu64 " lost with their server, %" PRIu64
           " lost while it lived (failures)\n",
           world->carts_checked, world->orders, world->carts_lost, world->carts_lost_alive);
    printf("connections: %llu, %llu of them resumed a TLS session\n", world->connections,
           world->resumed);
    printf("visitors: %" PRIu64 " requests, %" PRIu64 " failed\n", world->requests, world->failed);
    fflush(stdout);
}
