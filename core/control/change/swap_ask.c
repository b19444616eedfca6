/* SPDX-License-Identifier: MIT */
/*
 * Swapping modules' copies: what is asked for. See swap.h.
 */
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/api/modules.h"
#include "control/change/swap.h"

#define CANARY_DEFAULT        "5%"
#define FOR_DEFAULT_MS        (UINT64_C(60) * 1000)
#define ERROR_RATIO_DEFAULT   2.0
#define LATENCY_RATIO_DEFAULT 1.5

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

/* "5%" or "0.5%" of the picks. 0: 422 is the answer. */
static double parse_share(struct operation *operation, const char *text)
{
    char *end = NULL;
    double share = strtod(text, &end);

    if (end == text || strcmp(end, "%") != 0 || !(share >= 0.1 && share <= 90)) {
        operation_invalid(operation, "/canary",
                          "\"%.20s\" is no share; write 0.1%% to 90%%, for example \"5%%\"", text);
        return 0;
    }
    return share;
}

static double number_of(const cJSON *body, const char *name, double fallback)
{
    const cJSON *item = json_get(body, name);
    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

/* Whether the copy is to be tried first; any member about a trial says so. */
static bool wants_trial(const cJSON *body)
{
    static const char *const names[] = {"canary", "for", "max_error_ratio", "max_latency_ratio"};
    bool wants = false;

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        wants |= json_get(body, names[i]) != NULL;
    }
    return wants;
}

/* What the record says of a trial. false: 422 is the answer. */
static bool set_trial(struct operation *operation, const struct module *module, cJSON *record,
                      struct plan_swap *how)
{
    const cJSON *body = operation->body;
    const char *share = json_text(body, "canary");
    uint64_t time_ms = operation_duration_ms(body, "for", FOR_DEFAULT_MS);
    double percent = parse_share(operation, share != NULL ? share : CANARY_DEFAULT);

    if (!module_has_kind(module, MODULE_BALANCER)) {
        operation_invalid(operation, "/canary",
                          "%s balances no pool: only balancers can be tried beside the copy that "
                          "runs",
                          module->name);
    }
    json_set_number(record, "canary", percent);
    json_set_number(record, "until", (double)(loop_wall_ms() + time_ms));
    json_set_number(record, "max_error_ratio",
                    number_of(body, "max_error_ratio", ERROR_RATIO_DEFAULT));
    json_set_number(record, "max_latency_ratio",
                    number_of(body, "max_latency_ratio", LATENCY_RATIO_DEFAULT));
    how->step = SWAP_TRY;
    how->share = percent / 100;
    return !operation->problem;
}

cJSON *swap_ask_record(struct operation *operation, const struct module *old,
                       const struct module *copy, struct plan_swap *how)
{
    cJSON *record = cJSON_CreateObject();
    bool trial = wants_trial(operation->body);
    char *own = swap_own_file(changes_of(operation), old->name);

    json_set(record, "state", trial ? "trying" : "promoted");
    cJSON_AddItemToObject(record, "old", swap_copy_json(old));
    cJSON_AddItemToObject(record, "new", swap_copy_json(copy));
    json_set(record, "instead_of", own);
    json_set_number(record, "began", (double)loop_wall_ms());
    json_set(record, "author", operation->author);
    free(own);
    if (trial && !set_trial(operation, old, record, how)) {
        cJSON_Delete(record);
        return NULL;
    }
    return record;
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

struct module *swap_ask_copy(struct operation *operation, struct module *old)
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
