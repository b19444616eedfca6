/* SPDX-License-Identifier: MIT */
/*
 * What a pick costs: loads balancer modules, and times pick, assignment and completion of a request
 * with 3 to 10,000 servers, on one core; and a change of the members. Balancers that leave the
 * ranking to the host go through its ranking, others are called; so older and newer modules
 * compare. Nanoseconds a request and microseconds a change, the best of ten runs; and of a busy
 * request the part that is the pick, by the processor's counter, the median of the runs.
 *
 *     tests/bench/picks modules/built/balance_least_conn.so /old/balance_least_conn.so ...
 */
#include <weir/weir.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "option/option_value.h"
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
    struct weir_candidate items[MAX_SERVERS]
        __attribute__((aligned(64))); /* as the core has them */
    struct server *servers;
    struct weir_request request;
    void *conf, *prepared, *memory, *slots; /* of this module */
    size_t slot_step;
    struct held {
        uint32_t server;
        uint64_t sent_ns;
    } held[2 * MAX_SERVERS]; /* requests that stay */
    uint64_t random;
    uint64_t picking; /* ticks */
};

/* ---- a host, as far as balancers want one ---- */

static void host_random(struct weir_context *ctx, void *out, size_t len)
{
    (void)ctx;
    memset(out, 7, len);
}

/* Read once a turn of the loop, which deals with some requests. */
static uint64_t requests_ended;

