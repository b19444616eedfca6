/* SPDX-License-Identifier: MIT */
/*
 * Swaps: the steps, whoever asks for them, and those that follow by themselves. See swap.h.
 *
 * Each step is one change: a derived generation that every loop has prepared, the record and the
 * journal's entry in one commit, and then the generation in force. A step that fails before that
 * leaves all as it was.
 */
#include "control/change/swap.h"

#include <stdlib.h>

#include "base/log.h"

/* The member of journal entries that begin a swap: its key. */
#define MARK "swap_key"

/* ---- a step ---- */

struct step {
    struct swap *swap; /* owned until the step is in force, if it is new */
    bool fresh;
    cJSON *record; /* of it, from then on */
    struct arena arena;
};

static void step_free(void *arg)
{
    struct step *step = arg;

    if (step->fresh) {
        swap_free(&step->swap);
    } else if (!swap_is(step->swap, "trying")) {
        swap_release_copies(step->swap);
    }
    cJSON_Delete(step->record);
    arena_reset(&step->arena);
    free(step);
}

static void tell_step(struct changes *changes, const struct swap *swap)
{
    cJSON *event = cJSON_Duplicate(swap->record, true);
    const char *reason = json_text(swap->record, "reason");

    json_set(event, swap->subject->word, swap->name);
    events_tell(&changes->plane.events, "swap", event);
    log_write(swap_is(swap, "rolled_back") ? WEIR_LOG_WARNING : WEIR_LOG_NOTICE, swap->name,
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
    }
    if (swap->subject->enforced != NULL) {
        swap->subject->enforced(change, swap);
    }
    if (swap_is(swap, "trying")) {
        swap_try(swap, change->changes);
    }
    tell_step(change->changes, swap);
}

/* The step that was to end the trial. A promotion of its own accord is not tried again, unless it
 * was but the store that did not take it; a way back is, once a second. */
static void refused(const struct change *change, struct swap *swap, const char *error)
{
    if (change->operation == NULL && swap->verdict == NULL && !change->unkept) {
        swap->verdict = base_printf("it cannot be promoted: %s", error);
    } else {
        swap->again_ns = loop_now_ns(change->changes->plane.self->loop) + 1000 * NS_PER_MS;
    }
    swap_give_picks(change->changes, swap);
}

/* A new swap comes to nothing. */
static void drop_new(const struct changes *changes, const struct swap *swap)
{
    if (swap->subject->dropped != NULL) {
        swap->subject->dropped(changes, swap->name);
    }
}

static void answer(struct change *change, const char *error)
{
    const struct step *step = change->arg;

    if (error == NULL && change->operation != NULL) {
        step->swap->subject->answer(change->operation, step->swap->name);
    } else if (error != NULL && step->fresh) {
        drop_new(change->changes, step->swap);
    } else if (error != NULL && swap_is(step->swap, "trying")) {
        refused(change, step->swap, error);
    }
}

/* The change's step, which owns the record and, where it is fresh, the swap. */
static struct step *step_new(struct change *change, struct swap *swap, bool fresh, cJSON *record)
{
    struct step *step = base_zalloc(sizeof(*step));

    step->swap = swap;
    step->fresh = fresh;
    step->record = record;
    arena_init(&step->arena, NULL, 0);
    change->arg = step;
    change->arg_free = step_free;
    change->enforce = enforce;
    change->done = answer;
    return step;
}

/* The journal's entry, and what the store keeps. */
static void note(struct change *change, const char *command)
{
    const struct step *step = change->arg;
    struct swap *swap = step->swap;
    const struct swap *last = swap_find(change->changes, swap->key);
    cJSON *before = swap->subject->running(change->changes, swap);

    if (before != NULL) {
        json_set(before, "state", last != NULL ? swap_state(last) : NULL);
    }
    change_note(change, command, swap->name, before, cJSON_Duplicate(step->record, true));
    store_put_json(&change->batch, "swaps", swap->key, step->record);
}

/* ---- begin ---- */

bool swap_may_begin(struct operation *operation, const struct swap *own)
{
    const struct swap *other = swap_tried(changes_of(operation));

    if (other != NULL && other != own) {
        operation_problem(operation, 409,
                          "another %s \"%s\" is tried; promote it or roll it back first",
                          other->subject->noun, other->name);
        return false;
    }
    return true;
}

enum written swap_begin(struct operation *operation, struct swap *swap, double share)
{
    struct change *change = change_new(changes_of(operation), operation);
    struct step *step = step_new(change, swap, true, cJSON_Duplicate(swap->record, true));
    const struct swap_subject *subject = swap->subject;
    struct mistakes mistakes = {0};

