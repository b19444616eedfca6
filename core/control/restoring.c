/* SPDX-License-Identifier: MIT */
/*
 * What the store keeps is laid over the files: servers, copies of modules, and pools' balancers; at
 * the start, or when the store comes late. See control_state.h.
 *
 * Each step derives a generation from the one before, which no loop has prepared; only the last one
 * comes into force.
 */
#include "base/log.h"
#include "control/change/pool_part.h"
#include "control/change/swap.h"
#include "control/control_state.h"

void control_log_mistakes(const struct mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes->count; i++) {
        log_write(WEIR_LOG_ERROR, "weir", "%s", mistakes->texts[i]);
    }
}

struct generation *control_begin_again(struct control *control, struct generation *generation,
                                       const struct plan_swap *swap)
{
    struct generation *running = control->runtime.current;
    struct mistakes mistakes = {0};

    control->runtime.current = generation; /* so that its sockets are found again */
    struct generation *changed = generation_derive(&control->runtime, generation, swap, &mistakes);
    control->runtime.current = running;
    if (changed != NULL) {
        generation_free(&generation);
    }
    control_log_mistakes(&mistakes);
    mistakes_free(&mistakes);
    return changed;
}

/* The copies of modules that swaps have put in force before. */
static struct generation *restore_copies(struct control *control, struct generation *generation)
{
    struct plan_swap swap;
    size_t at = 0;

    while (swap_restore(&control->changes, generation, &at, &swap)) {
        struct generation *next = control_begin_again(control, generation, &swap);
        if (next == NULL) {
            log_write(WEIR_LOG_ERROR, swap.copy->name,
                      "the copy that a swap has put in force cannot be used; its file is");
        }
        generation = next != NULL ? next : generation;
        module_unref(&swap.copy);
    }
    return generation;
}

/* And the balancers that pools were given at run time. */
static struct generation *restore_pools(struct control *control, struct generation *generation)
{
    struct plan_swap swap;
    size_t at = 0;

    while (pools_restore(&control->changes, generation, &control->arena, &at, &swap)) {
        struct generation *next = control_begin_again(control, generation, &swap);
        generation = next != NULL ? next : generation; /* the mistakes are logged */
    }
    return generation;
}

struct generation *control_restore(struct control *control, struct generation *generation)
{
    return restore_pools(control, restore_copies(control, generation));
}
