/* SPDX-License-Identifier: MIT */
/*
 * Reloads for operations and the journal: their author, their outcome, and which runtime changes
 * the files now contain.
 */
#include "control/change/reload.h"

#include "base/log.h"
#include "control/api/show.h"
#include "control/change/change.h"
#include "control/change/pool_part.h"
#include "module/blame.h"

static enum written run_reload(struct operation *operation)
{
    const struct changes *changes = changes_of(operation);
    changes->owner.reload(changes->owner.arg, operation);
    return WRITE_GOES_ON;
}

/* The servers whose runtime settings the files now contain, in whole or in part. */
static cJSON *settled_names(const cJSON *settled)
{
    cJSON *names = cJSON_CreateArray();
    const cJSON *entry = NULL;

    cJSON_ArrayForEach(entry, settled)
    {
        cJSON_AddItemToArray(names, cJSON_CreateString(entry->string));
    }
    return names;
}

void changes_started(struct changes *changes)
{
    cJSON *settled = overlay_settle(changes->overlay, changes->plane.runtime->current);

    if (settled != NULL && store_is_well(changes->store)) {
        struct change *change = change_new(changes, NULL);
        change->settled = settled;
        change_begin(change);
    } else {
        cJSON_Delete(settled);
        changes_rebuilt(changes); /* starts what was queued meanwhile */
    }
}

static void json_free(void *json)
{
    cJSON_Delete(json);
}

/* A change that records the reload, or what it was done for; `arg` is for its answer. */
static struct change *change_of_reload(struct changes *changes, struct operation *operation,
                                       cJSON *after, cJSON *arg)
{
    struct change *change = change_new(changes, operation);
    bool other = operation != NULL && operation->state != NULL;
    change_note(change, other ? operation->command->row.name : "config.reload",
                other ? operation->params[0] : changes->plane.path,
                other ? cJSON_Duplicate(operation->state, true) : NULL, after);
    change->arg = arg;
    change->arg_free = json_free;
    return change;
}

static void reload_kept(struct change *change, const char *error)
{
    const struct generation *current = change->changes->plane.runtime->current;

    /* The reload is in force even if the journal could not be written. */
    if (change->operation != NULL) {
        cJSON *answer = cJSON_CreateObject();
        json_set_number(answer, "generation", (double)current->id);
        cJSON_AddItemToObject(answer, "restart_needed", show_restart(current));
        cJSON_AddItemToObject(answer, "contradictions", cJSON_Duplicate(change->arg, true));
        cJSON_AddItemToObject(answer, "settled",
                              settled_names(error == NULL ? change->settled : NULL));
        operation_succeed(change->operation, 200, answer);
    }
}

/* The reload is in force: records it and answers with what the files contradict. */
static void note_reload(struct changes *changes, struct operation *operation)
{
    const struct generation *current = changes->plane.runtime->current;
    cJSON *after = cJSON_CreateObject(), *settled = overlay_settle(changes->overlay, current);

    json_set_number(after, "generation", (double)current->id);
    if (settled != NULL) {
        cJSON_AddItemToObject(after, "settled", settled_names(settled));
    }
    cJSON *contradictions = overlay_contradictions(changes->overlay, current);
    struct change *change = change_of_reload(changes, operation, after, contradictions);
    pools_settle(changes, change, contradictions);
    change->settled = settled;
    change->done = reload_kept;
    change_begin(change);
}

/* The log has all mistakes; the report the first ones. */
#define MISTAKES_TOLD 20u

/* Reports the outcome to status, events and metrics. `detail` NULL: it is in force. */
static void report_reload(struct changes *changes, const struct operation *operation,
                          const char *detail, const struct mistakes *mistakes)
{
    struct reloads *reloads = &changes->plane.runtime->reloads;
    cJSON *report = cJSON_CreateObject();

    json_set_number(report, "generation", (double)changes->plane.runtime->current->id);
    json_set_number(report, "time", (double)loop_wall_ms());
    json_set(report, "author", operation != NULL ? operation->author : "weir");
    json_set(report, "result", detail != NULL ? "refused" : "done");
    json_set(report, "detail", detail);
    cJSON_AddItemToObject(report, "mistakes", show_mistakes(mistakes, MISTAKES_TOLD));
    json_set_number(report, "mistake_count", (double)(mistakes != NULL ? mistakes->count : 0));
    cJSON_Delete(changes->last_reload);
    changes->last_reload = report;
    reloads->done += detail == NULL;
    reloads->refused += detail != NULL;
    reloads->done_wall_ms = detail == NULL ? loop_wall_ms() : reloads->done_wall_ms;
    reloads->last_refused = detail != NULL;
    events_tell(&changes->plane.events, "reload", cJSON_Duplicate(report, true));
}

/* Nothing has changed, whether or not the journal could be written. */
static void refusal_kept(struct change *change, const char *error)
{
    const cJSON *report = change->arg;
    const cJSON *mistakes = json_get(report, "mistakes");
    bool wrong = cJSON_GetArraySize(mistakes) > 0;
    (void)error;

    if (change->operation != NULL) {
        operation_problem(change->operation, wrong ? 422 : 503,
                          wrong ? "the files are wrong, and the running configuration stays: %s"
                                : "the running configuration stays: %s",
                          json_text(report, "detail"));
        if (wrong) {
            cJSON_AddItemToObject(change->operation->answer, "mistakes",
                                  cJSON_Duplicate(mistakes, true));
        }
    }
}

/* Records the attempt and its author. */
static void note_refusal(struct changes *changes, struct operation *operation)
{
    cJSON *after = cJSON_CreateObject();

    json_set(after, "detail", json_text(changes->last_reload, "detail"));
    struct change *change =
        change_of_reload(changes, operation, after, cJSON_Duplicate(changes->last_reload, true));
    json_put(change->journal, "state", cJSON_CreateString("refused"));
    change->done = refusal_kept;
    change_begin(change);
}

/* Of a module that the reload was to release. */
static void settle_pardon(const struct changes *changes, bool released)
{
    char error[512];

    if (!blame_settle(changes->plane.runtime->blame, released, error, sizeof(error))) {
        log_write(WEIR_LOG_ERROR, "weir",
                  "a module is released and in force, but the next start will have it in "
                  "quarantine again: %s",
                  error);
    }
}

void changes_reloaded(struct changes *changes, struct operation *operation,
                      const struct mistakes *mistakes, const char *error)
{
    const char *refused = mistakes != NULL && mistakes->count > 0 ? mistakes->texts[0] : error;

    settle_pardon(changes, refused == NULL);
    report_reload(changes, operation, refused, mistakes);
    if (operation == NULL && !store_is_well(changes->store)) {
        changes_finish(changes, NULL); /* nobody waits for an answer */
    } else if (refused != NULL) {
        note_refusal(changes, operation);
    } else {
        note_reload(changes, operation);
    }
}

static const struct command commands[] = {
    WRITE("config.reload", ADMIN, "POST", "/config/reload", NULL, NULL, 200, 0, "Reload",
          run_reload, "Reads the files again and applies them if they are valid."),
    COMMANDS_END,
};

const struct change_part reload_part = {.commands = commands};
