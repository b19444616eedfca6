/* SPDX-License-Identifier: MIT */
/*
 * Commands on users and their tokens.
 */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "control/change/change.h"
#include "control/users.h"

static void run_users(struct operation *operation)
{
    operation_succeed(operation, 200, users_show(operation->plane->users));
}

/* What is to become of a user, while the password is hashed. */
struct user_change {
    struct operation *operation;
    char *name;
    cJSON *user;    /* as he will be; while he goes: as he was, with `gone` */
    char *password; /* to be hashed; NULL: none */
    bool hashed;
    char hash[PASSWORD_HASH_SIZE];
    const char *command;
    char *part;  /* see journal.h */
    char *token; /* shown once; NULL: none */
};

static void user_change_free(void *arg)
{
    struct user_change *work = arg;
    if (work->password != NULL) {
        OPENSSL_cleanse(work->password, strlen(work->password));
    }
    free(work->password);
    cJSON_Delete(work->user);
    free(work->name);
    free(work->part);
    free(work->token);
    free(work);
}

static struct user_change *work_new(struct operation *operation, const char *name,
                                    const cJSON *user, const char *command, const char *part)
{
    struct user_change *work = base_zalloc(sizeof(*work));
    work->operation = operation;
    work->name = base_strdup(name);
    work->user = user != NULL ? cJSON_Duplicate(user, true) : NULL;
    work->command = command;
    work->part = base_strdup(part);
    return work;
}

static void enforce(struct change *change)
{
    struct user_change *work = change->arg;
    users_set(change->changes->plane.users, work->name, work->user);
    work->user = NULL;
}

static void in_force(struct change *change, const char *error)
{
    struct user_change *work = change->arg;
    struct operation *operation = change->operation;

    if (error == NULL) {
        const cJSON *user = users_find(change->changes->plane.users, work->name);
        if (work->token != NULL) {
            cJSON *answer = cJSON_CreateObject();
            const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(user, "tokens");
            const cJSON *last = cJSON_GetArrayItem(tokens, cJSON_GetArraySize(tokens) - 1);
            json_set(answer, "token", work->token);
            json_set(answer, "id", operation_text(last, "id"));
            operation_succeed(operation, 201, answer);
        } else if (user != NULL && operation->command->row.status != 204) {
            operation_succeed(operation, operation->command->row.status, user_show(user));
        } else {
            operation_succeed(operation, 204, NULL);
        }
    }
}

static int token_index(const cJSON *user, const char *id)
{
    const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(user, "tokens");
    int index = 0;
    const cJSON *token = NULL;

    cJSON_ArrayForEach(token, tokens)
    {
        const char *own = operation_text(token, "id");
        if (own != NULL && strcmp(own, id) == 0) {
            return index;
        }
        index++;
    }
    return -1;
}

static const char *password_word(const cJSON *user, const char *word)
{
    return operation_text(user, "password") != NULL ? word : "none";
}

/* `part` of the user for the journal: nothing of what is secret. `now`: after the change. */
static cJSON *brief(const cJSON *user, const char *part, bool now)
{
    cJSON *object = NULL;
    if (strcmp(part, "role") == 0) {
        object = cJSON_CreateObject();
        json_set(object, "role", operation_text(user, "role"));
    } else if (strcmp(part, "password") == 0) {
        object = cJSON_CreateObject();
        json_set(object, "password", now ? "new" : password_word(user, "old"));
    } else if (strncmp(part, "token:", 6) == 0) {
        object = cJSON_CreateObject();
        json_set(object, "token", token_index(user, part + 6) >= 0 ? part + 6 : NULL);
    } else if (user != NULL && !cJSON_HasObjectItem(user, "gone")) {
        object = cJSON_CreateObject();
        json_set(object, "role", operation_text(user, "role"));
        cJSON_AddBoolToObject(object, "has_password", operation_text(user, "password") != NULL);
        json_set_number(object, "tokens",
                        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(user, "tokens")));
    }
    return object;
}

