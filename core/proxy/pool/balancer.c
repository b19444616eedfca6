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

struct balancer *balancer_new(const struct pool_plan *plan, struct pool_home *home)
{
    const struct use *use = plan->balance;
    struct balancer *balancer = base_zalloc(sizeof(*balancer));

    use_context_init(&balancer->context, use, home->loop, home->index);
    balancer->use = use;
    balancer->ops = use->module->descriptor.balancer;
    balancer->refs = 1;
    balancer->data = use->prepared;
    if (balancer->ops->instance_size > 0) {
        balancer->data = balancer->memory = base_zalloc(balancer->ops->instance_size);
    }
    if (balancer->ops->choices != NULL) {
        balancer->choices = balancer->ops->choices(&balancer->context.base, use->conf);
    }
    if (balancer->ops->create != NULL &&
        balancer->ops->create(&balancer->context.base, use->conf, use->prepared, &balancer->data) !=
            WEIR_OK) {
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
        balancer->ops->destroy(&balancer->context.base, balancer->data);
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
    const struct balancer *balancer = arg;

    module_fault(balancer->use->module);
    log_limited(&limit, WEIR_LOG_ERROR, balancer->context.component,
                "a cost was no number; the server is taken only where nothing else is usable");
}

struct ranking_policy balancer_policy(struct balancer *balancer)
{
    const struct weir_balancer *ops = balancer->ops;

    if (!balancer_is_ranked(balancer)) {
        return (struct ranking_policy){.cost = ranking_load, .by_request = true};
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

/* ---- slots, and what was learnt ---- */

/* Hands over the instance's state (both slots NULL), or that of a slot. false: refused. */
static bool pass_on(struct balancer *last, struct balancer *next, struct weir_state state,
                    void *slot)
{
    state.size = sizeof(state);
    memset(state.data, 0, state.capacity);
    if (last->ops->save(&last->context.base, last->data, &state) != WEIR_OK) {
        return true; /* nothing to hand over */
    }
    if (state.len > state.capacity) {
        module_fault(last->use->module);
        return false;
    }
    state.slot = slot;
    if (next->ops->restore(&next->context.base, next->data, &state) == WEIR_OK) {
        return true;
    }
    if (slot != NULL) {
        memset(slot, 0, next->ops->slot_size);
    }
    return false;
}

static bool can_pass_on(const struct balancer *last, const struct balancer *next)
{
    return last != NULL && last != next && last->ops->save != NULL && next->ops->restore != NULL &&
           strcmp(last->use->module->name, next->use->module->name) == 0;
}

void balancer_take_over(struct pool_local *local, struct balancer *last)
{
    struct balancer *next = local->balancer;
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
        void *old = mine->slot;
        if (old != NULL && last == next) {
            continue;
        }
        mine->slot = next->ops->slot_size > 0 ? base_zalloc(next->ops->slot_size) : NULL;
        if (passes && old != NULL && mine->slot != NULL) {
            struct weir_state state = {
                .id = mine->server->id, .slot = old, .data = data, .capacity = WEIR_STATE_SLOT_MAX};
            refused += !pass_on(last, next, state, mine->slot);
        }
        free(old);
    }
    free(data);
    if (refused > 0) {
        log_write(WEIR_LOG_NOTICE, local->pool->name,
                  "balancer \"%s\": %zu states of the instance before were refused, and begin anew",
                  next->context.component, refused);
    }
}
