/* SPDX-License-Identifier: MIT */
/*
 * Swapping modules' copies: the operations, and the steps that follow by themselves. See
 * swap.h.
 *
 * Each step is one change: a derived generation that every loop has prepared, the record and the
 * journal's entry in one commit, and then the generation in force. A step that fails before that
 * leaves all as it was.
 */
#include "control/change/swap.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/api/modules.h"

/* ---- a step ---- */

struct step {
    struct swap *swap; /* owned until the step is in force, if it is new */
    bool fresh;
    cJSON *record; /* of it, from then on */
};

static void step_free(void *arg)
{
    struct step *step = arg;

    if (step->fresh) {
        swap_free(&step->swap);
    }
    cJSON_Delete(step->record);
    free(step);
}

static void tell_step(struct changes *changes, const struct swap *swap)
{
    cJSON *event = cJSON_Duplicate(swap->record, true);
    const char *reason = json_text(swap->record, "reason");

    json_set(event, "module", swap->module);
    events_tell(&changes->plane.events, "swap", event);
    log_write(swap_is(swap, "rolled_back") ? WEIR_LOG_WARNING : WEIR_LOG_NOTICE, swap->module,
              "swap: %s%s%s", swap_state(swap), reason != NULL ? ": " : "",
              reason != NULL ? reason : "");
}

/* It is kept, and in force. */
static void enforce(struct change *change)
{
    struct step *step = change->arg;
    struct swap *swap = step->swap;

    cJSON_Delete(swap->record);
    swap->record = step->record;
    step->record = NULL;
    if (step->fresh) {
        step->fresh = false;
        swap_add(change->changes, swap);
        swap_drop_files(change->changes, swap->module);
    }
    if (swap_is(swap, "trying")) {
        swap_try(swap, change->changes);
    }
    tell_step(change->changes, swap);
}

static void answer(struct change *change, const char *error)
{
    const struct plane *plane = &change->changes->plane;
    const struct step *step = change->arg;

    if (error == NULL && change->operation != NULL) {
        operation_succeed(change->operation, 200,
                          show_module(plane, find_module(plane, step->swap->module)));
    }
}

/* The module's block in the configuration that runs; false: it has none. */
static bool find_block(const struct changes *changes, const char *module, size_t *number)
{
    const struct plan *plan = changes->plane.runtime->current->plan;

    for (*number = 0; *number < plan->modules.count; ++*number) {
        if (strcmp(plan->modules.items[*number]->module->name, module) == 0) {
            return true;
        }
    }
    return false;
}

static struct module *running(const struct changes *changes, size_t block)
{
    return changes->plane.runtime->current->plan->modules.items[block]->module;
}

static cJSON *before_of(const struct changes *changes, const struct swap *swap, size_t block)
{
    cJSON *before = swap_copy_json(running(changes, block));
    const struct swap *last = swap_find(changes, swap->module);

    json_set(before, "state", last != NULL ? swap_state(last) : NULL);
    return before;
}

/* Begins the step; takes over `record` and, where it is fresh, the swap. */
static void begin(struct changes *changes, struct operation *operation, const char *command,
                  struct swap *swap, bool fresh, const struct plan_swap *how, cJSON *record)
{
    struct change *change = change_new(changes, operation);
    struct step *step = base_zalloc(sizeof(*step));

    *step = (struct step){swap, fresh, record};
    change->arg = step;
    change->arg_free = step_free;
    change->swaps = true;
    change->swap = *how;
    change->enforce = enforce;
    change->done = answer;
    change_note(change, command, swap->module, before_of(changes, swap, how->module),
                cJSON_Duplicate(record, true));
    store_put_json(&change->batch, "swaps", swap->module, record);
    change_begin(change);
}

/* ---- swap ---- */

/* A copy that is tried; NULL: none. */
static struct swap *tried(const struct changes *changes)
{
    list_each(link, &changes->swaps->all)
    {
        struct swap *swap = container_of(link, struct swap, link);
        if (swap_is(swap, "trying")) {
            return swap;
        }
    }
    return NULL;
}

bool swap_runs(const struct changes *changes)
{
    return tried(changes) != NULL;
}

/* The module's block of the path; false: 404 is the answer. */
static bool the_block(struct operation *operation, size_t *number)
{
    if (!find_block(changes_of(operation), operation->params[0], number)) {
        operation_problem(operation, 404, "there is no module \"%s\"", operation->params[0]);
        return false;
    }
    return true;
}

static enum written run_swap(struct operation *operation)
{
    struct changes *changes = changes_of(operation);
    const struct swap *other = tried(changes);
    struct plan_swap how = {.step = SWAP_TAKE};

    if (!the_block(operation, &how.module)) {
        return WRITE_ANSWERED;
    }
    if (other != NULL) {
        operation_problem(operation, 409,
                          "a copy of \"%s\" is tried; promote it or roll it back first",
                          other->module);
        return WRITE_ANSWERED;
    }
    struct module *old = running(changes, how.module), *copy = swap_ask_copy(operation, old);
    cJSON *record = copy != NULL ? swap_ask_record(operation, old, copy, &how) : NULL;
    if (record == NULL) {
        module_unref(&copy);
        return WRITE_ANSWERED;
    }
    struct swap *swap = base_zalloc(sizeof(*swap));
    swap->module = base_strdup(old->name);
    swap->old = module_ref(old);
    swap->now = how.copy = copy;
    begin(changes, operation, operation->command->row.name, swap, true, &how, record);
    return WRITE_GOES_ON;
}

