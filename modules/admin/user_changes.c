/* SPDX-License-Identifier: MIT */
/*
 * Operations on users, their tokens and the administrator's.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "text.h"
#include "users.h"

/* ---- answers ---- */

/* Takes ownership of the object. */
static void answer(struct weir_context *ctx, struct weir_control_operation *operation,
                   uint32_t status, cJSON *object, const char *location)
{
    char *text = cJSON_PrintUnformatted(object);
    struct weir_control_answer what = {
        .size = sizeof(what),
        .status = status,
        .body = weir_str_of(text != NULL ? text : ""),
        .location = weir_str_of(location != NULL ? location : ""),
    };
    weir_operation_answer(ctx, operation, &what);
    cJSON_free(text);
    cJSON_Delete(object);
}

enum weir_operation_end users_list(struct weir_context *ctx, void *instance,
                                   struct weir_control_operation *operation)
{
    const struct users *users = instance;
    cJSON *object = cJSON_CreateObject();
    cJSON *entries = cJSON_AddArrayToObject(object, "entries");
    const cJSON *user = NULL;

    cJSON_ArrayForEach(user, users->all)
    {
        cJSON_AddItemToArray(entries, user_show(user));
    }
    answer(ctx, operation, 200, object, NULL);
    return WEIR_ANSWERED;
}

/* ---- a change on its way ---- */

/* A change of a user. */
struct user_change {
    struct users *users;
    struct weir_control_operation *operation;
    char *name;
    cJSON *user;    /* after the change; NULL: removed */
    char part[32];  /* all (of a user), role, password, token:ID */
    char *password; /* to be hashed; NULL: none */
    bool hashed;
    char hash[PASSWORD_HASH_SIZE];
    char *token;         /* shown once; NULL: none */
    bool added, changed; /* shown, with 201 or 200; else 204 */
};

static struct user_change *change_new(struct users *users, struct weir_control_operation *operation,
                                      const char *name, cJSON *user, const char *part)
{
    struct user_change *change = calloc(1, sizeof(*change));
    change->users = users;
    change->operation = operation;
    change->name = strdup(name);
    change->user = user;
    snprintf(change->part, sizeof(change->part), "%s", part);
    return change;
}

static void change_free(struct user_change *change)
{
    if (change->password != NULL) {
        OPENSSL_cleanse(change->password, strlen(change->password));
    }
    free(change->password);
    cJSON_Delete(change->user);
    free(change->name);
    free(change->token);
    free(change);
}

static int token_index(const cJSON *user, const char *id)
{
    const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(user, "tokens");
    int index = 0;
    const cJSON *token = NULL;

    cJSON_ArrayForEach(token, tokens)
    {
        const char *own = user_text(token, "id");
        if (own != NULL && strcmp(own, id) == 0) {
            return index;
        }
        index++;
    }
    return -1;
}

/* `part` of the user for the journal, nothing of what is secret, as text for cJSON_free; "":
 * null. `now`: after the change. */
static char *brief(const cJSON *user, const char *part, bool now)
{
    cJSON *object = user != NULL || strcmp(part, "all") != 0 ? cJSON_CreateObject() : NULL;

    if (strcmp(part, "role") == 0) {
        cJSON_AddStringToObject(object, "role", user_text(user, "role"));
    } else if (strcmp(part, "password") == 0) {
        bool had = user_text(user, "password") != NULL;
        cJSON_AddStringToObject(object, "password", now ? "new" : had ? "old" : "none");
    } else if (strncmp(part, "token:", 6) == 0 && token_index(user, part + 6) >= 0) {
        cJSON_AddStringToObject(object, "token", part + 6);
    } else if (strncmp(part, "token:", 6) == 0) {
        cJSON_AddNullToObject(object, "token");
    } else if (user != NULL) {
        cJSON_AddStringToObject(object, "role", user_text(user, "role"));
        cJSON_AddBoolToObject(object, "has_password", user_text(user, "password") != NULL);
        cJSON_AddNumberToObject(
            object, "tokens", cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(user, "tokens")));
    }
    char *text = object != NULL ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    return text;
}

