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
    struct weir_caller caller = {.size = sizeof(caller)}, again = {.size = sizeof(again)};
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
    ck_assert_uint_gt(caller.token.len, 0);
    ck_assert(users_again(users, &caller, &again));
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

START_TEST(whoever_was_recognised_is_looked_at_again)
{
    static const char ann[] = "{\"role\":\"viewer\",\"since\":%s,\"tokens\":["
                              "{\"id\":\"aa\",\"sha256\":\"\",\"expires_at\":null},"
                              "{\"id\":\"bb\",\"sha256\":\"\",\"expires_at\":%s}]}";
    static const struct {
        const char *name, *token, *since, *expires;
        uint64_t was;
        bool good;
    } rows[] = {
        {"ann", "", "5", "1", 5, true},          {"ann", "aa", "5", "1", 5, true},
        {"ann", "bb", "5", "9e15", 5, true},     {"ann", "bb", "5", "1", 5, false},
        {"ann", "cc", "5", "1", 5, false},       {"ann", "", "6", "1", 5, false},
        {"ann", "aa", "6", "1", 5, false},       {"bob", "", "5", "1", 5, false},
        {"admin.token", "", "5", "1", 0, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct users *users = users_new();
        struct weir_caller before = {.size = sizeof(before),
                                     .author = str_from(rows[i].name),
                                     .since = rows[i].was,
                                     .token = str_from(rows[i].token)};
        struct weir_caller now = {.size = sizeof(now)};
        char *text = base_printf(ann, rows[i].since, rows[i].expires);
        users_load(users, "ann", text);
        ck_assert_msg(users_again(users, &before, &now) == rows[i].good, "row %zu", i);
        ck_assert_int_eq(now.role, rows[i].good ? WEIR_ROLE_VIEWER : WEIR_ROLE_NONE);
        ck_assert(!rows[i].good || str_equal(now.token, before.token));
        free(text);
        users_free(&users);
    }
}
END_TEST

START_TEST(removed_ones_are_kept_for_their_entry)
{
    struct users *users = users_new();
    struct weir_caller caller = {.size = offsetof(struct weir_caller, since), .since = 7};
    struct store_batch batch = {NULL, 0};

    users_load(users, "ann", "{\"role\":\"admin\",\"since\":5,\"tokens\":[]}");
    ck_assert(users_by_author(users, STR("ann"), &caller));
    ck_assert_uint_eq(caller.since, 7); /* an older module has no room for it */
    caller.size = sizeof(caller);
    ck_assert(users_by_author(users, STR("ann"), &caller));
    ck_assert_uint_eq(caller.since, 5);
    users_load(users, "ann", "{\"role\":\"admin\",\"tokens\":[],\"gone\":9}");
    users_load(users, "bob", "{\"role\":\"admin\",\"tokens\":[],\"gone\":9}");
    ck_assert(!users_by_author(users, STR("ann"), &caller));
    ck_assert_ptr_null(users_gone(users, "ann", 8));
    ck_assert_ptr_nonnull(users_gone(users, "ann", 9));
    users_forget_kept(users, 8, NULL, &batch);
    ck_assert_uint_eq(batch.count, 0);
    users_forget_kept(users, 9, "ann", &batch);
    ck_assert_uint_eq(batch.count, 1);
    ck_assert_str_eq(batch.items[0].key, "bob");
    ck_assert_ptr_nonnull(users_gone(users, "bob", 9)); /* until it is kept */
    users_forget(users, 9, "ann");
    ck_assert_ptr_null(users_gone(users, "bob", 9));
    ck_assert_ptr_nonnull(users_gone(users, "ann", 9));
    store_batch_free(&batch);
    users_free(&users);
}
END_TEST

static Suite *users_suite(void)
{
    Suite *suite = suite_create("users");
    TCase *tcase = tcase_create("users");
    tcase_add_test(tcase, passwords);
    tcase_add_test(tcase, tokens);
    tcase_add_test(tcase, whoever_was_recognised_is_looked_at_again);
    tcase_add_test(tcase, removed_ones_are_kept_for_their_entry);
    suite_add_tcase(suite, tcase);
    return suite;
}
UNIT_SUITE(users_suite);
