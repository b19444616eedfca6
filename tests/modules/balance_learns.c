/* SPDX-License-Identifier: MIT */
/*
 * A balancer that keeps off servers which have answered with an error, for ever: what it has
 * learnt shows in where requests go. Built twice: the second one (LEARNS_VERSION 2) refuses what
 * the first has learnt.
 */
#include <weir/weir.h>

struct conf {
    int64_t price;
};

static const struct weir_option rows[] = {
    WEIR_OPTION_RANGE(struct conf, price, INTEGER, "1", "1", "9", WEIR_CONTEXT_POOL,
                      WEIR_OPTION_RELOADABLE, "What an error costs."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

struct learnt {
    uint32_t errors;
};

struct instance {
    const struct conf *conf;
};

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    (void)ctx;
    (void)prepared;
    ((struct instance *)*instance)->conf = conf; /* the host's memory, see instance_size */
    return WEIR_OK;
}

static double cost(struct weir_context *ctx, void *instance, const struct weir_candidate *candidate,
                   const struct weir_pick *pick)
{
    const struct learnt *learnt = candidate->slot;
    (void)ctx;
    (void)pick;
    return (double)((struct instance *)instance)->conf->price * learnt->errors;
}

static void on_complete(struct weir_context *ctx, void *instance,
                        const struct weir_feedback *feedback)
{
    struct learnt *learnt = feedback->slot;
    (void)ctx;
    (void)instance;
    if (learnt != NULL && feedback->outcome == WEIR_OUTCOME_ERROR) {
        learnt->errors++;
    }
}

static enum weir_status save(struct weir_context *ctx, void *instance, struct weir_state *state)
{
    (void)ctx;
    (void)instance;
    if (state->slot == NULL) {
        return WEIR_DECLINED;
    }
    *(struct learnt *)state->data = *(const struct learnt *)state->slot;
    state->version = LEARNS_VERSION;
    state->len = sizeof(struct learnt);
    return WEIR_OK;
}

static enum weir_status restore(struct weir_context *ctx, void *instance,
                                const struct weir_state *state)
{
    (void)ctx;
    (void)instance;
    if (state->version != LEARNS_VERSION || state->len != sizeof(struct learnt)) {
        return WEIR_DECLINED;
    }
    *(struct learnt *)state->slot = *(const struct learnt *)state->data;
    return WEIR_OK;
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .create = create,
    .cost = cost,
    .on_complete = on_complete,
    .save = save,
    .restore = restore,
    .instance_size = sizeof(struct instance),
    .slot_size = sizeof(struct learnt),
};
WEIR_DEFINE_MODULE("balance_learns", "1.0", "MIT", "Keeps off servers that have failed",
                   .options = &options, .balancer = &balancer);
