/* SPDX-License-Identifier: MIT */
/*
 * Pools on one loop: candidates and idle connections. See pool.h.
 */
#include "proxy/pool/pool.h"

#include <stdlib.h>

#include "base/log.h"
#include "module/secret.h"
#include "proxy/plan/trial.h"
#include "proxy/pool/balancer.h"
#include "proxy/pool/connections.h"
#include "proxy/pool/etags.h"
#include "proxy/pool/members.h"
#include "proxy/pool/outcomes.h"
#include "proxy/pool/ranking.h"
#include "proxy/pool/shadow.h"

/* Workers start their turns spread apart, or all would send their n-th request to the same
 * server. */
static struct ranking *new_ranking(const struct pool_local *local)
{
    uint32_t phase = (uint32_t)(((uint64_t)local->index << 32) / pool_workers(local->pool));
    uint64_t seed;

    secret_random(&seed, sizeof(seed));
    return ranking_new(phase, seed);
}

struct pool *pool_new(struct weir_str name, unsigned loops)
{
    struct pool *pool = base_zalloc(sizeof(*pool));
    pool->name = base_strndup(name.ptr, name.len);
    pool->refs = 1;
    pool->loops = loops;
    pool->locals = base_zalloc_lines(sizeof(*pool->locals) * loops);
    for (unsigned i = 0; i < loops; i++) {
        pool->locals[i].pool = pool;
        pool->locals[i].index = i;
        pool->locals[i].own.candidates.ranking = new_ranking(&pool->locals[i]);
        pool->locals[i].reserves.ranking = new_ranking(&pool->locals[i]);
        list_init(&pool->locals[i].waiters);
        outcomes_init(&pool->locals[i]);
    }
    pool_queue_init(&pool->queue);
    return pool;
}

static void ranked_end(struct ranked *ranked)
{
    ranking_free(&ranked->ranking);
    free(ranked->items);
    free(ranked->servers);
}

void pool_unref(struct pool **pool)
{
    struct pool *p = *pool;
    *pool = NULL;
    ASSERT(p->refs > 0);
    if (--p->refs > 0) {
        return;
    }
    for (unsigned i = 0; i < p->loops; i++) {
        struct pool_local *local = &p->locals[i];
        ASSERT(local->own.balancer == NULL && local->canary == NULL && local->shadow == NULL &&
               list_empty(&local->waiters));
        ranked_end(&local->own.candidates);
        ranked_end(&local->reserves);
    }
    etags_free(&p->weak_etags);
    pool_queue_end(&p->queue);
    table_remove(&p->link);
    free(p->locals);
    free(p->name);
    free(p);
}

struct traffic pool_total(const struct pool *pool)
{
    struct traffic total = {0};
    for (unsigned i = 0; i < pool->loops; i++) {
        traffic_sum(&total, &pool->locals[i].traffic);
    }
    return total;
}

/* ---- candidates ---- */

/* None, with room for so many. */
static void ranked_clear(struct ranked *ranked, uint32_t most)
{
    if (most > ranked->capacity) {
        free(ranked->items);
        ranked->items = base_zalloc_lines(sizeof(*ranked->items) * most); /* a line each */
        ranked->servers = base_realloc(ranked->servers, sizeof(*ranked->servers) * most);
        ranked->capacity = most;
    }
    ranked->list = (struct weir_candidates){.size = sizeof(ranked->list),
                                            .candidate_size = sizeof(*ranked->items),
                                            .first = ranked->items};
}

/* Returns its index. `slot`: which of the server's the balancer has. */
static uint32_t ranked_add(struct ranked *ranked, struct server_local *mine, unsigned slot)
{
    uint32_t index = ranked->list.count++;

    ranked->servers[index] = mine;
    ranked->items[index] = (struct weir_candidate){
        .id = mine->server->id,
        .name = str_from(mine->server->name),
        .weight = mine->server->effective,
        .in_flight = &mine->server->in_flight,
        .latency_us = &mine->latency_us,
        .slot = mine->slots[slot],
        .limit = mine->server->max_connections,
        .full_weight = mine->server->weight * WEIR_WEIGHT_ONE,
    };
    return index;
}

/* Which of a pool's servers are candidates. */
struct members {
    uint32_t wanted[2]; /* by backup: those meant to serve */
    uint32_t well[2];   /* and of them those that can */
    uint32_t awaiting_probe;
    bool panic, all; /* see `panic` and `panic_mode` */
    bool backups;    /* the backups are the candidates */
};