    change->swaps = true;
    if (!subject->put(change->changes, swap, ARM_NEW, &step->arena, &change->swap, &mistakes)) {
        operation_problem(operation, 422, "%s", mistakes.count > 0 ? mistakes.texts[0] : "");
    } else if (change->swap.step == SWAP_DROP) {
        operation_problem(operation, 409, "the %s \"%s\" that is asked for is in force already",
                          subject->noun, swap->name);
    }
    mistakes_free(&mistakes);
    if (operation->problem) {
        drop_new(change->changes, swap);
        change_drop(change);
        return WRITE_ANSWERED;
    }
    note(change, operation->command->row.name);
    json_set(change->journal, MARK, swap->key);
    if (share > 0) {
        change->swap.step = SWAP_TRY;
        change->swap.share = share;
    } else if (subject->keep != NULL) {
        subject->keep(change, swap, ARM_NEW);
    }
    change_begin(change);
    return WRITE_GOES_ON;
}

/* ---- promote, roll back ---- */

cJSON *swap_next_record(const struct swap *swap, enum trial_arm side, const char *author,
                        const char *reason)
{
    cJSON *record = cJSON_Duplicate(swap->record, true);
    const char *state = side == ARM_NEW ? "promoted" : "rolled_back";

    json_put(record, "state", cJSON_CreateString(state));
    json_put(record, "author", cJSON_CreateString(author));
    json_put(record, "reason", reason != NULL ? cJSON_CreateString(reason) : NULL);
    json_put(record, "ended", cJSON_CreateNumber((double)loop_wall_ms()));
    return record;
}

/* Fills in the change that puts that side in force. `reason` NULL: an operator's wish. false: it
 * cannot be had, mistakes may say why; the change is to be dropped. */
static bool prepare(struct change *change, struct swap *swap, enum trial_arm side,
                    const char *command, const char *reason, struct mistakes *mistakes)
{
    const char *author = change->operation != NULL ? change->operation->author : "weir";
    struct step *step = step_new(change, swap, false, swap_next_record(swap, side, author, reason));
    const struct swap_subject *subject = swap->subject;

    change->swaps = true;
    if (!subject->put(change->changes, swap, side, &step->arena, &change->swap, mistakes)) {
        return false;
    }
    note(change, command);
    if (subject->keep != NULL) {
        subject->keep(change, swap, side);
    }
    return true;
}

static enum written end_by(struct operation *operation, struct swap *swap, enum trial_arm side)
{
    struct change *change = change_new(changes_of(operation), operation);
    struct mistakes mistakes = {0};
    bool good = prepare(change, swap, side, operation->command->row.name, NULL, &mistakes);

    if (good) {
        change_begin(change);
    } else {
        operation_problem(operation, 409, "%s",
                          mistakes.count > 0 ? mistakes.texts[0] : "it runs no more");
        change_drop(change);
        if (swap_is(swap, "trying")) {
            swap_give_picks(changes_of(operation), swap);
        }
    }
    mistakes_free(&mistakes);
    return good ? WRITE_GOES_ON : WRITE_ANSWERED;
}

/* false: 409 is the answer. */
static bool is_there(struct operation *operation, const struct swap_subject *subject,
                     const struct swap *swap)
{
    if (swap == NULL) {
        operation_problem(operation, 409, "no other %s \"%s\" has been swapped in or tried",
                          subject->noun, operation->params[0]);
        return false;
    }
    return swap_may_begin(operation, swap);
}

enum written swap_promote(struct operation *operation, const struct swap_subject *subject,
                          struct swap *swap)
{
    if (!is_there(operation, subject, swap)) {
        return WRITE_ANSWERED;
    }
    if (!swap_is(swap, "trying")) {
        operation_problem(operation, 409, "no other %s \"%s\" is tried; the last one is %s",
                          subject->noun, swap->name, swap_state(swap));
        return WRITE_ANSWERED;
    }
    return end_by(operation, swap, ARM_NEW);
}

enum written swap_rollback(struct operation *operation, const struct swap_subject *subject,
                           struct swap *swap)
{
    const char *changed = NULL;

    if (!is_there(operation, subject, swap)) {
        return WRITE_ANSWERED;
    }
    if (swap_is(swap, "rolled_back")) {
        operation_problem(operation, 409, "the %s \"%s\" before is back already", subject->noun,
                          swap->name);
        return WRITE_ANSWERED;
    }
    if (swap_is(swap, "promoted") &&
        (changed = subject->changed(changes_of(operation), swap)) != NULL) {
        operation_problem(operation, 409, "%s \"%s\": %s", subject->word, swap->name, changed);
        return WRITE_ANSWERED;
    }
    if (swap_is(swap, "trying")) {
        swap_stop_picks(changes_of(operation));
    }
    return end_by(operation, swap, ARM_OLD);
}

/* ---- undone ---- */