static struct weir_str maybe(const char *text)
{
    return text != NULL ? weir_str_of(text) : (struct weir_str){NULL, 0};
}

static void in_force(void *arg, struct weir_control_operation *operation, const char *error)
{
    struct user_change *change = arg;
    struct weir_context *ctx = change->users->ctx;
    const cJSON *user = users_find(change->users, change->name);

    if (error == NULL && change->token != NULL) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "token", change->token);
        cJSON_AddStringToObject(object, "id", change->part + 6);
        answer(ctx, operation, 201, object, NULL);
    } else if (error == NULL && change->added) {
        char location[160];
        snprintf(location, sizeof(location), "/api/v1/users/%s", change->name);
        answer(ctx, operation, 201, user_show(user), location);
    } else if (error == NULL) {
        answer(ctx, operation, change->changed ? 200 : 204,
               change->changed ? user_show(user) : NULL, NULL);
    }
    change_free(change);
}

static enum weir_operation_end begin(struct user_change *change)
{
    struct users *users = change->users;
    char *before = brief(users_find(users, change->name), change->part, false);
    char *after = brief(change->user, change->part, true);
    char *value = change->user != NULL ? cJSON_PrintUnformatted(change->user) : NULL;
    const struct weir_change what = {
        .size = sizeof(what),
        .target = weir_str_of(change->name),
        .before = maybe(before),
        .after = maybe(after),
        .key = weir_str_of(change->name),
        .value = maybe(value),
        .part = weir_str_of(change->part),
    };
    enum weir_operation_end end =
        weir_operation_change(users->ctx, change->operation, &what, in_force, change);

    cJSON_free(before);
    cJSON_free(after);
    cJSON_free(value);
    return end;
}

static void set_since(struct weir_context *ctx, cJSON *user)
{
    cJSON_DeleteItemFromObjectCaseSensitive(user, "since");
    cJSON_AddNumberToObject(user, "since", (double)weir_wall_ms(ctx));
}

static void hash(void *arg)
{
    struct user_change *change = arg;
    change->hashed = password_hash(change->password, change->hash);
}

static void hashed(void *arg)
{
    struct user_change *change = arg;
    struct weir_context *ctx = change->users->ctx;

    if (!change->hashed) {
        weir_operation_problem(ctx, change->operation, 503, NULL,
                               "the password could not be hashed: no memory");
        weir_operation_finish(ctx, change->operation);
        change_free(change);
        return;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(change->user, "password");
    cJSON_AddStringToObject(change->user, "password", change->hash);
    set_since(ctx, change->user); /* ends present sessions */
    begin(change);
}

static enum weir_operation_end begin_with_password(struct user_change *change)
{
    struct weir_context *ctx = change->users->ctx;
    struct weir_str password = weir_operation_text(ctx, change->operation, "password");

    if (password.ptr == NULL) {
        return begin(change);
    }
    change->password = strndup(password.ptr, password.len);
    if (!weir_control_work(ctx, hash, hashed, change)) {
        weir_operation_problem(ctx, change->operation, 429, NULL,
                               "too many passwords are being checked; try again");
        change_free(change);
        return WEIR_ANSWERED;
    }
    return WEIR_LATER;
}

/* ---- the operations ---- */

enum weir_operation_end user_add(struct weir_context *ctx, void *instance,
                                 struct weir_control_operation *operation)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-";
    struct users *users = instance;
    const char *name = weir_operation_text(ctx, operation, "name").ptr;

    if (strcmp(name, ADMIN_TOKEN_NAME) == 0 || strcmp(name, "weir") == 0) {
        weir_operation_problem(ctx, operation, 422, "/name",
                               "\"%s\" stands in the journal for what is no user", name);
        return WEIR_ANSWERED;
    }
    if (strspn(name, legal) != strlen(name)) {
        weir_operation_problem(ctx, operation, 422, "/name",
                               "a name is made of letters, digits, '.', '_', '@' and '-'");
        return WEIR_ANSWERED;
    }
    if (users_find(users, name) != NULL) {
        weir_operation_problem(ctx, operation, 409, NULL, "there is a user \"%s\" already", name);
        return WEIR_ANSWERED;
    }
    cJSON *user = cJSON_CreateObject();
    cJSON_AddStringToObject(user, "role", weir_operation_text(ctx, operation, "role").ptr);
    cJSON_AddArrayToObject(user, "tokens");
    set_since(ctx, user);
    struct user_change *change = change_new(users, operation, name, user, "all");
    change->added = true;
    return begin_with_password(change);
}

