/* SPDX-License-Identifier: MIT */
/*
 * What this module adds to the control plane. See control.h.
 */
#include "control.h"

#include <assert.h>
#include <stdlib.h>

#include "admin.h"
#include "history.h"
#include "text.h"
#include "users.h"

/* For as long as the module is the same copy, with the same block. */
struct control {
    struct users users; /* first: operations on users get its address */
    struct shared_history *shared;
    char *openapi; /* NULL: not asked for yet */
};
static_assert(offsetof(struct control, users) == 0, "operations take the instance for its users");

/* Freed with the last instance. */
static void release(struct shared_history *shared)
{
    if (--shared->users == 0) {
        history_free(shared->history);
        shared->history = NULL;
    }
}

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared_block,
                               void **instance)
{
    const struct prepared *prepared = prepared_block;
    struct control *control = calloc(1, sizeof(*control));
    (void)conf;

    if (control == NULL) {
        return WEIR_NO_MEMORY;
    }
    control->shared = prepared->history;
    if (control->shared->users == 0) {
        control->shared->history = history_new();
    }
    if (control->shared->history == NULL) {
        free(control);
        return WEIR_NO_MEMORY;
    }
    control->shared->users++;
    users_init(&control->users, ctx);
    admin_token_start(&control->users.admin, ctx, prepared->token, prepared->state_dir);
    *instance = control;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    struct control *control = instance;
    (void)ctx;
    users_end(&control->users);
    release(control->shared);
    cJSON_free(control->openapi);
    free(control);
}

static void take(struct weir_context *ctx, void *instance, struct weir_str key,
                 struct weir_str value)
{
    (void)ctx;
    users_take(instance, key, value);
}

static const char *undo(struct weir_context *ctx, void *instance, const struct weir_undo *done,
                        struct weir_change *change)
{
    (void)ctx;
    return users_undo(instance, done, change);
}

static void on_reload(struct weir_context *ctx, void *instance)
{
    struct control *control = instance;
    (void)ctx;
    admin_token_reread(&control->users.admin);
}

static bool auth_token(struct weir_context *ctx, void *instance, struct weir_str token,
                       struct weir_caller *out)
{
    (void)ctx;
    return users_by_token(instance, token, out);
}

static bool auth_link(struct weir_context *ctx, void *instance, struct weir_str link,
                      struct weir_caller *out)
{
    (void)ctx;
    return users_by_link(instance, link, out);
}

static bool auth_user(struct weir_context *ctx, void *instance, struct weir_str author,
                      struct weir_caller *out)
{
    (void)ctx;
    return users_by_author(instance, author, out);
}

static bool auth_again(struct weir_context *ctx, void *instance, const struct weir_caller *before,
                       struct weir_caller *out)
{
    (void)ctx;
    return users_again(instance, before, out);
}

static bool auth_password(struct weir_context *ctx, void *instance, struct weir_str name,
                          struct weir_str password, weir_auth_fn fn, void *arg)
{
    (void)ctx;
    return users_by_password(instance, name, password, fn, arg);
}

/* The operations that there are change with what is loaded, so it is made anew each time. */
static struct weir_str openapi(struct weir_context *ctx, void *instance)
{
    struct control *control = instance;

    cJSON_free(control->openapi);
    control->openapi = openapi_text(ctx);
    return (struct weir_str){control->openapi,
                             control->openapi != NULL ? strlen(control->openapi) : 0};
}

static void on_second(struct weir_context *ctx, void *instance, uint64_t second, uint64_t wall_ms)
{
    const struct control *control = instance;
    history_sample(control->shared->history, ctx, second, wall_ms);
}

static bool rates(struct weir_context *ctx, void *instance, enum weir_stats_kind kind,
                  struct weir_str pool, struct weir_str name, struct weir_rates *out)
{
    const struct control *control = instance;
    (void)ctx;
    history_rates(control->shared->history, kind, pool, name, out);
    return true;
}

/* ---- operations ---- */

static enum weir_operation_end show_history(struct weir_context *ctx, void *instance,
                                            struct weir_control_operation *operation)
{
    const struct control *control = instance;
    struct weir_buffer body = {0};
    struct weir_control_answer what = {.size = sizeof(what), .status = 200};
    char error[256];

    if (!history_json(control->shared->history, weir_operation_text(ctx, operation, "series"),
                      (unsigned)weir_operation_number(ctx, operation, "seconds", 300), &body, error,
                      sizeof(error))) {
        weir_operation_problem(ctx, operation, 422, "?series", "%s", error);
    } else if (body.failed) {
        weir_operation_problem(ctx, operation, 503, NULL, "there is no memory for the answer");
    } else {
        what.body = weir_buffer_str(&body);
        weir_operation_answer(ctx, operation, &what);
    }
    weir_buffer_free(&body);
    return WEIR_ANSWERED;
}

static enum weir_operation_end show_openapi(struct weir_context *ctx, void *instance,
                                            struct weir_control_operation *operation)
{
    char *text = openapi_text(ctx);
    struct weir_control_answer what = {
        .size = sizeof(what), .status = 200, .body = weir_str_of(text != NULL ? text : "{}")};
    (void)instance;

