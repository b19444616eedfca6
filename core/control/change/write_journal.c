/* SPDX-License-Identifier: MIT */
/*
 * Journal commands: list, undo, confirm; and changes whose confirmation is overdue. How an entry is
 * taken back is up to its part (see changes.h).
 */
#include <stdlib.h>

#include "base/log.h"
#include "control/change/change.h"

static void run_journal(struct operation *operation)
{
    int64_t limit = json_integer(operation->query, "limit", 50);
    int64_t before = json_integer(operation->query, "before", 0);
    operation_succeed(
        operation, 200,
        journal_list(changes_of(operation)->journal, (size_t)limit, (uint64_t)before));
}

static cJSON *the_entry(struct operation *operation)
{
    char *end = NULL;
    uint64_t id = strtoull(operation->params[0], &end, 10);
    cJSON *entry = *end == '\0' ? journal_find(changes_of(operation)->journal, id) : NULL;
    if (entry == NULL) {
        operation_problem(operation, 404, "the journal has no entry %s", operation->params[0]);
    }
    return entry;
}

/* The part that can take the entry back; NULL: none. */
static const struct change_part *part_of(const struct changes *changes, const cJSON *entry)
{
    for (size_t i = 0; i < changes->part_count; i++) {
        const char *mark = changes->parts[i]->mark;
        if (mark != NULL && json_text(entry, mark) != NULL) {
            return changes->parts[i];
        }
    }
    return NULL;
}

static void answer_undone(struct change *change, const char *error)
{
    struct operation *operation = change->operation;

    if (error != NULL || operation == NULL) {
        return;
    }
    cJSON *answer = journal_show(journal_find(change->changes->journal, operation->journal));
    cJSON_AddItemToObject(answer, "undone", change->older_shown);
    change->older_shown = NULL;
    if (operation->state != NULL) {
        cJSON_AddItemToObject(answer, "skipped", cJSON_Duplicate(operation->state, true));
    }
    operation_succeed(operation, 200, answer);
}

/* Undoing or confirming a change needs the authority to make it. */
static bool may(struct operation *operation, const cJSON *entry)
{
    const struct journal *journal = changes_of(operation)->journal;
    const cJSON *first = entry;
    int64_t of = 0;

    while (first != NULL && (of = json_integer(first, "undo_of", 0)) > 0) {
        first = journal_find(journal, (uint64_t)of);
    }
    const char *name = json_text(first, "command");
    if (first == NULL && json_text(entry, "overlay_key") != NULL) {
        return true; /* the original is too old to be in the journal; it changed a server */
    }
    return operation_may(operation, name != NULL ? name : "user.remove");
}

/* Takes the entry back and sets its state to `state`. NULL: begun; else why it cannot be, which the
 * caller frees. */
static char *undo_begin(struct changes *changes, struct operation *operation, cJSON *entry,
                        const char *state)
{
    const struct change_part *part = part_of(changes, entry);
    const char *command = json_text(entry, "command");
    unsigned long long id = journal_id(entry);

    if (part == NULL) {
        return base_printf("entry %llu (%s) cannot be undone", id, command);
    }
    if (!journal_is_live(entry)) {
        return base_printf("entry %llu is %s already", id, json_text(entry, "state"));
    }
    const cJSON *later = journal_conflict(changes->journal, entry);
    if (later != NULL) {
        return base_printf("entry %llu (%s of %s by %s) depends on it; undo that first",
                           (unsigned long long)journal_id(later), json_text(later, "command"),
                           json_text(later, "target"), json_text(later, "author"));
    }
    struct change *change = change_new(changes, operation);
    const char *refusal = part->take_back(change, entry);
    if (refusal != NULL) {
        change_drop(change);
        return base_printf("entry %llu (%s) cannot be undone: %s", id, command, refusal);
    }
    change->older = entry;
    change->older_state = state;
    change->done = answer_undone;
    json_put(change->journal, "undo_of", cJSON_CreateNumber((double)id));
    change_begin(change);
    return NULL;
}

static void skip(cJSON *skipped, const cJSON *entry, const char *why)
{
    cJSON *one = json_append(skipped);
    json_set_number(one, "id", (double)journal_id(entry));
    json_set(one, "command", json_text(entry, "command"));
    json_set(one, "target", json_text(entry, "target"));
    json_set(one, "why", why);
}

static void skipped_free(void *skipped)
{
    cJSON_Delete(skipped);
}

/* Takes back the newest live change that can be, other than undos. Those that cannot are listed as
 * skipped. */
static enum written undo_last(struct operation *operation)
{
    struct changes *changes = changes_of(operation);
    cJSON *skipped = cJSON_CreateArray();

    operation->state = skipped;
    operation->state_free = skipped_free;
    for (cJSON *entry = journal_older(changes->journal, 0); entry != NULL;
         entry = journal_older(changes->journal, journal_id(entry))) {
        if (!journal_is_live(entry) || json_integer(entry, "undo_of", 0) > 0) {
            continue;
        }
        char *refusal = may(operation, entry) ? undo_begin(changes, operation, entry, "undone")
                                              : base_strdup("it needs another role");
        if (refusal == NULL) {
            return WRITE_GOES_ON;
        }
        operation_succeed(operation, 0, NULL); /* one refusal is not the answer */
        skip(skipped, entry, refusal);
        free(refusal);
    }
    operation_problem(operation, 409, "the journal has no change that could be taken back");
    return WRITE_ANSWERED;
}

