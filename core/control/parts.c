/* SPDX-License-Identifier: MIT */
/*
 * The one list of commands and parts. See parts.h.
 */
#include "control/parts.h"

#include "control/change/module_part.h"
#include "control/status.h"

static const struct command *const commands[] = {
    read_commands, module_commands, status_commands, config_commands, explain_commands,
};

/* The order of upkeep: an overdue change is taken back before a drain ends. */
static const struct change_part *const parts[] = {
    &journal_part, &server_part,  &reload_part, &export_part,      &module_part,
    &retry_part,   &release_part, &swap_part,   &swap_module_part, &pool_part,
};

void parts_add(struct changes *changes)
{
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        commands_add(&changes->plane.commands, commands[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        changes_add_part(changes, parts[i]);
    }
}
