/* SPDX-License-Identifier: MIT */
/*
 * Values as users write them: what each type takes, what it refuses, and what it says then.
 */
#include <check.h>
#include <stdlib.h>

#include "option/option_value.h"
#include "runner.h"

/* As in a configuration, what was parsed lives until the end. */
static void *kept[64];
static size_t kept_count;

static void *test_alloc(struct option_alloc *alloc, size_t len)
{
    (void)alloc;
    ck_assert_uint_lt(kept_count, sizeof(kept) / sizeof(kept[0]));
    return kept[kept_count++] = malloc(len);
}

static void free_kept(void)
{
    while (kept_count > 0) {
        free(kept[--kept_count]);
    }
}

static void *failing_alloc(struct option_alloc *alloc, size_t len)
{
    (void)alloc;
    (void)len;
    return NULL;
}

static char error[OPTION_ERROR_SIZE];

static bool parse_row(const struct weir_option *row, const char *text, void *field)
{
    struct option_alloc alloc = {test_alloc};
    error[0] = '\0';
    return option_value_parse(row, row->type, text, strlen(text), false, field, &alloc, error,
                              sizeof(error));
}

static bool parse(enum weir_option_type type, const char *text, void *field)
{
    struct weir_option row = {.name = "x", .type = type};
    return parse_row(&row, text, field);
}

struct natural_case {
    const char *text;
    uint64_t value;
};

UNIT_TEST(durations_are_nanoseconds)
{
    static const struct natural_case cases[] = {
        {"0", 0},
        {"0.0", 0},
        {"0s", 0},
        {"1ns", 1},
        {"1us", 1000},
        {"250ms", 250000000},
        {"2s", 2000000000},
        {"1.5m", UINT64_C(90000000000)},
        {"1h", UINT64_C(3600000000000)},
        {"1d", UINT64_C(86400000000000)},
        {"0.000000001s", 1},
        {"0.1d", UINT64_C(8640000000000)},
        {"213503d", UINT64_C(213503) * UINT64_C(86400000000000)},
        {"18446744073709551615ns", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 77;
        ck_assert_msg(parse(WEIR_TYPE_DURATION, cases[i].text, &value), "%s: %s", cases[i].text,
                      error);
        ck_assert_uint_eq(value, cases[i].value);
    }
}

UNIT_TEST(wrong_durations_are_refused)
{
    static const char *const cases[] = {
        "10x",
        "s",
        "-1s",
        "1 s",
        "1.s",
        ".5s",
        "1h30m",
        "213504d",
        "0.5ns",
        "1.0000000001s",
        "18446744073709551616ns",
        "1e3s",
        "1S",
        "10",
        "1,5s",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 77;
        ck_assert_msg(!parse(WEIR_TYPE_DURATION, cases[i], &value), "%s was taken", cases[i]);
        ck_assert_uint_eq(value, 77);
        ck_assert_ptr_nonnull(strstr(error, cases[i]));
    }
}

UNIT_TEST(messages_say_what_would_be_right)
{
    uint64_t value;
    struct weir_option minimum = {.name = "x", .type = WEIR_TYPE_INTEGER, .minimum = "1"};
    struct weir_option maximum = {.name = "x", .type = WEIR_TYPE_SIZE, .maximum = "16k"};

    ck_assert(!parse(WEIR_TYPE_DURATION, "10x", &value));
    ck_assert_str_eq(error, "`10x` is not a duration; write for example 250ms, 2s, 1m or 1h");
    ck_assert(!parse(WEIR_TYPE_DURATION, "10", &value));
    ck_assert_str_eq(error, "`10` has no unit; write for example 250ms, 2s, 1m or 1h");
    ck_assert(!parse_row(&minimum, "0", &value));
    ck_assert_str_eq(error, "0 is below the minimum of 1");
    ck_assert(!parse_row(&maximum, "17k", &value));
    ck_assert_str_eq(error, "17k is above the maximum of 16k");
    ck_assert(!parse(WEIR_TYPE_PERCENTAGE, "20", &value));
    ck_assert_str_eq(error, "`20` has no % sign; write for example 20%");
    ck_assert(!parse(WEIR_TYPE_BOOLEAN, "enabled", &value));
    ck_assert_str_eq(error, "`enabled` is neither on nor off");
    ck_assert(!parse(WEIR_TYPE_INTEGER, "", &value));
    ck_assert_str_eq(error, "a value is missing: a whole number must stand here");
}

UNIT_TEST(sizes_are_bytes)
{
    static const struct natural_case cases[] = {
        {"0", 0},
        {"512", 512},
        {"16k", 16384},
        {"16K", 16384},
        {"1m", 1048576},
        {"1.5k", 1536},
        {"2g", UINT64_C(2147483648)},
        {"1t", UINT64_C(1) << 40},
        {"18446744073709551615", UINT64_MAX},
    };
    static const char *const wrong[] = {
        "k", "-1", "1kb", "1.1k", "16777216t", "18446744073709551616", "0x10", "1 k", "0.5",
    };
    uint64_t value = 77;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(parse(WEIR_TYPE_SIZE, cases[i].text, &value), "%s", error);
        ck_assert_uint_eq(value, cases[i].value);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ck_assert_msg(!parse(WEIR_TYPE_SIZE, wrong[i], &value), "%s was taken", wrong[i]);
    }
}

