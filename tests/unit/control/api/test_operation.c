/* SPDX-License-Identifier: MIT */
/* operation.c and openapi.c: who, what and how is checked by the table; the document says the same. */
#include "runner.h"

#include <stdlib.h>

#include "control/api/operation.h"

struct seen {
    unsigned status;
    char body[2048];
    char allow[64];
};

static void answered(void *arg, const struct weir_control_answer *answer)
{
    struct seen *seen = arg;
    seen->status = answer->status;
    snprintf(seen->body, sizeof(seen->body), "%.*s", STR_ARGS(answer->body));
    snprintf(seen->allow, sizeof(seen->allow), "%.*s", STR_ARGS(answer->allow));
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
    struct operation *operation = operation_new(NULL, call, answered, &seen);
    if (operation->command != NULL) {
        operation->fn = NULL;
    }
    operation_answer(operation);
    return seen;
}

static struct seen try(const char *method, const char *path, const char *body)
{
    struct weir_control_request call = request(method, path, body);
    return ask(&call);
}

#define SERVERS "/api/v1/pools/web/servers"

START_TEST(right_calls_run)
{
    ck_assert_uint_eq(try("GET", "/api/v1/pools", "").status, 0);
    ck_assert_uint_eq(try("POST", SERVERS, " {\"url\":\"http://a:1\",\"weight\":0}\n").status, 0);
    ck_assert_uint_eq(try("PATCH", SERVERS "/web%2d1", "{\"drain_timeout\":\"30s\"}").status, 0);
}
END_TEST

START_TEST(each_command_reads_or_writes)
{
    for (const struct command *command = commands; command->row.name != NULL; command++) {
        bool writes = (command->row.flags & WEIR_OPERATION_WRITES) != 0;
        ck_assert_msg((command->read != NULL) == !writes, "%s", command->row.name);
        ck_assert_msg((command->write != NULL) == writes, "%s", command->row.name);
    }
}
END_TEST

START_TEST(wrong_paths_and_methods)
{
    ck_assert_uint_eq(try("GET", "/api/v1/nothing", "").status, 404);
    ck_assert_uint_eq(try("GET", "/", "").status, 404);
    ck_assert_uint_eq(try("GET", "/api/v1/pools/", "").status, 404);
    ck_assert_uint_eq(try("GET", SERVERS "/%zz", "").status, 404);
    struct seen seen = try("PUT", SERVERS "/a", "");
    ck_assert_uint_eq(seen.status, 405);
    ck_assert_str_eq(seen.allow, "GET, PATCH, DELETE");
}
END_TEST

