/* SPDX-License-Identifier: MIT */
/*
 * store_sqlite through the fake host: what the core asks of a store. The file below is test_db.c's.
 */
#include "../test_main.h"
#include "test_store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct weir_test *host;
    struct weir_test_instance *instance;
    char text[512];
};

static void begin(struct fixture *f, const char *path)
{
    char conf[600];
    snprintf(conf, sizeof(conf), "path = \"%s\"", path);
    memset(f, 0, sizeof(*f));
    f->host = test_begin();
    f->instance = weir_test_create(f->host, WEIR_TEST_STORE, test_conf(f->host, conf));
    ck_assert_ptr_nonnull(f->instance);
}

static enum weir_status open_store(struct fixture *f)
{
    return weir_test_store_open(f->instance, f->text, sizeof(f->text));
}

static struct weir_str str(const char *text)
{
    struct weir_str result = {text, strlen(text)};
    return result;
}

static enum weir_status put(struct fixture *f, const char *key, const char *value)
{
    struct weir_store_change change = {sizeof(change), value == NULL, str("s"), str(key),
                                       str(value != NULL ? value : "")};
    return weir_test_store_commit(f->instance, &change, 1, f->text, sizeof(f->text));
}

static bool append(void *arg, struct weir_str key, struct weir_str value)
{
    char *out = arg;
    sprintf(out + strlen(out), "%.*s=%.*s ", (int)key.len, key.ptr, (int)value.len, value.ptr);
    return strncmp(key.ptr, "stop", 4) != 0;
}

static const char *scan(struct fixture *f, const char *from, bool reverse, size_t limit)
{
    static char out[1024];
    out[0] = '\0';
    ck_assert_int_eq(weir_test_store_scan(f->instance, "s", from, reverse, limit, append, out),
                     WEIR_OK);
    return out;
}

UNIT_TEST(changes_are_kept)
{
    struct fixture f;
    const char *path = scratch_begin("weir.db");
    begin(&f, path);
    ck_assert_int_eq(put(&f, "a", "1"), WEIR_ERROR);
    ck_assert_int_eq(open_store(&f), WEIR_OK);
    ck_assert_str_eq(f.text, "");
    struct weir_store_change changes[] = {
        {sizeof(changes[0]), false, str("s"), str("b"), str("2")},
        {sizeof(changes[0]), false, str("s"), str("a"), str("1")},
        {sizeof(changes[0]), false, str("s"), str("c"), str("3")},
        {sizeof(changes[0]), true, str("s"), str("c"), str("")},
        {sizeof(changes[0]), true, str("s"), str("never"), str("")},
        {sizeof(changes[0]), false, str("s"), str("a"), str("\xc3\xa4")},
        {sizeof(changes[0]), false, str("other"), str("x"), str("y")},
    };
    ck_assert_int_eq(weir_test_store_commit(f.instance, changes, 7, f.text, sizeof(f.text)),
                     WEIR_OK);
    ck_assert_str_eq(scan(&f, "", false, 0), "a=\xc3\xa4 b=2 ");
    test_end(&f.host);
    begin(&f, path);
    ck_assert_int_eq(open_store(&f), WEIR_OK);
    ck_assert_str_eq(scan(&f, "", false, 0), "a=\xc3\xa4 b=2 ");
    test_end(&f.host);
    scratch_end();
}

UNIT_TEST(scans_go_both_ways)
{
    struct fixture f;
    begin(&f, scratch_begin("weir.db"));
    ck_assert_int_eq(open_store(&f), WEIR_OK);
    static const char *const keys[] = {"1", "2", "3", "stop", "z"};
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(put(&f, keys[i], "v"), WEIR_OK);
    }
    ck_assert_str_eq(scan(&f, "", false, 2), "1=v 2=v ");
    ck_assert_str_eq(scan(&f, "2", false, 0), "2=v 3=v stop=v ");
    ck_assert_str_eq(scan(&f, "25", false, 1), "3=v ");
    ck_assert_str_eq(scan(&f, "", true, 1), "z=v ");
    ck_assert_str_eq(scan(&f, "3", true, 2), "3=v 2=v ");
    ck_assert_str_eq(scan(&f, "25", true, 1), "2=v ");
    ck_assert_int_eq(put(&f, "2", NULL), WEIR_OK);
    ck_assert_str_eq(scan(&f, "", false, 2), "1=v 3=v ");
    test_end(&f.host);
    scratch_end();
}

