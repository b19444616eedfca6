/* SPDX-License-Identifier: MIT */
/*
 * What is tried is looked at twenty times a second, and soon where it has failed; what both sides
 * have done is shown. See swap.h.
 */
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/change/swap.h"
#include "control/change/swap_judge.h"
#include "module/guard.h"

/* A look at whether something has gone wrong costs little; each fifth is at all there is. */
#define LOOK_NS     (10 * NS_PER_MS)
#define LOOKS_WHOLE 5u

static const char *const arm_names[TRIAL_ARMS] = {[ARM_OLD] = "old", [ARM_NEW] = "new"};

/* The use that the side stands for in a pool. */
static const struct use *use_of(const struct pool_plan *pool, enum trial_arm arm)
{
    return arm == ARM_NEW ? pool->canary : pool->balance;
}

/* Strikes of one side, in all pools where it is tried, since there are its blocks. */
static uint64_t count_strikes(const struct plan *plan, enum trial_arm arm)
{
    uint64_t strikes = 0;

    for (size_t i = 0; i < plan->pool_count; i++) {
        if (plan->pools[i].trial != NULL) {
            strikes += atomic_load(&use_of(&plan->pools[i], arm)->guard->strikes);
        }
    }
    return strikes;
}

/* Since the trial began; the new one's first ones count. */
static uint64_t strikes_of(const struct plan *plan, const struct swap *swap, enum trial_arm arm)
{
    return count_strikes(plan, arm) - (arm == ARM_OLD ? swap->strikes : 0);
}

/* ---- the verdict ---- */

/* Strikes since the trial began, by picks. */
static char *judge_strikes(const struct changes *changes, const struct swap *swap)
{
    const struct plan *plan = changes->plane.runtime->current->plan;
    uint64_t strikes[TRIAL_ARMS] = {0}, picks[TRIAL_ARMS] = {0};

    for (size_t i = 0; i < plan->pool_count; i++) {
        const struct pool_plan *pool = &plan->pools[i];
        if (pool->trial == NULL) {
            continue;
        }
        if (guard_is_out(pool->canary->guard)) {
            return base_printf("it is out for too many strikes in pool %s", pool->pool->name);
        }
        if (atomic_load(&pool->trial->unable)) {
            return base_printf("pool %s: it could not take over its servers", pool->pool->name);
        }
        for (unsigned arm = 0; arm < TRIAL_ARMS; arm++) {
            struct judged sum;
            judged_sum(&sum, pool->trial, arm);
            picks[arm] += sum.picks;
        }
    }
    for (unsigned arm = 0; arm < TRIAL_ARMS; arm++) {
        strikes[arm] = strikes_of(plan, swap, arm);
    }
    if (!judge_is_more(strikes[ARM_NEW], picks[ARM_NEW], strikes[ARM_OLD], picks[ARM_OLD], 1)) {
        return NULL;
    }
    return base_printf("%llu strikes with %llu picks, and %llu with %llu of the other",
                       (unsigned long long)strikes[ARM_NEW], (unsigned long long)picks[ARM_NEW],
                       (unsigned long long)strikes[ARM_OLD], (unsigned long long)picks[ARM_OLD]);
}

static char *judge_pools(const struct changes *changes, const struct swap *swap)
{
    const struct plan *plan = changes->plane.runtime->current->plan;
    double errors = cJSON_GetNumberValue(json_get(swap->record, "max_error_ratio"));
    double latency = cJSON_GetNumberValue(json_get(swap->record, "max_latency_ratio"));

    for (size_t i = 0; i < plan->pool_count; i++) {
        struct judged sums[TRIAL_ARMS];
        if (plan->pools[i].trial == NULL) {
            continue;
        }
        for (unsigned arm = 0; arm < TRIAL_ARMS; arm++) {
            judged_sum(&sums[arm], plan->pools[i].trial, arm);
        }
        char *why = judge(&sums[ARM_NEW], &sums[ARM_OLD], errors, latency);
        if (why != NULL) {
            char *told = base_printf("pool %s: %s", plan->pools[i].pool->name, why);
            free(why);
            return told;
        }
    }
    return NULL;
}

static void set_share(const struct changes *changes, double share)
{
    const struct plan *plan = changes->plane.runtime->current->plan;

    for (size_t i = 0; i < plan->pool_count; i++) {
        if (plan->pools[i].trial != NULL) {
            trial_set_share(plan->pools[i].trial, share);
        }
    }
}

void swap_stop_picks(const struct changes *changes)
{
    set_share(changes, 0);
}

void swap_give_picks(const struct changes *changes, const struct swap *swap)
{
    if (swap->verdict == NULL) {
        set_share(changes, cJSON_GetNumberValue(json_get(swap->record, "canary")) / 100);
    }
}

