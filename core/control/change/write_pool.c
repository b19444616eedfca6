/* SPDX-License-Identifier: MIT */
/*
 * Another balancer in a pool, or other options of it, while Weir runs. It lies over the files as
 * servers' settings do: starts and reloads have it until it is taken back, or until the files say
 * the same. Connections, servers, health, queues and sessions stay. With a trial first it is a swap
 * (swap_pool.c).
 *
 * Kept in the space "pools", by pool: {"balance": NAME, "options": {NAME: TEXT}}. Undo reads
 * `pool_before` of a journal entry, which is what was kept before; null: the files' own block.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/api/config_text.h"
#include "control/api/find.h"
#include "control/api/show.h"
#include "control/change/change.h"
#include "control/change/pool_block.h"
#include "control/change/pool_part.h"
#include "control/change/swap.h"

static const struct conf_node *balance(void *arg, struct arena *arena, struct weir_str pool)
{
    const struct changes *changes = arg;
    const cJSON *entry = NULL;

    cJSON_ArrayForEach(entry, changes->pools)
    {
        if (str_equal(str_from(entry->string), pool)) {
            return pool_block_of(arena, entry->string, entry);
        }
    }
    return NULL;
}

/* ---- the change ---- */

struct pool_change {
    char *pool;
    cJSON *entry; /* kept from then on; NULL: nothing, the files' block */
    cJSON *swap;  /* the record of the pool's last swap, likewise; NULL: as it was */
    struct arena arena;
};

static void pool_change_free(void *arg)
{
    struct pool_change *work = arg;
    cJSON_Delete(work->entry);
    cJSON_Delete(work->swap);
    arena_reset(&work->arena);
    free(work->pool);
    free(work);
}

static void enforce(struct change *change)
{
    struct pool_change *work = change->arg;
    json_put(change->changes->pools, work->pool, work->entry);
    work->entry = NULL;
    swap_pool_followed(change->changes, work->pool, work->swap);
    work->swap = NULL;
}

static void answer_pool(struct change *change, const char *error)
{
    const struct plane *plane = &change->changes->plane;
    const struct pool_change *work = change->arg;
    const struct pool_plan *plan = plan_pool(plane->runtime->current->plan, str_from(work->pool));

    if (error == NULL && plan != NULL) {
        operation_succeed(change->operation, 200, show_pool(plane, plan));
        change->operation->etag = show_pool_tag(plane, plan);
    }
}

/* As the journal shows it. */
static cJSON *shown(const struct plan *plan, struct weir_str pool, const cJSON *entry)
{
    if (entry != NULL) {
        return cJSON_Duplicate(entry, true);
    }
    const struct conf_node *block = pool_block_in_files(plan, pool);
    return block != NULL ? pool_block_json(block) : NULL;
}

/* Fills in the change to the entry (NULL: the files' block), which it takes over. Not NULL: why it
 * cannot be. */
static const char *prepare(struct change *change, const char *command, const char *pool,
                           cJSON *entry)
{
    struct changes *changes = change->changes;
    const struct plan *plan = changes->plane.runtime->current->plan;
    const cJSON *before = json_get(changes->pools, pool);
    struct pool_change *work = base_zalloc(sizeof(*work));

    work->pool = base_strdup(pool);
    work->entry = entry;
    arena_init(&work->arena, NULL, 0);
    change->arg = work;
    change->arg_free = pool_change_free;
    change->enforce = enforce;
    change->swaps = true;
    change->swap = (struct plan_swap){.step = SWAP_TAKE};
    struct weir_str name = str_from(work->pool);
    const struct conf_node *block =
        entry != NULL ? pool_block_of(&work->arena, pool, entry) : pool_block_in_files(plan, name);
    if (swap_tried(changes) != NULL) {
        return "a trial runs; promote it or roll it back first";
    }
    if (block == NULL) {
        return "the files do not have that pool any more";
    }
    if (!pool_block_swap(plan, name, block, &change->swap)) {
        return POOL_BLOCK_DISABLED;
    }
    change_note(change, command, pool, shown(plan, name, before), shown(plan, name, entry));
    json_set(change->journal, "pool_key", pool);
    json_set_copy(change->journal, "pool_before", before);
    store_put_json(&change->batch, "pools", pool, entry);
    work->swap = swap_pool_follow(change, pool, entry);
    return NULL;
}

static enum written run_patch(struct operation *operation)
{
    const struct pool_plan *plan = find_matched_pool_of(operation);

    if (plan == NULL || !swap_may_begin(operation, NULL)) {
        return WRITE_ANSWERED;
    }
    if (swap_wants_trial(operation->body)) {
        return swap_try_pool(operation, plan);
    }
    struct change *change = change_new(changes_of(operation), operation);
    change->done = answer_pool;
    const char *why = prepare(change, operation->command->row.name, plan->pool->name,
                              cJSON_Duplicate(operation->body, true));
    if (why != NULL) {
        operation_problem(operation, 422, "%s", why);
        change_drop(change);
        return WRITE_ANSWERED;
    }
    change_begin(change);
    return WRITE_GOES_ON;
}

static const char *take_back(struct change *change, const cJSON *entry)
{
    const cJSON *before = json_get(entry, "pool_before");
    return prepare(change, "journal.undo", json_text(entry, "pool_key"),
                   cJSON_IsObject(before) ? cJSON_Duplicate(before, true) : NULL);
}

static bool waits(const struct changes *changes, const cJSON *entry)
{
    const struct plan *plan = changes->plane.runtime->current->plan;
    return swap_tried(changes) != NULL ||
           plan_pool(plan, str_from(json_text(entry, "pool_key"))) == NULL;
}