/* Writes it down and keeps it. */
static void note(struct change *change, struct user_change *work)
{
    const cJSON *before = users_find(change->changes->plane.users, work->name);

    change_note(change, work->command, work->name, brief(before, work->part, false),
                brief(work->user, work->part, true));
    json_set(change->journal, "user_key", work->name);
    json_set(change->journal, "user_part", work->part);
    if (cJSON_HasObjectItem(work->user, "gone")) {
        cJSON_ReplaceItemInObjectCaseSensitive(
            work->user, "gone", cJSON_CreateNumber((double)journal_id(change->journal)));
    }
    store_put_json(&change->batch, "users", work->name, work->user);
    change->arg = work;
    change->arg_free = user_change_free;
    change->enforce = enforce;
}

static enum written begin(struct user_change *work)
{
    struct change *change = change_new(changes_of(work->operation), work->operation);
    note(change, work);
    change->done = in_force;
    change_begin(change);
    return WRITE_GOES_ON;
}

static void set_since(cJSON *user)
{
    cJSON_DeleteItemFromObjectCaseSensitive(user, "since");
    json_set_number(user, "since", (double)loop_wall_ms());
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
        changes_finish(changes_of(operation), operation);
        return;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(work->user, "password");
    cJSON_AddStringToObject(work->user, "password", work->hash);
    set_since(work->user); /* the sessions that there are end */
    begin(work);
}

static enum written begin_with_password(struct user_change *work)
{
    struct operation *operation = work->operation;
    const char *password = operation_text(operation->body, "password");

    if (password == NULL) {
        return begin(work);
    }
    work->password = base_strdup(password);
    if (!store_work(changes_of(operation)->store, hash, hashed, work)) {
        operation_problem(operation, 429, "too many passwords are being checked; try again");
        user_change_free(work);
        return WRITE_ANSWERED;
    }
    return WRITE_GOES_ON;
}

static enum written run_user_add(struct operation *operation)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-";
    const char *name = operation_text(operation->body, "name");

    if (strcmp(name, ADMIN_TOKEN_NAME) == 0 || strcmp(name, "weir") == 0) {
        operation_invalid(operation, "/name", "\"%s\" stands in the journal for what is no user",
                          name);
    } else if (strspn(name, legal) != strlen(name)) {
        operation_invalid(operation, "/name",
                          "a name is made of letters, digits, '.', '_', '@' and '-'");
    } else if (users_find(operation->plane->users, name) != NULL) {
        operation_problem(operation, 409, "there is a user \"%s\" already", name);
    }
    if (operation->problem) {
        return WRITE_ANSWERED;
    }
    cJSON *user = cJSON_CreateObject();
    json_set(user, "role", operation_text(operation->body, "role"));
    cJSON_AddArrayToObject(user, "tokens");
    set_since(user);
    struct user_change *work = work_new(operation, name, user, "user.add", "all");
    cJSON_Delete(user);
    operation->location = base_printf("%s/users/%s", COMMAND_PREFIX, name);
    return begin_with_password(work);
}

/* NULL: 404 is the answer. */
static const cJSON *the_user(struct operation *operation)
{
    const cJSON *user = users_find(operation->plane->users, operation->params[0]);
    if (user == NULL) {
        operation_problem(operation, 404, "there is no user \"%s\"", operation->params[0]);
    }
    return user;
}

static enum written run_user_patch(struct operation *operation)
{
    const cJSON *user = the_user(operation);

    if (user == NULL) {
        return WRITE_ANSWERED;
    }
    const char *role = operation_text(operation->body, "role");
    const char *password = operation_text(operation->body, "password");
    if (password != NULL && operation->confirm_ms > 0) {
        operation_invalid(operation, "?confirm", "a password does not take itself back");
    } else if (password == NULL && role == NULL) {
        operation_invalid(operation, "", "nothing is to be changed; give role or password");
    }
    if (operation->problem) {
        return WRITE_ANSWERED;
    }
    struct user_change *work = work_new(operation, user->string, user, "user.patch",
                                        role == NULL       ? "password"
                                        : password == NULL ? "role"
                                                           : "all");
    if (role != NULL) {
        cJSON_ReplaceItemInObjectCaseSensitive(work->user, "role", cJSON_CreateString(role));
    }
    return begin_with_password(work);
}

