/* SPDX-License-Identifier: MIT */
/*
 * Commands on users and their tokens.
 */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "control/change.h"
#include "control/users.h"

void run_users(struct operation *operation)
{
    operation_succeed(operation, 200, users_show(operation->plane->users));
}

/* What is to become of a user, while the password is hashed. */
struct user_change {
    struct operation *operation;
    char *name;
    cJSON *user;    /* NULL: goes */
    char *password; /* to be hashed; NULL: none */
    bool hashed;
    char hash[PASSWORD_HASH_SIZE];
    const char *command;
    char *token; /* shown once; NULL: none */
};

static void user_change_free(struct user_change *work)
{
    if (work->password != NULL) {
        OPENSSL_cleanse(work->password, strlen(work->password));
    }
    free(work->password);
    cJSON_Delete(work->user);
    free(work->name);
    free(work->token);
    free(work);
}

static struct user_change *work_new(struct operation *operation, const char *name,
                                    const cJSON *user, const char *command)
{
    struct user_change *work = base_zalloc(sizeof(*work));
    work->operation = operation;
    work->name = base_strdup(name);
    work->user = user != NULL ? cJSON_Duplicate(user, true) : NULL;
    work->command = command;
    return work;
}

static void in_force(struct change *change, const char *error)
{
    struct user_change *work = change->arg;
    struct operation *operation = change->operation;

    if (error == NULL) {
        users_set(change->plane->users, work->name, work->user);
        work->user = NULL;
        const cJSON *user = users_find(change->plane->users, work->name);
        if (work->token != NULL) {
            cJSON *answer = cJSON_CreateObject();
            const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(user, "tokens");
            const cJSON *last = cJSON_GetArrayItem(tokens, cJSON_GetArraySize(tokens) - 1);
            json_set(answer, "token", work->token);
            json_set(answer, "id", operation_text(last, "id"));
            operation_succeed(operation, 201, answer);
        } else if (user != NULL && operation->command->status != 204) {
            operation_succeed(operation, operation->command->status, user_show(user));
        } else {
            operation_succeed(operation, 204, NULL);
        }
    }
    user_change_free(work);
}

/* The user for the journal: nothing of passwords and tokens. */
static cJSON *brief(const cJSON *user)
{
    cJSON *object = NULL;
    if (user != NULL) {
        object = cJSON_CreateObject();
        json_set(object, "role", operation_text(user, "role"));
        cJSON_AddBoolToObject(object, "has_password", operation_text(user, "password") != NULL);
        json_set_number(object, "tokens",
                        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(user, "tokens")));
    }
    return object;
}

static void begin(struct user_change *work)
{
    struct operation *operation = work->operation;
    struct change *change = change_new(operation->plane, operation);
    const cJSON *before = users_find(operation->plane->users, work->name);

    store_put_json(&change->batch, "users", work->name, work->user);
    change_note(change, work->command, work->name, brief(before), brief(work->user));
    change->done = in_force;
    change->arg = work;
    change_begin(change);
}

static void hash(void *arg)
{
    struct user_change *work = arg;
    work->hashed = password_hash(work->password, work->hash);
}