/* The stride of changes is the host's, who may be newer. */
UNIT_TEST(changes_of_another_size_are_taken)
{
    struct fixture f;
    struct {
        struct weir_store_change change;
        char more[40];
    } changes[2] = {{{sizeof(changes[0]), false, str("s"), str("a"), str("1")}, ""},
                    {{sizeof(changes[0]), false, str("s"), str("b"), str("2")}, ""}};
    begin(&f, scratch_begin("weir.db"));
    ck_assert_int_eq(open_store(&f), WEIR_OK);
    ck_assert_int_eq(
        weir_test_store_commit(f.instance, &changes[0].change, 2, f.text, sizeof(f.text)), WEIR_OK);
    ck_assert_str_eq(scan(&f, "", false, 0), "a=1 b=2 ");
    test_end(&f.host);
    scratch_end();
}

UNIT_TEST(damage_is_told_and_survived)
{
    struct fixture f;
    const char *path = scratch_begin("weir.db");
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++) {
        fputs("nonsense ", file);
    }
    fclose(file);
    begin(&f, path);
    ck_assert_int_eq(open_store(&f), WEIR_OK);
    ck_assert_ptr_nonnull(strstr(f.text, "set aside as"));
    ck_assert_ptr_nonnull(scratch_find(".damaged-"));
    ck_assert_int_eq(put(&f, "a", "1"), WEIR_OK);
    /* A second open closes, and finds what was committed. */
    ck_assert_int_eq(open_store(&f), WEIR_OK);
    ck_assert_str_eq(f.text, "");
    ck_assert_str_eq(scan(&f, "", false, 0), "a=1 ");
    test_end(&f.host);
    scratch_end();
}

UNIT_TEST(what_cannot_be_there_is_told_by_the_check)
{
    struct weir_test *host = test_begin();
    ck_assert_ptr_null(weir_test_conf(host, "path = \"/no/such/folder/weir.db\""));
    ck_assert_ptr_nonnull(strstr(weir_test_mistakes(host), "there is no folder /no/such/folder"));
    ck_assert_ptr_null(weir_test_conf(host, "path = \"/dev\""));
    ck_assert_ptr_nonnull(strstr(weir_test_mistakes(host), "/dev is no plain file"));
    test_end(&host);
}

UNIT_TEST(what_cannot_be_opened_says_why)
{
    char folder[600], path[620];
    struct fixture f;
    const char *wanted = scratch_begin("weir.db");
    snprintf(folder, sizeof(folder), "%s.folder", wanted);
    snprintf(path, sizeof(path), "%s/weir.db", folder);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    begin(&f, path);
    ck_assert_int_eq(rmdir(folder), 0);
    ck_assert_int_eq(open_store(&f), WEIR_ERROR);
    ck_assert_ptr_nonnull(strstr(f.text, "folder/weir.db: No such file"));
    ck_assert_int_eq(put(&f, "a", "1"), WEIR_ERROR);
    ck_assert_ptr_nonnull(strstr(f.text, "not open"));
    test_end(&f.host);
    scratch_end();
}

UNIT_TEST(the_default_is_in_state_dir)
{
    char path[600];
    struct fixture f;
    const char *wanted = scratch_begin("weir.db");
    memset(&f, 0, sizeof(f));
    f.host = test_begin();
    snprintf(path, sizeof(path), "%.*s", (int)(strrchr(wanted, '/') - wanted), wanted);
    weir_test_set_state_dir(f.host, path);
    f.instance = weir_test_create(f.host, WEIR_TEST_STORE, test_conf(f.host, ""));
    ck_assert_int_ne(access(wanted, F_OK), 0);
    ck_assert_int_eq(open_store(&f), WEIR_OK);
    ck_assert_int_eq(access(wanted, F_OK), 0);
    test_end(&f.host);
    scratch_end();
}