UNIT_TEST(whole_numbers)
{
    static const char *const wrong[] = {
        "1.5",  "1.0",
        "0x10", "ten",
        "--1",  "-",
        "+1",   "9223372036854775808",
        "1 2",  "99999999999999999999",
    };
    int64_t value = 77;
    ck_assert(parse(WEIR_TYPE_INTEGER, "0", &value) && value == 0);
    ck_assert(parse(WEIR_TYPE_INTEGER, "-12", &value) && value == -12);
    ck_assert(parse(WEIR_TYPE_INTEGER, "007", &value) && value == 7);
    ck_assert(parse(WEIR_TYPE_INTEGER, "9223372036854775807", &value) && value == INT64_MAX);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ck_assert_msg(!parse(WEIR_TYPE_INTEGER, wrong[i], &value), "%s was taken", wrong[i]);
    }
    ck_assert_int_eq(value, INT64_MAX);
}

UNIT_TEST(reals_and_percentages_are_the_nearest_double)
{
    double value = 0;
    ck_assert(parse(WEIR_TYPE_REAL, "0.1", &value) && value == 0.1);
    ck_assert(parse(WEIR_TYPE_REAL, "-2.5", &value) && value == -2.5);
    ck_assert(parse(WEIR_TYPE_REAL, "123456.789", &value) && value == 123456.789);
    ck_assert(!parse(WEIR_TYPE_REAL, "1e9", &value));
    ck_assert(!parse(WEIR_TYPE_REAL, "nan", &value));
    ck_assert(!parse(WEIR_TYPE_REAL, "0x1p3", &value));
    ck_assert(!parse(WEIR_TYPE_REAL, "1234567890123456", &value));
    ck_assert(parse(WEIR_TYPE_PERCENTAGE, "20%", &value) && value == 0.2);
    ck_assert(parse(WEIR_TYPE_PERCENTAGE, "0", &value) && value == 0);
    ck_assert(parse(WEIR_TYPE_PERCENTAGE, "12.5%", &value) && value == 0.125);
    ck_assert(parse(WEIR_TYPE_PERCENTAGE, "150%", &value) && value == 1.5);
    ck_assert(!parse(WEIR_TYPE_PERCENTAGE, "20%%", &value));
    ck_assert(!parse(WEIR_TYPE_PERCENTAGE, "-1%", &value));
    ck_assert(!parse(WEIR_TYPE_PERCENTAGE, "%", &value));
}

