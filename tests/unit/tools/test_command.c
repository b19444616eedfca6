/* SPDX-License-Identifier: MIT */
/* The command table: each row is whole, none hides another, and no option is named twice. */
#include "runner.h"

#include <string.h>

#include "command.h"

static size_t words_in(const char *text)
{
    size_t count = 1;
    for (; *text != '\0'; text++) {
        count += *text == ' ';
    }
    return count;
}

UNIT_TEST(rows_are_whole)
{
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        ck_assert_msg(c->run != NULL && strlen(c->summary) > 5, "%s", c->name);
        ck_assert_msg(words_in(c->name) <= 2, "%s", c->name);
        ck_assert_msg(c->minimum <= c->maximum && c->maximum <= CALL_WORDS, "%s", c->name);
        ck_assert_msg((c->maximum == 0) == (*c->arguments == '\0'), "%s", c->name);
        ck_assert_msg(c->summary[strlen(c->summary) - 1] != '.', "%s", c->name);
        for (size_t j = 0; j < i; j++) {
            ck_assert_str_ne(c->name, commands[j].name);
        }
    }
}

UNIT_TEST(each_command_is_found)
{
    for (size_t i = 0; i < command_count; i++) {
        char name[64];
        const char *words[2] = {name, NULL};
        size_t used = 0;
        size_t count = words_in(commands[i].name);
        strcpy(name, commands[i].name);
        if (count == 2) {
            char *space = strchr(name, ' ');
            *space = '\0';
            words[1] = space + 1;
        }
        ck_assert_ptr_eq(find_command(words, count, &used), &commands[i]);
        ck_assert_uint_eq(used, count);
    }
    const char *unknown[] = {"server", "nothing"};
    size_t used = 0;
    ck_assert_ptr_null(find_command(unknown, 2, &used));
    ck_assert_ptr_null(find_command(unknown, 1, &used));
    ck_assert_ptr_null(find_command(unknown, 0, &used));
}

UNIT_TEST(options_are_apart)
{
    for (size_t i = 0; i < command_count; i++) {
        const struct option_row *rows = commands[i].options;
        for (size_t j = 0; rows != NULL && rows[j].name != NULL; j++) {
            ck_assert_msg(rows[j].document != NULL, "%s --%s", commands[i].name, rows[j].name);
            ck_assert_msg((rows[j].value == NULL) == (rows[j].kind == WORD_NONE), "%s --%s",
                          commands[i].name, rows[j].name);
            for (size_t k = 0; k < j; k++) {
                ck_assert_str_ne(rows[j].name, rows[k].name);
            }
        }
    }
}