static void hashed(void *arg)
{
    struct user_change *work = arg;
    if (!work->hashed) {
        struct operation *operation = work->operation;
        operation_problem(operation, 503, "the password could not be hashed: no memory");
        user_change_free(work);
        plane_finish(operation);
        return;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(work->user, "password");
    cJSON_AddStringToObject(work->user, "password", work->hash);
    begin(work);
}

static void begin_with_password(struct user_change *work)
{
    struct operation *operation = work->operation;
    const char *password = operation_text(operation->body, "password");

    if (password == NULL) {
        begin(work);
        return;
    }
    work->password = base_strdup(password);
    if (!store_work(operation->plane->store, hash, hashed, work)) {
        operation_problem(operation, 429, "too many passwords are being checked; try again");
        user_change_free(work);
        plane_finish(operation);
    }
}

static void refuse_confirm(struct operation *operation)
{
    if (operation->confirm_ms > 0) {
        operation_invalid(operation, "?confirm", "changes of users do not take themselves back");
    }
}

void run_user_add(struct operation *operation)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-";
    const char *name = operation_text(operation->body, "name");

    refuse_confirm(operation);
    if (strspn(name, legal) != strlen(name) || strcmp(name, "admin.token") == 0) {
        operation_invalid(operation, "/name",
                          "a name is made of letters, digits, '.', '_', '@' and '-'");
    } else if (users_find(operation->plane->users, name) != NULL) {
        operation_problem(operation, 409, "there is a user \"%s\" already", name);
    }
    if (operation->problem) {
        plane_finish(operation);
        return;
    }
    cJSON *user = cJSON_CreateObject();
    json_set(user, "role", operation_text(operation->body, "role"));
    cJSON_AddArrayToObject(user, "tokens");
    struct user_change *work = work_new(operation, name, user, "user.add");
    cJSON_Delete(user);
    operation->location = base_printf("%s/users/%s", COMMAND_PREFIX, name);
    begin_with_password(work);
}

/* NULL: 404. */
static const cJSON *the_user(struct operation *operation)
{
    const cJSON *user = users_find(operation->plane->users, operation->params[0]);
    if (user == NULL) {
        operation_problem(operation, 404, "there is no user \"%s\"", operation->params[0]);
    }
    refuse_confirm(operation);
    if (operation->problem) {
        plane_finish(operation);
        return NULL;
    }
    return user;
}

void run_user_patch(struct operation *operation)
{
    const cJSON *user = the_user(operation);
    const char *role = operation_text(operation->body, "role");

    if (user == NULL) {
        return;
    }
    struct user_change *work = work_new(operation, user->string, user, "user.patch");
    if (role != NULL) {
        cJSON_ReplaceItemInObjectCaseSensitive(work->user, "role", cJSON_CreateString(role));
    }
    begin_with_password(work);
}

void run_user_remove(struct operation *operation)
{
    const cJSON *user = the_user(operation);
    if (user != NULL) {
        begin(work_new(operation, user->string, NULL, "user.remove"));
    }
}

#define TOKENS_MAX 32

void run_token_add(struct operation *operation)
{
    const cJSON *user = the_user(operation);
    cJSON *kept = NULL;

    if (user == NULL) {
        return;
    }
    struct user_change *work = work_new(operation, user->string, user, "user.token");
    cJSON *tokens = cJSON_GetObjectItemCaseSensitive(work->user, "tokens");
    if (cJSON_GetArraySize(tokens) >= TOKENS_MAX) {
        operation_problem(operation, 409, "\"%s\" has %d tokens; remove one first", user->string,
                          TOKENS_MAX);
        user_change_free(work);
        plane_finish(operation);
        return;
    }
    work->token = users_token_new(&kept, operation_duration_ms(operation->body, "ttl", 0));
    cJSON_AddItemToArray(tokens, kept);
    begin(work);
}

void run_token_remove(struct operation *operation)
{
    const cJSON *user = the_user(operation);

    if (user == NULL) {
        return;
    }
    struct user_change *work = work_new(operation, user->string, user, "user.token.remove");
    cJSON *tokens = cJSON_GetObjectItemCaseSensitive(work->user, "tokens");
    int count = cJSON_GetArraySize(tokens);
    for (int i = count - 1; i >= 0; i--) {
        const char *id = operation_text(cJSON_GetArrayItem(tokens, i), "id");
        if (id != NULL && strcmp(id, operation->params[1]) == 0) {
            cJSON_DeleteItemFromArray(tokens, i);
        }
    }
    if (cJSON_GetArraySize(tokens) == count) {
        operation_problem(operation, 404, "\"%s\" has no token \"%s\"", user->string,
                          operation->params[1]);
        user_change_free(work);
        plane_finish(operation);
        return;
    }
    begin(work);
}
