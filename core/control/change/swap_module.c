/* SPDX-License-Identifier: MIT */
/*
 * Swaps of modules' copies. See swap.h.
 */
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/api/modules.h"
#include "control/change/swap.h"

/* ---- what runs ---- */

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

/* NULL: it does not run. */
static struct module *running(const struct changes *changes, const char *module)
{
    const struct plan *plan = changes->plane.runtime->current->plan;
    size_t block;

    return find_block(changes, module, &block) ? plan->modules.items[block]->module : NULL;
}

/* ---- the subject ---- */

static bool put(struct changes *changes, struct swap *swap, enum trial_arm side,
                struct arena *arena, struct plan_swap *how, struct mistakes *mistakes)
{
    struct module **copy = side == ARM_NEW ? &swap->now : &swap->old;
    (void)arena;

    if (*copy == NULL) {
        *copy = swap_load_copy(changes, swap, side == ARM_NEW ? "new" : "old", mistakes);
    }
    if (*copy != NULL && (*copy)->quarantine != NULL) {
        mistakes_add(mistakes, (struct place){NULL, 0},
                     "that copy is in quarantine, as Weir has died in it; weirctl module release "
                     "%s ends that",
                     swap->name);
        module_unref(copy);
    }
    if (*copy == NULL || !find_block(changes, swap->name, &how->module)) {
        return false;
    }
    how->copy = *copy;
    how->step = running(changes, swap->name) == *copy ? SWAP_DROP : SWAP_TAKE;
    return true;
}

static cJSON *show_running(const struct changes *changes, const struct swap *swap)
{
    const struct module *module = running(changes, swap->name);
    return module != NULL ? swap_copy_json(module) : NULL;
}

static const char *changed(const struct changes *changes, const struct swap *swap)
{
    const cJSON *now = json_get(swap->record, "new");
    cJSON *copy = show_running(changes, swap);
    bool same =
        copy != NULL && strcmp(json_text(copy, "identity"), json_text(now, "identity")) == 0;

    cJSON_Delete(copy);
    return same ? NULL : "a reload has taken another copy since it was swapped";
}

static void answer(struct operation *operation, const char *name)
{
    const struct module *module = find_module(operation->plane, name);

    if (module != NULL) {
        operation_succeed(operation, 200, show_module(operation->plane, module));
        operation->etag = show_module_tag(operation->plane, module);
    }
}

static void enforced(struct change *change, const struct swap *swap)
{
    swap_drop_files(change->changes, swap->name);
}

static const struct swap_subject subject = {
    .word = "module",
    .noun = "copy of",
    .prefix = "",
    .promote = "modules.promote",
    .rollback = "modules.rollback",
    .reads = swap_names_copies,
    .put = put,
    .running = show_running,
    .changed = changed,
    .answer = answer,
    .dropped = swap_drop_files,
    .enforced = enforced,
};

/* ---- what is asked for ---- */

/* The file that is asked for: one of the folder that modules are loaded from. Who may write there
 * decides anyway what code Weir runs; a file elsewhere is nobody's that the operator trusts with
 * that, and who has stolen a token could name any. NULL: 422 is the answer. */
static char *find_file(struct operation *operation, const char *module)
{
    const char *folder = operation->plane->runtime->current->plan->global.module_dir.ptr;
    const char *file = json_text(operation->body, "file");
    char there[PATH_MAX], allowed[PATH_MAX];

    if (file == NULL || strchr(file, '/') == NULL) {
        return file == NULL ? base_printf("%s/%s.so", folder, module)
                            : base_printf("%s/%s", folder, file);
    }
    char *copy = base_strdup(file);
    bool good = file[0] == '/' && realpath(dirname(copy), there) != NULL &&
                realpath(folder, allowed) != NULL && strcmp(there, allowed) == 0;
    free(copy);
    if (!good) {
        operation_invalid(operation, "/file",
                          "only files of the folder of modules, %s, may take a module's place",
                          folder);
        return NULL;
    }
    return base_strdup(file);
}

/* In which Weir has died: what runs is not worth going back to, and what is to run never would. */
static bool is_held(struct operation *operation, const struct module *module)
{
    if (module->quarantine == NULL) {
        return false;
    }
    operation_problem(operation, 409,
                      "%s is in quarantine, as Weir has died in it: weirctl module release %s ends "
                      "that, and a reload takes another file",
                      module->path, module->name);
    return true;
}

/* Loads and keeps the copy that takes the place of `old`, with a reference; NULL: the operation has
 * its answer. */
static struct module *ask_copy(struct operation *operation, struct module *old)
{
    const struct changes *changes = changes_of(operation);
    const struct runtime *runtime = changes->plane.runtime;
    struct mistakes mistakes = {0};
    char *path = is_held(operation, old) ? NULL : find_file(operation, old->name), *error = NULL;
    struct module *copy = NULL;