static enum written run_undo(struct operation *operation)
{
    if (strcmp(operation->params[0], "last") == 0) {
        return undo_last(operation);
    }
    cJSON *entry = the_entry(operation);
    if (entry == NULL || !may(operation, entry)) {
        return WRITE_ANSWERED;
    }
    char *refusal = undo_begin(changes_of(operation), operation, entry, "undone");
    if (refusal == NULL) {
        return WRITE_GOES_ON;
    }
    operation_problem(operation, 409, "%s", refusal);
    free(refusal);
    return WRITE_ANSWERED;
}

/* ---- confirm ---- */

static void answer_confirmed(struct change *change, const char *error)
{
    if (error == NULL) {
        operation_succeed(change->operation, 200, journal_show(change->older));
    }
}

static enum written run_confirm(struct operation *operation)
{
    cJSON *entry = the_entry(operation);
    const char *state = entry != NULL ? json_text(entry, "state") : NULL;

    if (entry != NULL && may(operation, entry) && strcmp(state, "pending") != 0) {
        operation_problem(operation, 409, "entry %llu waits for no confirmation: it is %s",
                          (unsigned long long)journal_id(entry), state);
    }
    if (operation->problem) {
        return WRITE_ANSWERED;
    }
    struct change *change = change_new(changes_of(operation), operation);
    change->confirmed_by = base_strdup(operation->author);
    change->older = entry;
    change->older_state = "done";
    change->done = answer_confirmed;
    change_begin(change);
    return WRITE_GOES_ON;
}

/* ---- what nobody has confirmed ---- */

/* Whether a later change that depends on the entry may still be taken back itself. */
static bool is_held(const struct changes *changes, const cJSON *entry)
{
    const cJSON *later = journal_conflict(changes->journal, entry);
    return later != NULL && strcmp(json_text(later, "state"), "pending") == 0;
}

static bool is_over(const struct changes *changes, const cJSON *entry)
{
    const struct change_part *part = part_of(changes, entry);
    return part != NULL && part->is_over != NULL && part->is_over(changes, entry);
}

/* Only its state changes. */
static void settle(struct changes *changes, cJSON *entry, const char *state)
{
    struct change *change = change_new(changes, NULL);

    change->older = entry;
    change->older_state = state;
    change_begin(change);
}

/* The newest entry whose confirmation is overdue, and that waits for nobody; NULL: none. */
static cJSON *overdue(const struct changes *changes)
{
    cJSON *entry = NULL;
    uint64_t id = 0, now_ms = loop_wall_ms();

    while ((entry = journal_overdue(changes->journal, id, now_ms)) != NULL) {
        const struct change_part *part = part_of(changes, entry);
        bool waits = part != NULL && part->waits != NULL && part->waits(changes, entry);
        if (is_over(changes, entry) || (!waits && !is_held(changes, entry))) {
            break;
        }
        id = journal_id(entry);
    }
    return entry;
}

static bool undo_upkeep(struct changes *changes)
{
    cJSON *entry = overdue(changes);

    if (entry == NULL) {
        return false;
    }
    unsigned long long id = journal_id(entry);
    if (is_over(changes, entry)) {
        log_write(WEIR_LOG_NOTICE, "weir",
                  "change %llu was not confirmed in time: it has gone back already", id);
        settle(changes, entry, "expired");
        return true;
    }
    char *refusal = undo_begin(changes, NULL, entry, "expired");
    if (refusal == NULL) {
        log_write(WEIR_LOG_NOTICE, "weir",
                  "change %llu was not confirmed in time: it is taken back", id);
        return true;
    }
    log_write(WEIR_LOG_WARNING, "weir", "change %llu was not confirmed in time, but it stays: %s",
              id, refusal);
    free(refusal);
    settle(changes, entry, "done");
    return true;
}

/* ---- the part ---- */

static void load(struct changes *changes, const char *key, const char *value)
{
    (void)key;
    journal_load(changes->journal, value);
}

static const struct weir_argument journal_query[] = {
    {"limit", WEIR_ARGUMENT_INTEGER, false, 1, 1000, NULL, "Entries to show; 50 if not given."},
    {"before", WEIR_ARGUMENT_INTEGER, false, 1, INT64_C(9007199254740991), NULL,
     "Only entries with a smaller id: the cursor of the page before."},
    WEIR_ARGUMENTS_END,
};

static const struct command commands[] = {
    READ("journal.list", "/journal", journal_query, "Journal", run_journal,
         "Runtime changes, the newest first."),
    WRITE("journal.undo", OPERATOR, "POST", "/journal/{id}/undo", NULL, NULL, 200, CONFIRM, "Entry",
          run_undo, "Undoes a change; with last as id, the last one that can be undone."),
    WRITE("journal.confirm", OPERATOR, "POST", "/journal/{id}/confirm", NULL, NULL, 200, 0, "Entry",
          run_confirm, "Confirms a change that would otherwise be undone."),
    COMMANDS_END,
};

const struct change_part journal_part = {
    .commands = commands, .space = "journal", .load = load, .upkeep = undo_upkeep};