/* ---- promote, roll back ---- */

static cJSON *next_record(const struct swap *swap, const char *state, const char *author,
                          const char *reason)
{
    cJSON *record = cJSON_Duplicate(swap->record, true);

    json_put(record, "state", cJSON_CreateString(state));
    json_put(record, "author", cJSON_CreateString(author));
    json_put(record, "reason", reason != NULL ? cJSON_CreateString(reason) : NULL);
    json_put(record, "ended", cJSON_CreateNumber((double)loop_wall_ms()));
    return record;
}

/* Puts a copy in force: "new" or "old". `reason` NULL: an operator's wish. false: it cannot be had,
 * mistakes say why. */
static bool put(struct changes *changes, struct operation *operation, struct swap *swap,
                bool new_one, const char *reason, struct mistakes *mistakes)
{
    struct module **copy = new_one ? &swap->now : &swap->old;
    struct plan_swap how = {.step = SWAP_TAKE};

    if (*copy == NULL) {
        *copy = swap_load_copy(changes, swap, new_one ? "new" : "old", mistakes);
    }
    if (*copy == NULL || !find_block(changes, swap->module, &how.module)) {
        return false;
    }
    how.copy = *copy;
    if (running(changes, how.module) == how.copy) {
        how.step = SWAP_DROP; /* of what is tried beside it */
    }
    begin(changes, operation, new_one ? "modules.promote" : "modules.rollback", swap, false, &how,
          next_record(swap, new_one ? "promoted" : "rolled_back",
                      operation != NULL ? operation->author : "weir", reason));
    return true;
}

/* The swap of the path; NULL: 404 or 409 is the answer. */
static struct swap *the_swap(struct operation *operation)
{
    const struct changes *changes = changes_of(operation);
    struct swap *swap = NULL;
    size_t block;

    if (!the_block(operation, &block)) {
        return NULL;
    }
    swap = swap_find(changes, operation->params[0]);
    if (swap == NULL) {
        operation_problem(operation, 409, "no copy of \"%s\" has been swapped",
                          operation->params[0]);
    }
    return swap;
}

static enum written put_by(struct operation *operation, struct swap *swap, bool new_one)
{
    struct mistakes mistakes = {0};
    bool begun = put(changes_of(operation), operation, swap, new_one, NULL, &mistakes);

    if (!begun) {
        operation_problem(operation, 409, "%s",
                          mistakes.count > 0 ? mistakes.texts[0] : "the module runs no more");
    }
    mistakes_free(&mistakes);
    return begun ? WRITE_GOES_ON : WRITE_ANSWERED;
}

static enum written run_promote(struct operation *operation)
{
    struct swap *swap = the_swap(operation);

    if (swap != NULL && !swap_is(swap, "trying")) {
        operation_problem(operation, 409, "no copy of \"%s\" is tried; the last one is %s",
                          swap->module, swap_state(swap));
    }
    return operation->problem ? WRITE_ANSWERED : put_by(operation, swap, true);
}

/* The copy that the swap has put in force still is. */
static bool still_runs(const struct changes *changes, const struct swap *swap)
{
    size_t block;

    if (!find_block(changes, swap->module, &block)) {
        return false;
    }
    cJSON *copy = swap_copy_json(running(changes, block));
    const cJSON *now = json_get(swap->record, "new");
    bool same = strcmp(json_text(copy, "identity"), json_text(now, "identity")) == 0;
    cJSON_Delete(copy);
    return same;
}

static enum written run_rollback(struct operation *operation)
{
    struct swap *swap = the_swap(operation);

    if (swap != NULL && swap_is(swap, "rolled_back")) {
        operation_problem(operation, 409, "the copy of \"%s\" before is back already",
                          swap->module);
    } else if (swap_is(swap, "promoted") && !still_runs(changes_of(operation), swap)) {
        operation_problem(operation, 409,
                          "a reload has taken another copy of \"%s\" since it was swapped",
                          swap->module);
    }
    if (operation->problem) {
        return WRITE_ANSWERED;
    }
    if (swap_is(swap, "trying")) {
        swap_stop_picks(changes_of(operation));
    }
    return put_by(operation, swap, false);
}

/* ---- what follows by itself ---- */

/* Why the trial ends now, and how; NULL: it goes on. */
static const char *ends(const struct changes *changes, const struct swap *swap, bool *good)
{
    const struct plan *plan = changes->plane.runtime->current->plan;

    *good = false;
    if (swap->now == NULL) {
        return "Weir was started anew while it was tried";
    }
    if (!plan->has_canary || plan->modules.items[plan->modules.count - 1]->module != swap->now) {
        return "a reload came while it was tried";
    }
    if (swap->verdict != NULL) {
        return swap->verdict;
    }
    *good = loop_now_ns(changes->plane.self->loop) >= swap->until_ns;
    return *good ? "its time was over, and it did no worse" : NULL;
}