static struct members members_of(const struct pool_plan *plan)
{
    const struct pool_settings *settings = plan->settings;
    struct members members = {0};

    for (size_t i = 0; i < plan->server_count; i++) {
        const struct server *server = plan->servers[i];
        if (server_is_wanted(server)) {
            members.awaiting_probe += server->awaiting_probe != 0;
            members.wanted[server->backup != 0] += server->awaiting_probe == 0;
            members.well[server->backup != 0] += server_is_candidate(server);
        }
    }
    members.panic = settings->panic > 0 && members.well[0] < settings->panic * members.wanted[0];
    members.backups = members.well[0] == 0 || members.panic;
    if (members.panic && settings->panic_mode == PANIC_ALL) {
        members.backups = members.well[0] == 0 && members.well[1] > 0;
        members.all = members.panic = !members.backups;
    }
    return members;
}

static bool is_member(const struct members *members, const struct server *server)
{
    if (members->all && !server->backup) {
        return server_is_wanted(server) && !server->awaiting_probe && !server->no_address;
    }
    return (server->backup != 0) == members->backups && server_is_candidate(server);
}

/* Logged once, by the control thread's loop. */
static void tell_panic(struct pool_local *local, const struct members *members)
{
    const struct pool_settings *settings = local->plan->settings;

    if (local->index != local->pool->loops - 1 || local->panic == members->panic) {
        return;
    }
    local->panic = members->panic;
    if (members->panic) {
        log_write(WEIR_LOG_WARNING, local->pool->name,
                  "panic: %u of %u servers are well, fewer than %.0f %%: %s used", members->well[0],
                  members->wanted[0], settings->panic * 100, members->all ? "all are" : "none is");
    } else {
        log_write(WEIR_LOG_NOTICE, local->pool->name, "panic is over: %u of %u servers are well",
                  members->well[0], members->wanted[0]);
    }
}

static void candidates_build(struct pool_local *local)
{
    struct pool_plan *plan = local->plan;
    unsigned loop = local->index;
    struct members members = members_of(plan);

    ranked_clear(&local->own.candidates, (uint32_t)plan->server_count);
    ranked_clear(&local->reserves, (uint32_t)plan->server_count);
    local->unlimited = 0;
    local->awaiting_probe = members.awaiting_probe;
    local->pool->panic_all = members.all;
    local->pool->panic = members.panic;
    tell_panic(local, &members);
    for (size_t i = 0; i < plan->server_count; i++) {
        struct server *server = plan->servers[i];
        struct server_local *mine = &server->locals[loop];
        bool member = is_member(&members, server);
        mine->candidate = UINT32_MAX;
        if (!member && (!server->backup || !server_is_candidate(server))) {
            continue;
        }
        local->unlimited += server->max_connections == 0;
        if (member) {
            mine->candidate = ranked_add(&local->own.candidates, mine, local->own.slot);
        } else {
            ranked_add(&local->reserves, mine, local->own.slot);
        }
    }
}

/* The same candidates, with the arm's slots. */
static void candidates_mirror(const struct pool_local *local, struct arm *arm)
{
    const struct ranked *from = &local->own.candidates;

    ranked_clear(&arm->candidates, from->capacity);
    for (uint32_t i = 0; i < from->list.count; i++) {
        ranked_add(&arm->candidates, from->servers[i], arm->slot);
    }
}

void pool_touch(struct pool *pool)
{
    for (unsigned i = 0; i < pool->loops; i++) {
        atomic_store(&pool->locals[i].stale, true);
    }
}

void pool_touch_now(struct pool *pool)
{
    for (unsigned i = 0; i < pool->loops; i++) {
        atomic_store(&pool->locals[i].hurry, true);
    }
    pool_touch(pool);
}

static void tell_members(struct pool_local *local, struct arm *arm)
{
    struct balancer *balancer = arm->balancer;
    enum weir_status status = WEIR_OK;

    if (balancer->ops->on_members != NULL) {
        struct call *call = call_begin(&balancer->context, HOOK_ON_MEMBERS);
        status = balancer->ops->on_members(&balancer->context.base, balancer->data,
                                           &arm->candidates.list);
        call_end_of(call, call_units(arm->candidates.list.count, BALANCER_UNIT));
    }
    balancer->failed = status != WEIR_OK;
    if (balancer->failed) {
        log_write(WEIR_LOG_ERROR, local->pool->name, "%s could not take its members over; %s",
                  arm == local->shadow ? "the shadow" : "the balancer",
                  arm == local->shadow ? "it is not asked" : "the host chooses itself");
        call_strike(&balancer->context, HOOK_ON_MEMBERS, STRIKE_FAILED);
    }
}