START_TEST(roles_are_checked_by_the_table)
{
    for (const struct command *command = commands; command->row.name != NULL; command++) {
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

START_TEST(bodies_are_checked)
{
    static const struct {
        const char *body;
        unsigned status;
        const char *pointer; /* NULL: none */
    } rows[] = {
        {"{", 400, NULL},
        {"{} x", 400, NULL},
        {"{\"url\":\"a\nb\"}", 400, NULL},
        {"{\f}", 400, NULL},
        {"{\"url\":\"http://a:1\\u0000\"}", 422, "NUL"},
        {"{\"url\":\"http://a\\\\u0000\"}", 0, NULL},
        {"[]", 422, "\"\""},
        {"{}", 422, "/url"},
        {"{\"url\":1}", 422, "/url"},
        {"{\"url\":\"\"}", 422, "/url"},
        {"{\"url\":\"http://a:1\",\"weight\":-1}", 422, "/weight"},
        {"{\"url\":\"http://a:1\",\"weight\":1001}", 422, "/weight"},
        {"{\"url\":\"http://a:1\",\"weight\":1.5}", 422, "/weight"},
        {"{\"url\":\"http://a:1\",\"weight\":\"1\"}", 422, "/weight"},
        {"{\"url\":\"http://a:1\",\"weigth\":1}", 422, "did you mean"},
        {"{\"url\":\"http://a:1\",\"backup\":1}", 422, "/backup"},
        {"{\"url\":\"http://a:1\",\"state\":\"up\"}", 422, "/state"},
        {"{\"url\":\"http://a:1\",\"url\":\"http://a:1\"}", 422, "twice"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct seen seen = try("POST", SERVERS, rows[i].body);
        ck_assert_msg(seen.status == rows[i].status, "%s: %u", rows[i].body, seen.status);
        ck_assert_msg(rows[i].pointer == NULL || strstr(seen.body, rows[i].pointer) != NULL,
                      "%s: %s", rows[i].body, seen.body);
    }
    /* What takes no body refuses members. */
    ck_assert_uint_eq(try("POST", "/api/v1/config/check", "{\"a\":1}").status, 422);
}
END_TEST

START_TEST(large_bodies_are_refused)
{
    char *body = malloc(WEIR_CONTROL_BODY_MAX + 2);
    memset(body, ' ', WEIR_CONTROL_BODY_MAX + 1);
    body[WEIR_CONTROL_BODY_MAX + 1] = '\0';
    ck_assert_uint_eq(try("POST", "/api/v1/config/check", body).status, 413);
    body[WEIR_CONTROL_BODY_MAX] = '\0';
    ck_assert_uint_eq(try("POST", "/api/v1/config/check", body).status, 0);
    free(body);
}
END_TEST

START_TEST(queries_are_checked)
{
    static const struct {
        const char *query;
        unsigned status;
    } rows[] = {{"limit=5", 0},          {"limit=0", 422}, {"limit=x", 422}, {"limt=5", 422},
                {"before=1&limit=2", 0}, {"%zz", 400},     {"limit", 422},   {"confirm=5s", 422}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct weir_control_request call = request("GET", "/api/v1/journal", "");
        call.query = str_from(rows[i].query);
        unsigned status = ask(&call).status;
        ck_assert_msg(status == rows[i].status, "%s: %u", rows[i].query, status);
    }
    struct weir_control_request call = request("DELETE", SERVERS "/a", "");
    call.query = STR("now=1&confirm=60s");
    ck_assert_uint_eq(ask(&call).status, 0);
    call.query = STR("confirm=never");
    ck_assert_uint_eq(ask(&call).status, 422);
    /* What cannot be taken back does not take itself back. */
    call = request("POST", "/api/v1/config/reload", "");
    call.query = STR("confirm=60s");
    ck_assert_uint_eq(ask(&call).status, 422);
}
END_TEST

START_TEST(durations)
{
    uint64_t ms = 0;
    ck_assert(parse_duration_ms("90s", &ms) && ms == 90000);
    ck_assert(parse_duration_ms("2h", &ms) && ms == 7200000);
    ck_assert(!parse_duration_ms("soon", &ms) && !parse_duration_ms("", &ms));
}
END_TEST

/* Every row is in the document, with its method, its arguments and an answer that has a schema. */
START_TEST(document_is_the_table)
{
    char *text = openapi_text();
    cJSON *document = cJSON_Parse(text);
    const cJSON *paths = cJSON_GetObjectItem(document, "paths");
    const cJSON *schemas =
        cJSON_GetObjectItem(cJSON_GetObjectItem(document, "components"), "schemas");
    static const char *const methods[] = {"get", "post", "patch", "delete"};
    size_t rows = 0, described = 0;

    for (const struct command *command = commands; command->row.name != NULL; command++, rows++) {
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

static Suite *operation_suite(void)
{
    Suite *suite = suite_create("operation");
    TCase *tcase = tcase_create("operation");
    tcase_add_test(tcase, right_calls_run);
    tcase_add_test(tcase, each_command_reads_or_writes);
    tcase_add_test(tcase, wrong_paths_and_methods);
    tcase_add_test(tcase, roles_are_checked_by_the_table);
    tcase_add_test(tcase, bodies_are_checked);
    tcase_add_test(tcase, large_bodies_are_refused);
    tcase_add_test(tcase, queries_are_checked);
    tcase_add_test(tcase, durations);
    tcase_add_test(tcase, document_is_the_table);
    suite_add_tcase(suite, tcase);
    return suite;
}
UNIT_SUITE(operation_suite);
