/* SPDX-License-Identifier: MIT */
/*
 * Lifetimes of plans. See lifetime.h.
 */
#include "proxy/plan/lifetime.h"

#include <stdlib.h>

void lifetime_init(struct lifetime *life, unsigned loops, size_t modules,
                   const struct lifetime_owner *owner)
{
    *life = (struct lifetime){.owner = *owner, .loops = loops, .modules = modules};
    life->loops_left = life->loops_kept = loops;
    life->module_loops = base_zalloc((modules + 1) * sizeof(*life->module_loops));
    life->locals = base_zalloc_lines(loops * sizeof(*life->locals));
    for (size_t i = 0; i < modules; i++) {
        life->module_loops[i] = loops;
    }
    for (unsigned i = 0; i < loops; i++) {
        life->locals[i].users = base_zalloc((modules + 1) * sizeof(uint32_t));
        life->locals[i].gone = base_zalloc((modules + 1) * sizeof(bool));
    }
}

void lifetime_end(struct lifetime *life)
{
    for (unsigned i = 0; i < life->loops; i++) {
        free(life->locals[i].users);
        free(life->locals[i].gone);
    }
    free(life->locals);
    free(life->module_loops);
}

/* One loop less. After the last one the owner may free the lifetime, so its callbacks are copied
 * first. */
static void loop_less(_Atomic unsigned *loops, const struct lifetime_owner *owner)
{
    void (*changed)(void *) = owner->changed;
    void *arg = owner->changed_arg;

    if (atomic_fetch_sub(loops, 1) == 1) {
        changed(arg);
    }
}

static bool module_lasts(const struct lifetime *life, size_t module, unsigned loop)
{
    return life->owner.module_lasts != NULL &&
           life->owner.module_lasts(life->owner.arg, module, loop);
}

/* From here on the control thread may unload the module. */
static void module_left(struct lifetime *life, size_t module, unsigned loop)
{
    life->locals[loop].gone[module] = true;
    life->owner.module_left(life->owner.arg, module, loop);
    loop_less(&life->module_loops[module], &life->owner);
}

void lifetime_unref(struct lifetime *life, unsigned loop)
{
    struct lifetime_local *local = &life->locals[loop];

    ASSERT(local->refs > 0);
    if (likely(--local->refs > 0)) {
        return;
    }
    bool kept = local->kept > 0;
    for (size_t i = life->modules; i > 0; i--) {
        if (local->users[i - 1] == 0 && !local->gone[i - 1]) {
            module_left(life, i - 1, loop);
        }
    }
    loop_less(&life->loops_left, &life->owner);
    if (!kept) {
        loop_less(&life->loops_kept, &life->owner);
    }
}

void lifetime_unkeep(struct lifetime *life, unsigned loop)
{
    struct lifetime_local *local = &life->locals[loop];

    ASSERT(local->kept > 0);
    if (--local->kept == 0 && local->refs == 0) {
        loop_less(&life->loops_kept, &life->owner);
    }
}

void lifetime_keep_module(struct lifetime *life, size_t module, unsigned loop)
{
    ASSERT(!life->locals[loop].gone[module]);
    life->locals[loop].users[module]++;
    lifetime_keep(life, loop);
}

void lifetime_unkeep_module(struct lifetime *life, size_t module, unsigned loop)
{
    struct lifetime_local *local = &life->locals[loop];

    ASSERT(local->users[module] > 0);
    if (--local->users[module] == 0 &&
        (local->refs == 0 || (local->left && !module_lasts(life, module, loop)))) {
        module_left(life, module, loop);
    }
    lifetime_unkeep(life, loop);
}

void lifetime_leave(struct lifetime *life, unsigned loop)
{
    struct lifetime_local *local = &life->locals[loop];

    local->left = true;
    for (size_t i = life->modules; i > 0; i--) {
        if (local->users[i - 1] == 0 && !module_lasts(life, i - 1, loop)) {
            module_left(life, i - 1, loop);
        }
    }
}
