/* SPDX-License-Identifier: MIT */
/*
 * The end of an attempt. See attempt.h.
 */
#include "proxy/pool/attempt.h"

#include "proxy/plan/lifetime.h"
#include "proxy/plan/plan.h"
#include "proxy/plan/trial.h"
#include "proxy/pool/balancer.h"
#include "proxy/pool/outcomes.h"
#include "proxy/pool/pool.h"
#include "proxy/pool/ranking.h"
#include "proxy/pool/shadow.h"

static void server_count(struct server_local *server, const struct attempt *attempt,
                         const struct attempt_end *end, uint64_t total_ns)
{
    struct traffic *traffic = &server->traffic;

    stat_add(&traffic->requests, 1);
    stat_add(&traffic->status[end->status / 100 < 6 ? end->status / 100 : 0], 1);
    histogram_add(&traffic->total, total_ns);
    if (attempt->first_byte_ns > 0) {
        histogram_add(&traffic->first_byte, attempt->first_byte_ns);
    }
    if (end->outcome != WEIR_OUTCOME_SUCCESS && end->outcome != WEIR_OUTCOME_ERROR) {
        stat_add(&traffic->errors[end->reason], 1);
    }
    if (end->outcome != WEIR_OUTCOME_CANCELED) {
        uint32_t us = (uint32_t)(total_ns / 1000 < UINT32_MAX ? total_ns / 1000 : UINT32_MAX);
        uint32_t old = server->latency_us;
        /* An eighth of the difference: about the last ten requests weigh. */
        uint32_t smoothed = old == 0 ? us : old - old / 8 + us / 8;
        __atomic_store_n(&server->latency_us, smoothed, __ATOMIC_RELAXED);
    }
}

static struct weir_feedback feedback_of(struct pool_local *local, const struct attempt *attempt,
                                        const struct balancer *balancer, enum weir_outcome outcome,
                                        unsigned status, uint64_t total_ns)
{
    /* Another instance numbers its servers differently. */
    const struct arm *arm = balancer->failed ? NULL : balancer_arm(local, balancer);

    return (struct weir_feedback){
        .size = sizeof(struct weir_feedback),
        .index = arm != NULL ? attempt->server->candidate : WEIR_PICK_NONE,
        .id = attempt->server->server->id,
        .outcome = outcome,
        .status = status,
        .first_byte_ns = attempt->first_byte_ns,
        .total_ns = total_ns,
        .slot = arm != NULL ? attempt->server->slots[arm->slot] : NULL,
        .retry_after_ns = attempt->retry_after_ns,
    };
}

static bool is_out(const struct balancer *balancer)
{
    return unlikely(guard_is_out(balancer->context.guard) || balancer->out);
}

static void tell_head(struct pool_local *local, const struct attempt *attempt,
                      struct hearer *hearer, unsigned status)
{
    struct balancer *balancer = hearer->balancer;

    if (!hearer->tells_head) {
        return;
    }
    hearer->tells_head = false;
    if (!is_out(balancer)) {
        enum weir_outcome outcome = status >= 500 ? WEIR_OUTCOME_ERROR : WEIR_OUTCOME_SUCCESS;
        struct weir_feedback feedback = feedback_of(local, attempt, balancer, outcome, status, 0);
        struct call *call = call_begin(&balancer->context, HOOK_ON_HEAD);
        balancer->ops->on_head(&balancer->context.base, balancer->data, &feedback);
        call_end(call);
    }
}

void pool_head(struct pool_local *local, struct attempt *attempt, unsigned status)
{
    attempt->tells_head = false;
    tell_head(local, attempt, &attempt->chooser, status);
    tell_head(local, attempt, &attempt->shadow, status);
    balancer_changed(local, attempt->server->candidate);
}

static void tell_end(struct pool_local *local, const struct attempt *attempt, struct hearer *hearer,
                     enum weir_outcome outcome, unsigned status, uint64_t total_ns)
{
    struct balancer *balancer = hearer->balancer;

    if (hearer->told && balancer->ops->on_complete != NULL && !is_out(balancer)) {
        struct weir_feedback feedback =
            feedback_of(local, attempt, balancer, outcome, status, total_ns);
        struct call *call = call_begin(&balancer->context, HOOK_ON_COMPLETE);
        balancer->ops->on_complete(&balancer->context.base, balancer->data, &feedback);
        call_end(call);
    }
    *hearer = (struct hearer){.balancer = NULL};
    balancer_unref(balancer, local->home);
}

/* The pick was one of a trial that still runs. */
static void count_trial(const struct pool_local *local, const struct attempt *attempt,
                        const struct attempt_end *end)
{
    const struct trial *trial = local->plan != NULL ? local->plan->trial : NULL;

    if (attempt->trial == trial && trial != NULL) {
        trial_count(&trial->locals[local->index], attempt->trial_arm, attempt->server->latency_us,
                    end->outcome != WEIR_OUTCOME_SUCCESS || end->status >= 500,
                    attempt->first_byte_ns);
    }
}

void pool_leave(struct pool_local *local, struct attempt *attempt, const struct attempt_end *end)
{
    struct server_local *mine = attempt->server;
    enum weir_outcome outcome = end->outcome;

    if (mine == NULL) {
        return;
    }
    uint32_t candidate = mine->candidate;
    uint64_t total_ns = loop_since(local->home->loop, &attempt->assigned);
    if (unlikely(end->blameless)) {
        outcome = WEIR_OUTCOME_CANCELED;
    } else {
        if (unlikely(attempt->trial != NULL) && outcome != WEIR_OUTCOME_CANCELED) {
            count_trial(local, attempt, end);
        }
        server_count(mine, attempt, end, total_ns);
    }
    if (unlikely(mine->notes != NULL)) {
        outcomes_note(local, mine, outcome);
    }
    tell_end(local, attempt, &attempt->chooser, outcome, end->status, total_ns);
    if (unlikely(attempt->shadow.balancer != NULL)) {
        tell_end(local, attempt, &attempt->shadow, outcome, end->status, total_ns);
        shadow_leave(attempt, outcome);
    }
    attempt->tells_head = false;
    attempt->retry_after_ns = 0;
    attempt->server = NULL;
    queue_release(&local->pool->queue, mine->server);
    balancer_changed(local, candidate); /* the server has one request less */
}

void attempt_forget(struct attempt *attempt, unsigned loop)
{
    if (attempt->life != NULL) {
        lifetime_unref(attempt->life, loop);
        attempt->life = NULL;
    }
}
