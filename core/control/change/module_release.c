/* SPDX-License-Identifier: MIT */
/*
 * Modules leave quarantine: by a reload, in which they count as released. Only when that is in
 * force they are, in the book; a program that dies of the attempt finds them in quarantine again.
 */
#include "control/api/modules.h"
#include "control/change/change.h"

static void before_free(void *before)
{
    cJSON_Delete(before);
}

static enum written run_release(struct operation *operation)
{
    const struct changes *changes = changes_of(operation);
    struct blame_book *book = operation->plane->runtime->blame;
    const char *name = operation->params[0];
    const struct blame *blame = blame_held(book, name);

    if (blame == NULL) {
        if (find_module_of(operation) != NULL) {
            operation_problem(operation, 409, "module \"%s\" is not in quarantine", name);
        }
        return WRITE_ANSWERED;
    }
    const struct module *module = find_module(operation->plane, name);
    if (module != NULL && !module_matches(operation, module)) {
        return WRITE_ANSWERED;
    }
    operation->state = cJSON_CreateObject();
    operation->state_free = before_free;
    cJSON_AddItemToObject(operation->state, "quarantine", show_blame(blame));
    blame_pardon(book, name);
    changes->owner.reload(changes->owner.arg, operation);
    return WRITE_GOES_ON;
}

static const struct command commands[] = {
    WRITE("modules.release", ADMIN, "POST", "/modules/{module}/release", NULL, NULL, 200,
          WEIR_OPERATION_IF_MATCH, "Reload", run_release,
          "Ends the module's quarantine, and brings it into force by a reload. If that is refused, "
          "it stays in quarantine."),
    COMMANDS_END,
};

const struct change_part release_part = {.commands = commands};
