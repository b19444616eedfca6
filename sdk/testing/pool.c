/* SPDX-License-Identifier: MIT */
/*
 * Pools of fake servers.
 */
#include "fake.h"

#include <stdlib.h>

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

struct fake_server *fake_server_at(const struct weir_test_pool *pool, uint32_t server)
{
    FAKE_REQUIRE(pool != NULL && server < pool->count, "there is no such server");
    return pool->servers[server];
}

size_t fake_names_size(const struct weir_test_pool *pool)
{
    size_t size = 0;

    for (uint32_t i = 0; i < pool->count; i++) {
        size += strlen(pool->servers[i]->name) + 1;
    }
    return size;
}

uint32_t weir_test_server_add(struct weir_test_pool *pool, const char *name, uint32_t weight)
{
    FAKE_REQUIRE(weight > 0 && weight <= UINT32_MAX / WEIR_WEIGHT_ONE, "a weight is from 1 on");
    for (uint32_t i = 0; i < pool->count; i++) {
        FAKE_REQUIRE(strcmp(pool->servers[i]->name, name) != 0, "the name is taken");
    }
    struct fake_server *server = fake_alloc(sizeof(*server));
    server->name = fake_str_copy(name);
    server->id = make_id(pool->name, name);
    server->weight = server->full_weight = weight * WEIR_WEIGHT_ONE;
    server->candidate = server->usable = true;
    pool->servers = fake_grow(pool->servers, pool->count + 1, sizeof(struct fake_server *));
    pool->servers[pool->count] = server;
    return pool->count++;
}

void weir_test_server_set_candidate(struct weir_test_pool *pool, uint32_t server, bool candidate)
{
    fake_server_at(pool, server)->candidate = candidate;
}

void weir_test_server_set_weight(struct weir_test_pool *pool, uint32_t server, uint32_t weight)
{
    FAKE_REQUIRE(weight > 0, "an effective weight is at least 1");
    fake_server_at(pool, server)->weight = weight;
}

void weir_test_server_set_limit(struct weir_test_pool *pool, uint32_t server, uint32_t limit)
{
    fake_server_at(pool, server)->limit = limit;
}

void weir_test_server_set_usable(struct weir_test_pool *pool, uint32_t server, bool usable)
{
    fake_server_at(pool, server)->usable = usable;
}

void weir_test_server_set_in_flight(struct weir_test_pool *pool, uint32_t server, uint32_t count)
{
    fake_server_at(pool, server)->in_flight = count;
}

void weir_test_server_set_latency(struct weir_test_pool *pool, uint32_t server, uint32_t latency_us)
{
    fake_server_at(pool, server)->latency_us = latency_us;
}

uint32_t weir_test_server_in_flight(const struct weir_test_pool *pool, uint32_t server)
{
    return fake_server_at(pool, server)->in_flight;
}

weir_server_id weir_test_server_id(const struct weir_test_pool *pool, uint32_t server)
{
    return fake_server_at(pool, server)->id;
}