/* A copy of the path's user; NULL: answered with 404. */
static cJSON *the_user(struct users *users, struct weir_control_operation *operation,
                       const char **name)
{
    *name = weir_operation_text(users->ctx, operation, "name").ptr;
    const cJSON *user = users_find(users, *name);
    if (user == NULL) {
        weir_operation_problem(users->ctx, operation, 404, NULL, "there is no user \"%s\"", *name);
    }
    return cJSON_Duplicate(user, true);
}

enum weir_operation_end user_patch(struct weir_context *ctx, void *instance,
                                   struct weir_control_operation *operation)
{
    const char *name = NULL;
    const char *role = weir_operation_text(ctx, operation, "role").ptr;
    const char *password = weir_operation_text(ctx, operation, "password").ptr;
    cJSON *user = the_user(instance, operation, &name);

    if (user == NULL) {
        return WEIR_ANSWERED;
    }
    bool confirmed = password != NULL && weir_operation_number(ctx, operation, "confirm", 0) > 0;
    if (confirmed || (password == NULL && role == NULL)) {
        weir_operation_problem(ctx, operation, 422, confirmed ? "?confirm" : "", "%s",
                               confirmed ? "a password does not take itself back"
                                         : "nothing is to be changed; give role or password");
        cJSON_Delete(user);
        return WEIR_ANSWERED;
    }
    if (role != NULL) {
        cJSON_ReplaceItemInObjectCaseSensitive(user, "role", cJSON_CreateString(role));
    }
    struct user_change *change = change_new(instance, operation, name, user,
                                            role == NULL       ? "password"
                                            : password == NULL ? "role"
                                                               : "all");
    change->changed = true;
    return begin_with_password(change);
}

enum weir_operation_end user_remove(struct weir_context *ctx, void *instance,
                                    struct weir_control_operation *operation)
{
    const char *name = NULL;
    cJSON *user = the_user(instance, operation, &name);
    (void)ctx;

    if (user == NULL) {
        return WEIR_ANSWERED;
    }
    cJSON_Delete(user);
    return begin(change_new(instance, operation, name, NULL, "all"));
}

#define TOKENS_MAX 32

enum weir_operation_end user_add_token(struct weir_context *ctx, void *instance,
                                       struct weir_control_operation *operation)
{
    const char *name = NULL;
    cJSON *user = the_user(instance, operation, &name), *kept = NULL;
    cJSON *tokens = cJSON_GetObjectItemCaseSensitive(user, "tokens");

    if (cJSON_GetArraySize(tokens) >= TOKENS_MAX) {
        weir_operation_problem(ctx, operation, 409, NULL, "\"%s\" has %d tokens; remove one first",
                               name, TOKENS_MAX);
        cJSON_Delete(user);
        user = NULL;
    }
    if (user == NULL) {
        return WEIR_ANSWERED;
    }
    char *token =
        users_token_new(ctx, &kept, (uint64_t)weir_operation_number(ctx, operation, "ttl", 0));
    struct user_change *change = change_new(instance, operation, name, user, "token:");
    snprintf(change->part, sizeof(change->part), "token:%s", user_text(kept, "id"));
    change->token = token;
    cJSON_AddItemToArray(tokens, kept);
    return begin(change);
}

