/* SPDX-License-Identifier: MIT */
/* call.c, arguments.c and operation.c: roles, arguments and methods are checked by the rows. */
#include "runner.h"

#include <stdlib.h>

#include "control/api/plane.h"

/* ---- rows like the program's ---- */

static void reads(struct operation *operation)
{
    operation_succeed(operation, 200, NULL);
}

static enum written writes(struct operation *operation)
{
    operation_succeed(operation, 200, NULL);
    return WRITE_ANSWERED;
}

static const char *const states[] = {"ready", "drain", "maintenance", NULL};

static const struct weir_argument add[] = {
    {"url", WEIR_ARGUMENT_STRING, true, 1, 2048, NULL, "Its URL."},
    {"weight", WEIR_ARGUMENT_INTEGER, false, 0, 1000, NULL, "Its share."},
    {"state", WEIR_ARGUMENT_WORD, false, 0, 0, states, "Its state."},
    {"backup", WEIR_ARGUMENT_BOOLEAN, false, 0, 0, NULL, "Serves last."},
    WEIR_ARGUMENTS_END,
};

static const struct weir_argument patch[] = {
    {"drain_timeout", WEIR_ARGUMENT_DURATION, false, 1, 604800, NULL, "Time to drain."},
    WEIR_ARGUMENTS_END,
};

static const struct weir_argument now[] = {
    {"now", WEIR_ARGUMENT_BOOLEAN, false, 0, 0, NULL, "At once."},
    WEIR_ARGUMENTS_END,
};

static const struct weir_argument page[] = {
    {"limit", WEIR_ARGUMENT_INTEGER, false, 1, 1000, NULL, "How many."},
    {"before", WEIR_ARGUMENT_INTEGER, false, 1, 1000, NULL, "Where the page ends."},
    WEIR_ARGUMENTS_END,
};

static const struct command reading[] = {
    READ("pools.list", "/pools", NULL, NULL, reads, "Pools."),
    READ("servers.show", "/pools/{pool}/servers/{server}", NULL, NULL, reads, "A server."),
    READ("journal.list", "/journal", page, NULL, reads, "The journal."),
    READ_AS("config.check", ADMIN, "POST", "/config/check", NULL, NULL, NULL, reads, "Checks."),
    COMMANDS_END,
};

static const struct command writing[] = {
    WRITE("server.add", OPERATOR, "POST", "/pools/{pool}/servers", add, NULL, 201, CONFIRM, NULL,
          writes, "Adds."),
    WRITE("server.patch", OPERATOR, "PATCH", "/pools/{pool}/servers/{server}", patch, NULL, 200,
          CONFIRM, NULL, writes, "Changes."),
    WRITE("server.remove", OPERATOR, "DELETE", "/pools/{pool}/servers/{server}", NULL, now, 202,
          CONFIRM, NULL, writes, "Removes."),
    WRITE("config.reload", ADMIN, "POST", "/config/reload", NULL, NULL, 200, 0, NULL, writes,
          "Reloads."),
    COMMANDS_END,
};

static struct plane plane = {.commands = {{reading, writing}, 2}};

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
    struct operation *operation = operation_new(&plane, call, answered, &seen);
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

UNIT_TEST(right_calls_run)
{
    ck_assert_uint_eq(try("GET", "/api/v1/pools", "").status, 0);
    ck_assert_uint_eq(try("POST", SERVERS, " {\"url\":\"http://a:1\",\"weight\":0}\n").status, 0);
    ck_assert_uint_eq(try("PATCH", SERVERS "/web%2d1", "{\"drain_timeout\":\"30s\"}").status, 0);
}

UNIT_TEST(wrong_paths_and_methods)
{
    ck_assert_uint_eq(try("GET", "/api/v1/nothing", "").status, 404);
    ck_assert_uint_eq(try("GET", "/", "").status, 404);
    ck_assert_uint_eq(try("GET", "/api/v1/pools/", "").status, 404);
    ck_assert_uint_eq(try("GET", SERVERS "/%zz", "").status, 404);
    struct seen seen = try("PUT", SERVERS "/a", "");
    ck_assert_uint_eq(seen.status, 405);
    ck_assert_str_eq(seen.allow, "GET, PATCH, DELETE");
}

UNIT_TEST(roles_are_checked_by_the_row)
{
    static const struct {
        enum weir_role role;
        const char *method, *path;
        unsigned status;
    } rows[] = {{WEIR_ROLE_NONE, "GET", "/api/v1/pools", 403},
                {WEIR_ROLE_VIEWER, "GET", "/api/v1/pools", 0},
                {WEIR_ROLE_VIEWER, "DELETE", SERVERS "/a", 403},
                {WEIR_ROLE_OPERATOR, "DELETE", SERVERS "/a", 0},
                {WEIR_ROLE_OPERATOR, "POST", "/api/v1/config/check", 403},
                {WEIR_ROLE_ADMIN, "POST", "/api/v1/config/check", 0}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct weir_control_request call = request(rows[i].method, rows[i].path, "");
        call.caller.role = rows[i].role;
        ck_assert_uint_eq(ask(&call).status, rows[i].status);
    }
}

UNIT_TEST(bodies_are_checked)
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

UNIT_TEST(large_bodies_are_refused)
{
    char *body = malloc(WEIR_CONTROL_BODY_MAX + 2);
    memset(body, ' ', WEIR_CONTROL_BODY_MAX + 1);
    body[WEIR_CONTROL_BODY_MAX + 1] = '\0';
    ck_assert_uint_eq(try("POST", "/api/v1/config/check", body).status, 413);
    body[WEIR_CONTROL_BODY_MAX] = '\0';
    ck_assert_uint_eq(try("POST", "/api/v1/config/check", body).status, 0);
    free(body);
}

UNIT_TEST(queries_are_checked)
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

UNIT_TEST(durations)
{
    uint64_t ms = 0;
    ck_assert(parse_duration_ms("90s", &ms) && ms == 90000);
    ck_assert(parse_duration_ms("2h", &ms) && ms == 7200000);
    ck_assert(!parse_duration_ms("soon", &ms) && !parse_duration_ms("", &ms));
}