    if (path != NULL) {
        copy = module_load_file(runtime->modules, path, old->name, runtime->host,
                                (struct place){NULL, 0}, &mistakes);
    }
    free(path);
    if (mistakes.count > 0) {
        operation_problem(operation, 422, "%s", mistakes.texts[0]);
    } else if (copy == old) {
        operation_problem(operation, 409, "%s has the contents of the copy of \"%s\" that runs",
                          json_get(operation->body, "file") != NULL ? "that file" : "its file",
                          old->name);
    } else if (copy != NULL && !is_held(operation, copy) &&
               ((error = swap_keep_file(changes, old)) != NULL ||
                (error = swap_keep_file(changes, copy)) != NULL)) {
        operation_problem(operation, 503, "nothing has changed: %s", error);
    }
    mistakes_free(&mistakes);
    free(error);
    if (operation->problem) {
        module_unref(&copy);
    }
    return copy;
}

static bool balances(const struct plan *plan, const struct module *module)
{
    for (size_t i = 0; i < plan->pool_count; i++) {
        if (plan->pools[i].balance->module == module) {
            return true;
        }
    }
    return false;
}

/* What runs now, and what is to run; fills in its share of the picks. NULL: the operation has its
 * answer. */
static cJSON *ask_record(struct operation *operation, const struct module *old,
                         const struct module *copy, double *share)
{
    cJSON *record = cJSON_CreateObject();
    char *own = swap_own_file(changes_of(operation), old->name);

    cJSON_AddItemToObject(record, "old", swap_copy_json(old));
    cJSON_AddItemToObject(record, "new", swap_copy_json(copy));
    json_set(record, "instead_of", own);
    free(own);
    if (swap_ask(operation, record, share) && *share > 0) {
        if (!module_has_kind(old, MODULE_BALANCER)) {
            operation_invalid(operation, "/canary",
                              "%s balances no pool: only balancers can be tried beside the copy "
                              "that runs",
                              old->name);
        } else if (!balances(operation->plane->runtime->current->plan, old)) {
            operation_invalid(operation, "/canary",
                              "%s balances no pool now: a trial would show nothing; swap it "
                              "without one",
                              old->name);
        }
    }
    if (operation->problem) {
        cJSON_Delete(record);
        return NULL;
    }
    return record;
}

/* ---- operations ---- */

/* The copy of the path's module that runs; NULL: 404 or 412 is the answer. */
static struct module *the_module(struct operation *operation)
{
    struct module *module = running(changes_of(operation), operation->params[0]);

    if (module == NULL) {
        operation_problem(operation, 404, "there is no module \"%s\"", operation->params[0]);
        return NULL;
    }
    return module_matches(operation, module) ? module : NULL;
}

static enum written run_swap(struct operation *operation)
{
    struct module *old = the_module(operation);
    double share = 0;

    if (old == NULL || !swap_may_begin(operation, NULL)) {
        return WRITE_ANSWERED;
    }
    struct module *copy = ask_copy(operation, old);
    cJSON *record = copy != NULL ? ask_record(operation, old, copy, &share) : NULL;
    if (record == NULL) {
        module_unref(&copy);
        swap_drop_files(changes_of(operation), old->name);
        return WRITE_ANSWERED;
    }
    struct swap *swap = swap_new(&subject, old->name);
    swap->record = record;
    swap->old = module_ref(old);
    swap->now = copy;
    return swap_begin(operation, swap, share);
}

static struct swap *the_swap(const struct operation *operation)
{
    return swap_find(changes_of(operation), operation->params[0]);
}

static enum written run_promote(struct operation *operation)
{
    return the_module(operation) != NULL ? swap_promote(operation, &subject, the_swap(operation))
                                         : WRITE_ANSWERED;
}

static enum written run_rollback(struct operation *operation)
{
    return the_module(operation) != NULL ? swap_rollback(operation, &subject, the_swap(operation))
                                         : WRITE_ANSWERED;
}

static const struct weir_argument swap_body[] = {
    {"file", WEIR_ARGUMENT_STRING, false, 1, 4096, NULL,
     "The copy's file, in the folder of modules (module_dir); by default the module's own, as it "
     "is now."},
    SWAP_TRIAL_ARGUMENTS,
    WEIR_ARGUMENTS_END,
};

static const struct command commands[] = {
    WRITE(
        "modules.swap", ADMIN, "POST", "/modules/{module}/swap", swap_body, NULL, 200,
        WEIR_OPERATION_IF_MATCH, "Module", run_swap,
        "Puts another copy of a module in force, at once or after a trial; nothing else changes."),
    WRITE("modules.promote", OPERATOR, "POST", "/modules/{module}/promote", NULL, NULL, 200,
          WEIR_OPERATION_IF_MATCH, "Module", run_promote,
          "Ends the trial of a copy: it takes the place of the other one."),
    WRITE("modules.rollback", OPERATOR, "POST", "/modules/{module}/rollback", NULL, NULL, 200,
          WEIR_OPERATION_IF_MATCH, "Module", run_rollback,
          "Puts the copy before the last swap in force again."),
    COMMANDS_END,
};

/* ---- the part ---- */

static cJSON *show(const struct plane *plane, const char *module)
{
    const struct changes *changes = container_of(plane, struct changes, plane);
    return swap_show(changes, swap_find(changes, module));
}

static void begin_part(struct changes *changes)
{
    swap_add_subject(changes, &subject);
    changes->plane.swap = show;
}

const struct change_part swap_module_part = {.commands = commands, .begin = begin_part};
