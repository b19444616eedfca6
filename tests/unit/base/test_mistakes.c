/* SPDX-License-Identifier: MIT */
/* Mistakes: their form, and their bound. */
#include "runner.h"

#include "base/mistakes.h"

UNIT_TEST(file_line_text)
{
    struct mistakes mistakes = {0};

    mistakes_add(&mistakes, (struct place){"/etc/weir.conf", 7}, "`%s` is wrong", "x");
    mistakes_add(&mistakes, (struct place){"/etc/weir.conf", 0}, "cannot be read");
    mistakes_add(&mistakes, (struct place){NULL, 3}, "nowhere: 100%%");
    ck_assert_uint_eq(mistakes.count, 3);
    ck_assert_str_eq(mistakes.texts[0], "/etc/weir.conf:7: `x` is wrong");
    ck_assert_str_eq(mistakes.texts[1], "/etc/weir.conf: cannot be read");
    ck_assert_str_eq(mistakes.texts[2], "nowhere: 100%");
    mistakes_free(&mistakes);
    ck_assert_uint_eq(mistakes.count, 0);
    ck_assert_ptr_null(mistakes.texts);
}

/* What is quoted from a file may be anything. */
UNIT_TEST(one_line_each)
{
    struct mistakes mistakes = {0};

    mistakes_add(&mistakes, (struct place){"f", 1}, "\"%s\" is no port", "8\n0\x1b[2J\x7f\xc3\xa4");
    ck_assert_str_eq(mistakes.texts[0], "f:1: \"8\\x0a0\\x1b[2J\\x7f\xc3\xa4\" is no port");
    mistakes_free(&mistakes);
}

UNIT_TEST(there_is_an_end)
{
    struct mistakes mistakes = {0};

    for (int i = 0; i < 5000; i++) {
        mistakes_add(&mistakes, (struct place){"f", 1}, "mistake %d", i);
    }
    ck_assert_uint_eq(mistakes.count, 1001);
    ck_assert_str_eq(mistakes.texts[999], "f:1: mistake 999");
    ck_assert_ptr_nonnull(strstr(mistakes.texts[1000], "more than 1000 mistakes"));
    mistakes_free(&mistakes);
}