static void refresh_arm(struct pool_local *local, struct arm *arm)
{
    if (!arm->balancer->out) {
        tell_members(local, arm);
    }
    balancer_rank(arm);
}

void pool_local_refresh(struct pool_local *local)
{
    if (local->plan == NULL) {
        return;
    }
    atomic_store(&local->stale, false); /* first: later changes mark the pool again */
    balancer_renew(local, &local->own, local->plan->balance);
    if (local->shadow != NULL) {
        balancer_renew(local, local->shadow, local->plan->shadow);
    }
    candidates_build(local);
    refresh_arm(local, &local->own);
    struct arm *others[] = {local->canary, local->shadow};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        if (others[i] != NULL) {
            candidates_mirror(local, others[i]);
            refresh_arm(local, others[i]);
        }
    }
    if (local->canary != NULL && local->canary->balancer->failed) {
        atomic_store(&local->plan->trial->unable, true); /* no picks that it could do worse with */
    }
    if (local->shadow != NULL) {
        shadow_note_state(local);
    }
    balancer_rank_reserves(local);
    queue_reconsider(local);
}

/* ---- plans come and go ---- */

bool pool_local_drop_idle(struct pool_local *local)
{
    for (size_t i = 0; i < local->plan->server_count; i++) {
        if (spares_close_one(&local->plan->servers[i]->locals[local->index].spares)) {
            return true;
        }
    }
    return false;
}

static void servers_retire(struct pool_local *local, const struct pool_plan *old,
                           const struct pool_plan *plan)
{
    unsigned loop = local->index;
    for (size_t i = 0; i < old->server_count; i++) {
        struct server *server = old->servers[i];
        bool kept = plan != NULL && pool_plan_server(plan, server->id) == server;
        struct server_local *mine = &server->locals[loop];
        mine->adopted = kept;
        if (!kept) {
            mine->candidate = UINT32_MAX;
            shadow_forget(mine);
            for (unsigned k = 0; k < ARRAY_COUNT(mine->slots); k++) {
                free(mine->slots[k]);
                mine->slots[k] = NULL;
            }
            outcomes_forget(mine);
            connections_drop(mine);
        }
    }
}

/* One more arm, without a balancer yet. */
static struct arm *arm_new(const struct pool_local *local)
{
    const struct arm *others[] = {&local->own, local->canary, local->shadow};
    struct arm *arm = base_zalloc(sizeof(*arm));
    unsigned used = 0;

    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        used |= others[i] != NULL ? 1u << others[i]->slot : 0;
    }
    while ((used & 1u << arm->slot) != 0) {
        arm->slot++;
    }
    arm->candidates.ranking = new_ranking(local);
    return arm;
}

static void arm_end(struct pool_local *local, struct arm **which)
{
    struct arm *arm = *which;

    *which = NULL;
    if (arm != NULL) {
        balancer_end(local, arm);
        ranked_end(&arm->candidates);
        free(arm);
    }
}

static bool same_module(const struct arm *arm, const struct balancer *balancer)
{
    return arm != NULL && arm->balancer != NULL && balancer != NULL &&
           strcmp(arm->balancer->use->module->name, balancer->use->module->name) == 0;
}

/* The pool's balancer becomes its shadow: the arms change places with all that their instances
 * have learnt, and each has a successor of its own module. */
static bool is_demoted(const struct pool_local *local, const struct balancer *next,
                       const struct balancer *shadow)
{
    return next != NULL && same_module(&local->own, shadow) && !same_module(&local->own, next) &&
           !same_module(local->shadow, shadow);
}

/* Candidates and turns stay: the instances' successors are given them anew. */
static void change_places(struct pool_local *local)
{
    if (local->shadow == NULL) {
        local->shadow = arm_new(local);
    }
    struct arm *own = &local->own, *shadow = local->shadow, before = *own;
    own->balancer = shadow->balancer;
    own->slot = shadow->slot;
    shadow->balancer = before.balancer;
    shadow->slot = before.slot;
}

/* Whose state an instance of that module takes over. */
static const struct arm *taught_by(const struct pool_local *local, const struct balancer *canary)
{
    bool by_shadow = !same_module(&local->own, canary) && same_module(local->shadow, canary);
    return by_shadow ? local->shadow : &local->own;
}

