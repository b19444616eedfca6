/* SPDX-License-Identifier: MIT */
/* Tables, widths, durations; what could command a terminal is taken out. */
#include "runner.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

UNIT_TEST(control_characters_go)
{
    struct text text = {0};
    setlocale(LC_CTYPE, "C.UTF-8");
    text_clean(&text, "a\033[31mb\tc\r\n\x7f\xc2\x9b"
                      "d\xff\xc3\xa4\xe2\x82\xac");
    ck_assert_str_eq(text_get(&text), "a?[31mb?c????d?\xc3\xa4\xe2\x82\xac");
    text_clear(&text);
    ck_assert_uint_eq(display_width("\xc3\xa4\xe6\xbc\xa2"
                                    "a"),
                      4);
}

UNIT_TEST(tables_are_aligned)
{
    static const struct column columns[] = {{"NAME", SHOW_TEXT, NULL, NULL},
                                            {"N", SHOW_COUNT, NULL, NULL},
                                            {"WHY", SHOW_TEXT, NULL, NULL}};
    struct text text = {0};
    struct table *table = table_new(columns, 3);
    setlocale(LC_CTYPE, "C.UTF-8");
    table_add(table, PLAIN, "\xc3\xa4\xc3\xb6");
    table_number(table, 5, 0);
    table_add(table, RED, "a long reason that is cut");
    table_add(table, PLAIN, "abcdef");
    table_number(table, 1234.56, 1);
    table_add(table, PLAIN, "%s", "");
    table_render(table, false, 0, &text);
    ck_assert_str_eq(text_get(&text), "NAME         N  WHY\n"
                                      "\xc3\xa4\xc3\xb6           5  a long reason that is cut\n"
                                      "abcdef  1234.6  -\n");
    text_clear(&text);
    table_render(table, true, 24, &text);
    ck_assert_ptr_nonnull(strstr(text_get(&text), "\033[31ma long r\033[0m\n"));
    text_clear(&text);
    table_free(&table);
}

UNIT_TEST(numbers_are_short)
{
    static const struct column columns[] = {{"A", SHOW_COUNT, NULL, NULL},
                                            {"B", SHOW_COUNT, NULL, NULL},
                                            {"C", SHOW_COUNT, NULL, NULL},
                                            {"D", SHOW_COUNT, NULL, NULL}};
    struct text text = {0};
    struct table *table = table_new(columns, 4);
    table_ms(table, 0.1234);
    table_ms(table, 12.34);
    table_ms(table, 1234.5);
    table_ms(table, (double)NAN);
    table_bytes(table, 1023);
    table_bytes(table, 1536);
    table_bytes(table, 5e9);
    table_bytes(table, (double)INFINITY);
    table_render(table, false, 0, &text);
    ck_assert_ptr_nonnull(strstr(text_get(&text), "0.12  12.3  1234  -\n"));
    ck_assert_ptr_nonnull(strstr(text_get(&text), "1023  1.5k  4.7G  -\n"));
    text_clear(&text);
    table_free(&table);
}

UNIT_TEST(durations_are_in_words)
{
    static const struct {
        double ms;
        const char *text;
    } cases[] = {
        {0, "0ms"},
        {350, "350ms"},
        {-5, "0s"},
        {12000, "12s"},
        {200000, "3m 20s"},
        {18420000, "5h 7m"},
        {1047600000.0, "12d 3h"},
        {1e300, "-"},
    };
    char out[VALUE_SIZE];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_str_eq(show_duration(out, cases[i].ms), cases[i].text);
    }
    ck_assert_str_eq(show_duration(out, (double)NAN), "-");
    ck_assert_str_eq(show_time(out, (double)NAN), "-");
    ck_assert_str_eq(show_time(out, 1e300), "1970-01-01 00:00:00");
}

static void in_utc(void)
{
    setenv("TZ", "UTC", 1);
}

UNIT_FIXTURE(in_utc, NULL);