/* ---- files ---- */

void pools_settle(struct changes *changes, struct change *change, cJSON *contradictions)
{
    const struct plan *plan = changes->plane.runtime->current->plan;
    struct arena arena;
    cJSON *entry = changes->pools != NULL ? changes->pools->child : NULL;

    arena_init(&arena, NULL, 0);
    while (entry != NULL) {
        cJSON *next = entry->next;
        const struct conf_node *files = pool_block_in_files(plan, str_from(entry->string));
        if (files != NULL && pool_block_equal(pool_block_of(&arena, entry->string, entry), files)) {
            store_put(&change->batch, "pools", entry->string, NULL);
            cJSON_Delete(cJSON_DetachItemViaPointer(changes->pools, entry));
        } else {
            cJSON *object = json_append(contradictions);
            json_set(object, "pool", entry->string);
            json_set(object, "server", NULL);
            json_set(object, "field", "balance");
            json_set_str(object, "file", files != NULL ? files->title.text : STR(""));
            json_set_copy(object, "runtime", json_get(entry, "balance"));
        }
        entry = next;
    }
    arena_reset(&arena);
}

bool pools_restore(struct changes *changes, const struct generation *generation,
                   struct arena *arena, size_t *at, struct plan_swap *out)
{
    changes->plane.runtime->balance = balance; /* for each generation that is built from now on */
    changes->plane.runtime->balance_arg = changes;
    for (; *at < generation->plan->pool_count; ++*at) {
        const struct pool_plan *plan = &generation->plan->pools[*at];
        const struct conf_node *block = balance(changes, arena, plan->settings->name);
        if (block == NULL || pool_block_equal(block, plan->balance->block)) {
            continue;
        }
        *out = (struct plan_swap){.step = SWAP_TAKE};
        if (pool_block_swap(generation->plan, plan->settings->name, block, out)) {
            ++*at;
            return true;
        }
        log_write(WEIR_LOG_ERROR, plan->pool->name,
                  "balance \"%.*s\", set at run time: no module block enables it; the files' own "
                  "balancer is used",
                  STR_ARGS(block->title.text));
    }
    return false;
}

char *pools_text(const struct changes *changes, struct weir_str pool)
{
    struct arena arena;
    char *text = NULL;

    arena_init(&arena, NULL, 0);
    const struct conf_node *block = balance((void *)(uintptr_t)changes, &arena, pool);
    if (block != NULL) {
        text = base_printf("balance \"%.*s\" {", STR_ARGS(block->title.text));
        for (const struct conf_node *node = block->children; node != NULL; node = node->next) {
            char *quoted = config_text_quote(node->values[0].text);
            char *longer = base_printf("%s %.*s = %s ", text, STR_ARGS(node->name), quoted);
            free(quoted);
            free(text);
            text = longer;
        }
        char *closed = base_printf("%s}", text);
        free(text);
        text = closed;
    }
    arena_reset(&arena);
    return text;
}

/* ---- the part ---- */

static cJSON *show(const struct plane *plane, const char *pool)
{
    const struct changes *changes = container_of(plane, struct changes, plane);
    return cJSON_Duplicate(json_get(changes->pools, pool), true);
}

static void begin_part(struct changes *changes)
{
    changes->pools = cJSON_CreateObject();
    changes->plane.pool_change = show;
    swap_pool_begin(changes);
}

static void end_part(struct changes *changes)
{
    cJSON_Delete(changes->pools);
    changes->pools = NULL;
}

static void load(struct changes *changes, const char *key, const char *value)
{
    cJSON *entry = cJSON_Parse(value);

    if (json_text(entry, "balance") == NULL) {
        log_write(WEIR_LOG_WARNING, "weir", "what is kept of pool %s cannot be read; left out",
                  key);
        cJSON_Delete(entry);
        return;
    }
    json_put(changes->pools, key, entry);
}

static const struct weir_argument patch_body[] = {
    {"balance", WEIR_ARGUMENT_STRING, true, 1, 63, NULL,
     "The balancer, as a balance block names it; a module block must enable it."},
    {"options", WEIR_ARGUMENT_TEXTS, false, 0, 0, NULL,
     "The block's options, as texts: {\"choices\": \"2\"}; others have their defaults."},
    SWAP_TRIAL_ARGUMENTS,
    WEIR_ARGUMENTS_END,
};

static const struct command commands[] = {
    WRITE(
        "pool.patch", OPERATOR, "PATCH", "/pools/{pool}", patch_body, NULL, 200, MATCHED, "Pool",
        run_patch,
        "Gives a pool another balancer, or other options of it, at once or after a trial; nothing "
        "else changes."),
    WRITE("pool.promote", OPERATOR, "POST", "/pools/{pool}/promote", NULL, NULL, 200,
          WEIR_OPERATION_IF_MATCH, "Pool", swap_promote_pool,
          "Ends the trial of another balancer: it takes the place of the one before."),
    WRITE("pool.rollback", OPERATOR, "POST", "/pools/{pool}/rollback", NULL, NULL, 200,
          WEIR_OPERATION_IF_MATCH, "Pool", swap_rollback_pool,
          "Ends the trial of another balancer, or puts the one before the last trial in force."),
    COMMANDS_END,
};

const struct change_part pool_part = {.commands = commands,
                                      .begin = begin_part,
                                      .end = end_part,
                                      .space = "pools",
                                      .load = load,
                                      .mark = "pool_key",
                                      .take_back = take_back,
                                      .waits = waits};
