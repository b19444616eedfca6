/* SPDX-License-Identifier: MIT */
/* parts.c, the rows of all rooms: roles are checked, and answers are described. */
#include "runner.h"

#include <stdlib.h>

#include "control/parts.h"

static struct changes changes; /* for its table alone */

static void fill(void)
{
    changes = (struct changes){.part_count = 0};
    parts_add(&changes);
}

struct seen {
    unsigned status;
};

static void answered(void *arg, const struct weir_control_answer *answer)
{
    struct seen *seen = arg;
    seen->status = answer->status;
}

static struct weir_control_request request(const char *method, const char *path, const char *body)
{
    return (struct weir_control_request){.size = sizeof(struct weir_control_request),
                                         .method = str_from(method),
                                         .path = str_from(path),
                                         .body = str_from(body),
                                         .caller = {.size = sizeof(struct weir_caller),
                                                    .role = WEIR_ROLE_ADMIN,
                                                    .author = STR("ann")}};
}

/* What is refused before it runs; status 0: nothing is. */
static struct seen ask(const struct weir_control_request *call)
{
    struct seen seen = {0};
    struct operation *operation = operation_new(&changes.plane, call, answered, &seen);
    if (operation->command != NULL) {
        operation->fn = NULL;
    }
    operation_answer(operation);
    return seen;
}

UNIT_TEST(each_command_reads_or_writes)
{
    commands_each(command, &changes.plane.commands)
    {
        bool writes = (command->row.flags & WEIR_OPERATION_WRITES) != 0;
        ck_assert_msg((command->read != NULL) == !writes, "%s", command->row.name);
        ck_assert_msg((command->write != NULL) == writes, "%s", command->row.name);
    }
}

UNIT_TEST(roles_are_checked_by_the_table)
{
    commands_each(command, &changes.plane.commands)
    {
        const struct weir_operation *row = &command->row;
        for (unsigned role = WEIR_ROLE_NONE; role <= WEIR_ROLE_ADMIN; role++) {
            char *path = base_printf("%s%s", COMMAND_PREFIX, row->path);
            struct weir_control_request call = request(row->method, path, "");
            call.caller.role = role;
            unsigned status = ask(&call).status;
            ck_assert_msg((status == 403) == (role < (unsigned)row->role), "%s as %u: %u",
                          row->name, role, status);
            free(path);
        }
    }
}

/* What a row answers has a schema. */
UNIT_TEST(answers_have_schemas)
{
    commands_each(command, &changes.plane.commands)
    {
        const struct weir_schema *schema = answer_schemas;
        while (schema->name != NULL && command->row.answer != NULL &&
               strcmp(schema->name, command->row.answer) != 0) {
            schema++;
        }
        ck_assert_msg(schema->name != NULL || command->row.answer == NULL, "%s", command->row.name);
    }
}

UNIT_FIXTURE(fill, NULL);
