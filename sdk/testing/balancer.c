/* SPDX-License-Identifier: MIT */
/*
 * Pools of fake servers, and what balancers do with them.
 *
 * A balancer sees its own array of candidates, as on a worker of its own; the counts that candidates
 * point to are the server's, shared by all balancers of the pool.
 */
#include "fake.h"

#include <math.h>
#include <stdlib.h>

/* A newer host's candidates are larger: a module that takes the array for one of its own struct, and
 * not by weir_candidate_at, is found out. */
#define STRIDE (sizeof(struct weir_candidate) + 24)

struct server {
    char *name;
    weir_server_id id;
    uint32_t weight; /* times WEIR_WEIGHT_ONE */
    uint32_t in_flight;
    uint32_t latency_us;
    bool candidate;
    bool usable;
};

struct weir_test_pool {
    struct weir_test_pool *next;
    struct weir_test *host;
    char *name;
    struct server **servers; /* each its own allocation: balancers point into it */
    uint32_t count;
};

struct fake_pick {
    struct weir_pick base;
    struct weir_test_instance *balancer;
};

/* ---- pools and servers ---- */

struct weir_test_pool *weir_test_pool_new(struct weir_test *host)
{
    struct weir_test_pool *pool = fake_alloc(sizeof(*pool));
    pool->host = host;
    pool->name = fake_str_copy(host->pool_name);
    pool->next = host->server_pools;
    host->server_pools = pool;
    return pool;
}

void fake_server_pools_free(struct weir_test *host)
{
    while (host->server_pools != NULL) {
        struct weir_test_pool *pool = host->server_pools;
        host->server_pools = pool->next;
        for (uint32_t i = 0; i < pool->count; i++) {
            free(pool->servers[i]->name);
            free(pool->servers[i]);
        }
        free(pool->servers);
        free(pool->name);
        free(pool);
    }
}

/* FNV-1a over pool and name: the same on every run. */
static weir_server_id make_id(const char *pool, const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const char *parts[] = {pool, "/", name};
    for (size_t i = 0; i < 3; i++) {
        for (const char *c = parts[i]; *c != '\0'; c++) {
            hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
        }
    }
    return hash != WEIR_NO_SERVER ? hash : 1;
}

static struct server *server_at(const struct weir_test_pool *pool, uint32_t server)
{
    FAKE_REQUIRE(pool != NULL && server < pool->count, "there is no such server");
    return pool->servers[server];
}

uint32_t weir_test_server_add(struct weir_test_pool *pool, const char *name, uint32_t weight)
{
    FAKE_REQUIRE(weight > 0 && weight <= UINT32_MAX / WEIR_WEIGHT_ONE, "a weight is from 1 on");
    for (uint32_t i = 0; i < pool->count; i++) {
        FAKE_REQUIRE(strcmp(pool->servers[i]->name, name) != 0, "the name is taken");
    }
    struct server *server = fake_alloc(sizeof(*server));
    server->name = fake_str_copy(name);
    server->id = make_id(pool->name, name);
    server->weight = weight * WEIR_WEIGHT_ONE;
    server->candidate = server->usable = true;
    pool->servers = fake_grow(pool->servers, pool->count + 1, sizeof(struct server *));
    pool->servers[pool->count] = server;
    return pool->count++;
}

void weir_test_server_set_candidate(struct weir_test_pool *pool, uint32_t server, bool candidate)
{
    server_at(pool, server)->candidate = candidate;
}

void weir_test_server_set_weight(struct weir_test_pool *pool, uint32_t server, uint32_t weight)
{
    FAKE_REQUIRE(weight > 0, "an effective weight is at least 1");
    server_at(pool, server)->weight = weight;
}

void weir_test_server_set_usable(struct weir_test_pool *pool, uint32_t server, bool usable)
{
    server_at(pool, server)->usable = usable;
}

void weir_test_server_set_in_flight(struct weir_test_pool *pool, uint32_t server, uint32_t count)
{
    server_at(pool, server)->in_flight = count;
}

