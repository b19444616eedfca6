/* SPDX-License-Identifier: MIT */
/*
 * Swaps of pools' balancers: another one, or the same with other options, is tried in one pool. See
 * swap.h. Once it is promoted it is a change like those of write_pool.c.
 */
#include <stdlib.h>

#include "control/api/find.h"
#include "control/api/show.h"
#include "control/change/pool_block.h"
#include "control/change/swap.h"

#define PREFIX "pools/" /* in the space of swaps; no module's name has a slash */

static const struct plan *plan_of(const struct changes *changes)
{
    return changes->plane.runtime->current->plan;
}

/* What is kept while that side is in force; NULL: nothing, it is the files' block. */
static cJSON *entry_of(const struct swap *swap, enum trial_arm side)
{
    const cJSON *named = json_get(swap->record, side == ARM_NEW ? "new" : "old");

    if (json_is_true(named, "from_files")) {
        return NULL;
    }
    cJSON *entry = cJSON_Duplicate(named, true);
    json_put(entry, "from_files", NULL);
    return entry;
}

/* ---- the subject ---- */

static bool reads(const cJSON *record)
{
    return json_text(json_get(record, "old"), "balance") != NULL &&
           json_text(json_get(record, "new"), "balance") != NULL;
}

static bool put(struct changes *changes, struct swap *swap, enum trial_arm side,
                struct arena *arena, struct plan_swap *how, struct mistakes *mistakes)
{
    const struct plan *plan = plan_of(changes);
    const struct pool_plan *pool = plan_pool(plan, str_from(swap->name));
    struct place nowhere = {NULL, 0};

    if (pool != NULL && pool->canary != NULL && side == ARM_OLD) {
        how->step = SWAP_DROP; /* it is in force all along */
        return true;
    }
    cJSON *entry = entry_of(swap, side);
    const struct conf_node *block = entry != NULL ? pool_block_of(arena, swap->name, entry)
                                                  : pool_block_in_files(plan, str_from(swap->name));
    cJSON_Delete(entry);
    if (pool == NULL || block == NULL) {
        mistakes_add(mistakes, nowhere, "there is no pool \"%s\" any more", swap->name);
        return false;
    }
    if (!pool_block_swap(plan, str_from(swap->name), block, how)) {
        mistakes_add(mistakes, nowhere, "%s", POOL_BLOCK_DISABLED);
        return false;
    }
    if (side == ARM_NEW && how->copy->quarantine != NULL) {
        mistakes_add(mistakes, nowhere,
                     "%s is in quarantine, as Weir has died in it; weirctl module release %s ends "
                     "that",
                     how->copy->name, how->copy->name);
        return false;
    }
    bool runs = how->module == pool->balance->module_number &&
                conf_nodes_equal(block->children, pool->balance->block->children);
    how->step = runs ? SWAP_DROP : SWAP_TAKE;
    return true;
}

static cJSON *running(const struct changes *changes, const struct swap *swap)
{
    const struct pool_plan *pool = plan_pool(plan_of(changes), str_from(swap->name));
    return pool != NULL ? pool_block_json(pool->balance->block) : NULL;
}

/* Whether the files' block is the one that the record names as the one before. */
static bool is_files(const struct changes *changes, const struct swap *swap)
{
    const struct conf_node *block = pool_block_in_files(plan_of(changes), str_from(swap->name));
    const cJSON *old = json_get(swap->record, "old");

    if (block == NULL) {
        return false;
    }
    cJSON *files = pool_block_json(block);
    bool same = cJSON_Compare(json_get(files, "balance"), json_get(old, "balance"), true) &&
                cJSON_Compare(json_get(files, "options"), json_get(old, "options"), true);
    cJSON_Delete(files);
    return same;
}

static const char *changed(const struct changes *changes, const struct swap *swap)
{
    cJSON *promoted = entry_of(swap, ARM_NEW), *before = entry_of(swap, ARM_OLD);
    const char *why = NULL;

    if (!cJSON_Compare(json_get(changes->pools, swap->name), promoted, true)) {
        why = "its balancer has been changed since";
    } else if (before == NULL && !is_files(changes, swap)) {
        why = "the files give it another balancer by now than it had before";
    }
    cJSON_Delete(promoted);
    cJSON_Delete(before);
    return why;
}

static void answer(struct operation *operation, const char *name)
{
    const struct plane *plane = operation->plane;
    const struct pool_plan *pool = plan_pool(plane->runtime->current->plan, str_from(name));

    if (pool != NULL) {
        operation_succeed(operation, 200, show_pool(plane, pool));
        operation->etag = show_pool_tag(plane, pool);
    }
}

/* A trial that ends in favour of what is in force changes nothing that is kept of the pool. */
static void keep(struct change *change, const struct swap *swap, enum trial_arm side)
{
    if (side == ARM_OLD && swap_is(swap, "trying")) {
        return;
    }
    cJSON *entry = entry_of(swap, side);
    json_set(change->journal, "pool_key", swap->name);
    json_set_copy(change->journal, "pool_before", json_get(change->changes->pools, swap->name));
    store_put_json(&change->batch, "pools", swap->name, entry);
    cJSON_Delete(entry);
}

