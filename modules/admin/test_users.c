/* SPDX-License-Identifier: MIT */
/*
 * admin: users, their tokens and passwords, the administrator's token, and the OpenAPI document, as
 * operations.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../test_main.h"
#include "control.h"
#include "text.h"
#include "users.h"

static struct weir_test *host;
static struct weir_test_instance *control;
static struct users *users;
static char folder[64];

#define RUN(name, ...) weir_test_operation(control, name, (const char *const[]){__VA_ARGS__, NULL})

static void begin(void)
{
    control =
        weir_test_create(host, WEIR_TEST_CONTROL, weir_test_conf_in(host, WEIR_CONTEXT_MODULE, ""));
    ck_assert_ptr_nonnull(control);
    users = weir_test_instance_data(control);
}

static void set_up(void)
{
    strcpy(folder, "/tmp/weir-users.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    host = test_begin();
    weir_test_set_state_dir(host, folder);
    test_conf(host, "web_dir = \"\""); /* an admin plane is served */
    begin();
}

static void tear_down(void)
{
    char command[128];

    test_end(&host);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* ---- passwords and tokens ---- */

UNIT_TEST(passwords)
{
    char hash[PASSWORD_HASH_SIZE], other[PASSWORD_HASH_SIZE];
    ck_assert(password_hash("correct horse", hash));
    ck_assert(password_hash("correct horse", other));
    ck_assert_str_ne(hash, other); /* each has salt of its own */
    ck_assert(strncmp(hash, "scrypt$32768$8$1$", 17) == 0);
    ck_assert_ptr_null(strstr(hash, "horse"));
    ck_assert(password_verify("correct horse", hash));
    ck_assert(!password_verify("correct horsf", hash));
    ck_assert(!password_verify("", hash));
    ck_assert(!password_verify("correct horse", NULL));
    ck_assert(!password_verify("correct horse", "scrypt$32768$8$1$00$00"));
}

/* The value of a string member of flat JSON, the caller's. */
static char *member(const char *json, const char *name)
{
    cJSON *object = cJSON_Parse(json);
    const char *text = user_text(object, name);
    ck_assert_msg(text != NULL, "%s has no %s", json, name);
    char *copy = strdup(text);
    cJSON_Delete(object);
    return copy;
}

UNIT_TEST(tokens_tell_who_somebody_is)
{
    struct weir_caller caller = {.size = sizeof(caller)}, again = {.size = sizeof(again)};

    ck_assert_uint_eq(RUN("user.add", "name", "ann", "role", "operator")->status, 201);
    const struct weir_test_answer *made = RUN("user.token", "name", "ann");
    ck_assert_uint_eq(made->status, 201);
    char *token = member(made->body, "token"), *id = member(made->body, "id");
    ck_assert_ptr_null(
        strstr(weir_test_kept(host, "ann"), token)); /* what is kept does not tell it */
    ck_assert_ptr_null(strstr(weir_test_last_change(host)->after, token));
    ck_assert(users_by_token(users, weir_str_of(token), &caller));
    ck_assert_int_eq(caller.role, WEIR_ROLE_OPERATOR);
    ck_assert(weir_str_is(caller.author, "ann") && weir_str_is(caller.token, id));
    ck_assert(users_again(users, &caller, &again));
    again.author = weir_str_of("ann"); /* what it said lasts until the next change */
    again.token = weir_str_of(id);
    ck_assert(!users_by_token(users, weir_str_of(""), &caller));
    ck_assert(!users_by_token(users, weir_str_of("weir_"), &caller));
    ck_assert(!users_by_link(users, weir_str_of(""), &caller));
    ck_assert(!users_by_author(users, weir_str_of("bob"), &caller));
    ck_assert_uint_eq(RUN("user.token.remove", "name", "ann", "id", id)->status, 204);
    ck_assert(!users_by_token(users, weir_str_of(token), &caller));
    ck_assert(!users_again(users, &again, &caller));
    ck_assert_uint_eq(RUN("user.token.remove", "name", "ann", "id", id)->status, 404);
    free(token);
    free(id);
    made = RUN("user.token", "name", "ann", "ttl", "1000");
    token = member(made->body, "token");
    ck_assert(users_by_token(users, weir_str_of(token), &caller));
    weir_test_advance(host, UINT64_C(1500000000));
    ck_assert(!users_by_token(users, weir_str_of(token), &caller));
    free(token);
}

UNIT_TEST(whoever_was_recognised_is_looked_at_again)
{
    static const char ann[] = "{\"role\":\"viewer\",\"since\":%s,\"tokens\":["
                              "{\"id\":\"aa\",\"sha256\":\"\",\"expires_at\":null},"
                              "{\"id\":\"bb\",\"sha256\":\"\",\"expires_at\":%s}]}";
    static const struct {
        const char *name, *token, *since, *expires;
        uint64_t was;
        bool good;
    } rows[] = {
        {"ann", "", "5", "1", 5, true},      {"ann", "aa", "5", "1", 5, true},
        {"ann", "bb", "5", "9e15", 5, true}, {"ann", "bb", "5", "1", 5, false},
        {"ann", "cc", "5", "1", 5, false},   {"ann", "", "6", "1", 5, false},
        {"ann", "aa", "6", "1", 5, false},   {"bob", "", "5", "1", 5, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_caller before = {.size = sizeof(before),
                                     .author = weir_str_of(rows[i].name),
                                     .since = rows[i].was,
                                     .token = weir_str_of(rows[i].token)};
        struct weir_caller now = {.size = sizeof(now)};
        char text[256];
        snprintf(text, sizeof(text), ann, rows[i].since, rows[i].expires);
        weir_test_keep(control, "ann", text);
        ck_assert_msg(users_again(users, &before, &now) == rows[i].good, "row %zu", i);
        ck_assert_int_eq(now.role, rows[i].good ? WEIR_ROLE_VIEWER : WEIR_ROLE_NONE);
        ck_assert(!rows[i].good || weir_str_equal(now.token, before.token));
    }
    weir_test_keep(control, "ann", "{\"role\":\"admin\",\"tokens\":[],\"gone\":9}");
    ck_assert_ptr_null(users_find(users, "ann")); /* an earlier Weir kept who was removed */
}

/* ---- changes ---- */

static struct weir_caller told;
static void on_password(void *arg, const struct weir_caller *caller)
{
    *(bool *)arg = true;
    told = caller != NULL ? *caller : (struct weir_caller){.role = WEIR_ROLE_NONE};
}

static enum weir_role role_by(const char *name, const char *password)
{
    bool answered = false;
    ck_assert(
        users_by_password(users, weir_str_of(name), weir_str_of(password), on_password, &answered));
    ck_assert(!answered);
    weir_test_run(host);
    ck_assert(answered);
    return told.role;
}

UNIT_TEST(passwords_are_hashed_elsewhere)
{
    ck_assert_uint_eq(
        RUN("user.add", "name", "ann", "role", "viewer", "password", "long enough")->status, 201);
    ck_assert_ptr_null(strstr(weir_test_kept(host, "ann"), "long enough"));
    ck_assert_int_eq(role_by("ann", "long enough"), WEIR_ROLE_VIEWER);
    ck_assert_int_eq(role_by("ann", "longer"), WEIR_ROLE_NONE);
    ck_assert_int_eq(role_by("bob", "long enough"), WEIR_ROLE_NONE);
    ck_assert_uint_eq(RUN("user.patch", "name", "ann", "password", "another one")->status, 200);
    ck_assert_int_eq(role_by("ann", "long enough"), WEIR_ROLE_NONE);
    ck_assert_int_eq(role_by("ann", "another one"), WEIR_ROLE_VIEWER);
    weir_test_fail_alloc(host, 0); /* too many are being checked */
    const struct weir_test_answer *answer =
        RUN("user.patch", "name", "ann", "password", "a third one");
    ck_assert_uint_eq(answer->status, 429);
    ck_assert_int_eq(role_by("ann", "another one"), WEIR_ROLE_VIEWER);
}

UNIT_TEST(what_is_wrong_is_told)
{
    ck_assert_uint_eq(RUN("user.add", "name", "ann", "role", "viewer")->status, 201);
    ck_assert_uint_eq(RUN("user.add", "name", "ann", "role", "viewer")->status, 409);
    ck_assert_str_eq(RUN("user.add", "name", "a b", "role", "viewer")->pointer, "/name");
    ck_assert_str_eq(RUN("user.add", "name", "weir", "role", "viewer")->pointer, "/name");
    ck_assert_uint_eq(RUN("user.patch", "name", "bob", "role", "admin")->status, 404);
    ck_assert_uint_eq(RUN("user.patch", "name", "ann")->status, 422);
    ck_assert_str_eq(
        RUN("user.patch", "name", "ann", "password", "long enough", "confirm", "1000")->pointer,
        "?confirm");
    ck_assert_uint_eq(RUN("user.remove", "name", "bob")->status, 404);
    ck_assert_uint_eq(RUN("user.token", "name", "bob")->status, 404);
    weir_test_refuse_changes(host, "the disk is full");
    ck_assert_uint_eq(RUN("user.remove", "name", "ann")->status, 503);
    ck_assert_ptr_nonnull(users_find(users, "ann"));
}

UNIT_TEST(changes_are_taken_back)
{
    RUN("user.add", "name", "ann", "role", "viewer");
    ck_assert_ptr_null(weir_test_undo(control));
    ck_assert_ptr_null(users_find(users, "ann"));
    ck_assert_ptr_null(weir_test_undo(control)); /* and that again */
    ck_assert_ptr_nonnull(users_find(users, "ann"));
    RUN("user.patch", "name", "ann", "role", "admin");
    ck_assert_str_eq(weir_test_last_change(host)->before, "{\"role\":\"viewer\"}");
    ck_assert_ptr_null(weir_test_undo(control));
    ck_assert_str_eq(user_text(users_find(users, "ann"), "role"), "viewer");
    RUN("user.token", "name", "ann");
    ck_assert_ptr_null(weir_test_undo(control));
    ck_assert_ptr_nonnull(strstr(weir_test_undo(control), "taken back stays so"));
    RUN("user.patch", "name", "ann", "password", "long enough");
    ck_assert_ptr_nonnull(strstr(weir_test_undo(control), "a password"));
    RUN("user.remove", "name", "ann");
    ck_assert_ptr_null(weir_test_kept(host, "ann"));
    ck_assert_ptr_null(weir_test_undo(control));
    ck_assert_int_eq(role_by("ann", "long enough"), WEIR_ROLE_VIEWER);
}

/* ---- the administrator's token ---- */

static void read_token(char *out, size_t size)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/admin.token", folder);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(out, (int)size, file));
    out[strcspn(out, "\n")] = '\0';
    fclose(file);
}

UNIT_TEST(admin_token_is_a_file)
{
    struct weir_caller caller = {.size = sizeof(caller)};
    char first[128], second[128], path[128];

    read_token(first, sizeof(first));
    ck_assert(users_by_token(users, weir_str_of(first), &caller));
    ck_assert_int_eq(caller.role, WEIR_ROLE_ADMIN);
    ck_assert_uint_eq(RUN("admin_token.renew", "", "")->status, 201);
    read_token(second, sizeof(second));
    ck_assert(!users_by_token(users, weir_str_of(first), &caller));
    ck_assert(users_by_token(users, weir_str_of(second), &caller));
    weir_test_refuse_changes(host, "the disk is full");
    ck_assert_uint_eq(RUN("admin_token.renew", "", "")->status, 503);
    ck_assert(users_by_token(users, weir_str_of(second), &caller));
    weir_test_refuse_changes(host, NULL);
    weir_test_destroy(&control); /* another copy of the module, say */
    begin();
    ck_assert(users_by_token(users, weir_str_of(second), &caller));
    ck_assert_uint_eq(RUN("admin_token.revoke", "", "")->status, 204);
    ck_assert(!users_by_token(users, weir_str_of(second), &caller));
    ck_assert_uint_eq(RUN("admin_token.revoke", "", "")->status, 404);
    snprintf(path, sizeof(path), "%s/admin.token", folder);
    ck_assert_int_eq(unlink(path), 0);
    admin_control.on_reload(weir_test_instance_context(control), users);
    ck_assert(!users_by_author(users, weir_str_of("admin.token"), &caller));
}

UNIT_TEST(the_first_start_gives_a_link)
{
    struct weir_caller caller = {.size = sizeof(caller)};
    char link[ADMIN_TOKEN_HEX + 1];

    memcpy(link, users->admin.state->link, sizeof(link));
    ck_assert_uint_eq(strlen(link), ADMIN_TOKEN_HEX);
    ck_assert(weir_test_logged(host, WEIR_LOG_NOTICE, link));
    ck_assert(!users_by_link(users, weir_str_of("x"), &caller));
    ck_assert(users_by_link(users, weir_str_of(link), &caller));
    ck_assert(!users_by_link(users, weir_str_of(link), &caller));
}

/* ---- the document ---- */

/* Every row is in it, with its method, and an answer that has a schema. */
UNIT_TEST(document_is_the_table)
{
    cJSON *document = cJSON_Parse(RUN("openapi", "", "")->body);
    const cJSON *paths = cJSON_GetObjectItem(document, "paths");
    const cJSON *schemas =
        cJSON_GetObjectItem(cJSON_GetObjectItem(document, "components"), "schemas");
    static const char *const methods[] = {"get", "post", "patch", "delete"};
    size_t described = 0;

    for (size_t i = 0; i < admin_control.operation_count; i++) {
        const struct weir_operation *row = &admin_control.operations[i];
        char path[128];
        snprintf(path, sizeof(path), "/api/v1%s", row->path);
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(paths, path);
        const cJSON *operation = cJSON_GetObjectItem(item, row->method);
        ck_assert_str_eq(user_text(operation, "operationId"), row->name);
        ck_assert_msg(row->answer == NULL || cJSON_HasObjectItem(schemas, row->answer), "%s",
                      row->name);
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, paths)
    {
        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
            described += cJSON_HasObjectItem(item, methods[i]);
        }
    }
    ck_assert_uint_eq(described, admin_control.operation_count +
                                     5); /* events, sessions, and itself once more */
    cJSON_Delete(document);
}

UNIT_FIXTURE(set_up, tear_down);
