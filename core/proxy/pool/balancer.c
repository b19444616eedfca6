/* SPDX-License-Identifier: MIT */
/*
 * Instances of balancers. See balancer.h.
 */
#include "proxy/pool/balancer.h"

#include <stdlib.h>

#include "base/log.h"
#include "proxy/plan/lifetime.h"
#include "proxy/plan/plan.h"
#include "proxy/pool/pool.h"

struct balancer *balancer_new(const struct use *use, struct pool_home *home)
{
    struct balancer *balancer = base_zalloc(sizeof(*balancer));

    use_context_init(&balancer->context, use, home->loop, home->index);
    balancer->use = use;
    balancer->ops = use->module->descriptor.balancer;
    balancer->refs = 1;
    balancer->data = use->prepared;
    balancer->state = guard_state(use->guard);
    balancer->out = guard_is_out(use->guard);
    if (balancer->ops->instance_size > 0) {
        balancer->data = balancer->memory = base_zalloc(balancer->ops->instance_size);
    }
    if (balancer->ops->choices != NULL) {
        struct call *call = call_begin(&balancer->context, HOOK_CHOICES);
        balancer->choices = balancer->ops->choices(&balancer->context.base, use->conf);
        call_end(call);
    }
    enum weir_status status = WEIR_OK;
    if (balancer->ops->create != NULL) {
        struct call *call = call_begin(&balancer->context, HOOK_CREATE);
        status = balancer->ops->create(&balancer->context.base, use->conf, use->prepared,
                                       &balancer->data);
        call_end(call);
    }
    if (status != WEIR_OK) {
        module_context_end(&balancer->context);
        free(balancer->memory);
        free(balancer);
        return NULL;
    }
    lifetime_keep_module(use->plan->life, use->module_number, home->index);
    return balancer;
}

void balancer_unref(struct balancer *balancer, struct pool_home *home)
{
    if (balancer == NULL || --balancer->refs > 0) {
        return;
    }
    const struct use *use = balancer->use;
    if (balancer->ops->destroy != NULL) {
        struct call *call = call_begin(&balancer->context, HOOK_DESTROY);
        balancer->ops->destroy(&balancer->context.base, balancer->data);
        call_end(call);
    }
    module_context_end(&balancer->context);
    lifetime_unkeep_module(use->plan->life, use->module_number, home->index);
    free(balancer->memory);
    free(balancer);
}

/* ---- ranking ---- */

static void on_fault(void *arg)
{
    static struct log_limit limit;
    struct balancer *balancer = arg;

    call_strike(&balancer->context, HOOK_COST, STRIKE_ANSWER);
    log_limited(&limit, WEIR_LOG_ERROR, balancer->context.component,
                "a cost was no number; the server is taken only where nothing else is usable");
}

static struct ranking_policy fallback_policy(const struct balancer *balancer)
{
    switch ((enum guard_fallback)balancer->use->supervision.fallback) {
    case FALLBACK_ROUND_ROBIN: return (struct ranking_policy){.cost = NULL};
    case FALLBACK_RANDOM: return (struct ranking_policy){.cost = ranking_load, .choices = 2};
    default: return (struct ranking_policy){.cost = ranking_load};
    }
}

static struct ranking_policy policy_of(struct balancer *balancer)
{
    const struct weir_balancer *ops = balancer->ops;

    if (ops->pick != NULL || balancer_is_passed_over(balancer)) {
        return fallback_policy(balancer);
    }
    return (struct ranking_policy){
        .cost = ops->cost,
        .ctx = &balancer->context.base,
        .instance = balancer->data,
        .choices = balancer->choices,
        .by_request = (ops->flags & WEIR_BALANCER_BY_REQUEST) != 0,
        .on_fault = on_fault,
        .arg = balancer,
    };
}

static void rank(struct ranked *ranked, const struct ranking_policy *policy)
{
    ranking_set_policy(ranked->ranking, policy);
    ranking_set_members(ranked->ranking, &ranked->list);
}

void balancer_rank(struct arm *arm)
{
    struct balancer *balancer = arm->balancer;
    struct ranking_policy policy =
        balancer != NULL ? policy_of(balancer) : (struct ranking_policy){.cost = NULL};
    bool asks = policy.cost != NULL && policy.arg != NULL; /* the module */

    struct call *call = asks ? call_begin(&balancer->context, HOOK_COST) : NULL;
    rank(&arm->candidates, &policy);
    call_end_of(call, call_units(arm->candidates.list.count, BALANCER_UNIT));
    arm->keeps_costs = ranking_keeps_costs(arm->candidates.ranking);
}

void balancer_rank_reserves(struct pool_local *local)
{
    static const struct ranking_policy by_load = {.cost = ranking_load, .by_request = true};
    rank(&local->reserves, &by_load);
}

static void changed(struct arm *arm, uint32_t index)
{
    struct balancer *balancer = arm->balancer;

    if (likely(!arm->keeps_costs)) {
        return;
    }
    bool own = balancer->ops->cost != NULL && !balancer_is_passed_over(balancer);
    struct call *call = own ? call_begin(&balancer->context, HOOK_COST) : NULL;
    ranking_changed(arm->candidates.ranking, index);
    call_end(call);
}

