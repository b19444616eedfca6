/* SPDX-License-Identifier: MIT */
/*
 * The contract of balancers: members that come and go, weights, limits, retries, answers of all
 * kinds, dry runs, and reloads that hand over. The fake host looks at each index.
 */
#include "check.h"

#include <stdio.h>

#define WORKERS_MAX 3u
#define SERVERS_MAX 60u

struct balance {
    struct life *life;
    struct weir_test_pool *pool;
    struct weir_test_instance *workers[WORKERS_MAX];
    uint32_t worker_count, server_count;
    bool candidate[SERVERS_MAX];                 /* from the next telling on */
    uint32_t assigned[WORKERS_MAX][SERVERS_MAX]; /* requests that are there */
    uint32_t unheard[WORKERS_MAX][SERVERS_MAX];  /* of these, without a head */
    struct weir_request *kept;                   /* one client's */
};

static void add_server(struct balance *b)
{
    char name[16];

    if (b->server_count < SERVERS_MAX) {
        snprintf(name, sizeof(name), "s%u", b->server_count);
        weir_test_server_add(b->pool, name, 1 + random_below(&b->life->random, 10));
        b->candidate[b->server_count++] = true;
    }
}

static void told(const struct balance *b, enum weir_status status)
{
    if (status != WEIR_OK && !b->life->failures) {
        tell("on_members", "WEIR_OK, where memory is there", "on_members said %d", (int)status);
    }
}

/* What changes of a server. */
static void change(struct balance *b)
{
    uint64_t *random = &b->life->random;
    uint32_t server = random_below(random, b->server_count);

    switch (random_below(random, 6)) {
    case 0: add_server(b); break;
    case 1:
        b->candidate[server] = !b->candidate[server];
        weir_test_server_set_candidate(b->pool, server, b->candidate[server]);
        break;
    case 2: weir_test_server_set_weight(b->pool, server, 1 + random_below(random, 2560)); break;
    case 3:
        weir_test_server_set_limit(b->pool, server,
                                   chance(random, 50) ? 0 : 1 + random_below(random, 5));
        break;
    case 4: weir_test_server_set_latency(b->pool, server, random_below(random, 100000)); break;
    default:
        for (uint32_t i = 0; i < b->server_count && chance(random, 90); i++) {
            b->candidate[i] = chance(random, 50);
            weir_test_server_set_candidate(b->pool, i, b->candidate[i]);
        }
        break;
    }
    if (chance(random, 70)) {
        told(b, weir_test_pool_tell(b->pool));
    }
}

