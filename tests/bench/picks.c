/* SPDX-License-Identifier: MIT */
/*
 * What a pick costs: loads balancer modules, and times pick, assignment and completion of a request
 * with 3, 100 and 10,000 servers, on one core. Balancers that leave the ranking to the host go
 * through its ranking, others are called; so older and newer modules compare. Nanoseconds a
 * request, the best of ten runs.
 *
 *     tests/bench/picks modules/built/balance_least_conn.so /old/balance_least_conn.so ...
 */
#include <weir/weir.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/pool/ranking.h"

#define MAX_SERVERS 10000u
#define RUNS        10u

/* As far apart as the core's, and with a line of its own for what requests write. */
struct server {
    uint32_t in_flight __attribute__((aligned(64)));
    uint32_t waiting, limit, latency_us;
    char rest[512];
};

/* Servers that the request has been tried on. */
struct tried {
    weir_server_id ids[12];
    uint8_t count;
};

struct stage {
    struct weir_pick pick;
    struct weir_candidates candidates;
    const struct weir_balancer *ops;
    struct weir_context ctx;
    void *instance;
    struct ranking *ranking; /* NULL: it picks itself */
    bool keeps_costs;
    struct tried tried;
    bool told;
    struct weir_candidate items[MAX_SERVERS];
    struct server *servers;
    uint32_t held[2 * MAX_SERVERS]; /* requests that stay */
    uint64_t random;
};

/* ---- a host, as far as balancers want one ---- */

static void host_random(struct weir_context *ctx, void *out, size_t len)
{
    (void)ctx;
    memset(out, 7, len);
}

static uint32_t host_worker_index(struct weir_context *ctx)
{
    (void)ctx;
    return 0;
}

static uint32_t host_worker_count(struct weir_context *ctx)
{
    (void)ctx;
    return 1;
}

static const struct weir_host host = {
    .size = sizeof(host),
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR,
    .random = host_random,
    .worker_index = host_worker_index,
    .worker_count = host_worker_count,
};