/* What has gone wrong with the new one. */
static uint64_t count_mishaps(const struct plan *plan)
{
    uint64_t mishaps = count_strikes(plan, ARM_NEW);

    for (size_t i = 0; i < plan->pool_count; i++) {
        if (plan->pools[i].trial != NULL) {
            mishaps += trial_errors(plan->pools[i].trial, ARM_NEW);
        }
    }
    return mishaps;
}

static void judge_swap(const struct changes *changes, struct swap *swap)
{
    swap->verdict = judge_strikes(changes, swap);
    if (swap->verdict == NULL) {
        swap->verdict = judge_pools(changes, swap);
    }
}

/* The picks end at once; the step that follows waits its turn in the queue of changes. */
static void look(struct timer *timer)
{
    struct swaps *swaps = container_of(timer, struct swaps, judge);
    struct changes *changes = swaps->changes;
    struct loop *loop = changes->plane.self->loop;
    struct swap *swap = swap_tried(changes);

    if (swap == NULL || swap->until_ns == 0 || changes->plane.ended) {
        return;
    }
    uint64_t mishaps = count_mishaps(changes->plane.runtime->current->plan);
    bool whole = ++swaps->looks % LOOKS_WHOLE == 0 || mishaps != swaps->mishaps;
    swaps->mishaps = mishaps;
    if (swap->verdict == NULL && whole) {
        judge_swap(changes, swap);
    }
    if (swap->verdict != NULL) {
        swap_stop_picks(changes);
    }
    timer_set(loop, timer, LOOK_NS);
    if (whole && (swap->verdict != NULL || loop_now_ns(loop) >= swap->until_ns)) {
        changes_upkeep(changes);
    }
}

void swap_try(struct swap *swap, struct changes *changes)
{
    double until = cJSON_GetNumberValue(json_get(swap->record, "until"));
    double began = cJSON_GetNumberValue(json_get(swap->record, "began"));
    struct loop *loop = changes->plane.self->loop;

    swap->strikes = count_strikes(changes->plane.runtime->current->plan, ARM_OLD);
    swap->until_ns = loop_now_ns(loop) + (uint64_t)((until - began) * 1e6);
    changes->swaps->judge.fn = look;
    timer_set(loop, &changes->swaps->judge, LOOK_NS);
}

/* ---- shown ---- */

static void add_counts(cJSON *object, uint64_t requests, uint64_t errors,
                       const struct histogram *first_byte)
{
    bool any = first_byte->count > 0;

    json_set_number(object, "requests", (double)requests);
    json_set_number(object, "errors", (double)errors);
    cJSON *latency = cJSON_AddObjectToObject(object, "first_byte_ms");
    json_set_number(latency, "p50", any ? histogram_quantile_ms(first_byte, 0.5) : NAN);
    json_set_number(latency, "p99", any ? histogram_quantile_ms(first_byte, 0.99) : NAN);
}

static void add_arm(cJSON *pool, const struct trial *trial, enum trial_arm arm)
{
    struct trial_counts classes[TRIAL_CLASSES] = {{0}};
    cJSON *object = cJSON_AddObjectToObject(pool, arm_names[arm]);
    struct judged sum;
    uint64_t picks = 0;

    judged_sum(&sum, trial, arm);
    json_set_number(object, "picks", (double)sum.picks);
    add_counts(object, sum.requests, sum.errors, &sum.first_byte);
    cJSON *list = cJSON_AddArrayToObject(object, "classes");
    trial_sum(trial, arm, &picks, classes);
    for (unsigned i = 0; i < TRIAL_CLASSES; i++) {
        if (classes[i].requests > 0) {
            unsigned within = trial_class_ms(i);
            cJSON *class = json_append(list);
            json_set_number(class, "servers_within_ms", within > 0 ? within : NAN);
            add_counts(class, classes[i].requests, classes[i].errors, &classes[i].first_byte);
        }
    }
}

void swap_show_trial(const struct changes *changes, const struct swap *swap, cJSON *to)
{
    const struct plan *plan = changes->plane.runtime->current->plan;
    cJSON *pools = cJSON_AddArrayToObject(to, "pools");

    for (size_t i = 0; i < plan->pool_count; i++) {
        if (plan->pools[i].trial == NULL) {
            continue;
        }
        cJSON *pool = json_append(pools);
        json_set(pool, "pool", plan->pools[i].pool->name);
        for (unsigned arm = 0; arm < TRIAL_ARMS; arm++) {
            add_arm(pool, plan->pools[i].trial, arm);
        }
    }
    for (unsigned arm = 0; arm < TRIAL_ARMS && plan->has_canary; arm++) {
        json_set_number(json_get(to, arm_names[arm]), "strikes",
                        (double)strikes_of(plan, swap, arm));
    }
}