void weir_test_server_set_latency(struct weir_test_pool *pool, uint32_t server, uint32_t latency_us)
{
    server_at(pool, server)->latency_us = latency_us;
}

uint32_t weir_test_server_in_flight(const struct weir_test_pool *pool, uint32_t server)
{
    return server_at(pool, server)->in_flight;
}

weir_server_id weir_test_server_id(const struct weir_test_pool *pool, uint32_t server)
{
    return server_at(pool, server)->id;
}

/* ---- members ---- */

/* The array with its head, in one allocation that the balancer owns; numbers by index. */
static struct weir_candidates *candidates_new(const struct weir_test_pool *pool, uint32_t **numbers)
{
    size_t head = (sizeof(struct weir_candidates) + sizeof(max_align_t) - 1) / sizeof(max_align_t) *
                  sizeof(max_align_t);
    char *memory = fake_alloc(head + pool->count * STRIDE);
    struct weir_candidates *all = (struct weir_candidates *)(void *)memory;

    memset(memory + head, 0xa5, pool->count * STRIDE);
    *numbers = fake_alloc(pool->count * sizeof(**numbers));
    *all = (struct weir_candidates){.size = sizeof(*all), .candidate_size = STRIDE};
    all->first = (const struct weir_candidate *)(void *)(memory + head);
    for (uint32_t i = 0; i < pool->count; i++) {
        const struct server *server = pool->servers[i];
        if (!server->candidate) {
            continue;
        }
        (*numbers)[all->count] = i;
        *(struct weir_candidate *)(void *)(memory + head + all->count * STRIDE) =
            (struct weir_candidate){
                .id = server->id,
                .name = fake_str(server->name),
                .weight = server->weight,
                .in_flight = &server->in_flight,
                .latency_us = &server->latency_us,
            };
        all->count++;
    }
    return all;
}

static enum weir_status tell_members(struct weir_test_instance *balancer)
{
    struct weir_candidates *old = balancer->candidates;
    uint32_t *old_numbers = balancer->numbers;
    enum weir_status status = WEIR_OK;

    balancer->candidates = candidates_new(balancer->pool, &balancer->numbers);
    balancer->assigned =
        fake_grow(balancer->assigned, balancer->pool->count + 1, sizeof(*balancer->assigned));
    for (uint32_t i = balancer->assigned_count; i < balancer->pool->count; i++) {
        balancer->assigned[i] = 0;
    }
    balancer->assigned_count = balancer->pool->count;
    if (balancer->host->balancer.on_members != NULL) {
        status = balancer->host->balancer.on_members(&balancer->ctx.base, balancer->data,
                                                     balancer->candidates);
    }
    free(old);
    free(old_numbers);
    return status;
}

enum weir_status weir_test_pool_join(struct weir_test_pool *pool,
                                     struct weir_test_instance *balancer)
{
    fake_require_kind(balancer, WEIR_TEST_BALANCER, __func__);
    FAKE_REQUIRE(pool != NULL && balancer->pool == NULL, "the balancer has a pool already");
    balancer->pool = pool;
    return tell_members(balancer);
}

enum weir_status weir_test_pool_tell(struct weir_test_pool *pool)
{
    enum weir_status first = WEIR_OK;
    for (struct weir_test_instance *i = pool->host->instances; i != NULL; i = i->next) {
        if (i->pool == pool) {
            enum weir_status status = tell_members(i);
            first = first == WEIR_OK ? status : first;
        }
    }
    return first;
}

/* ---- picks ---- */

static void require_pool(const struct weir_test_instance *balancer, const char *function)
{
    fake_require_kind(balancer, WEIR_TEST_BALANCER, function);
    if (balancer->pool == NULL) {
        fake_abort(function, "the balancer has no pool; use weir_test_pool_join");
    }
}

static bool index_usable(const struct weir_test_instance *balancer, uint32_t index)
{
    return index < balancer->candidates->count &&
           server_at(balancer->pool, balancer->numbers[index])->usable;
}

