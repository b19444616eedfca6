/* SPDX-License-Identifier: MIT */
/*
 * Commands on the journal: list, undo, confirm; and changes that nobody confirmed.
 */
#include <stdlib.h>

#include "base/log.h"
#include "control/change/change.h"
#include "control/change/undo.h"

void run_journal(struct operation *operation)
{
    int64_t limit = operation_integer(operation->query, "limit", 50);
    int64_t before = operation_integer(operation->query, "before", 0);
    operation_succeed(operation, 200,
                      journal_list(operation->plane->journal, (size_t)limit, (uint64_t)before));
}

static cJSON *the_entry(struct operation *operation)
{
    char *end = NULL;
    uint64_t id = strtoull(operation->params[0], &end, 10);
    cJSON *entry = *end == '\0' ? journal_find(operation->plane->journal, id) : NULL;
    if (entry == NULL) {
        operation_problem(operation, 404, "the journal has no entry %s", operation->params[0]);
    }
    return entry;
}

static cJSON *copy_or_null(const cJSON *entry, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, name);
    return item != NULL ? cJSON_Duplicate(item, true) : cJSON_CreateNull();
}

/* What was before, where the overlay said nothing of it: the files did, and need not any more. */
static cJSON *from_files(const cJSON *was, const char *name, const struct server_settings *file)
{
    static const char *const words[] = {"ready", "drain", "maintenance"};
    bool same = true;

    if (file != NULL && strcmp(name, "weight") == 0) {
        same = (int64_t)cJSON_GetNumberValue(was) == file->file_weight;
    } else if (file != NULL && strcmp(name, "max_connections") == 0) {
        same = (int64_t)cJSON_GetNumberValue(was) == file->file_max_connections;
    } else if (file != NULL && strcmp(name, "state") == 0 && cJSON_IsString(was)) {
        same = strcmp(cJSON_GetStringValue(was), words[file->state]) == 0;
    }
    return same ? NULL : cJSON_Duplicate(was, true);
}

/* The overlay's entry with what the change did taken back: of a patch its own fields alone. */
static cJSON *entry_without(const struct plane *plane, const cJSON *done)
{
    static const char *const state_fields[] = {"leaving", "drain_deadline", NULL};
    const char *key = operation_text(done, "overlay_key");
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(done, "overlay_before");
    const cJSON *now = overlay_at(plane->overlay, key);
    const cJSON *item = NULL;
    const char *command = operation_text(done, "command");

    if (command == NULL || strcmp(command, "server.patch") != 0) {
        return cJSON_IsObject(old) ? cJSON_Duplicate(old, true) : NULL;
    }
    cJSON *entry = now != NULL ? cJSON_Duplicate(now, true) : cJSON_CreateObject();
    const struct server_settings *file = overlay_file_server(plane->runtime->current, key);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(done, "before"))
    {
        const char *const own[] = {item->string, NULL};
        for (unsigned pass = 0; pass < 2; pass++) {
            const char *const *names = pass == 0 ? own : state_fields;
            for (; *names != NULL && (pass == 0 || strcmp(item->string, "state") == 0); names++) {
                const cJSON *value = cJSON_GetObjectItemCaseSensitive(old, *names);
                cJSON *back = value != NULL ? cJSON_Duplicate(value, true)
                              : pass == 0   ? from_files(item, *names, file)
                                            : NULL;
                cJSON_DeleteItemFromObjectCaseSensitive(entry, *names);
                if (back != NULL) {
                    cJSON_AddItemToObject(entry, *names, back);
                }
            }
        }
    }
    return entry;
}

void undo_answer(struct change *change)
{
    struct operation *operation = change->operation;
    cJSON *answer = journal_show(journal_find(change->plane->journal, operation->journal));

    cJSON_AddItemToObject(answer, "undone", change->older_shown);
    change->older_shown = NULL;
    if (operation->state != NULL) {
        cJSON_AddItemToObject(answer, "skipped", cJSON_Duplicate(operation->state, true));
    }
    operation_succeed(operation, 200, answer);
}

static void answer_entry(struct change *change, const char *error)
{
    if (error == NULL) {
        undo_answer(change);
    }
}

static void undo_begin(struct plane *plane, struct operation *operation, cJSON *entry,
                       const char *state)
{
    if (operation_text(entry, "user_key") != NULL) {
        user_undo_begin(plane, operation, entry, state);
        return;
    }
    struct change *change = change_new(plane, operation);
    const char *target = operation_text(entry, "target");

    change->key = base_strdup(operation_text(entry, "overlay_key"));
    change->entry = entry_without(plane, entry);
    change->older = entry;
    change->older_state = state;
    change_note(change, "journal.undo", target != NULL ? target : "", copy_or_null(entry, "after"),
                copy_or_null(entry, "before"));
    cJSON_ReplaceItemInObjectCaseSensitive(change->journal, "undo_of",
                                           cJSON_CreateNumber((double)journal_id(entry)));
    if (operation != NULL) {
        change->done = answer_entry;
    }
    change_begin(change);
}