UNIT_TEST(limits_are_inclusive)
{
    struct weir_option row = {
        .name = "x", .type = WEIR_TYPE_PERCENTAGE, .minimum = "1%", .maximum = "99.5%"};
    struct weir_option length = {
        .name = "x", .type = WEIR_TYPE_STRING, .minimum = "1", .maximum = "3"};
    struct weir_option broken = {.name = "x", .type = WEIR_TYPE_DURATION, .minimum = "soon"};
    struct option_alloc alloc = {test_alloc};
    struct weir_str str;
    double value;
    uint64_t natural;

    ck_assert(parse_row(&row, "1%", &value));
    ck_assert(parse_row(&row, "99.5%", &value));
    ck_assert(!parse_row(&row, "0.9%", &value));
    ck_assert(!parse_row(&row, "99.6%", &value));
    ck_assert(parse_row(&length, "abc", &str));
    ck_assert(!parse_row(&length, "abcd", &str));
    ck_assert_str_eq(error, "`abcd` has 4 bytes, above the maximum of 3");
    ck_assert(!option_value_parse(&length, WEIR_TYPE_STRING, "", 0, true, &str, &alloc, error,
                                  sizeof(error)));
    ck_assert(!parse_row(&broken, "1s", &natural));
    ck_assert_ptr_nonnull(strstr(error, "table"));
}

UNIT_TEST(booleans_are_words)
{
    static const char *const yes[] = {"on", "true", "yes"};
    static const char *const no[] = {"off", "false", "no"};
    bool value;
    for (size_t i = 0; i < 3; i++) {
        value = false;
        ck_assert(parse(WEIR_TYPE_BOOLEAN, yes[i], &value) && value);
        ck_assert(parse(WEIR_TYPE_BOOLEAN, no[i], &value) && !value);
    }
    ck_assert(!parse(WEIR_TYPE_BOOLEAN, "1", &value));
    ck_assert(!parse(WEIR_TYPE_BOOLEAN, "ON", &value));
    ck_assert(!parse(WEIR_TYPE_BOOLEAN, "offf", &value));
}

UNIT_TEST(words_are_chosen_and_the_nearest_is_told)
{
    static const char *const words[] = {"off", "accept", "require", NULL};
    struct weir_option row = {.name = "x", .type = WEIR_TYPE_ENUM, .names = words};
    int32_t value = 77;

    ck_assert(parse_row(&row, "require", &value));
    ck_assert_int_eq(value, 2);
    ck_assert(!parse_row(&row, "acept", &value));
    ck_assert_str_eq(error, "`acept` is not one of off, accept, require; did you mean `accept`?");
    ck_assert(!parse_row(&row, "never", &value));
    ck_assert_str_eq(error, "`never` is not one of off, accept, require");
    ck_assert_int_eq(value, 2);
}

UNIT_TEST(strings_are_copied_and_ended)
{
    struct weir_option row = {.name = "x", .type = WEIR_TYPE_STRING};
    struct option_alloc alloc = {test_alloc};
    struct option_alloc none = {failing_alloc};
    char text[] = "two words";
    struct weir_str str;

    ck_assert(parse_row(&row, text, &str));
    text[0] = 'X';
    ck_assert_uint_eq(str.len, 9);
    ck_assert_str_eq(str.ptr, "two words");
    ck_assert(!option_value_parse(&row, WEIR_TYPE_STRING, NULL, 0, false, &str, &alloc, error,
                                  sizeof(error)));
    ck_assert(option_value_parse(&row, WEIR_TYPE_STRING, NULL, 0, true, &str, &alloc, error,
                                 sizeof(error)));
    ck_assert_uint_eq(str.len, 0);
    ck_assert_str_eq(str.ptr, "");
    ck_assert(!option_value_parse(&row, WEIR_TYPE_STRING, "a\0b", 3, true, &str, &alloc, error,
                                  sizeof(error)));
    ck_assert(!option_value_parse(&row, WEIR_TYPE_STRING, "a", 1, true, &str, &none, error,
                                  sizeof(error)));
    ck_assert_str_eq(error, "there is no memory left");
}

