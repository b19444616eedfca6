/* SPDX-License-Identifier: MIT */
/*
 * What this module adds to the control plane. See control.h.
 */
#include "control.h"

#include <assert.h>
#include <stdlib.h>

#include "admin.h"
#include "users.h"

/* For as long as the module is the same copy, with the same block. */
struct control {
    struct users users; /* first: operations on users get its address */
    char *openapi;      /* NULL: not asked for yet */
};
static_assert(offsetof(struct control, users) == 0, "operations take the instance for its users");

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared_block,
                               void **instance)
{
    const struct prepared *prepared = prepared_block;
    struct control *control = calloc(1, sizeof(*control));
    (void)conf;

    if (control == NULL) {
        return WEIR_NO_MEMORY;
    }
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

const struct weir_control admin_control = {
    .size = sizeof(struct weir_control),
    .operation_size = sizeof(struct weir_operation),
    .operations = user_operations,
    .operation_count = USER_OPERATIONS,
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
};
