/* SPDX-License-Identifier: MIT */
/*
 * Option tables that a module got wrong are found when it is loaded, not when they do damage.
 */
#include <check.h>

#include "option/option_table.h"
#include "runner.h"

struct conf {
    struct weir_str name;
    struct weir_list list;
    int64_t number;
    bool flag;
};

static const char *const words[] = {"one", "two", NULL};

static const struct weir_option good[] = {
    WEIR_OPTION(struct conf, name, STRING, "weir session", WEIR_CONTEXT_POOL, 0, "A name."),
    WEIR_OPTION_LIST(struct conf, list, STRING, "{\"a\"}", WEIR_CONTEXT_POOL, 0, "A list."),
    WEIR_OPTION_RANGE(struct conf, number, INTEGER, "3", "1", "9", WEIR_CONTEXT_POOL, 0, "Some."),
    WEIR_OPTION(struct conf, flag, BOOLEAN, "off", WEIR_CONTEXT_POOL, 0, "A flag."),
};

static char error[512];

/* The good table with row 2 replaced. */
static bool check_with(struct weir_option row)
{
    struct weir_option rows[4];
    memcpy(rows, good, sizeof(rows));
    rows[2] = row;
    const struct weir_options table = WEIR_OPTIONS(struct conf, rows);
    return option_table_check(&table, error, sizeof(error));
}

UNIT_TEST(a_good_table_passes)
{
    ck_assert_msg(check_with(good[2]), "%s", error);
}

UNIT_TEST(wrong_rows_are_named)
{
    static const struct {
        const char *expected;
        struct weir_option row;
    } cases[] = {
        {"no legal name", {.name = NULL, .type = WEIR_TYPE_INTEGER}},
        {"no legal name", {.name = "Number", .type = WEIR_TYPE_INTEGER}},
        {"stands twice", {.name = "name", .type = WEIR_TYPE_INTEGER}},
        {"unknown type", {.name = "number", .type = (enum weir_option_type)99}},
        {"within the option struct",
         {.name = "number", .type = WEIR_TYPE_INTEGER, .offset = sizeof(struct conf)}},
        {"within the option struct",
         {.name = "number", .type = WEIR_TYPE_INTEGER, .offset = UINT32_MAX - 3}},
        {"within the option struct",
         {.name = "number", .type = WEIR_TYPE_INTEGER, .offset = sizeof(struct conf) - 4}},
        {"within the option struct", {.name = "number", .type = WEIR_TYPE_INTEGER, .offset = 1}},
        {"no words", {.name = "number", .type = WEIR_TYPE_ENUM}},
        {"list of no scalar",
         {.name = "number", .type = WEIR_TYPE_LIST, .element = WEIR_TYPE_LIST}},
        {"may stand nowhere", {.name = "number", .type = WEIR_TYPE_INTEGER}},
        {"no document", {.name = "number", .type = WEIR_TYPE_INTEGER, .contexts = 1}},
        {"yet has a default",
         {.name = "number",
          .type = WEIR_TYPE_INTEGER,
          .contexts = 1,
          .flags = WEIR_OPTION_REQUIRED,
          .fallback = "1",
          .document = "x"}},
        {"wrong default",
         {.name = "number",
          .type = WEIR_TYPE_INTEGER,
          .contexts = 1,
          .fallback = "ten",
          .document = "x"}},
        {"wrong default",
         {.name = "number",
          .type = WEIR_TYPE_ENUM,
          .contexts = 1,
          .names = words,
          .fallback = "three",
          .document = "x"}},
        {"below the minimum",
         {.name = "number",
          .type = WEIR_TYPE_INTEGER,
          .contexts = 1,
          .fallback = "1",
          .minimum = "2",
          .document = "x"}},
        {"limit",
         {.name = "number",
          .type = WEIR_TYPE_DURATION,
          .contexts = 1,
          .maximum = "soon",
          .document = "x"}},
        {"block without a table",
         {.name = "number", .type = WEIR_TYPE_BLOCK, .contexts = 1, .document = "x"}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(!check_with(cases[i].row), "case %zu passed", i);
        ck_assert_msg(strstr(error, cases[i].expected) != NULL, "case %zu: %s", i, error);
    }
}

UNIT_TEST(wrong_tables_are_refused)
{
    struct weir_options table = WEIR_OPTIONS(struct conf, good);
    table.option_size = 8;
    ck_assert(!option_table_check(&table, error, sizeof(error)));
    table.option_size = sizeof(struct weir_option);
    table.title_offset = sizeof(struct conf) - 4;
    ck_assert(!option_table_check(&table, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "title"));
    table.title_offset = WEIR_NO_TITLE;
    table.rows = NULL;
    ck_assert(!option_table_check(&table, error, sizeof(error)));
}

/* A table that contains itself would be walked for ever. */
static const struct weir_options endless;
static const struct weir_option endless_rows[] = {
    WEIR_OPTION_BLOCK(struct conf, list, "again", &endless, WEIR_CONTEXT_POOL, 0, "Again."),
};
static const struct weir_options endless = WEIR_OPTIONS(struct conf, endless_rows);

UNIT_TEST(a_table_that_contains_itself_is_refused)
{
    ck_assert(!option_table_check(&endless, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "nested"));
}