/* The instance that replaces `last`, or goes on. A shadow that is promoted hands over what it has
 * learnt. */
static void own_take_over(struct pool_local *local, struct balancer *last)
{
    struct arm *own = &local->own;
    const struct arm *shadow = local->shadow;
    bool learnt = last != own->balancer && same_module(shadow, own->balancer) &&
                  strcmp(last->use->module->name, own->balancer->use->module->name) != 0;

    balancer_take_over(local, own, learnt ? shadow->balancer : last,
                       learnt ? shadow->slot : own->slot);
}

/* It begins with what the shadow before has learnt, or else the pool's own balancer, where that is
 * of the same module. */
static void shadow_adopt(struct pool_local *local, struct balancer *shadow)
{
    struct arm *arm = local->shadow;

    if (shadow == NULL) {
        arm_end(local, &local->shadow);
        return;
    }
    if (arm == NULL) {
        arm = local->shadow = arm_new(local);
    }
    struct balancer *last = arm->balancer;
    bool from_own = !same_module(arm, shadow) && same_module(&local->own, shadow);
    arm->balancer = shadow;
    balancer_take_over(local, arm, from_own ? local->own.balancer : last,
                       from_own ? local->own.slot : arm->slot);
    if (last != shadow) {
        ranking_follow(arm->candidates.ranking, local->own.candidates.ranking);
        shadow_begin(local);
    }
    balancer_unref(last, local->home); /* the same: the plan's reference */
}

/* The plan's instances replace those of the plan before; without a canary among them, the one that
 * was tried goes, or has become the pool's own. */
static void balancers_adopt(struct pool_local *local, struct balancer *next,
                            struct balancer *canary, struct balancer *shadow)
{
    struct balancer *last = local->own.balancer;

    if (next != NULL && local->canary != NULL && local->canary->balancer == next) {
        struct arm before = local->own;
        local->own = *local->canary;
        *local->canary = before;
        last = next;
    } else if (is_demoted(local, next, shadow)) {
        change_places(local);
        last = local->own.balancer;
    }
    local->own.balancer = next != NULL ? next : last;
    if (canary == NULL || (local->canary != NULL && local->canary->balancer != canary)) {
        arm_end(local, &local->canary);
    }
    own_take_over(local, last);
    if (canary != NULL && local->canary == NULL) {
        local->canary = arm_new(local);
        local->canary->balancer = canary;
        const struct arm *from = taught_by(local, canary);
        balancer_take_over(local, local->canary, from->balancer, from->slot);
    } else if (canary != NULL) {
        balancer_take_over(local, local->canary, canary, local->canary->slot);
        balancer_unref(canary, local->home); /* the plan's reference: it goes on */
    }
    shadow_adopt(local, shadow);
    if (next != NULL) {
        balancer_unref(last, local->home);
    }
}

static struct balancer *taken(struct balancer **made, unsigned loop)
{
    struct balancer *balancer = made[loop];
    made[loop] = NULL;
    return balancer;
}

void pool_local_adopt(struct pool_local *local, struct pool_plan *plan)
{
    struct pool_home *home = local->home;
    struct pool_plan *old = local->plan;

    local->plan = plan;
    if (!list_linked(&local->at_home)) {
        list_push_back(&home->pools, &local->at_home);
    }
    if (old != NULL) {
        servers_retire(local, old, plan);
    }
    outcomes_adopt(local);
    if (plan == NULL) {
        struct balancer *gone = local->own.balancer;
        timer_cancel(home->loop, &local->idle_timer);
        arm_end(local, &local->canary);
        arm_end(local, &local->shadow);
        local->own.balancer = NULL;
        local->own.candidates.list.count = local->reserves.list.count = local->awaiting_probe = 0;
        balancer_rank(&local->own);
        balancer_rank_reserves(local);
        list_remove(&local->at_home);
        balancer_unref(gone, home);
        queue_reconsider(local);
        return;
    }
    for (size_t i = 0; i < plan->server_count; i++) {
        struct server_local *mine = &plan->servers[i]->locals[local->index];
        mine->adopted = true;
        mine->pool = local;
        connections_adopt(mine, plan);
    }
    connections_rule(local);
    struct balancer *next = taken(plan->balancers, local->index);
    struct balancer *canary = plan->canary != NULL ? taken(plan->canaries, local->index) : NULL;
    struct balancer *shadow = plan->shadow != NULL ? taken(plan->shadows, local->index) : NULL;
    balancers_adopt(local, next, canary, shadow);
    pool_local_refresh(local);
}
