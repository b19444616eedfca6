/* SPDX-License-Identifier: MIT */
/*
 * What a pick takes with few and with many servers, as they are used: each request is picked for,
 * begins to be answered and ends, while some are there already.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ENOUGH_NS UINT64_C(200000000)
#define CALLS_MAX 10000u

static uint64_t real_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

/* ns of the median pick, which other work of the machine does not reach; 0: none could be made. */
static uint32_t time_picks(const struct job *job, const struct weir_module *module,
                           uint32_t servers)
{
    const struct weir_feedback how = {.outcome = WEIR_OUTCOME_SUCCESS,
                                      .status = 200,
                                      .first_byte_ns = 1000000,
                                      .total_ns = 2000000};
    struct weir_test *host = weir_test_new(module);
    static uint32_t times[CALLS_MAX];
    uint64_t spent = 0;
    size_t picks = 0;
    char name[16];

    if (host == NULL) {
        return 0;
    }
    furnish(host, job->command);
    struct weir_test_block *block = module_block(host, module, job->kind, job->command)
                                        ? weir_test_conf_in(host, WEIR_CONTEXT_POOL, job->conf)
                                        : NULL;
    struct weir_test_instance *balancer =
        block != NULL ? weir_test_create(host, WEIR_TEST_BALANCER, block) : NULL;
    if (balancer != NULL) {
        struct weir_test_pool *pool = weir_test_pool_new(host);
        struct weir_request *req = weir_test_request(host, "GET", "/?id=1");
        weir_test_request_add(req, "Cookie", "id=1");
        for (uint32_t i = 0; i < servers; i++) {
            snprintf(name, sizeof(name), "s%u", i);
            weir_test_server_add(pool, name, 1 + i % 3);
            weir_test_server_set_in_flight(pool, i, i % 4);
        }
        weir_test_pool_join(pool, balancer);
        while (spent < ENOUGH_NS && picks < CALLS_MAX) {
            uint64_t before = real_ns();
            uint32_t server = weir_test_pick(balancer, req);
            uint64_t took = real_ns() - before;
            times[picks++] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
            spent += took;
            if (server == WEIR_PICK_NONE) {
                break;
            }
            weir_test_assign(balancer, server);
            weir_test_complete_as(balancer, server, &how);
        }
        weir_test_request_free(&req);
    }
    (void)!weir_test_free(&host);
    qsort(times, picks, sizeof(times[0]), by_size);
    return picks > 0 ? times[picks / 2] : 0;
}

void test_timing(const struct job *job)
{
    static const uint32_t sizes[] = {10, 1000, 10000};
    const struct weir_module *module = child_load(job);
    cJSON *rows = cJSON_CreateArray();

    for (size_t i = 0; i < COUNT(sizes); i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "servers", sizes[i]);
        cJSON_AddNumberToObject(row, "ns", time_picks(job, module, sizes[i]));
        cJSON_AddItemToArray(rows, row);
    }
    tell_fact("calls", rows);
}
