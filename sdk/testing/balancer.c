/* SPDX-License-Identifier: MIT */
/*
 * What balancers do with a pool of fake servers.
 *
 * A balancer sees its own array of candidates, as on a worker of its own; the counts that
 * candidates point to are the server's, shared by all balancers of the pool.
 */
#include "fake.h"

#include <math.h>
#include <stdlib.h>

#include "proxy/pool/ranking.h"

/* A newer host's candidates are larger: a module that takes the array for one of its own struct,
 * and not by weir_candidate_at, is found out. */
#define STRIDE (sizeof(struct weir_candidate) + 24)

struct fake_pick {
    struct weir_pick base;
    struct weir_test_instance *balancer;
};

/* ---- instances ---- */

static double ask_cost(struct weir_context *ctx, void *instance,
                       const struct weir_candidate *candidate, const struct weir_pick *pick)
{
    FAKE_HOOK("cost");
    return fake_context(ctx)->host->balancer.cost(ctx, instance, candidate, pick);
}

static void on_fault(void *arg)
{
    fake_problem(arg, "cost gave no number");
}

void fake_balancer_begin(struct weir_test_instance *instance)
{
    const struct weir_balancer *ops = &instance->host->balancer;
    uint32_t workers = instance->ctx.worker_count > 0 ? instance->ctx.worker_count : 1;
    uint64_t seed;

    if (ops->instance_size > 0) {
        instance->data = instance->memory =
            fake_lend(ops->instance_size, "the memory of an instance that is gone");
    }
    if (ops->pick == NULL) {
        if (ops->choices != NULL) {
            FAKE_HOOK("choices");
            instance->choices = ops->choices(&instance->ctx.base, instance->block->conf);
        }
        weir_random(&instance->ctx.base, &seed, sizeof(seed));
        instance->ranking =
            ranking_new((uint32_t)(((uint64_t)instance->ctx.worker_index << 32) / workers), seed);
    }
}

void fake_balancer_made(struct weir_test_instance *instance)
{
    const struct weir_balancer *ops = &instance->host->balancer;
    const struct ranking_policy policy = {
        .cost = ops->cost != NULL ? ask_cost : NULL,
        .ctx = &instance->ctx.base,
        .instance = instance->data,
        .choices = instance->choices,
        .by_request = (ops->flags & WEIR_BALANCER_BY_REQUEST) != 0,
        .on_fault = on_fault,
        .arg = instance->host,
    };

    if (instance->ranking != NULL) {
        ranking_set_policy(instance->ranking, &policy);
    }
}

void fake_balancer_free(struct weir_test_instance *instance)
{
    for (uint32_t i = 0; i < instance->assigned_count; i++) {
        fake_take_back(instance->slots[i]);
    }
    ranking_free(&instance->ranking);
    free(instance->slots);
    fake_take_back(instance->candidates);
    free(instance->numbers);
    free(instance->indexes);
    free(instance->assigned);
    free(instance->heads);
    fake_take_back(instance->memory);
}

/* ---- members ---- */

static void require_pool(const struct weir_test_instance *balancer, const char *function)
{
    fake_require_kind(balancer, WEIR_TEST_BALANCER, function);
    if (balancer->pool == NULL) {
        fake_abort(function, "the balancer has no pool; use weir_test_pool_join");
    }
}

/* The array with its head and the names, in one allocation that the balancer owns. */
static void candidates_new(struct weir_test_instance *balancer)
{
    const struct weir_test_pool *pool = balancer->pool;
    size_t head = (sizeof(struct weir_candidates) + sizeof(max_align_t) - 1) / sizeof(max_align_t) *
                  sizeof(max_align_t);
    size_t array = head + pool->count * STRIDE;
    char *memory = fake_lend(array + fake_names_size(pool), "the candidates before on_members");
    char *name = memory + array;
    struct weir_candidates *all = (struct weir_candidates *)(void *)memory;

    memset(memory + head, 0xa5, pool->count * STRIDE);
    balancer->numbers = fake_alloc(pool->count * sizeof(*balancer->numbers));
    balancer->indexes = fake_grow(balancer->indexes, pool->count + 1, sizeof(*balancer->indexes));
    *all = (struct weir_candidates){.size = sizeof(*all), .candidate_size = STRIDE};
    all->first = (const struct weir_candidate *)(void *)(memory + head);
    for (uint32_t i = 0; i < pool->count; i++) {
        const struct fake_server *server = pool->servers[i];
        balancer->indexes[i] = server->candidate ? all->count : WEIR_PICK_NONE;
        if (!server->candidate) {
            continue;
        }
        balancer->numbers[all->count] = i;
        strcpy(name, server->name);
        *(struct weir_candidate *)(void *)(memory + head + all->count * STRIDE) =
            (struct weir_candidate){
                .id = server->id,
                .name = {name, strlen(server->name)},
                .weight = server->weight,
                .in_flight = &server->in_flight,
                .latency_us = &server->latency_us,
                .slot = balancer->slots[i],
                .limit = server->limit,
                .full_weight = server->full_weight,
            };
        name += strlen(name) + 1;
        all->count++;
    }
    balancer->candidates = all;
}