static void drop_token(cJSON *user, const char *id)
{
    cJSON_DeleteItemFromArray(cJSON_GetObjectItemCaseSensitive(user, "tokens"),
                              token_index(user, id));
}

enum weir_operation_end user_remove_token(struct weir_context *ctx, void *instance,
                                          struct weir_control_operation *operation)
{
    const char *name = NULL, *id = weir_operation_text(ctx, operation, "id").ptr;
    cJSON *user = the_user(instance, operation, &name);

    if (user != NULL && token_index(user, id) < 0) {
        weir_operation_problem(ctx, operation, 404, NULL, "\"%s\" has no token \"%s\"", name, id);
        cJSON_Delete(user);
        user = NULL;
    }
    if (user == NULL) {
        return WEIR_ANSWERED;
    }
    struct user_change *change = change_new(instance, operation, name, user, "token:");
    snprintf(change->part, sizeof(change->part), "token:%s", id);
    drop_token(user, id);
    return begin(change);
}

/* ---- undo ---- */

/* The user as he was before the change; NULL: he was not there, or `*refusal` says why that is
 * not known. */
static cJSON *user_before(const struct users *users, const char *part, const cJSON *before,
                          const cJSON *after, const char *name, struct weir_str gone,
                          const char **refusal)
{
    const cJSON *now = users_find(users, name);
    const char *token = user_text(after, "token");
    bool all = strcmp(part, "all") == 0;

    if (strcmp(part, "password") == 0 || (all && cJSON_IsObject(before) && cJSON_IsObject(after))) {
        *refusal = "a password that was replaced is not kept; set a new one";
    } else if (all && cJSON_IsObject(before)) {
        cJSON *user = gone.ptr != NULL ? cJSON_ParseWithLength(gone.ptr, gone.len) : NULL;
        *refusal = user == NULL ? "how the user was is not kept any more; add a new one" : NULL;
        if (user != NULL) {
            set_since(users->ctx, user);
        }
        return user;
    } else if (!all && strcmp(part, "role") != 0 && token == NULL) {
        *refusal = "a token that was taken back stays so; make a new one";
    } else if (now == NULL) {
        *refusal = "the user is not there any more";
    }
    if (*refusal != NULL || all) {
        return NULL;
    }
    cJSON *user = cJSON_Duplicate(now, true);
    if (strcmp(part, "role") == 0) {
        cJSON_ReplaceItemInObjectCaseSensitive(user, "role",
                                               cJSON_CreateString(user_text(before, "role")));
    } else {
        drop_token(user, token);
    }
    return user;
}

const char *users_undo(struct users *users, const struct weir_undo *undo,
                       struct weir_change *change)
{
    const char *refusal = NULL;
    char *name = strndup(undo->key.ptr, undo->key.len);
    char *part = strndup(undo->part.ptr, undo->part.len);
    cJSON *before = cJSON_ParseWithLength(undo->before.ptr, undo->before.len);
    cJSON *after = cJSON_ParseWithLength(undo->after.ptr, undo->after.len);
    cJSON *user = user_before(users, part, before, after, name, undo->gone, &refusal);

    for (size_t i = 0; i < 3; i++) {
        cJSON_free(users->told[i]);
    }
    users->told[0] = brief(users_find(users, name), part, false);
    users->told[1] = brief(user, part, true);
    users->told[2] = user != NULL ? cJSON_PrintUnformatted(user) : NULL;
    change->before = maybe(users->told[0]);
    change->after = maybe(users->told[1]);
    change->value = maybe(users->told[2]);
    cJSON_Delete(user);
    cJSON_Delete(before);
    cJSON_Delete(after);
    free(name);
    free(part);
    return refusal;
}
