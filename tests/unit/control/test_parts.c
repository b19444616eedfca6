/* SPDX-License-Identifier: MIT */
/* parts.c, the rows of all rooms, and openapi.c: who may is checked; the document says the same. */
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

START_TEST(each_command_reads_or_writes)
{
    commands_each(command, &changes.plane.commands)
    {
        bool writes = (command->row.flags & WEIR_OPERATION_WRITES) != 0;
        ck_assert_msg((command->read != NULL) == !writes, "%s", command->row.name);
        ck_assert_msg((command->write != NULL) == writes, "%s", command->row.name);
    }
}
END_TEST

START_TEST(roles_are_checked_by_the_table)
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
END_TEST

/* Every row is in the document, with its method, its arguments and an answer that has a schema. */
START_TEST(document_is_the_table)
{
    char *text = openapi_text(&changes.plane.commands);
    cJSON *document = cJSON_Parse(text);
    const cJSON *paths = cJSON_GetObjectItem(document, "paths");
    const cJSON *schemas =
        cJSON_GetObjectItem(cJSON_GetObjectItem(document, "components"), "schemas");
    static const char *const methods[] = {"get", "post", "patch", "delete"};
    size_t rows = 0, described = 0;

    commands_each(command, &changes.plane.commands)
    {
        rows++;
        const struct weir_operation *row = &command->row;
        char *path = base_printf("%s%s", COMMAND_PREFIX, row->path);
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(paths, path);
        const cJSON *operation = cJSON_GetObjectItem(item, row->method);
        ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(operation, "operationId")),
                         row->name);
        ck_assert_msg(row->answer == NULL || cJSON_HasObjectItem(schemas, row->answer), "%s",
                      row->name);
        free(path);
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, paths)
    {
        for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
            described += cJSON_HasObjectItem(item, methods[i]);
        }
    }
    ck_assert_uint_eq(described, rows + 4); /* events and sessions are an admin plane's own */
    cJSON_Delete(document);
    free(text);
}
END_TEST

static Suite *parts_suite(void)
{
    Suite *suite = suite_create("parts");
    TCase *tcase = tcase_create("parts");
    tcase_add_checked_fixture(tcase, fill, NULL);
    tcase_add_test(tcase, each_command_reads_or_writes);
    tcase_add_test(tcase, roles_are_checked_by_the_table);
    tcase_add_test(tcase, document_is_the_table);
    suite_add_tcase(suite, tcase);
    return suite;
}
UNIT_SUITE(parts_suite);
