/* SPDX-License-Identifier: MIT */
/*
 * Changes by modules' operations: text under keys in the module's space, each with a journal entry
 * that the module can undo. See weir/control.h.
 */
#include "control/change/module_part.h"

#include <stdlib.h>

#include "control/change/change.h"

/* A module's change in progress. */
struct module_change {
    char *space, *key; /* NULL: nothing is kept */
    char *value;       /* NULL: the key goes */
    void (*done)(void *arg, struct weir_control_operation *operation, const char *error);
    void *arg;
};

static void module_change_free(void *arg)
{
    struct module_change *work = arg;
    free(work->space);
    free(work->key);
    free(work->value);
    free(work);
}

/* It is durable: everyone who learns of the change finds it in force. */
static void enforce(struct change *change)
{
    struct module_change *work = change->arg;

    if (work->key != NULL) {
        providers_keep(&change->changes->plane.providers, work->space, work->key, work->value);
    }
    if (work->done != NULL) {
        work->done(work->arg, operation_handle(change->operation), NULL);
    }
}

static void refused(struct change *change, const char *error)
{
    struct module_change *work = change->arg;

    if (error != NULL && work->done != NULL) {
        work->done(work->arg, operation_handle(change->operation), error);
    }
}

static char *copy(struct weir_str text)
{
    return text.ptr != NULL ? base_strndup(text.ptr, text.len) : NULL;
}

static cJSON *parse(struct weir_str json)
{
    return json.len > 0 ? cJSON_ParseWithLength(json.ptr, json.len) : NULL;
}

/* Adds the journal entry and the value to keep. The entry has the key as SPACE/KEY and, for undo,
 * the value of a removed key; both are not shown. */
static void note(struct change *change, const char *command, const char *space,
                 const struct weir_change *what)
{
    struct module_change *work = base_zalloc(sizeof(*work));
    char *target = copy(what->target);

    change->arg = work;
    change->arg_free = module_change_free;
    change->enforce = enforce;
    change_note(change, command, target != NULL ? target : "", parse(what->before),
                parse(what->after));
    free(target);
    if (space == NULL || what->key.len == 0) {
        return;
    }
    work->space = base_strdup(space);
    work->key = copy(what->key);
    work->value = copy(what->value);
    char *name = base_printf("%s/%s", space, work->key);
    char *part = copy(what->part);
    const char *before = providers_kept(&change->changes->plane.providers, space, work->key);
    json_set(change->journal, "kept_key", name);
    json_set(change->journal, "kept_part", part != NULL && *part != '\0' ? part : "all");
    if (work->value == NULL && before != NULL) {
        json_set(change->journal, "kept_gone", before);
    }
    store_put(&change->batch, space, work->key, work->value);
    free(name);
    free(part);
}

static void operation_change(struct weir_control_operation *given, const struct weir_change *what,
                             void (*done)(void *arg, struct weir_control_operation *operation,
                                          const char *error),
                             void *arg)
{
    struct operation *operation = operation_of(given);
    struct change *change = change_new(changes_of(operation), operation);

    note(change, operation->command->row.name, operation->command->provider->ops->space, what);
    struct module_change *work = change->arg;
    work->done = done;
    work->arg = arg;
    change->done = refused;
    change_begin(change);
}

static void operation_finish(struct weir_control_operation *given)
{
    struct operation *operation = operation_of(given);

    if (operation->command->write != NULL) {
        changes_finish(changes_of(operation), operation);
    } else {
        operation_answer(operation);
    }
}

void module_part_fill(struct weir_host *host)
{
    host->operation_change = operation_change;
    host->operation_finish = operation_finish;
}

/* ---- undo ---- */

static char *print_member(const cJSON *entry, const char *name)
{
    const cJSON *item = json_get(entry, name);
    return item != NULL && !cJSON_IsNull(item) ? json_print(item) : NULL;
}

/* The key of the entry, and the space before it, which the caller frees. */
static const char *split(const cJSON *entry, char **space)
{
    const char *name = json_text(entry, "kept_key");
    const char *slash = strchr(name, '/');

    *space = base_strndup(name, (size_t)(slash - name));
    return slash + 1;
}

static const char *take_back(struct change *change, const cJSON *entry)
{
    const struct providers *providers = &change->changes->plane.providers;
    char *space = NULL;
    const char *key = split(entry, &space);
    const struct provider *provider = provider_of_space(providers, space);
    const char *why = provider == NULL              ? "the module that made it is not loaded"
                      : provider->ops->undo == NULL ? "the module that made it takes nothing back"
                                                    : NULL;

    if (why == NULL) {
        char *before = print_member(entry, "before");
        char *after = print_member(entry, "after");
        struct weir_undo undo = {
            .size = sizeof(undo),
            .key = str_from(key),
            .part = str_from(json_text(entry, "kept_part")),
            .before = str_from(before),
            .after = str_from(after),
            .now = str_from(providers_kept(providers, space, key)),
            .gone = str_from(json_text(entry, "kept_gone")),
        };
        struct weir_change what = {.size = sizeof(what),
                                   .target = str_from(json_text(entry, "target")),
                                   .key = undo.key,
                                   .part = undo.part};
        struct call *call = provider_call(provider);
        why = provider->ops->undo(provider_context(provider), provider->instance, &undo, &what);
        call_end(call);
        if (why == NULL) {
            note(change, "journal.undo", space, &what); /* which may point into `undo` */
        }
        free(before);
        free(after);
    }
    free(space);
    return why;
}

static bool waits(const struct changes *changes, const cJSON *entry)
{
    char *space = NULL;
    split(entry, &space);
    bool waits = provider_of_space(&changes->plane.providers, space) == NULL;
    free(space);
    return waits;
}

const struct change_part module_part = {
    .mark = "kept_key",
    .take_back = take_back,
    .waits = waits,
};