/* Whether the pool that the entry is about is still there; of a user's entry it is. */
static bool pool_is_there(const struct plane *plane, const cJSON *entry)
{
    const char *key = operation_text(entry, "overlay_key");
    if (key == NULL) {
        return true;
    }
    char *pool = base_strndup(key, (size_t)(strrchr(key, '/') - key));
    bool there = plane_pool(plane, pool) != NULL;
    free(pool);
    return there;
}

/* Whether a number that a patch set is another one by now, though no later entry has changed it: the files
 * have, since what was exported is theirs. */
static bool number_has_moved(const struct plane *plane, const cJSON *entry, const char *name)
{
    const char *key = operation_text(entry, "overlay_key");
    const cJSON *after =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(entry, "after"), name);
    const char *slash = key != NULL ? strrchr(key, '/') : NULL;

    if (!cJSON_IsNumber(after) || slash == NULL) {
        return false;
    }
    char *pool = base_strndup(key, (size_t)(slash - key));
    const struct pool_plan *plan = plane_pool(plane, pool);
    size_t index = 0;
    const struct server *server = plan != NULL ? plan_server(plan, slash + 1, &index) : NULL;

    free(pool);
    if (server == NULL) {
        return false;
    }
    uint32_t now = strcmp(name, "weight") == 0 ? server->weight : server->max_connections;
    return (double)now < after->valuedouble || (double)now > after->valuedouble;
}

/* Why taking the entry back would not bring back what was, because the files are others now; NULL: it
 * would. */
static const char *files_refusal(const struct plane *plane, const cJSON *entry)
{
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(entry, "overlay_before");
    bool was = cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(entry, "before"));
    bool is = cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(entry, "after"));
    bool added = cJSON_HasObjectItem(old, "url");
    bool hidden = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(old, "hidden"));
    bool in_files = overlay_in_files(plane->runtime->current, operation_text(entry, "overlay_key"));

    if (was && !is && !added && !in_files) {
        return "the files do not have that server any more; add it with its URL";
    }
    if (!was && is && !hidden && in_files) {
        return "the files have that server by now; remove it instead";
    }
    if (strcmp(operation_text(entry, "command"), "server.patch") == 0 &&
        (number_has_moved(plane, entry, "weight") ||
         number_has_moved(plane, entry, "max_connections"))) {
        return "the files have changed it since; change it anew";
    }
    return NULL;
}

static const char *refusal_of(const struct plane *plane, const cJSON *entry)
{
    return operation_text(entry, "user_key") != NULL ? user_undo_refusal(plane, entry)
                                                     : files_refusal(plane, entry);
}

/* Who takes a change back, or lets it stay, must be one who may make it. */
static bool may(struct operation *operation, const cJSON *entry)
{
    const struct journal *journal = operation->plane->journal;
    const cJSON *first = entry;
    int64_t of = 0;

    while (first != NULL && (of = operation_integer(first, "undo_of", 0)) > 0) {
        first = journal_find(journal, (uint64_t)of);
    }
    const char *name = operation_text(first, "command");
    if (first == NULL && operation_text(entry, "user_key") == NULL) {
        return true; /* so old that it is not known; of a server */
    }
    return operation_may(operation, name != NULL ? name : "user.remove");
}

static bool is_undoable(const cJSON *entry)
{
    return operation_text(entry, "overlay_key") != NULL ||
           operation_text(entry, "user_key") != NULL;
}

/* Why the entry cannot be taken back now; NULL: it can. The caller's. */
static char *undo_refusal(const struct plane *plane, const cJSON *entry)
{
    const char *state = operation_text(entry, "state");
    const char *command = operation_text(entry, "command");
    unsigned long long id = journal_id(entry);

    if (!is_undoable(entry)) {
        return base_printf("entry %llu (%s) cannot be undone", id, command);
    }
    if (!journal_is_live(entry)) {
        return base_printf("entry %llu is %s already", id, state);
    }
    if (!pool_is_there(plane, entry)) {
        return base_printf("the pool of entry %llu is not there any more", id);
    }
    const cJSON *later = journal_conflict(plane->journal, entry);
    if (later != NULL) {
        return base_printf("entry %llu (%s of %s by %s) depends on it; undo that first",
                           (unsigned long long)journal_id(later), operation_text(later, "command"),
                           operation_text(later, "target"), operation_text(later, "author"));
    }
    const char *refusal = refusal_of(plane, entry);
    return refusal != NULL
               ? base_printf("entry %llu (%s) cannot be undone: %s", id, command, refusal)
               : NULL;
}