static bool pick_usable(const struct weir_pick *pick, uint32_t index)
{
    const struct weir_test_instance *balancer =
        ((const struct fake_pick *)(const void *)pick)->balancer;
    if (index >= balancer->candidates->count) {
        fake_problem(balancer->host, "pick asked for candidate %u of %u", index,
                     balancer->candidates->count);
        return false;
    }
    return index_usable(balancer, index);
}

static bool any_usable(const struct weir_test_instance *balancer)
{
    for (uint32_t i = 0; i < balancer->candidates->count; i++) {
        if (index_usable(balancer, i)) {
            return true;
        }
    }
    return false;
}

static struct fake_pick make_pick(struct weir_test_instance *balancer, struct weir_request *req,
                                  uint32_t attempt)
{
    return (struct fake_pick){
        .base = {.size = sizeof(struct weir_pick),
                 .attempt = attempt,
                 .candidates = balancer->candidates,
                 .request = req,
                 .usable = pick_usable},
        .balancer = balancer,
    };
}

static uint32_t pick_once(struct weir_test_instance *balancer, struct weir_request *req,
                          uint32_t attempt)
{
    struct fake_pick pick = make_pick(balancer, req, attempt);
    uint32_t index = balancer->host->balancer.pick(&balancer->ctx.base, balancer->data, &pick.base);
    if (index == WEIR_PICK_NONE) {
        if (any_usable(balancer)) {
            fake_problem(balancer->host, "pick chose none, though a candidate is usable");
        }
        return WEIR_PICK_NONE;
    }
    if (!index_usable(balancer, index)) {
        fake_problem(balancer->host, "pick chose candidate %u of %u, which is %s", index,
                     balancer->candidates->count,
                     index < balancer->candidates->count ? "not usable" : "out of range");
        return WEIR_PICK_NONE;
    }
    return balancer->numbers[index];
}

uint32_t weir_test_pick_again(struct weir_test_instance *balancer, struct weir_request *req,
                              uint32_t attempt)
{
    require_pool(balancer, __func__);
    if (req != NULL) {
        return pick_once(balancer, req, attempt);
    }
    struct weir_request *own = weir_test_request(balancer->host, "GET", "/");
    uint32_t server = pick_once(balancer, own, attempt);
    weir_test_request_free(&own);
    return server;
}

uint32_t weir_test_pick(struct weir_test_instance *balancer, struct weir_request *req)
{
    return weir_test_pick_again(balancer, req, 0);
}

/* The candidate's index of a server; WEIR_PICK_NONE: it is none now. */
static uint32_t index_of(const struct weir_test_instance *balancer, uint32_t server)
{
    for (uint32_t i = 0; i < balancer->candidates->count; i++) {
        if (balancer->numbers[i] == server) {
            return i;
        }
    }
    return WEIR_PICK_NONE;
}

static enum weir_status score_once(struct weir_test_instance *balancer, struct weir_request *req,
                                   uint32_t index, struct weir_score *out)
{
    struct fake_pick pick = make_pick(balancer, req, 0);
    enum weir_status status =
        balancer->host->balancer.score(&balancer->ctx.base, balancer->data, &pick.base, index, out);
    if (status != WEIR_OK && status != WEIR_DECLINED) {
        fake_problem(balancer->host, "score said %d, and not WEIR_OK or WEIR_DECLINED",
                     (int)status);
    }
    if (status == WEIR_OK && !isfinite(out->value)) {
        fake_problem(balancer->host, "score gave a number that is not finite");
    }
    if (memchr(out->text, '\0', sizeof(out->text)) == NULL) {
        fake_problem(balancer->host, "score gave a text that has no end");
        out->text[sizeof(out->text) - 1] = '\0';
    }
    return status;
}

enum weir_status weir_test_score(struct weir_test_instance *balancer, struct weir_request *req,
                                 uint32_t server, struct weir_score *out)
{
    require_pool(balancer, __func__);
    uint32_t index = index_of(balancer, server);
    *out = (struct weir_score){.size = sizeof(*out)};
    if (index == WEIR_PICK_NONE || balancer->host->balancer.score == NULL) {
        return WEIR_DECLINED;
    }
    if (req != NULL) {
        return score_once(balancer, req, index, out);
    }
    struct weir_request *own = weir_test_request(balancer->host, "GET", "/");
    enum weir_status status = score_once(balancer, own, index, out);
    weir_test_request_free(&own);
    return status;
}

