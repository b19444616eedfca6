/* SPDX-License-Identifier: MIT */
/* config_text.c: edits leave everything else as it was. */
#include "runner.h"

#include <stdlib.h>

#include "control/config_text.h"

static const char text[] = "# server \"b\" { }\n"
                           "pool \"p\" {\n"
                           "  server \"a\" { url = \"http://a:1/}\" }  # one\n"
                           "  server \"b\" {\n"
                           "    url = 'http://b:1'  /* } */\n"
                           "  }\n"
                           "  key = \"hunter2\"  keys = {\"x\", \"y\"}\n"
                           "}\n";

static struct conf_node node(const char *name, const char *title, unsigned line)
{
    struct conf_node made = {.name = str_from(name), .place = {"f", line}};
    made.title.text = str_from(title);
    return made;
}

static char *replaced(const char *name, const char *title, unsigned line, const char *with)
{
    struct config_text edit;
    struct conf_node wanted = node(name, title, line);
    size_t from = 0, to = 0;

    config_text_init(&edit, str_from(text));
    ck_assert(config_text_block(&edit, &wanted, &from, &to));
    config_text_replace(&edit, from, to, strdup(with));
    return config_text_end(&edit);
}

START_TEST(blocks_are_found)
{
    char *out = replaced("server", "a", 3, "A");
    ck_assert_ptr_nonnull(strstr(out, "{\n  A  # one\n  server \"b\""));
    free(out);
    out = replaced("server", "b", 4, "B");
    ck_assert_ptr_nonnull(strstr(out, "# one\n  B\n  key"));
    free(out);
    out = replaced("pool", "p", 2, "P");
    ck_assert_str_eq(out, "# server \"b\" { }\nP\n");
    free(out);
}
END_TEST

START_TEST(absent_blocks_are_not)
{
    struct config_text edit;
    struct conf_node wanted = node("server", "c", 1);
    size_t from = 0, to = 0;
    config_text_init(&edit, str_from(text));
    ck_assert(!config_text_block(&edit, &wanted, &from, &to));
    char *out = config_text_end(&edit);
    ck_assert_str_eq(out, text);
    free(out);
}
END_TEST

START_TEST(secrets_are_masked)
{
    struct config_text edit;
    struct conf_node key = node("key", NULL, 7), keys = node("keys", NULL, 7);
    config_text_init(&edit, str_from(text));
    config_text_mask(&edit, &key);
    config_text_mask(&edit, &keys);
    char *out = config_text_end(&edit);
    ck_assert_ptr_null(strstr(out, "hunter2"));
    ck_assert_ptr_nonnull(strstr(out, "  key = \"***\"  keys = \"***\"\n}"));
    free(out);
}
END_TEST

START_TEST(values_are_set)
{
    static const char from[] = "include \"../x.conf\"\n"
                               "ca = '../ca'  # ca = \"no\"\n"
                               "bind = { # \"no\"\n"
                               "  \"a\", 'b' /* , */, unix:c }\n";
    struct config_text edit;
    struct conf_node one = node("ca", "", 2), list = node("bind", "", 3);

    config_text_init(&edit, str_from(from));
    list.is_list = true;
    config_text_include(&edit, 1, STR("/y.conf"));
    config_text_set(&edit, &one, 0, STR("/$a\"b"));
    config_text_set(&edit, &list, 1, STR("B"));
    config_text_set(&edit, &list, 2, STR("unix:/c"));
    char *out = config_text_end(&edit);
    ck_assert_str_eq(out, "include \"/y.conf\"\n"
                          "ca = \"/\\$a\\\"b\"  # ca = \"no\"\n"
                          "bind = { # \"no\"\n"
                          "  \"a\", \"B\" /* , */, \"unix:/c\" }\n");
    free(out);
}
END_TEST

static Suite *config_text_suite(void)
{
    Suite *suite = suite_create("config_text");
    TCase *tcase = tcase_create("config_text");
    tcase_add_test(tcase, blocks_are_found);
    tcase_add_test(tcase, absent_blocks_are_not);
    tcase_add_test(tcase, secrets_are_masked);
    tcase_add_test(tcase, values_are_set);
    suite_add_tcase(suite, tcase);
    return suite;
}
UNIT_SUITE(config_text_suite);