UNIT_TEST(what_may_not_be_empty_is_refused)
{
    static const uint32_t flags[] = {0, WEIR_OPTION_NOT_EMPTY, WEIR_OPTION_REQUIRED};
    struct option_alloc alloc = {test_alloc};
    struct weir_str str;

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct weir_option row = {.name = "x", .type = WEIR_TYPE_STRING, .flags = flags[i]};
        bool fine = flags[i] == 0;
        ck_assert(option_value_parse(&row, WEIR_TYPE_STRING, "", 0, true, &str, &alloc, error,
                                     sizeof(error)) == fine);
        ck_assert(fine || strncmp(error, "it is empty; write a value", 26) == 0);
        row.type = WEIR_TYPE_LIST;
        row.element = WEIR_TYPE_STRING;
        ck_assert(option_list_check(&row, 0, error, sizeof(error)) == fine);
        ck_assert(fine || strncmp(error, "the list is empty; write at least one value", 43) == 0);
        ck_assert(option_list_check(&row, 1, error, sizeof(error)));
    }
}

UNIT_TEST(secrets_stay_secret)
{
    static const char *const words[] = {"hunter1", NULL};
    static const enum weir_option_type types[] = {
        WEIR_TYPE_STRING,     WEIR_TYPE_INTEGER, WEIR_TYPE_REAL,    WEIR_TYPE_BOOLEAN,
        WEIR_TYPE_DURATION,   WEIR_TYPE_SIZE,    WEIR_TYPE_ADDRESS, WEIR_TYPE_URL,
        WEIR_TYPE_PERCENTAGE, WEIR_TYPE_ENUM};
    union {
        struct weir_url url;
        char bytes[128];
    } field;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct weir_option row = {.name = "x",
                                  .type = types[i],
                                  .names = words,
                                  .minimum = types[i] == WEIR_TYPE_STRING ? "20" : NULL,
                                  .flags = WEIR_OPTION_SECRET};
        ck_assert(!parse_row(&row, "hunter2", &field));
        ck_assert_ptr_null(strstr(error, "hunter"));
    }
    struct weir_option number = {
        .name = "x", .type = WEIR_TYPE_INTEGER, .maximum = "5", .flags = WEIR_OPTION_SECRET};
    ck_assert(!parse_row(&number, "31337", &field));
    ck_assert_ptr_null(strstr(error, "31337"));
}

UNIT_TEST(shown_text_is_printable_and_short)
{
    char shown[80];
    char text[400];

    option_show(shown, sizeof(shown), "a\nb\x7f", 4);
    ck_assert_str_eq(shown, "`a?b?`");
    /* No cut through a character of two bytes. */
    for (size_t i = 0; i < sizeof(text); i += 2) {
        memcpy(text + i, "\xc3\xa4", 2);
    }
    for (size_t skip = 0; skip < 2; skip++) {
        option_show(shown, sizeof(shown), text + 2 - skip, sizeof(text) - 2);
        text[1] = 'x';
        size_t len = strlen(shown);
        ck_assert_uint_lt(len, sizeof(shown));
        ck_assert_str_eq(shown + len - 4, "...`");
        ck_assert_int_ne((unsigned char)shown[len - 5], 0xc3);
    }
    option_show(shown, 4, "abc", 3);
    ck_assert_str_eq(shown, "");
}

UNIT_TEST(the_nearest_name_is_found)
{
    static const char *const names[] = {"timeout", "interval", "rise", "fall", "least_conn"};
    static const char *const cases[][2] = {
        {"timout", "timeout"},
        {"itnerval", "interval"},
        {"raise", "rise"},
        {"least", "least_conn"},
        {"leastconn", "least_conn"},
        {"falls", "fall"},
        {"x", NULL},
        {"weight", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *near = option_nearest(cases[i][0], strlen(cases[i][0]), names, 5);
        if (cases[i][1] == NULL) {
            ck_assert_msg(near == NULL, "%s: %s", cases[i][0], near);
        } else {
            ck_assert_ptr_nonnull(near);
            ck_assert_str_eq(near, cases[i][1]);
        }
    }
    char long_name[300];
    memset(long_name, 'a', sizeof(long_name));
    ck_assert_ptr_null(option_nearest(long_name, sizeof(long_name), names, 5));
}

UNIT_FIXTURE(NULL, free_kept);