/* He goes, and is kept as he was. */
static struct user_change *leaving(struct user_change *work)
{
    json_set_number(work->user, "gone", 0); /* the entry's number comes with it */
    return work;
}

static enum written run_user_remove(struct operation *operation)
{
    const cJSON *user = the_user(operation);
    if (user == NULL) {
        return WRITE_ANSWERED;
    }
    return begin(leaving(work_new(operation, user->string, user, "user.remove", "all")));
}

#define TOKENS_MAX 32

static enum written run_token_add(struct operation *operation)
{
    const cJSON *user = the_user(operation);
    cJSON *kept = NULL;

    if (user == NULL) {
        return WRITE_ANSWERED;
    }
    if (cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(user, "tokens")) >= TOKENS_MAX) {
        operation_problem(operation, 409, "\"%s\" has %d tokens; remove one first", user->string,
                          TOKENS_MAX);
    }
    if (operation->problem) {
        return WRITE_ANSWERED;
    }
    char *token = users_token_new(&kept, operation_duration_ms(operation->body, "ttl", 0));
    char *part = base_printf("token:%s", operation_text(kept, "id"));
    struct user_change *work = work_new(operation, user->string, user, "user.token", part);
    free(part);
    work->token = token;
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(work->user, "tokens"), kept);
    return begin(work);
}

static void drop_token(cJSON *user, const char *id)
{
    cJSON_DeleteItemFromArray(cJSON_GetObjectItemCaseSensitive(user, "tokens"),
                              token_index(user, id));
}

static enum written run_token_remove(struct operation *operation)
{
    const cJSON *user = the_user(operation);

    if (user == NULL) {
        return WRITE_ANSWERED;
    }
    if (token_index(user, operation->params[1]) < 0) {
        operation_problem(operation, 404, "\"%s\" has no token \"%s\"", user->string,
                          operation->params[1]);
    }
    if (operation->problem) {
        return WRITE_ANSWERED;
    }
    char *part = base_printf("token:%s", operation->params[1]);
    struct user_change *work = work_new(operation, user->string, user, "user.token.remove", part);
    free(part);
    drop_token(work->user, operation->params[1]);
    return begin(work);
}

/* ---- undo ---- */

/* The user as he was before the entry, or with `gone` where he was not there. NULL: `*refusal` says why that
 * is not known any more. */
static cJSON *user_before(const struct plane *plane, const cJSON *entry, const char **refusal)
{
    const char *name = operation_text(entry, "user_key"),
               *part = operation_text(entry, "user_part");
    const cJSON *before = cJSON_GetObjectItemCaseSensitive(entry, "before");
    const cJSON *after = cJSON_GetObjectItemCaseSensitive(entry, "after");
    const cJSON *now = users_find(plane->users, name);
    const cJSON *gone = users_gone(plane->users, name, journal_id(entry));
    bool all = part != NULL && strcmp(part, "all") == 0;
    bool password = part == NULL || strcmp(part, "password") == 0;

    if (password || (all && cJSON_IsObject(before) && cJSON_IsObject(after))) {
        *refusal = "a password that was replaced is not kept; set a new one";
    } else if (all && cJSON_IsObject(before)) {
        *refusal = gone == NULL ? "how the user was is not kept any more; add a new one" : NULL;
    } else if (!all && strcmp(part, "role") != 0 && operation_text(after, "token") == NULL) {
        *refusal = "a token that was taken back stays so; make a new one";
    } else {
        *refusal = now == NULL ? "the user is not there any more" : NULL;
    }
    if (*refusal != NULL) {
        return NULL;
    }
    cJSON *user = cJSON_Duplicate(now != NULL ? now : gone, true);
    if (all && now == NULL) {
        cJSON_DeleteItemFromObjectCaseSensitive(user, "gone");
        set_since(user);
    } else if (all) {
        json_set_number(user, "gone", 0);
    } else if (strcmp(part, "role") == 0) {
        cJSON_ReplaceItemInObjectCaseSensitive(user, "role",
                                               cJSON_CreateString(operation_text(before, "role")));
    } else {
        drop_token(user, operation_text(after, "token"));
    }
    return user;
}

