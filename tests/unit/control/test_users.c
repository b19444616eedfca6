/* SPDX-License-Identifier: MIT */
/* users.c and password.c: passwords, tokens, roles. */
#include "runner.h"

#include <stdlib.h>

#include "control/users.h"
#include "net/loop.h"

START_TEST(passwords)
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
END_TEST

static void put_user(struct users *users, const char *name, const char *role, cJSON *token)
{
    cJSON *user = cJSON_CreateObject();
    cJSON_AddStringToObject(user, "role", role);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(user, "tokens"), token);
    users_set(users, name, user);
}

START_TEST(tokens)
{
    struct users *users = users_new();
    struct weir_caller caller;
    cJSON *kept = NULL, *old = NULL;
    char *token = users_token_new(&kept, 0);
    char *expired = users_token_new(&old, 1000);

    cJSON_ReplaceItemInObjectCaseSensitive(old, "expires_at", cJSON_CreateNumber(1));
    char *text = cJSON_PrintUnformatted(kept);
    ck_assert_ptr_null(strstr(text, token + 5)); /* what is kept does not tell the token */
    free(text);
    put_user(users, "ann", "operator", kept);
    put_user(users, "bob", "viewer", old);
    ck_assert(users_by_token(users, str_from(token), &caller));
    ck_assert_int_eq(caller.role, WEIR_ROLE_OPERATOR);
    ck_assert(str_equal(caller.author, STR("ann")));
    ck_assert(!users_by_token(users, str_from(expired), &caller));
    ck_assert(!users_by_token(users, STR(""), &caller));
    ck_assert(!users_by_token(users, STR("weir_"), &caller));
    ck_assert(!users_by_link(users, STR(""), &caller));
    users_set(users, "ann", NULL);
    ck_assert(!users_by_token(users, str_from(token), &caller));
    ck_assert(!users_by_author(users, STR("ann"), &caller));
    ck_assert(users_by_author(users, STR("bob"), &caller));
    ck_assert(!users_by_author(users, STR("admin.token"), &caller));
    free(token);
    free(expired);
    users_free(&users);
}
END_TEST

static Suite *users_suite(void)
{
    Suite *suite = suite_create("users");
    TCase *tcase = tcase_create("users");
    tcase_add_test(tcase, passwords);
    tcase_add_test(tcase, tokens);
    suite_add_tcase(suite, tcase);
    return suite;
}
UNIT_SUITE(users_suite);