/* Each server of the pool has its count and its slot. */
static void know_servers(struct weir_test_instance *balancer)
{
    uint32_t count = balancer->pool->count;
    uint32_t slot_size = balancer->host->balancer.slot_size;

    balancer->assigned = fake_grow(balancer->assigned, count + 1, sizeof(*balancer->assigned));
    balancer->heads = fake_grow(balancer->heads, count + 1, sizeof(*balancer->heads));
    balancer->slots = fake_grow(balancer->slots, count + 1, sizeof(*balancer->slots));
    for (uint32_t i = balancer->assigned_count; i < count; i++) {
        balancer->assigned[i] = balancer->heads[i] = 0;
        balancer->slots[i] =
            slot_size > 0 ? fake_lend(slot_size, "the slot of a server that is gone") : NULL;
    }
    balancer->assigned_count = count;
}

static enum weir_status tell_members(struct weir_test_instance *balancer)
{
    struct weir_candidates *old = balancer->candidates;
    uint32_t *old_numbers = balancer->numbers;
    enum weir_status status = WEIR_OK;

    know_servers(balancer);
    candidates_new(balancer);
    if (balancer->host->balancer.on_members != NULL) {
        FAKE_HOOK("on_members");
        status = balancer->host->balancer.on_members(&balancer->ctx.base, balancer->data,
                                                     balancer->candidates);
    }
    if (balancer->ranking != NULL) {
        ranking_set_members(balancer->ranking, balancer->candidates);
    }
    fake_take_back(old);
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

/* What `from` has learnt of itself or of a server passes over. Whether `to` refuses it. */
static bool pass_on(struct weir_test_instance *from, struct weir_test_instance *to,
                    struct weir_state state, void *slot)
{
    state.size = sizeof(state);
    state.data = fake_lend(state.capacity, "the state of a handing over that is over");
    FAKE_HOOK("save");
    enum weir_status saved = from->host->balancer.save(&from->ctx.base, from->data, &state);
    bool refused = false;
    if (saved != WEIR_OK && saved != WEIR_DECLINED) {
        fake_problem(from->host, "save said %d, and not WEIR_OK or WEIR_DECLINED", (int)saved);
    } else if (saved == WEIR_OK && state.len > state.capacity) {
        fake_problem(from->host, "save says that it wrote %u bytes, where %u have room", state.len,
                     state.capacity);
        refused = true;
    } else if (saved == WEIR_OK) {
        state.slot = slot;
        FAKE_HOOK("restore");
        refused = to->host->balancer.restore(&to->ctx.base, to->data, &state) != WEIR_OK;
    }
    if (refused && slot != NULL) {
        memset(slot, 0, to->host->balancer.slot_size);
    }
    fake_take_back(state.data);
    return refused;
}

uint32_t weir_test_take_over(struct weir_test_instance *from, struct weir_test_instance *to)
{
    uint32_t refused = 0;
    require_pool(from, __func__);
    fake_require_kind(to, WEIR_TEST_BALANCER, __func__);
    FAKE_REQUIRE(to->pool == NULL, "the balancer has a pool already");
    to->pool = from->pool;
    know_servers(to);
    if (from->host->balancer.save != NULL && to->host->balancer.restore != NULL) {
        refused += pass_on(from, to, (struct weir_state){.capacity = WEIR_STATE_MAX}, NULL);
        for (uint32_t i = 0; i < from->assigned_count; i++) {
            if (from->slots[i] != NULL && to->slots[i] != NULL) {
                struct weir_state state = {.id = fake_server_at(from->pool, i)->id,
                                           .slot = from->slots[i],
                                           .capacity = WEIR_STATE_SLOT_MAX};
                refused += pass_on(from, to, state, to->slots[i]);
            }
        }
    }
    tell_members(to);
    return refused;
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

static bool index_usable(const struct weir_test_instance *balancer, uint32_t index)
{
    if (index >= balancer->candidates->count) {
        return false;
    }
    const struct fake_server *server = fake_server_at(balancer->pool, balancer->numbers[index]);
    return server->usable && (server->limit == 0 || server->in_flight < server->limit);
}

static bool pick_usable(const struct weir_pick *pick, uint32_t index)
{
    struct weir_test_instance *balancer = ((const struct fake_pick *)(const void *)pick)->balancer;
    balancer->questions++;
    if (index >= balancer->candidates->count) {
        fake_problem(balancer->host, "pick asked for candidate %u of %u", index,
                     balancer->candidates->count);
        return false;
    }
    return index_usable(balancer, index);
}

uint64_t weir_test_question_count(const struct weir_test_instance *balancer)
{
    require_pool(balancer, __func__);
    return balancer->questions;
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

static uint32_t choose(struct weir_test_instance *balancer, const struct weir_pick *pick)
{
    if (balancer->ranking == NULL) {
        FAKE_HOOK("pick");
        return balancer->host->balancer.pick(&balancer->ctx.base, balancer->data, pick);
    }
    return pick->dry_run ? ranking_peek(balancer->ranking, pick)
                         : ranking_pick(balancer->ranking, pick);
}

static uint32_t pick_once(struct weir_test_instance *balancer, struct weir_request *req,
                          uint32_t attempt, bool dry_run)
{
    struct fake_pick made = make_pick(balancer, req, attempt);
    made.base.dry_run = dry_run;
    struct fake_pick *pick = fake_lend_copy(&made, sizeof(made), "a pick that is over");
    uint32_t index = choose(balancer, &pick->base);
    fake_take_back(pick);
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

static uint32_t pick_for(struct weir_test_instance *balancer, struct weir_request *req,
                         uint32_t attempt, bool dry_run)
{
    if (req != NULL) {
        return pick_once(balancer, req, attempt, dry_run);
    }
    struct weir_request *own = weir_test_request(balancer->host, "GET", "/");
    uint32_t server = pick_once(balancer, own, attempt, dry_run);
    weir_test_request_free(&own);
    return server;
}

uint32_t weir_test_pick_again(struct weir_test_instance *balancer, struct weir_request *req,
                              uint32_t attempt)
{
    require_pool(balancer, __func__);
    return pick_for(balancer, req, attempt, false);
}

uint32_t weir_test_pick(struct weir_test_instance *balancer, struct weir_request *req)
{
    return weir_test_pick_again(balancer, req, 0);
}

uint32_t weir_test_would_pick(struct weir_test_instance *balancer, struct weir_request *req)
{
    require_pool(balancer, __func__);
    return pick_for(balancer, req, 0, true);
}

/* The candidate's index of a server; WEIR_PICK_NONE: it is none now. */
static uint32_t index_of(const struct weir_test_instance *balancer, uint32_t server)
{
    return server < balancer->assigned_count ? balancer->indexes[server] : WEIR_PICK_NONE;
}

static enum weir_status score_once(struct weir_test_instance *balancer, struct weir_request *req,
                                   uint32_t index, struct weir_score *out)
{
    const struct weir_balancer *ops = &balancer->host->balancer;
    struct fake_pick pick = make_pick(balancer, req, 0);
    bool ranked = balancer->ranking != NULL;
    if (ranked && !ranking_score(balancer->ranking, &pick.base, index, out)) {
        return WEIR_DECLINED;
    }
    double value = out->value;
    enum weir_status status = WEIR_OK;
    if (ops->score != NULL) {
        FAKE_HOOK("score");
        status = ops->score(&balancer->ctx.base, balancer->data, &pick.base, index, out);
    }
    if (status != WEIR_OK && status != WEIR_DECLINED) {
        fake_problem(balancer->host, "score said %d, and not WEIR_OK or WEIR_DECLINED",
                     (int)status);
    }
    if (status == WEIR_OK && !isfinite(out->value)) {
        fake_problem(balancer->host, "score gave a number that is not finite");
    }
    if (ranked && (status != WEIR_OK || !isfinite(out->value))) {
        out->value = value;
    }
    if (memchr(out->text, '\0', sizeof(out->text)) == NULL) {
        fake_problem(balancer->host, "score gave a text that has no end");
        out->text[sizeof(out->text) - 1] = '\0';
    }
    return ranked ? WEIR_OK : status;
}

enum weir_status weir_test_score(struct weir_test_instance *balancer, struct weir_request *req,
                                 uint32_t server, struct weir_score *out)
{
    require_pool(balancer, __func__);
    uint32_t index = index_of(balancer, server);
    *out = (struct weir_score){.size = sizeof(*out)};
    if (index == WEIR_PICK_NONE ||
        (balancer->host->balancer.score == NULL && balancer->ranking == NULL)) {
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
    fake_server_at(balancer->pool, server)->in_flight++;
    balancer->assigned[server]++;
    const struct weir_balancer *ops = &balancer->host->balancer;
    if (ops->on_sent != NULL) {
        FAKE_HOOK("on_sent");
        ops->on_sent(&balancer->ctx.base, balancer->data,
                     weir_candidate_at(balancer->candidates, index));
    } else if (ops->on_assign != NULL) {
        FAKE_HOOK("on_assign");
        ops->on_assign(&balancer->ctx.base, balancer->data, index);
    }
    if (balancer->ranking != NULL) {
        ranking_changed(balancer->ranking, index);
    }
}

static uint32_t outcome_status(enum weir_outcome outcome)
{
    return outcome == WEIR_OUTCOME_SUCCESS ? 200 : outcome == WEIR_OUTCOME_ERROR ? 500 : 0;
}

/* What the balancer hears of a request to the server that became of it as `how` says. */
static struct weir_feedback feedback_of(const struct weir_test_instance *balancer, uint32_t server,
                                        const struct weir_feedback *how)
{
    struct weir_feedback feedback = *how;
    feedback.size = sizeof(feedback);
    feedback.index = index_of(balancer, server);
    feedback.id = fake_server_at(balancer->pool, server)->id;
    feedback.slot = balancer->slots[server];
    return feedback;
}

/* By a copy that is there for the call alone. */
static void tell(struct weir_test_instance *balancer,
                 void (*hook)(struct weir_context *ctx, void *instance,
                              const struct weir_feedback *feedback),
                 const char *name, const struct weir_feedback *feedback)
{
    void *copy = fake_lend_copy(feedback, sizeof(*feedback), "feedback of a call that is over");
    FAKE_HOOK(name);
    hook(&balancer->ctx.base, balancer->data, copy);
    fake_take_back(copy);
}

static void tell_head(struct weir_test_instance *balancer, uint32_t server,
                      const struct weir_feedback *how)
{
    struct weir_feedback feedback = feedback_of(balancer, server, how);
    feedback.status = how->status > 0 ? how->status : 200;
    feedback.outcome = feedback.status >= 500 ? WEIR_OUTCOME_ERROR : WEIR_OUTCOME_SUCCESS;
    feedback.first_byte_ns = how->first_byte_ns > 0 ? how->first_byte_ns : 1;
    feedback.total_ns = 0;
    balancer->heads[server]++;
    if (balancer->host->balancer.on_head != NULL) {
        tell(balancer, balancer->host->balancer.on_head, "on_head", &feedback);
        if (balancer->ranking != NULL) {
            ranking_changed(balancer->ranking, feedback.index);
        }
    }
}

void weir_test_head(struct weir_test_instance *balancer, uint32_t server,
                    const struct weir_feedback *how)
{
    require_pool(balancer, __func__);
    FAKE_REQUIRE(server < balancer->assigned_count &&
                     balancer->heads[server] < balancer->assigned[server],
                 "no request that is not answered yet is assigned to the server");
    tell_head(balancer, server, how);
}

void weir_test_complete_as(struct weir_test_instance *balancer, uint32_t server,
                           const struct weir_feedback *how)
{
    require_pool(balancer, __func__);
    struct fake_server *to = fake_server_at(balancer->pool, server);
    FAKE_REQUIRE(server < balancer->assigned_count && balancer->assigned[server] > 0,
                 "no request is assigned to the server");
    struct weir_feedback feedback = feedback_of(balancer, server, how);
    feedback.status = how->status > 0 ? how->status : outcome_status(how->outcome);
    if (feedback.first_byte_ns > 0 && balancer->heads[server] == 0) {
        tell_head(balancer, server, &feedback);
    }
    balancer->heads[server] -= feedback.first_byte_ns > 0 ? 1 : 0;
    balancer->assigned[server]--;
    to->in_flight -= to->in_flight > 0 ? 1 : 0;
    if (balancer->host->balancer.on_complete != NULL) {
        tell(balancer, balancer->host->balancer.on_complete, "on_complete", &feedback);
    }
    if (balancer->ranking != NULL) {
        ranking_changed(balancer->ranking, feedback.index);
    }
}

void weir_test_complete(struct weir_test_instance *balancer, uint32_t server,
                        enum weir_outcome outcome, uint64_t first_byte_ns, uint64_t total_ns)
{
    const struct weir_feedback how = {
        .outcome = outcome, .first_byte_ns = first_byte_ns, .total_ns = total_ns};
    weir_test_complete_as(balancer, server, &how);
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