    weir_operation_answer(ctx, operation, &what);
    cJSON_free(text);
    return WEIR_ANSWERED;
}

static const struct weir_argument history_query[] = {
    {"series", WEIR_ARGUMENT_STRING, true, 1, 16384, NULL,
     "Comma-separated: total.METRIC, pool:NAME.METRIC, server:POOL/ID.METRIC with requests, rate, "
     "errors_rate, in_flight, p50, p95 or p99."},
    {"seconds", WEIR_ARGUMENT_INTEGER, false, 1, 3600, NULL,
     "How far back; up to 900 in steps of a second, beyond that of five. 300 if not given."},
    WEIR_ARGUMENTS_END,
};

static const char *const roles[] = {"viewer", "operator", "admin", NULL};

static const struct weir_argument add_body[] = {
    {"name", WEIR_ARGUMENT_STRING, true, 1, 64, NULL,
     "Name to log in with; stands in the journal."},
    {"role", WEIR_ARGUMENT_WORD, true, 0, 0, roles, "What the user may do."},
    {"password", WEIR_ARGUMENT_STRING, false, 8, 1024, NULL,
     "Where the user is to log in with one."},
    WEIR_ARGUMENTS_END,
};

static const struct weir_argument patch_body[] = {
    {"role", WEIR_ARGUMENT_WORD, false, 0, 0, roles, "What the user may do."},
    {"password", WEIR_ARGUMENT_STRING, false, 8, 1024, NULL, "A new password."},
    WEIR_ARGUMENTS_END,
};

static const struct weir_argument token_body[] = {
    {"ttl", WEIR_ARGUMENT_DURATION, false, 1, INT64_C(315360000), NULL,
     "How long it is valid; for ever if not given."},
    WEIR_ARGUMENTS_END,
};

#define ROW(name_, role_, method_, path_, body_, query_, status_, flags_, answer_, run_,  \
            document_)                                                                    \
    {                                                                                     \
        .name = (name_), .role = WEIR_ROLE_##role_, .method = (method_), .path = (path_), \
        .body = (body_), .query = (query_), .status = (status_), .flags = (flags_),       \
        .answer = (answer_), .document = (document_), .run = (run_)                       \
    }
#define WRITES  WEIR_OPERATION_WRITES
#define CONFIRM (WEIR_OPERATION_WRITES | WEIR_OPERATION_CONFIRM)

static const struct weir_operation operations[] = {
    ROW("stats.history", VIEWER, "GET", "/stats/history", NULL, history_query, 200, 0, "History",
        show_history, "Numbers of the last hour."),
    ROW("users.list", ADMIN, "GET", "/users", NULL, NULL, 200, 0, "Users", users_list,
        "Users, their roles and tokens."),
    ROW("user.add", ADMIN, "POST", "/users", add_body, NULL, 201, CONFIRM, "User", user_add,
        "Adds a user."),
    ROW("user.patch", ADMIN, "PATCH", "/users/{name}", patch_body, NULL, 200, CONFIRM, "User",
        user_patch, "Changes a user's role or password."),
    ROW("user.remove", ADMIN, "DELETE", "/users/{name}", NULL, NULL, 204, CONFIRM, NULL,
        user_remove, "Removes a user."),
    ROW("user.token", ADMIN, "POST", "/users/{name}/token", token_body, NULL, 201, WRITES, "Token",
        user_add_token, "Makes a token, which is shown once."),
    ROW("user.token.remove", ADMIN, "DELETE", "/users/{name}/tokens/{id}", NULL, NULL, 204, WRITES,
        NULL, user_remove_token, "Removes a token."),
    ROW("admin_token.renew", ADMIN, "POST", "/admin-token", NULL, NULL, 201, WRITES, "AdminToken",
        admin_token_renew,
        "Makes another administrator's token; the one before is good for nothing any more."),
    ROW("admin_token.revoke", ADMIN, "DELETE", "/admin-token", NULL, NULL, 204, WRITES, NULL,
        admin_token_revoke, "Revokes the administrator's token; none is made at the next start."),
    ROW("openapi", VIEWER, "GET", "/openapi.json", NULL, NULL, 200, 0, "OpenApi", show_openapi,
        "This document; also at /openapi.json."),
};

const struct weir_control admin_control = {
    .size = sizeof(struct weir_control),
    .operation_size = sizeof(struct weir_operation),
    .operations = operations,
    .operation_count = sizeof(operations) / sizeof(operations[0]),
    .schemas = admin_schemas,
    .space = "users",
    .create = create,
    .destroy = destroy,
    .take = take,
    .undo = undo,
    .on_reload = on_reload,
    .auth_token = auth_token,
    .auth_link = auth_link,
    .auth_user = auth_user,
    .auth_again = auth_again,
    .auth_password = auth_password,
    .openapi = openapi,
    .on_second = on_second,
    .rates = rates,
};