/* What the entry began; NULL: another swap has taken its place. */
static struct swap *begun_by(const struct changes *changes, const cJSON *entry)
{
    const cJSON *began = json_get(json_get(entry, "after"), "began");
    struct swap *swap = swap_find(changes, json_text(entry, MARK));

    return swap != NULL && cJSON_Compare(json_get(swap->record, "began"), began, true) ? swap
                                                                                       : NULL;
}

static bool waits(const struct changes *changes, const cJSON *entry)
{
    const struct swap *swap = begun_by(changes, entry), *tried = swap_tried(changes);
    cJSON *running = swap != NULL ? swap->subject->running(changes, swap) : NULL;
    bool can = (tried == NULL || tried == swap) && (swap == NULL || running != NULL);

    cJSON_Delete(running);
    return !can;
}

static bool is_over(const struct changes *changes, const cJSON *entry)
{
    return swap_is(begun_by(changes, entry), "rolled_back");
}

/* What the entry began is rolled back, whether it is tried or in force. */
static const char *take_back(struct change *change, const cJSON *entry)
{
    struct changes *changes = change->changes;
    const char *changed = NULL;
    struct mistakes mistakes = {0};
    struct swap *swap = begun_by(changes, entry), *tried = swap_tried(changes);

    if (swap == NULL) {
        return "it has been swapped again since";
    }
    if (swap_is(swap, "rolled_back")) {
        return "it has been rolled back already";
    }
    if (tried != NULL && tried != swap) {
        return "another trial runs; promote it or roll it back first";
    }
    if (tried == NULL && (changed = swap->subject->changed(changes, swap)) != NULL) {
        return changed;
    }
    bool good = prepare(change, swap, ARM_OLD, "journal.undo", NULL, &mistakes);
    mistakes_free(&mistakes);
    if (good && tried != NULL) {
        swap_stop_picks(changes);
    }
    return good ? NULL : "what was in force before cannot be had";
}

/* ---- what follows by itself ---- */

/* Nothing but the record says that it is tried: why. NULL: it is. */
static const char *cut_short(const struct changes *changes, const struct swap *swap)
{
    return swap->until_ns == 0 ? "Weir was started anew while it was tried"
           : !changes->plane.runtime->current->plan->has_canary ? "a reload came while it was tried"
                                                                : NULL;
}

/* The record changes, and nothing is tried any more. */
static void give_up(struct changes *changes, struct swap *swap, const char *reason)
{
    struct change *change = change_new(changes, NULL);

    change->swaps = changes->plane.runtime->current->plan->has_canary;
    change->swap.step = SWAP_DROP;
    step_new(change, swap, false, swap_next_record(swap, ARM_OLD, "weir", reason));
    note(change, swap->subject->rollback);
    change_begin(change);
}

/* Puts that side in force; false: it cannot be had. */
static bool end_by_itself(struct changes *changes, struct swap *swap, enum trial_arm side,
                          const char *reason)
{
    const struct swap_subject *subject = swap->subject;
    const char *command = side == ARM_NEW ? subject->promote : subject->rollback;
    struct change *change = change_new(changes, NULL);
    struct mistakes mistakes = {0};
    bool good = prepare(change, swap, side, command, reason, &mistakes);

    mistakes_free(&mistakes);
    if (good) {
        change_begin(change);
    } else {
        change_drop(change);
    }
    return good;
}

static bool upkeep(struct changes *changes)
{
    struct swap *swap = swap_tried(changes);

    if (swap == NULL) {
        return false;
    }
    const char *cut = cut_short(changes, swap);
    uint64_t now_ns = loop_now_ns(changes->plane.self->loop);
    bool over = now_ns >= swap->until_ns;
    if (cut == NULL && now_ns < swap->again_ns) {
        return false;
    }
    if (cut != NULL) {
        give_up(changes, swap, cut);
    } else if (swap->verdict != NULL) {
        if (!end_by_itself(changes, swap, ARM_OLD, swap->verdict)) {
            give_up(changes, swap, swap->verdict);
        }
    } else if (over) {
        const char *reason = "its time was over, and it did no worse";
        if (!end_by_itself(changes, swap, ARM_NEW, reason)) {
            give_up(changes, swap, "its time was over, and it cannot be had any more");
        }
    }
    return cut != NULL || swap->verdict != NULL || over;
}

/* ---- the part ---- */

cJSON *swap_show(const struct changes *changes, const struct swap *swap)
{
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

const struct change_part swap_part = {.space = "swaps",
                                      .begin = begin_part,
                                      .end = end_part,
                                      .load = swap_load,
                                      .upkeep = upkeep,
                                      .mark = MARK,
                                      .take_back = take_back,
                                      .waits = waits,
                                      .is_over = is_over};
