/* SPDX-License-Identifier: MIT */
/*
 * The contract: many lives of a host, each with another seed. What breaks it is told by the fake
 * host, by what a kind's file looks at, or by a fault in memory whose time is over.
 */
#include "check.h"

#include <stdio.h>
#include <string.h>

#define STEPS 200u

static void (*const lives[])(struct life *life) = {
    [WEIR_TEST_ROUTER] = live_router,   [WEIR_TEST_BALANCER] = live_balancer,
    [WEIR_TEST_STICKY] = live_sticky,   [WEIR_TEST_HEALTH] = live_health,
    [WEIR_TEST_FILTER] = live_filter,   [WEIR_TEST_HANDLER] = live_handler,
    [WEIR_TEST_LOGGER] = live_logger,   [WEIR_TEST_STORE] = live_store,
    [WEIR_TEST_CONTROL] = live_control,
};

/* Whether a life has the configuration that was found, and not options at random. */
static bool is_plain(uint64_t seed)
{
    return seed % 2 == 1;
}

void maybe_fail(struct life *life)
{
    if (life->failures && chance(&life->random, 3)) {
        weir_test_fail_alloc(life->host, random_below(&life->random, 6));
    }
}

struct weir_test_instance *make_instance(struct life *life, struct weir_test_block *block)
{
    bool short_of = life->failures && chance(&life->random, 10);

    if (short_of) {
        weir_test_fail_alloc(life->host, random_below(&life->random, 3));
    }
    struct weir_test_instance *instance = weir_test_create(life->host, life->job->kind, block);
    if (instance == NULL && !life->failures) {
        tell("create", "WEIR_OK, where memory and files are there",
             "no instance can be made of a configuration that was taken");
    }
    return instance;
}

/* A random request, as clients send them: good, odd, and long ones. */
struct weir_request *random_request(struct life *life)
{
    static const char *const methods[] = {"GET",  "GET", "GET",    "HEAD",
                                          "POST", "PUT", "DELETE", "X"};
    static const char *const targets[] = {
        "/", "/a", "/a/b?id=1", "/b/", "/%41?x=%00&id=", "/a?", "/index.html", "/no/such"};
    static const struct {
        const char *name, *value;
    } fields[] = {
        {"Cookie", "id=1; other=\"x\""},
        {"Cookie", "=; ;;a"},
        {"Accept-Encoding", "gzip, br;q=0.5, *;q=0"},
        {"Accept-Encoding", "gzip;q=,"},
        {"X-Test", ""},
        {"X-Test", "1"},
        {"Authorization", "Bearer weir_none"},
        {"Authorization", "Basic !"},
        {"If-None-Match", "W/\"x\""},
        {"Content-Type", "application/json"},
        {"Range", "bytes=0-"},
        {"Accept", "text/event-stream"},
    };
    uint64_t *random = &life->random;
    char text[4200];
    struct weir_request *req =
        weir_test_request(life->host, methods[random_below(random, COUNT(methods))],
                          targets[random_below(random, COUNT(targets))]);

    snprintf(text, sizeof(text), "10.0.%u.%u", random_below(random, 4), random_below(random, 256));
    weir_test_request_set_peer(req, chance(random, 10) ? "2001:db8::1" : text,
                               (uint16_t)(1024 + random_below(random, 60000)));
    for (uint32_t i = random_below(random, 5); i > 0; i--) {
        uint32_t which = random_below(random, COUNT(fields));
        weir_test_request_add(req, fields[which].name, fields[which].value);
    }
    if (chance(random, 5)) {
        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        weir_test_request_add(req, chance(random, 50) ? "Cookie" : "X-Test", text);
    }
    if (chance(random, 20)) {
        weir_test_request_set_tls(req, true);
    }
    if (chance(random, 20)) {
        weir_test_request_set_str(req, WEIR_REQUEST_PROTOCOL, "HTTP/2");
    }
    return req;
}

void live(const struct job *job, const struct weir_module *module, uint64_t seed, uint32_t steps,
          enum depth depth)
{
    struct life life = {.job = job, .module = module, .random = seed, .steps = steps};
    enum weir_option_context context = context_of(module, job->kind);
    char text[16384];

    life.host = weir_test_new(module);
    if (life.host == NULL) {
        tell("load", "WEIR_OK, each time", "load failed");
        return;
    }
    weir_test_seed(life.host, seed);
    furnish(life.host, job->command);
    /* The first lives are plain ones; in others options are at random, and memory is short. */
    life.failures = seed % 4 == 3;
    if (depth >= DEPTH_CONF && module_block(life.host, module, job->kind, job->command)) {
        if (!is_plain(seed)) {
            random_conf(module->options, (uint32_t)context, 30, job->command->folder, &life.random,
                        text, sizeof(text));
            life.block = weir_test_conf_in(life.host, context, text);
        }
        if (life.block == NULL) {
            life.block = weir_test_conf_in(life.host, context, job->conf);
        }
        if (life.block == NULL && !life.failures) {
            tell("conf_create", "the same answer each time",
                 "a configuration that it has taken is refused now: %s",
                 weir_test_mistakes(life.host));
        }
    }
    if (depth == DEPTH_INSTANCE && life.block != NULL) {
        struct weir_test_instance *instance = make_instance(&life, life.block);
        if (instance != NULL) {
            weir_test_destroy(&instance);
        }
    } else if (depth == DEPTH_CALLS && life.block != NULL) {
        lives[job->kind](&life);
    }
    (void)!weir_test_free(&life.host);
}

void test_contract(const struct job *job)
{
    const struct weir_module *module = child_load(job);

    weir_test_guard(true);
    for (uint64_t i = 0; i < job->command->seeds; i++) {
        uint64_t seed = job->command->seed + i;
        child_at_seed(seed);
        /* With options at random a call may rightly take long. Stores may wait; so may operations
         * on the control thread, a little, which write down a token, say. */
        child_watch_calls(is_plain(seed) && job->kind != WEIR_TEST_STORE &&
                          job->kind != WEIR_TEST_CONTROL);
        live(job, module, seed, STEPS, DEPTH_CALLS);
    }
}