/* A request with its retries: what it has tried is not usable for it any more. */
static void request(struct balance *b, uint32_t worker)
{
    struct weir_test_instance *instance = b->workers[worker];
    uint64_t *random = &b->life->random;
    bool fresh = b->kept == NULL || chance(random, 70);
    struct weir_request *req = fresh ? random_request(b->life) : b->kept;
    uint32_t tried[4], count = 0;

    if (chance(random, 10)) {
        weir_test_would_pick(instance, req);
    }
    for (uint32_t attempt = 0; attempt < COUNT(tried); attempt++) {
        uint32_t server = weir_test_pick_again(instance, req, attempt);
        if (server == WEIR_PICK_NONE) {
            break;
        }
        weir_test_assign(instance, server);
        b->assigned[worker][server]++;
        b->unheard[worker][server]++;
        weir_test_server_set_usable(b->pool, server, false);
        tried[count++] = server;
        if (chance(random, 80)) {
            break;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        weir_test_server_set_usable(b->pool, tried[i], true);
    }
    if (fresh) {
        weir_test_request_free(&req);
    }
}

static uint64_t some_ns(uint64_t *random)
{
    uint32_t bits = random_below(random, 36);
    return random_next(random) & ((UINT64_C(1) << bits) - 1);
}

/* One of the requests at the server begins to be answered, or ends. */
static void answer(struct balance *b, uint32_t worker, uint32_t server)
{
    uint64_t *random = &b->life->random;
    struct weir_feedback how = {
        .outcome = (enum weir_outcome)random_below(random, WEIR_OUTCOME_CANCELED + 1),
        .retry_after_ns = chance(random, 5) ? some_ns(random) : 0,
    };
    uint32_t heard = b->assigned[worker][server] - b->unheard[worker][server];

    if (b->unheard[worker][server] > 0 && chance(random, 30)) {
        how.first_byte_ns = some_ns(random) + 1;
        how.status = chance(random, 80) ? 200 : 503;
        weir_test_head(b->workers[worker], server, &how);
        b->unheard[worker][server]--;
        return;
    }
    /* One that has been heard of has a first byte, and only one that has not may have none. */
    bool first = heard > 0 || how.outcome <= WEIR_OUTCOME_ERROR;
    how.first_byte_ns = first ? some_ns(random) + 1 : 0;
    how.total_ns = how.first_byte_ns + some_ns(random);
    b->unheard[worker][server] -= heard == 0 ? 1 : 0;
    b->assigned[worker][server]--;
    weir_test_complete_as(b->workers[worker], server, &how);
}

static void answer_some(struct balance *b, uint32_t worker)
{
    uint32_t begin = random_below(&b->life->random, SERVERS_MAX);
    for (uint32_t i = 0; i < SERVERS_MAX; i++) {
        uint32_t server = (begin + i) % SERVERS_MAX;
        if (b->assigned[worker][server] > 0) {
            answer(b, worker, server);
            return;
        }
    }
}

static void answer_all(struct balance *b, uint32_t worker)
{
    for (uint32_t i = 0; i < b->server_count; i++) {
        while (b->assigned[worker][i] > 0) {
            answer(b, worker, i);
        }
    }
}

static void score(struct balance *b, uint32_t worker)
{
    struct weir_score out;
    for (uint32_t i = 0; i < b->server_count; i++) {
        (void)weir_test_score(b->workers[worker], b->kept, i, &out);
    }
}

/* A reload: another instance, with other options, takes over; the old one ends what it has. */
static void reload(struct balance *b, uint32_t worker)
{
    struct life *life = b->life;
    char text[16384];

    random_conf(life->module->options, WEIR_CONTEXT_POOL, 30, life->job->command->folder,
                &life->random, text, sizeof(text));
    struct weir_test_block *block = weir_test_conf_in(
        life->host, WEIR_CONTEXT_POOL, chance(&life->random, 50) ? text : life->job->conf);
    weir_test_set_worker(life->host, worker, b->worker_count);
    struct weir_test_instance *next = make_instance(life, block != NULL ? block : life->block);
    if (next == NULL) {
        return;
    }
    weir_test_take_over(b->workers[worker], next);
    answer_all(b, worker);
    weir_test_destroy(&b->workers[worker]);
    b->workers[worker] = next;
}

static void step(struct balance *b)
{
    uint64_t *random = &b->life->random;
    uint32_t worker = random_below(random, b->worker_count);
    uint32_t what = random_below(random, 100);

    maybe_fail(b->life);
    if (what < 45) {
        request(b, worker);
    } else if (what < 80) {
        answer_some(b, worker);
    } else if (what < 88 && b->server_count > 0) {
        change(b);
    } else if (what < 94) {
        weir_test_advance(b->life->host, some_ns(random));
    } else if (what < 96) {
        score(b, worker);
    } else if (what < 98) {
        reload(b, worker);
    } else {
        add_server(b);
    }
}

void live_balancer(struct life *life)
{
    struct balance b = {.life = life, .pool = weir_test_pool_new(life->host)};
    uint32_t workers = 1 + random_below(&life->random, WORKERS_MAX);
    uint32_t servers = chance(&life->random, 20) ? 0 : 1 + random_below(&life->random, 40);

    for (uint32_t i = 0; i < servers; i++) {
        add_server(&b);
    }
    for (uint32_t i = 0; i < workers; i++) {
        weir_test_set_worker(life->host, i, workers);
        struct weir_test_instance *instance = make_instance(life, life->block);
        if (instance != NULL) {
            b.workers[b.worker_count++] = instance;
            told(&b, weir_test_pool_join(b.pool, instance));
        }
    }
    if (b.worker_count == 0) {
        return;
    }
    b.kept = random_request(life);
    for (uint32_t i = 0; i < life->steps; i++) {
        step(&b);
    }
    for (uint32_t i = 0; i < b.worker_count; i++) {
        answer_all(&b, i);
    }
    /* What is left of one may not touch what was another's. */
    for (uint32_t i = 0; i < b.worker_count; i++) {
        weir_test_destroy(&b.workers[i]);
        weir_test_advance(life->host, UINT64_C(100000000));
        if (i + 1 < b.worker_count) {
            request(&b, i + 1);
            answer_all(&b, i + 1);
        }
    }
    weir_test_request_free(&b.kept);
}