static bool can_undo(struct operation *operation, const cJSON *entry)
{
    if (!may(operation, entry)) {
        return false;
    }
    char *refusal = undo_refusal(operation->plane, entry);
    if (refusal != NULL) {
        operation_problem(operation, 409, "%s", refusal);
        free(refusal);
        return false;
    }
    return true;
}

static void skip(cJSON *skipped, const cJSON *entry, const char *why)
{
    cJSON *one = cJSON_CreateObject();
    json_set_number(one, "id", (double)journal_id(entry));
    json_set(one, "command", operation_text(entry, "command"));
    json_set(one, "target", operation_text(entry, "target"));
    json_set(one, "why", why);
    cJSON_AddItemToArray(skipped, one);
}

static void skipped_free(void *skipped)
{
    cJSON_Delete(skipped);
}

/* The last change that stands, is no undo, and can be taken back; those that cannot, are told. NULL: 409. */
static cJSON *last_undoable(struct operation *operation)
{
    const struct journal *journal = operation->plane->journal;
    uint64_t last = journal_last(journal);
    cJSON *skipped = cJSON_CreateArray();

    operation->state = skipped;
    operation->state_free = skipped_free;
    for (uint64_t id = last; id > 0 && last - id < JOURNAL_KEPT; id--) {
        cJSON *entry = journal_find(journal, id);
        if (entry == NULL || !journal_is_live(entry) ||
            operation_integer(entry, "undo_of", 0) > 0) {
            continue;
        }
        char *refusal = may(operation, entry) ? undo_refusal(operation->plane, entry)
                                              : base_strdup("it needs another role");
        operation_succeed(operation, 0, NULL); /* that one may not be taken back is no answer */
        if (refusal == NULL) {
            return entry;
        }
        skip(skipped, entry, refusal);
        free(refusal);
    }
    operation_problem(operation, 409, "the journal has no change that could be taken back");
    return NULL;
}

enum written run_undo(struct operation *operation)
{
    bool last = strcmp(operation->params[0], "last") == 0;
    cJSON *entry = last ? last_undoable(operation) : the_entry(operation);

    if (entry == NULL || (!last && !can_undo(operation, entry))) {
        return WRITE_ANSWERED;
    }
    undo_begin(operation->plane, operation, entry, "undone");
    return WRITE_GOES_ON;
}

/* ---- confirm ---- */

static void answer_confirmed(struct change *change, const char *error)
{
    if (error == NULL) {
        operation_succeed(change->operation, 200, journal_show(change->older));
    }
}

enum written run_confirm(struct operation *operation)
{
    cJSON *entry = the_entry(operation);
    const char *state = entry != NULL ? operation_text(entry, "state") : NULL;

    if (entry != NULL && may(operation, entry) && strcmp(state, "pending") != 0) {
        operation_problem(operation, 409, "entry %llu waits for no confirmation: it is %s",
                          (unsigned long long)journal_id(entry), state);
    }
    if (operation->problem) {
        return WRITE_ANSWERED;
    }
    struct change *change = change_new(operation->plane, operation);
    change->confirmed_by = base_strdup(operation->author);
    change->older = entry;
    change->older_state = "done";
    change->done = answer_confirmed;
    change_begin(change);
    return WRITE_GOES_ON;
}

void undo_tick(struct plane *plane)
{
    if (plane->writing != NULL || plane->busy || plane->ended || !store_is_well(plane->store)) {
        return;
    }
    cJSON *entry = journal_overdue(plane->journal, loop_wall_ms());
    if (entry == NULL) {
        return;
    }
    unsigned long long id = journal_id(entry);
    if (!is_undoable(entry) || !pool_is_there(plane, entry) ||
        journal_conflict(plane->journal, entry) != NULL || refusal_of(plane, entry) != NULL) {
        log_write(WEIR_LOG_WARNING, "weir",
                  "change %llu was not confirmed in time, but something later depends on it: it "
                  "stays",
                  id);
        struct change *change = change_new(plane, NULL);
        change->older = entry;
        change->older_state = "done";
        change_begin(change);
        return;
    }
    log_write(WEIR_LOG_NOTICE, "weir", "change %llu was not confirmed in time: it is taken back",
              id);
    undo_begin(plane, NULL, entry, "expired");
}