static void enforced(struct change *change, const struct swap *swap)
{
    enum trial_arm side = swap_is(swap, "promoted") ? ARM_NEW : ARM_OLD;

    if (json_get(change->journal, "pool_key") != NULL) {
        json_put(change->changes->pools, swap->name, entry_of(swap, side));
    }
}

static const struct swap_subject subject = {
    .word = "pool",
    .noun = "balancer of pool",
    .prefix = PREFIX,
    .promote = "pool.promote",
    .rollback = "pool.rollback",
    .reads = reads,
    .put = put,
    .running = running,
    .changed = changed,
    .answer = answer,
    .keep = keep,
    .enforced = enforced,
};

/* ---- operations ---- */

/* Whether what was set at run time is what runs; it may be of a module that the files no longer
 * enable. */
static bool is_running(const struct pool_plan *plan, const cJSON *entry)
{
    struct arena arena;

    arena_init(&arena, NULL, 0);
    bool same =
        pool_block_equal(pool_block_of(&arena, plan->pool->name, entry), plan->balance->block);
    arena_reset(&arena);
    return same;
}

/* What was set at run time, or the files' block. */
static cJSON *old_of(const struct changes *changes, const struct pool_plan *plan)
{
    const cJSON *entry = json_get(changes->pools, plan->pool->name);
    bool set = entry != NULL && is_running(plan, entry);
    cJSON *old = set ? cJSON_Duplicate(entry, true) : pool_block_json(plan->balance->block);

    cJSON_AddBoolToObject(old, "from_files", !set);
    return old;
}

static cJSON *new_of(const cJSON *body)
{
    cJSON *new = cJSON_CreateObject();
    const cJSON *options = json_get(body, "options");

    json_set(new, "balance", json_text(body, "balance"));
    if (options != NULL) {
        json_set_copy(new, "options", options);
    }
    return new;
}

enum written swap_try_pool(struct operation *operation, const struct pool_plan *plan)
{
    struct swap *swap = swap_new(&subject, plan->pool->name);
    double share = 0;

    swap->record = cJSON_CreateObject();
    cJSON_AddItemToObject(swap->record, "old", old_of(changes_of(operation), plan));
    cJSON_AddItemToObject(swap->record, "new", new_of(operation->body));
    if (!swap_ask(operation, swap->record, &share)) {
        swap_free(&swap);
        return WRITE_ANSWERED;
    }
    return swap_begin(operation, swap, share);
}

/* The last one of the pool; NULL: there was none. */
static struct swap *find(const struct changes *changes, const char *pool)
{
    char *key = base_printf("%s%s", PREFIX, pool);
    struct swap *swap = swap_find(changes, key);
    free(key);
    return swap;
}

/* ---- other changes ---- */

static bool is_side(const struct changes *changes, const struct swap *swap, enum trial_arm side,
                    const cJSON *entry)
{
    cJSON *own = entry_of(swap, side);
    bool same = own != NULL && entry != NULL
                    ? cJSON_Compare(own, entry, true)
                    : own == NULL && entry == NULL && is_files(changes, swap);

    cJSON_Delete(own);
    return same;
}

cJSON *swap_pool_follow(struct change *change, const char *pool, const cJSON *entry)
{
    const struct swap *swap = find(change->changes, pool);
    const char *author = change->operation != NULL ? change->operation->author : "weir";
    enum trial_arm side = swap_is(swap, "promoted") ? ARM_OLD : ARM_NEW;

    if (swap == NULL || swap_is(swap, "trying") || !is_side(change->changes, swap, side, entry)) {
        return NULL;
    }
    cJSON *record = swap_next_record(swap, side, author, NULL);
    store_put_json(&change->batch, "swaps", swap->key, record);
    return record;
}

void swap_pool_followed(const struct changes *changes, const char *pool, cJSON *record)
{
    struct swap *swap = record != NULL ? find(changes, pool) : NULL;

    if (swap == NULL) {
        cJSON_Delete(record);
        return;
    }
    cJSON_Delete(swap->record);
    swap->record = record;
}

/* ---- the ends ---- */

enum written swap_promote_pool(struct operation *operation)
{
    const struct pool_plan *plan = find_matched_pool_of(operation);

    return plan != NULL
               ? swap_promote(operation, &subject, find(changes_of(operation), plan->pool->name))
               : WRITE_ANSWERED;
}

enum written swap_rollback_pool(struct operation *operation)
{
    const struct pool_plan *plan = find_matched_pool_of(operation);

    return plan != NULL
               ? swap_rollback(operation, &subject, find(changes_of(operation), plan->pool->name))
               : WRITE_ANSWERED;
}

static cJSON *show(const struct plane *plane, const char *pool)
{
    const struct changes *changes = container_of(plane, struct changes, plane);
    return swap_show(changes, find(changes, pool));
}

void swap_pool_begin(struct changes *changes)
{
    swap_add_subject(changes, &subject);
    changes->plane.pool_swap = show;
}
