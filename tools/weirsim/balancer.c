/* SPDX-License-Identifier: MIT */
/*
 * The balancer: the module's own `.so`, loaded as Weir does it, in the SDK's fake host, which has
 * the program's own ranking. Each worker has an instance; all share the counts of the servers.
 */
#include "sim.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/testing.h>

#include "module_file.h"

struct balancer {
    const struct scenario *scenario;
    void *library;
    struct weir_test *host;
    uint64_t host_start;
    struct weir_test_pool *pool;
    struct weir_test_instance **workers;
    struct weir_request **requests; /* by client; NULL: none made yet */
    uint64_t picks, pick_ns;
    uint64_t now;
};

void *need(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "weirsim: there is no memory\n");
        exit(1);
    }
    return memory;
}

/* The name, and the options without the braces around them. */
static bool split(const char *what, struct result *result)
{
    size_t len = strcspn(what, " {");
    const char *options = what + len + strspn(what + len, " ");
    size_t options_len = strlen(options);

    while (options_len > 0 && options[options_len - 1] == ' ') {
        options_len--;
    }
    if (options_len > 1 && options[0] == '{' && options[options_len - 1] == '}') {
        options++;
        options_len -= 2;
    }
    while (options_len > 0 && *options == ' ') {
        options++;
        options_len--;
    }
    while (options_len > 0 && options[options_len - 1] == ' ') {
        options_len--;
    }
    if (len == 0 || len >= sizeof(result->name) || options_len >= sizeof(result->options)) {
        fprintf(stderr, "weirsim: \"%s\" is no balancer: name one like ewma or ./mine.so\n", what);
        return false;
    }
    snprintf(result->name, len + 1, "%s", what);
    snprintf(result->options, options_len + 1, "%s", options);
    return true;
}

static const struct weir_module *load(struct balancer *balancer, const char *name)
{
    char path[2 * PATH_MAX], error[2 * PATH_MAX];
    const char *file = module_file_path(name, "balance_", path, sizeof(path));
    const struct weir_module *module =
        module_file_load(file, &balancer->library, error, sizeof(error));

    if (module == NULL) {
        fprintf(stderr, "weirsim: %s\n", error);
        return NULL;
    }
    if (module->size < offsetof(struct weir_module, sticky) || module->balancer == NULL) {
        fprintf(stderr, "weirsim: %s is no module with a balancer\n", file);
        return NULL;
    }
    return module;
}

static bool make_workers(struct balancer *balancer, const struct result *result)
{
    const struct scenario *scenario = balancer->scenario;
    struct weir_test_block *block = weir_test_conf(balancer->host, result->options);

    if (block == NULL) {
        fprintf(stderr, "weirsim: %s: %s\n", result->name, weir_test_mistakes(balancer->host));
        return false;
    }
    balancer->pool = weir_test_pool_new(balancer->host);
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        const struct server_model *server = &scenario->servers[i];
        weir_test_server_add(balancer->pool, server->name, server->weight);
        weir_test_server_set_limit(balancer->pool, i, server->max_requests);
        weir_test_server_set_candidate(balancer->pool, i, server->joins == 0);
    }
    balancer->workers = need(calloc(scenario->workers, sizeof(*balancer->workers)));
    for (uint32_t i = 0; i < scenario->workers; i++) {
        weir_test_set_worker(balancer->host, i, scenario->workers);
        balancer->workers[i] = weir_test_create(balancer->host, WEIR_TEST_BALANCER, block);
        if (balancer->workers[i] == NULL ||
            weir_test_pool_join(balancer->pool, balancer->workers[i]) != WEIR_OK) {
            fprintf(stderr, "weirsim: %s cannot be made\n", result->name);
            return false;
        }
    }
    return true;
}

struct balancer *balancer_open(const char *what, const struct scenario *scenario,
                               struct result *result)
{
    struct balancer *balancer = need(calloc(1, sizeof(*balancer)));

    balancer->scenario = scenario;
    if (split(what, result)) {
        const struct weir_module *module = load(balancer, result->name);
        balancer->host = module != NULL ? weir_test_new(module) : NULL;
    }
    if (balancer->host == NULL) {
        balancer_close(balancer, result);
        return NULL;
    }
    weir_test_seed(balancer->host, scenario->seed);
    balancer->host_start = weir_test_now_ns(balancer->host);
    balancer->requests = need(calloc(scenario->clients + 1, sizeof(*balancer->requests)));
    if (!make_workers(balancer, result)) {
        balancer_close(balancer, result);
        return NULL;
    }
    return balancer;
}

void balancer_close(struct balancer *balancer, struct result *result)
{
    if (balancer->host != NULL) {
        for (uint32_t i = 0; balancer->workers != NULL && i < balancer->scenario->workers; i++) {
            if (balancer->workers[i] != NULL) {
                weir_test_destroy(&balancer->workers[i]);
            }
        }
        result->problems = weir_test_problem_count(balancer->host);
        (void)!weir_test_free(&balancer->host);
    }
    if (balancer->library != NULL) {
        dlclose(balancer->library);
    }
    if (balancer->pick_ns > 0) {
        result->picks = (double)balancer->picks / ((double)balancer->pick_ns / 1e9);
    }
    free(balancer->workers);
    free(balancer->requests);
    free(balancer);
}

