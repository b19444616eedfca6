/* SPDX-License-Identifier: MIT */
/*
 * A balancer in several copies, for trials: all but the first do something worse, or nothing other.
 * TRIAL_VERSION is its version, TRIAL_FAULT what it does.
 */
#include <weir/weir.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FAULT_NONE    0 /* takes turns, and leaves out a server "z", as do the others */
#define FAULT_LAST    1 /* the server "z", whatever it is worth */
#define FAULT_INDEX   2 /* names no server */
#define FAULT_SLOW    3 /* takes 50 ms */
#define FAULT_CRASH   4 /* ends the program, at its 20th pick */
#define FAULT_LOOP    5 /* does not come back, at its 20th pick */
#define FAULT_CREATE  6 /* cannot begin */
#define FAULT_MEMBERS 7 /* cannot take its members over */
#define FAULT_ONCE    8 /* agrees with its options in one configuration, and in no more */

struct instance {
    uint32_t turn, picks;
};

/* Asked for the module's block, and for the pool's. */
static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf, void **prepared)
{
    static unsigned calls;
    (void)conf;
    (void)prepared;

    if (TRIAL_FAULT == FAULT_ONCE && ++calls > 2) {
        weir_check_error(ctx, check, NULL, "not again");
        return WEIR_ERROR;
    }
    return WEIR_OK;
}

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    (void)ctx;
    (void)conf;
    (void)prepared;
    (void)instance;
    return TRIAL_FAULT == FAULT_CREATE ? WEIR_ERROR : WEIR_OK;
}

static enum weir_status on_members(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *candidates)
{
    (void)ctx;
    (void)instance;
    (void)candidates;
    return TRIAL_FAULT == FAULT_MEMBERS ? WEIR_ERROR : WEIR_OK;
}

static bool is_z(const struct weir_pick *pick, uint32_t index)
{
    const struct weir_candidate *candidate = weir_candidate_at(pick->candidates, index);
    return candidate->name.len == 1 && candidate->name.ptr[0] == 'z';
}

static uint32_t in_turn(struct instance *instance, const struct weir_pick *pick)
{
    uint32_t count = pick->candidates->count;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = instance->turn++ % count;
        if (!is_z(pick, index) && weir_pick_usable(pick, index)) {
            return index;
        }
    }
    return WEIR_PICK_NONE;
}

static uint32_t named_z(const struct weir_pick *pick)
{
    for (uint32_t i = 0; i < pick->candidates->count; i++) {
        if (is_z(pick, i) && weir_pick_usable(pick, i)) {
            return i;
        }
    }
    return WEIR_PICK_NONE;
}

static uint32_t pick(struct weir_context *ctx, void *data, const struct weir_pick *pick)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    struct instance *instance = data;
    uint32_t z;
    (void)ctx;

    instance->picks++;
    switch (TRIAL_FAULT) {
    case FAULT_LAST: z = named_z(pick); return z != WEIR_PICK_NONE ? z : in_turn(instance, pick);
    case FAULT_INDEX: return pick->candidates->count + 7;
    case FAULT_SLOW: nanosleep(&pause, NULL); break;
    case FAULT_CRASH:
        if (instance->picks == 20) {
            abort();
        }
        break;
    case FAULT_LOOP:
        while (instance->picks == 20) {
            nanosleep(&pause, NULL);
        }
        break;
    default: break;
    }
    return in_turn(instance, pick);
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .create = create,
    .on_members = on_members,
    .pick = pick,
    .instance_size = sizeof(struct instance),
};
WEIR_DEFINE_MODULE("balance_trial", TRIAL_VERSION, "MIT", "Takes turns, or does worse",
                   .conf_create = conf_create, .balancer = &balancer);