static uint64_t host_now_ns(struct weir_context *ctx)
{
    (void)ctx;
    return (requests_ended / 4 + 1) * 100000;
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

/* Requests are of many clients, in turn. */
#define CLIENTS 65536u
static char clients[CLIENTS][16];
static uint32_t client;

static struct weir_peer host_request_peer(const struct weir_request *req)
{
    (void)req;
    return (struct weir_peer){weir_str_of(clients[client]), 40000};
}

static const struct weir_host host = {
    .size = sizeof(host),
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR,
    .now_ns = host_now_ns,
    .random = host_random,
    .worker_index = host_worker_index,
    .worker_count = host_worker_count,
    .request_peer = host_request_peer,
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

/* Of the processor's counter; 0 where there is none. */
static uint64_t ticks(void)
{
#if defined(__x86_64__)
    unsigned where;
    return __rdtscp(&where);
#else
    return 0;
#endif
}

/* ---- a request ---- */

static struct held begin(struct stage *stage)
{
    const struct weir_balancer *ops = stage->ops;
    uint32_t index;

    client = (client + 1) % CLIENTS;
    uint64_t begun = ticks();
    if (stage->ranking != NULL) {
        index = ranking_pick(stage->ranking, &stage->pick);
    } else {
        stage->told = false;
        index = ops->pick(&stage->ctx, stage->instance, &stage->pick);
        if (index == WEIR_PICK_NONE || !usable(&stage->pick, index)) { /* as the host does */
            abort();
        }
    }
    stage->picking += ticks() - begun;
    __atomic_fetch_add(&stage->servers[index].in_flight, 1, __ATOMIC_SEQ_CST);
    if (ops->on_sent != NULL) {
        ops->on_sent(&stage->ctx, stage->instance, &stage->items[index]);
    } else if (ops->on_assign != NULL) {
        ops->on_assign(&stage->ctx, stage->instance, index);
    }
    if (stage->keeps_costs) {
        ranking_changed(stage->ranking, index);
    }
    return (struct held){index, host_now_ns(NULL)};
}

static void end(struct stage *stage, struct held held)
{
    const struct weir_balancer *ops = stage->ops;
    uint32_t index = held.server;
    struct weir_feedback feedback = {.size = sizeof(feedback),
                                     .index = index,
                                     .id = stage->items[index].id,
                                     .slot = stage->items[index].slot,
                                     .status = 200,
                                     .first_byte_ns =
                                         host_now_ns(NULL) - held.sent_ns + 100000 + index};

    requests_ended++;
    if (ops->on_head != NULL) {
        ops->on_head(&stage->ctx, stage->instance, &feedback);
        if (stage->keeps_costs) {
            ranking_changed(stage->ranking, index);
        }
    }
    feedback.total_ns = feedback.first_byte_ns;
    __atomic_fetch_sub(&stage->servers[index].in_flight, 1, __ATOMIC_SEQ_CST);
    if (ops->on_complete != NULL) {
        ops->on_complete(&stage->ctx, stage->instance, &feedback);
    }
    if (stage->keeps_costs) {
        ranking_changed(stage->ranking, index);
    }
}

/* ---- a module with its defaults ---- */

static void *keep_alloc(struct option_alloc *alloc, size_t len)
{
    (void)alloc;
    return calloc(1, len);
}

/* The option struct of an empty block. */
static void *defaults(const struct weir_options *table)
{
    struct option_alloc alloc = {keep_alloc};
    char error[OPTION_ERROR_SIZE];
    char *conf = calloc(1, table != NULL ? table->conf_size : 1);

    for (uint32_t i = 0; conf != NULL && table != NULL && i < table->count; i++) {
        const struct weir_option *row = option_row(table, i);
        if (row->fallback != NULL &&
            !option_value_parse(row, row->type, row->fallback, strlen(row->fallback), true,
                                conf + row->offset, &alloc, error, sizeof(error))) {
            fprintf(stderr, "picks: %s: %s\n", row->name, error);
            return NULL;
        }
    }
    return conf;
}

static void *slot_of(const struct stage *stage, uint32_t index)
{
    return stage->slot_step > 0 ? (char *)stage->slots + index * stage->slot_step : NULL;
}

/* Makes an instance of the module. */
static bool make(struct stage *stage, const struct weir_module *module)
{
    const struct weir_balancer *ops = stage->ops;

    stage->conf = defaults(module->options);
    stage->prepared = NULL;
    if (stage->conf == NULL ||
        (module->conf_create != NULL &&
         module->conf_create(&stage->ctx, NULL, stage->conf, &stage->prepared) != WEIR_OK)) {
        return false;
    }
    stage->memory = calloc(1, ops->instance_size + 1);
    stage->slot_step = (ops->slot_size + 63) / 64 * 64; /* lines of their own, as in the core */
    stage->slots = aligned_alloc(64, MAX_SERVERS * stage->slot_step + 64);
    stage->instance = ops->instance_size > 0 ? stage->memory : stage->prepared;
    return stage->memory != NULL && stage->slots != NULL &&
           (ops->create == NULL ||
            ops->create(&stage->ctx, stage->conf, stage->prepared, &stage->instance) == WEIR_OK);
}

/* ---- the measurement ---- */

static void tell_members(struct stage *stage)
{
    if (stage->ops->on_members != NULL) {
        stage->ops->on_members(&stage->ctx, stage->instance, &stage->candidates);
    }
    if (stage->ranking != NULL) {
        ranking_set_members(stage->ranking, &stage->candidates);
        stage->keeps_costs = ranking_keeps_costs(stage->ranking);
    }
}

static void members(struct stage *stage, uint32_t count)
{
    memset(stage->servers, 0, sizeof(*stage->servers) * MAX_SERVERS);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t weight = WEIR_WEIGHT_ONE * (1 + i % 4);
        stage->items[i] = (struct weir_candidate){.id = i + 1,
                                                  .weight = weight,
                                                  .full_weight = weight,
                                                  .in_flight = &stage->servers[i].in_flight,
                                                  .latency_us = &stage->servers[i].latency_us,
                                                  .slot = slot_of(stage, i)};
    }
    stage->candidates = (struct weir_candidates){.size = sizeof(stage->candidates),
                                                 .candidate_size = sizeof(struct weir_candidate),
                                                 .count = count,
                                                 .first = stage->items};
    tell_members(stage);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* One after the other, or with two requests a server under way, of which any ends for each that
 * begins. *pick: the part of it that is the pick. */
static double run(struct stage *stage, uint32_t count, bool busy, double *pick)
{
    uint32_t requests = 200000, held_count = busy ? 2 * count : 0;
    double best = 1e9, picks[RUNS];

    memset(stage->slots, 0, MAX_SERVERS * stage->slot_step);
    members(stage, count);
    for (uint32_t i = 0; i < held_count; i++) {
        stage->held[i] = begin(stage);
    }
    for (uint32_t run = 0; run < RUNS; run++) {
        uint64_t start = now_ns(), begun = ticks();
        stage->picking = 0;
        for (uint32_t i = 0; i < requests; i++) {
            struct held held = begin(stage);
            if (busy) {
                stage->random = stage->random * UINT64_C(6364136223846793005) + 1;
                uint32_t which = (uint32_t)((stage->random >> 33) % held_count);
                struct held other = stage->held[which];
                stage->held[which] = held;
                held = other;
            }
            end(stage, held);
        }
        double each = (double)(now_ns() - start) / requests;
        uint64_t all = ticks() - begun;
        picks[run] = all > 0 ? each * (double)stage->picking / (double)all : 0;
        best = each < best ? each : best;
    }
    qsort(picks, RUNS, sizeof(picks[0]), compare);
    *pick = picks[RUNS / 2];
    return best;
}

/* A change of the members, in microseconds. */
static double change(struct stage *stage)
{
    double best = 1e9;

    for (uint32_t run = 0; run < RUNS; run++) {
        uint64_t start = now_ns();
        tell_members(stage);
        double took = (double)(now_ns() - start) / 1000;
        best = took < best ? took : best;
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
    if (!make(stage, entry())) {
        return false;
    }
    ranking_free(&stage->ranking);
    stage->keeps_costs = false;
    if (ops.pick == NULL) {
        struct ranking_policy policy = {
            .cost = ops.cost,
            .ctx = &stage->ctx,
            .instance = stage->instance,
            .choices = ops.choices != NULL ? ops.choices(&stage->ctx, stage->conf) : 0,
            .by_request = (ops.flags & WEIR_BALANCER_BY_REQUEST) != 0};
        stage->ranking = ranking_new(0, 1);
        ranking_set_policy(stage->ranking, &policy);
    }
    return true;
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[] = {3, 10, 64, 100, 1000, 10000};
    struct stage *stage = aligned_alloc(64, sizeof(*stage));

    for (uint32_t i = 0; i < CLIENTS; i++) {
        snprintf(clients[i], sizeof(clients[i]), "10.%u.%u.1", i >> 8, i & 255);
    }
    if (argc < 2 || stage == NULL) {
        fprintf(stderr, "usage: picks MODULE.so ...\n");
        return 2;
    }
    memset(stage, 0, sizeof(*stage));
    stage->servers = aligned_alloc(64, sizeof(*stage->servers) * MAX_SERVERS);
    stage->pick = (struct weir_pick){.size = sizeof(stage->pick),
                                     .candidates = &stage->candidates,
                                     .request = &stage->request,
                                     .usable = usable};
    stage->request.host = &host;
    if (stage->servers == NULL) {
        return 2;
    }
    printf("| module | servers | idle, ns | busy, ns | of it the pick | change, us |\n"
           "|---|---|---|---|---|---|\n");
    for (int i = 1; i < argc; i++) {
        if (!load(stage, argv[i])) {
            return 1;
        }
        for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
            double pick, idle = run(stage, sizes[k], false, &pick);
            double busy = run(stage, sizes[k], true, &pick);
            printf("| %s | %u | %.0f | %.0f | %.0f | %.1f |\n", argv[i], sizes[k], idle, busy, pick,
                   change(stage));
        }
    }
    return 0;
}