/* As pick.c has it. */
static bool usable(const struct weir_pick *pick, uint32_t index)
{
    struct stage *stage = (struct stage *)(void *)(uintptr_t)pick; /* its first member */
    if (index >= stage->candidates.count) {
        return false;
    }
    const struct server *server = &stage->servers[index];
    for (unsigned i = 0; i < stage->tried.count; i++) {
        if (stage->tried.ids[i] == stage->items[index].id) {
            return false;
        }
    }
    if (server->limit > 0 &&
        (__atomic_load_n(&server->in_flight, __ATOMIC_RELAXED) >= server->limit ||
         __atomic_load_n(&server->waiting, __ATOMIC_RELAXED) > 0)) {
        return false;
    }
    stage->told = true;
    return true;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- a request ---- */

static uint32_t begin(struct stage *stage)
{
    const struct weir_balancer *ops = stage->ops;
    uint32_t index;

    if (stage->ranking != NULL) {
        index = ranking_pick(stage->ranking, &stage->pick);
    } else {
        stage->told = false;
        index = ops->pick(&stage->ctx, stage->instance, &stage->pick);
        if (index == WEIR_PICK_NONE || !usable(&stage->pick, index)) { /* as the host does */
            abort();
        }
    }
    __atomic_fetch_add(&stage->servers[index].in_flight, 1, __ATOMIC_SEQ_CST);
    if (ops->on_assign != NULL) {
        ops->on_assign(&stage->ctx, stage->instance, index);
    }
    if (stage->keeps_costs) {
        ranking_changed(stage->ranking, index);
    }
    return index;
}

static void end(struct stage *stage, uint32_t index)
{
    const struct weir_balancer *ops = stage->ops;

    __atomic_fetch_sub(&stage->servers[index].in_flight, 1, __ATOMIC_SEQ_CST);
    if (ops->on_complete != NULL) {
        struct weir_feedback feedback = {.size = sizeof(feedback),
                                         .index = index,
                                         .id = stage->items[index].id,
                                         .status = 200,
                                         .total_ns = 1000000};
        ops->on_complete(&stage->ctx, stage->instance, &feedback);
    }
    if (stage->keeps_costs) {
        ranking_changed(stage->ranking, index);
    }
}

/* ---- the measurement ---- */

static void members(struct stage *stage, uint32_t count)
{
    memset(stage->servers, 0, sizeof(*stage->servers) * MAX_SERVERS);
    for (uint32_t i = 0; i < count; i++) {
        stage->items[i] = (struct weir_candidate){.id = i + 1,
                                                  .weight = WEIR_WEIGHT_ONE * (1 + i % 4),
                                                  .in_flight = &stage->servers[i].in_flight,
                                                  .latency_us = &stage->servers[i].latency_us};
    }
    stage->candidates = (struct weir_candidates){.size = sizeof(stage->candidates),
                                                 .candidate_size = sizeof(struct weir_candidate),
                                                 .count = count,
                                                 .first = stage->items};
    if (stage->ops->on_members != NULL) {
        stage->ops->on_members(&stage->ctx, stage->instance, &stage->candidates);
    }
    if (stage->ranking != NULL) {
        ranking_set_members(stage->ranking, &stage->candidates);
        stage->keeps_costs = ranking_keeps_costs(stage->ranking);
    }
}

/* One after the other, or with two requests a server under way, of which any ends for each that
 * begins. */
static double run(struct stage *stage, uint32_t count, bool busy)
{
    uint32_t requests = 200000, held = busy ? 2 * count : 0;
    double best = 1e9;

    members(stage, count);
    for (uint32_t i = 0; i < held; i++) {
        stage->held[i] = begin(stage);
    }
    for (uint32_t run = 0; run < RUNS; run++) {
        uint64_t start = now_ns();
        for (uint32_t i = 0; i < requests; i++) {
            uint32_t index = begin(stage);
            if (busy) {
                stage->random = stage->random * UINT64_C(6364136223846793005) + 1;
                uint32_t which = (uint32_t)((stage->random >> 33) % held);
                uint32_t other = stage->held[which];
                stage->held[which] = index;
                index = other;
            }
            end(stage, index);
        }
        double each = (double)(now_ns() - start) / requests;
        best = each < best ? each : best;
    }
    return best;
}

static bool load(struct stage *stage, const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library != NULL ? dlsym(library, WEIR_MODULE_ENTRY) : NULL;
    weir_module_entry_fn entry;
    static struct weir_balancer ops;

    memcpy(&entry, &symbol, sizeof(entry));
    if (symbol == NULL || entry()->balancer == NULL) {
        fprintf(stderr, "picks: %s is no balancer's module\n", path);
        return false;
    }
    const struct weir_balancer *given = entry()->balancer;
    ops = (struct weir_balancer){0};
    memcpy(&ops, given, given->size < sizeof(ops) ? given->size : sizeof(ops));
    stage->ops = &ops;
    stage->ctx.host = &host;
    stage->instance = NULL;
    if (ops.create != NULL && ops.create(&stage->ctx, NULL, NULL, &stage->instance) != WEIR_OK) {
        return false;
    }
    ranking_free(&stage->ranking);
    stage->keeps_costs = false;
    if (ops.pick == NULL) {
        struct ranking_policy policy = {
            .cost = ops.cost, .ctx = &stage->ctx, .instance = stage->instance};
        stage->ranking = ranking_new(0, 1);
        ranking_set_policy(stage->ranking, &policy);
    }
    return true;
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[] = {3, 16, 64, 100, 1000, 10000};
    struct stage *stage = calloc(1, sizeof(*stage));

    if (argc < 2 || stage == NULL) {
        fprintf(stderr, "usage: picks MODULE.so ...\n");
        return 2;
    }
    stage->servers = aligned_alloc(64, sizeof(*stage->servers) * MAX_SERVERS);
    stage->pick = (struct weir_pick){
        .size = sizeof(stage->pick), .candidates = &stage->candidates, .usable = usable};
    if (stage->servers == NULL) {
        return 2;
    }
    printf("| module | servers | idle, ns | busy, ns |\n|---|---|---|---|\n");
    for (int i = 1; i < argc; i++) {
        if (!load(stage, argv[i])) {
            return 1;
        }
        for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
            printf("| %s | %u | %.0f | %.0f |\n", argv[i], sizes[k], run(stage, sizes[k], false),
                   run(stage, sizes[k], true));
        }
    }
    return 0;
}