static const char *undo_refusal(const struct changes *changes, const cJSON *entry)
{
    const char *refusal = NULL;
    cJSON_Delete(user_before(&changes->plane, entry, &refusal));
    return refusal;
}

static void take_back(struct change *change, const cJSON *entry)
{
    const char *refusal = NULL;
    struct user_change *work = work_new(change->operation, operation_text(entry, "user_key"), NULL,
                                        "journal.undo", operation_text(entry, "user_part"));

    work->user = user_before(&change->changes->plane, entry, &refusal);
    ASSERT(work->user != NULL); /* who calls has asked undo_refusal */
    note(change, work);
}

/* ---- the part ---- */

static void load(struct changes *changes, const char *key, const char *value)
{
    users_load(changes->plane.users, key, value);
}

static void forget(struct changes *changes, uint64_t last, const cJSON *entry,
                   struct store_batch *batch)
{
    const char *except = operation_text(entry, "user_key");

    if (batch != NULL) {
        users_forget_kept(changes->plane.users, last, except, batch);
    } else {
        users_forget(changes->plane.users, last, except);
    }
}

static const char *const roles[] = {"viewer", "operator", "admin", NULL};

static const struct weir_argument user_add[] = {
    {"name", WEIR_ARGUMENT_STRING, true, 1, 64, NULL,
     "Name to log in with; stands in the journal."},
    {"role", WEIR_ARGUMENT_WORD, true, 0, 0, roles, "What the user may do."},
    {"password", WEIR_ARGUMENT_STRING, false, 8, 1024, NULL,
     "Where the user is to log in with one."},
    WEIR_ARGUMENTS_END,
};

static const struct weir_argument user_patch[] = {
    {"role", WEIR_ARGUMENT_WORD, false, 0, 0, roles, "What the user may do."},
    {"password", WEIR_ARGUMENT_STRING, false, 8, 1024, NULL, "A new password."},
    WEIR_ARGUMENTS_END,
};

static const struct weir_argument token_add[] = {
    {"ttl", WEIR_ARGUMENT_DURATION, false, 1, INT64_C(315360000), NULL,
     "How long it is valid; for ever if not given."},
    WEIR_ARGUMENTS_END,
};

static const struct command commands[] = {
    READ_AS("users.list", ADMIN, "GET", "/users", NULL, NULL, "Users", run_users,
            "Users, their roles and tokens."),
    WRITE("user.add", ADMIN, "POST", "/users", user_add, NULL, 201, CONFIRM, "User", run_user_add,
          "Adds a user."),
    WRITE("user.patch", ADMIN, "PATCH", "/users/{name}", user_patch, NULL, 200, CONFIRM, "User",
          run_user_patch, "Changes a user's role or password."),
    WRITE("user.remove", ADMIN, "DELETE", "/users/{name}", NULL, NULL, 204, CONFIRM, NULL,
          run_user_remove, "Removes a user."),
    WRITE("user.token", ADMIN, "POST", "/users/{name}/token", token_add, NULL, 201, 0, "Token",
          run_token_add, "Makes a token, which is shown once."),
    WRITE("user.token.remove", ADMIN, "DELETE", "/users/{name}/tokens/{id}", NULL, NULL, 204, 0,
          NULL, run_token_remove, "Removes a token."),
    COMMANDS_END,
};

const struct change_part user_part = {
    .commands = commands,
    .space = "users",
    .load = load,
    .forget = forget,
    .mark = "user_key",
    .refusal = undo_refusal,
    .take_back = take_back,
};
