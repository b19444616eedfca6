/* SPDX-License-Identifier: MIT */
/*
 * A balancer that counts how often it is told of its members, and says so for each candidate's
 * score: on the control thread's loop, whose instance explains. It picks the first usable
 * candidate.
 */
#include <weir/weir.h>

#include <stdio.h>
#include <stdlib.h>

struct counts {
    unsigned told;
};

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    (void)ctx;
    (void)conf;
    (void)prepared;
    *instance = calloc(1, sizeof(struct counts));
    return *instance != NULL ? WEIR_OK : WEIR_NO_MEMORY;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    (void)ctx;
    free(instance);
}

static enum weir_status on_members(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *candidates)
{
    (void)ctx;
    (void)candidates;
    ((struct counts *)instance)->told++;
    return WEIR_OK;
}

static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *pick)
{
    (void)ctx;
    (void)instance;
    for (uint32_t i = 0; i < pick->candidates->count; i++) {
        if (weir_pick_usable(pick, i)) {
            return i;
        }
    }
    return WEIR_PICK_NONE;
}

static enum weir_status score(struct weir_context *ctx, void *instance,
                              const struct weir_pick *pick, uint32_t index, struct weir_score *out)
{
    const struct counts *counts = instance;
    (void)ctx;
    (void)pick;
    (void)index;
    out->value = counts->told;
    snprintf(out->text, sizeof(out->text), "told %u times", counts->told);
    return WEIR_OK;
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .create = create,
    .destroy = destroy,
    .on_members = on_members,
    .pick = pick,
    .score = score,
};

WEIR_DEFINE_MODULE("balance_counts", "1.0", "MIT", "Counts how often its members change",
                   .balancer = &balancer);