/* The copy cannot be had, or its module is not configured any more: only the record changes. */
static void give_up(struct changes *changes, struct swap *swap, const char *reason)
{
    struct change *change = change_new(changes, NULL);
    struct step *step = base_zalloc(sizeof(*step));

    *step = (struct step){swap, false, next_record(swap, "rolled_back", "weir", reason)};
    change->arg = step;
    change->arg_free = step_free;
    change->enforce = enforce;
    change_note(change, "modules.rollback", swap->module, NULL,
                cJSON_Duplicate(step->record, true));
    store_put_json(&change->batch, "swaps", swap->module, step->record);
    change_begin(change);
}

/* Copies that a reload has replaced by a third one go. */
static void forget_copies(const struct changes *changes)
{
    list_each(link, &changes->swaps->all)
    {
        struct swap *swap = container_of(link, struct swap, link);
        size_t block;
        bool runs = find_block(changes, swap->module, &block);
        const struct module *now = runs ? running(changes, block) : NULL;
        if (!swap_is(swap, "trying") && now != swap->old && now != swap->now) {
            module_unref(&swap->old);
            module_unref(&swap->now);
        }
    }
}

static bool upkeep(struct changes *changes)
{
    struct swap *swap = tried(changes);
    struct mistakes mistakes = {0};
    bool good = false;
    const char *reason = swap != NULL ? ends(changes, swap, &good) : NULL;

    forget_copies(changes);
    if (reason == NULL) {
        return false;
    }
    /* Nothing but the record says that it is tried. */
    bool only_record = swap->now == NULL || strstr(reason, "a reload") == reason;
    if (only_record || !put(changes, NULL, swap, good, reason, &mistakes)) {
        give_up(changes, swap, reason);
    }
    mistakes_free(&mistakes);
    return true;
}

/* ---- the part ---- */

static const struct weir_argument swap_body[] = {
    {"file", WEIR_ARGUMENT_STRING, false, 1, 4096, NULL,
     "The copy's file, in the folder of modules (module_dir); by default the module's own, as it "
     "is now."},
    {"canary", WEIR_ARGUMENT_STRING, false, 1, 20, NULL,
     "Try it first with that share of the picks, 0.1% to 90% (5%, where only one of the next is "
     "given). Without any of them it is in force at once."},
    {"for", WEIR_ARGUMENT_DURATION, false, 1, 604800, NULL,
     "How long it is tried; 60s by default. Then it is promoted."},
    {"max_error_ratio", WEIR_ARGUMENT_NUMBER, false, 0, 1000, NULL,
     "How many times as many of its requests may fail as of the other copy's; 2 by default. 0: "
     "any."},
    {"max_latency_ratio", WEIR_ARGUMENT_NUMBER, false, 0, 1000, NULL,
     "How many times as long p50 and p99 to the first byte may be; 1.5 by default. 0: any."},
    WEIR_ARGUMENTS_END,
};

static const struct command commands[] = {
    WRITE(
        "modules.swap", ADMIN, "POST", "/modules/{module}/swap", swap_body, NULL, 200, 0, "Module",
        run_swap,
        "Puts another copy of a module in force, at once or after a trial; nothing else changes."),
    WRITE("modules.promote", OPERATOR, "POST", "/modules/{module}/promote", NULL, NULL, 200, 0,
          "Module", run_promote, "Ends the trial of a copy: it takes the place of the other one."),
    WRITE("modules.rollback", OPERATOR, "POST", "/modules/{module}/rollback", NULL, NULL, 200, 0,
          "Module", run_rollback, "Puts the copy before the last swap in force again."),
    COMMANDS_END,
};

static cJSON *show(const struct plane *plane, const char *module)
{
    const struct changes *changes = container_of(plane, struct changes, plane);
    const struct swap *swap = changes->swaps != NULL ? swap_find(changes, module) : NULL;

    if (swap == NULL) {
        return NULL;
    }
    cJSON *shown = cJSON_Duplicate(swap->record, true);
    json_put(shown, "instead_of", NULL);
    if (swap_is(swap, "trying")) {
        swap_show_trial(changes, swap, shown);
    }
    return shown;
}

static void begin_part(struct changes *changes)
{
    changes->swaps = base_zalloc(sizeof(*changes->swaps));
    list_init(&changes->swaps->all);
    changes->swaps->changes = changes;
    changes->plane.swap = show;
}

static void end_part(struct changes *changes)
{
    struct list *link;

    while ((link = list_pop_front(&changes->swaps->all)) != NULL) {
        struct swap *swap = container_of(link, struct swap, link);
        swap_free(&swap);
    }
    if (changes->plane.self != NULL) {
        timer_cancel(changes->plane.self->loop, &changes->swaps->judge);
    }
    free(changes->swaps);
    changes->swaps = NULL;
}

const struct change_part swap_part = {.commands = commands,
                                      .space = "swaps",
                                      .begin = begin_part,
                                      .end = end_part,
                                      .load = swap_load,
                                      .upkeep = upkeep};
