/* SPDX-License-Identifier: MIT */
/*
 * Modules that are out are tried again.
 */
#include <stdlib.h>

#include "base/log.h"
#include "control/api/modules.h"
#include "control/change/change.h"
#include "module/guard.h"

/* Balancers begin with new instances, as the loops build their candidates. */
static void retry(struct change *change)
{
    const struct changes *changes = change->changes;
    const struct runtime *runtime = changes->plane.runtime;
    const struct plan *plan = runtime->current->plan;
    const char *name = change->arg;

    for (const struct module *module = module_next(runtime->modules, NULL); module != NULL;
         module = module_next(runtime->modules, module)) {
        list_each(link, &module->guards)
        {
            struct guard *guard = container_of(link, struct guard, link);
            if (strcmp(module->name, name) == 0 && guard_retry(guard)) {
                log_write(WEIR_LOG_NOTICE, name, "it is tried again%s%s",
                          guard->place[0] != '\0' ? ": " : "", guard->place);
            }
        }
    }
    for (size_t i = 0; i < plan->pool_count; i++) {
        const struct pool_plan *pool = &plan->pools[i];
        if (strcmp(pool->balance->module->name, name) == 0 ||
            (pool->shadow != NULL && strcmp(pool->shadow->module->name, name) == 0)) {
            pool_touch_now(pool->pool);
            changes->owner.refresh_pool(changes->owner.arg, pool->pool);
        }
    }
}

static void retried(struct change *change, const char *error)
{
    const struct plane *plane = &change->changes->plane;
    const struct module *module = find_module(plane, change->arg);

    if (error == NULL && module != NULL) {
        operation_succeed(change->operation, 200, show_module(plane, module));
        change->operation->etag = show_module_tag(plane, module);
    }
}

static enum written run_retry(struct operation *operation)
{
    const struct module *module = find_module_of(operation);

    if (module == NULL || !module_matches(operation, module)) {
        return WRITE_ANSWERED;
    }
    if (module->quarantine != NULL) {
        operation_problem(operation, 409,
                          "module \"%s\" is in quarantine, and not tried again; weirctl module "
                          "release %s ends that",
                          module->name, module->name);
        return WRITE_ANSWERED;
    }
    cJSON *shown = show_module(operation->plane, module), *before = cJSON_CreateObject();
    cJSON_AddItemToObject(before, "alarms", cJSON_DetachItemFromObject(shown, "alarms"));
    cJSON_Delete(shown);
    struct change *change = change_new(changes_of(operation), operation);
    change_note(change, operation->command->row.name, module->name, before, NULL);
    change->arg = base_strdup(module->name);
    change->arg_free = free;
    change->enforce = retry;
    change->done = retried;
    change_begin(change);
    return WRITE_GOES_ON;
}

static const struct command commands[] = {
    WRITE("modules.retry", OPERATOR, "POST", "/modules/{module}/retry", NULL, NULL, 200,
          WEIR_OPERATION_IF_MATCH, "Module", run_retry,
          "Tries the module again: its blocks that are out for too many strikes are used anew."),
    COMMANDS_END,
};

const struct change_part retry_part = {.commands = commands};