void weir_test_assign(struct weir_test_instance *balancer, uint32_t server)
{
    require_pool(balancer, __func__);
    uint32_t index = index_of(balancer, server);
    FAKE_REQUIRE(index != WEIR_PICK_NONE, "the server is no candidate");
    server_at(balancer->pool, server)->in_flight++;
    balancer->assigned[server]++;
    if (balancer->host->balancer.on_assign != NULL) {
        balancer->host->balancer.on_assign(&balancer->ctx.base, balancer->data, index);
    }
}

static uint32_t outcome_status(enum weir_outcome outcome)
{
    return outcome == WEIR_OUTCOME_SUCCESS ? 200 : outcome == WEIR_OUTCOME_ERROR ? 500 : 0;
}

void weir_test_complete(struct weir_test_instance *balancer, uint32_t server,
                        enum weir_outcome outcome, uint64_t first_byte_ns, uint64_t total_ns)
{
    require_pool(balancer, __func__);
    struct server *to = server_at(balancer->pool, server);
    FAKE_REQUIRE(server < balancer->assigned_count && balancer->assigned[server] > 0,
                 "no request is assigned to the server");
    balancer->assigned[server]--;
    to->in_flight -= to->in_flight > 0 ? 1 : 0;
    if (balancer->host->balancer.on_complete != NULL) {
        struct weir_feedback feedback = {
            .size = sizeof(feedback),
            .index = index_of(balancer, server),
            .id = to->id,
            .outcome = outcome,
            .status = outcome_status(outcome),
            .first_byte_ns = first_byte_ns,
            .total_ns = total_ns,
        };
        balancer->host->balancer.on_complete(&balancer->ctx.base, balancer->data, &feedback);
    }
}

uint32_t weir_test_send(struct weir_test_instance *balancer)
{
    uint32_t server = weir_test_pick(balancer, NULL);
    if (server != WEIR_PICK_NONE) {
        weir_test_assign(balancer, server);
    }
    return server;
}

static uint32_t send_many(struct weir_test_instance *balancer, uint32_t requests, uint32_t *counts,
                          uint32_t count, bool complete)
{
    uint32_t sent = 0;
    for (uint32_t i = 0; i < requests; i++) {
        uint32_t server = weir_test_send(balancer);
        if (server == WEIR_PICK_NONE) {
            break;
        }
        sent++;
        if (counts != NULL && server < count) {
            counts[server]++;
        }
        if (complete) {
            weir_test_complete(balancer, server, WEIR_OUTCOME_SUCCESS, 1000000, 2000000);
        }
    }
    return sent;
}

uint32_t weir_test_spread(struct weir_test_instance *balancer, uint32_t requests, uint32_t *counts,
                          uint32_t count)
{
    return send_many(balancer, requests, counts, count, true);
}

uint32_t weir_test_fill(struct weir_test_instance *balancer, uint32_t requests, uint32_t *counts,
                        uint32_t count)
{
    return send_many(balancer, requests, counts, count, false);
}

void weir_test_complete_all(struct weir_test_instance *balancer)
{
    require_pool(balancer, __func__);
    for (uint32_t i = 0; i < balancer->assigned_count; i++) {
        while (balancer->assigned[i] > 0) {
            weir_test_complete(balancer, i, WEIR_OUTCOME_SUCCESS, 1000000, 2000000);
        }
    }
}

void fake_balancer_end(struct weir_test_instance *instance)
{
    size_t left = 0;
    for (uint32_t i = 0; i < instance->assigned_count; i++) {
        left += instance->assigned[i];
    }
    if (left > 0) {
        fake_problem(instance->host,
                     "%s was destroyed with %zu requests assigned and not completed",
                     instance->ctx.what, left);
    }
}