void balancer_advance(struct balancer *balancer, uint64_t now)
{
    balancer->now = now;
    uint64_t then = weir_test_now_ns(balancer->host) - balancer->host_start;
    if (now > then) {
        weir_test_advance(balancer->host, now - then);
    }
}

static bool is_member(const struct server_model *server, uint64_t now)
{
    return now >= server->joins && now < server->leaves;
}

void balancer_members(struct balancer *balancer, uint64_t now)
{
    for (uint32_t i = 0; i < balancer->scenario->server_count; i++) {
        const struct server_model *server = &balancer->scenario->servers[i];
        uint64_t gone = now - server->joins, steps = SLOW_START_STEPS;
        weir_test_server_set_candidate(balancer->pool, i, is_member(server, now));
        if (server->joins > 0 && now >= server->joins) {
            uint64_t step =
                gone < server->slow_start ? gone * steps / server->slow_start + 1 : steps;
            uint64_t weight = (uint64_t)server->weight * WEIR_WEIGHT_ONE * step / steps;
            weir_test_server_set_weight(balancer->pool, i, weight > 0 ? (uint32_t)weight : 1);
        }
    }
    weir_test_pool_tell(balancer->pool);
}

/* A client has one address, one cookie, and so on, and connects to one worker. */
static struct weir_request *request_of(struct balancer *balancer, uint32_t client)
{
    struct weir_request **request = &balancer->requests[client];
    char text[64];

    if (*request == NULL) {
        snprintf(text, sizeof(text), "/clients/%u?id=%u", client, client);
        *request = weir_test_request(balancer->host, "GET", text);
        snprintf(text, sizeof(text), "10.%u.%u.%u", client >> 16 & 255, client >> 8 & 255,
                 client & 255);
        weir_test_request_set_peer(*request, text, 40000);
        snprintf(text, sizeof(text), "id=%u", client);
        weir_test_request_add(*request, "Cookie", text);
        snprintf(text, sizeof(text), "%u", client);
        weir_test_request_add(*request, "X-Client", text);
    }
    return *request;
}

static struct weir_test_instance *worker_of(const struct balancer *balancer, uint32_t client)
{
    return balancer->workers[client % balancer->scenario->workers];
}

static uint64_t real_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* What Weir chooses in the place of a pick that is wrong. */
static uint32_t least_loaded(const struct balancer *balancer, const uint32_t *tried,
                             uint32_t tried_count)
{
    uint32_t best = WEIR_PICK_NONE;
    double least = 0;

    for (uint32_t i = 0; i < balancer->scenario->server_count; i++) {
        const struct server_model *model = &balancer->scenario->servers[i];
        uint32_t in_flight = balancer_in_flight(balancer, i);
        bool usable = is_member(model, balancer->now) &&
                      (model->max_requests == 0 || in_flight < model->max_requests);
        for (uint32_t k = 0; k < tried_count; k++) {
            usable = usable && tried[k] != i;
        }
        double load = (double)in_flight / model->weight;
        if (usable && (best == WEIR_PICK_NONE || load < least)) {
            best = i;
            least = load;
        }
    }
    return best;
}

uint32_t balancer_send(struct balancer *balancer, uint32_t client, uint32_t attempt,
                       const uint32_t *tried, uint32_t tried_count)
{
    struct weir_test_instance *worker = worker_of(balancer, client);
    struct weir_request *request = request_of(balancer, client);

    for (uint32_t i = 0; i < tried_count; i++) {
        weir_test_server_set_usable(balancer->pool, tried[i], false);
    }
    size_t problems = weir_test_problem_count(balancer->host);
    uint64_t before = real_ns();
    uint32_t server = weir_test_pick_again(worker, request, attempt);
    balancer->pick_ns += real_ns() - before;
    balancer->picks++;
    if (server == WEIR_PICK_NONE && weir_test_problem_count(balancer->host) > problems) {
        server = least_loaded(balancer, tried, tried_count);
    }
    for (uint32_t i = 0; i < tried_count; i++) {
        weir_test_server_set_usable(balancer->pool, tried[i], true);
    }
    if (server != WEIR_PICK_NONE) {
        weir_test_assign(worker, server);
    }
    return server;
}

void balancer_head(struct balancer *balancer, uint32_t client, uint32_t server,
                   const struct weir_feedback *how)
{
    weir_test_head(worker_of(balancer, client), server, how);
}

void balancer_complete(struct balancer *balancer, uint32_t client, uint32_t server,
                       const struct weir_feedback *how)
{
    weir_test_complete_as(worker_of(balancer, client), server, how);
}

uint32_t balancer_in_flight(const struct balancer *balancer, uint32_t server)
{
    return weir_test_server_in_flight(balancer->pool, server);
}