void balancer_changed(struct pool_local *local, uint32_t index)
{
    changed(&local->own, index);
    if (unlikely(local->canary != NULL)) {
        changed(local->canary, index);
    }
    if (unlikely(local->shadow != NULL)) {
        changed(local->shadow, index);
    }
}

struct arm *balancer_arm(struct pool_local *local, const struct balancer *balancer)
{
    return likely(local->own.balancer == balancer)                        ? &local->own
           : local->canary != NULL && local->canary->balancer == balancer ? local->canary
           : local->shadow != NULL && local->shadow->balancer == balancer ? local->shadow
                                                                          : NULL;
}

/* ---- out, and tried again ---- */

void balancer_look(struct arm *arm)
{
    struct balancer *balancer = arm->balancer;
    uint32_t state = guard_state(balancer->context.guard);

    if (likely(balancer->state == state) || balancer->out) {
        return; /* one that is out stays so until there is a new instance */
    }
    balancer->state = state;
    balancer->out = true;
    balancer_rank(arm);
}

static void free_slots(const struct pool_local *local, unsigned slot)
{
    for (size_t i = 0; i < local->plan->server_count; i++) {
        struct server_local *mine = &local->plan->servers[i]->locals[local->index];
        free(mine->slots[slot]);
        mine->slots[slot] = NULL;
    }
}

void balancer_renew(struct pool_local *local, struct arm *arm, const struct use *use)
{
    struct balancer *last = arm->balancer;
    uint32_t state = guard_state(last->context.guard);

    if ((state & 1) != 0) {
        last->out = true;
        last->state = state;
    }
    if (last->state == state) {
        return; /* as it was, or out */
    }
    struct balancer *next = balancer_new(use, local->home);
    if (next == NULL) {
        call_strike(&last->context, HOOK_CREATE, STRIKE_FAILED);
        return;
    }
    arm->balancer = next;
    free_slots(local, arm->slot);
    balancer_take_over(local, arm, NULL, arm->slot);
    balancer_unref(last, local->home);
}

void balancer_end(struct pool_local *local, struct arm *arm)
{
    struct balancer *gone = arm->balancer;

    arm->balancer = NULL;
    if (local->plan != NULL) {
        free_slots(local, arm->slot);
    }
    balancer_unref(gone, local->home);
}

/* ---- slots, and what was learnt ---- */

/* Hands over the instance's state (both slots NULL), or that of a slot. false: refused. */
static bool pass_on(struct balancer *last, struct balancer *next, struct weir_state state,
                    void *slot)
{
    state.size = sizeof(state);
    memset(state.data, 0, state.capacity);
    struct call *call = call_begin(&last->context, HOOK_SAVE);
    enum weir_status status = last->ops->save(&last->context.base, last->data, &state);
    call_end(call);
    if (status != WEIR_OK) {
        return true; /* nothing to hand over */
    }
    if (state.len > state.capacity) {
        call_strike(&last->context, HOOK_SAVE, STRIKE_ANSWER);
        return false;
    }
    state.slot = slot;
    call = call_begin(&next->context, HOOK_RESTORE);
    status = next->ops->restore(&next->context.base, next->data, &state);
    call_end(call);
    if (status == WEIR_OK) {
        return true;
    }
    if (slot != NULL) {
        memset(slot, 0, next->ops->slot_size);
    }
    return false;
}

static bool can_pass_on(const struct balancer *last, const struct balancer *next)
{
    return last != NULL && last != next && !last->out && last->ops->save != NULL &&
           next->ops->restore != NULL &&
           strcmp(last->use->module->name, next->use->module->name) == 0;
}

void balancer_take_over(struct pool_local *local, struct arm *arm, struct balancer *last,
                        unsigned slot)
{
    struct balancer *next = arm->balancer;
    const struct pool_plan *plan = local->plan;
    bool passes = can_pass_on(last, next);
    void *data = passes ? base_alloc(WEIR_STATE_MAX) : NULL;
    size_t refused = 0;

    if (passes) {
        struct weir_state state = {.data = data, .capacity = WEIR_STATE_MAX};
        refused += !pass_on(last, next, state, NULL);
    }
    for (size_t i = 0; i < plan->server_count; i++) {
        struct server_local *mine = &plan->servers[i]->locals[local->index];
        void *old = mine->slots[slot];
        if (old != NULL && last == next) {
            continue;
        }
        void *made = next->ops->slot_size > 0 ? base_zalloc_lines(next->ops->slot_size) : NULL;
        if (passes && old != NULL && made != NULL) {
            struct weir_state state = {
                .id = mine->server->id, .slot = old, .data = data, .capacity = WEIR_STATE_SLOT_MAX};
            refused += !pass_on(last, next, state, made);
        }
        free(mine->slots[arm->slot]);
        mine->slots[arm->slot] = made;
    }
    free(data);
    if (refused > 0) {
        log_write(WEIR_LOG_NOTICE, local->pool->name,
                  "balancer \"%s\": %zu states of the instance before were refused, and begin anew",
                  next->context.component, refused);
    }
}
