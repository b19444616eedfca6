/* SPDX-License-Identifier: MIT */
/* UTF-8: the table of RFC 3629 section 4, and what is made of all else. */
#include "base/utf8.h"
#include "runner.h"

#include <stdlib.h>

#include <weir/text.h>

static const struct {
    const char *text;
    const char *repaired; /* NULL: it is right as it is */
} rows[] = {
    {"", NULL},
    {"plain", NULL},
    {"gr\xc3\xbc\xc3\x9f", NULL},
    {"\xe2\x82\xac", NULL},
    {"\xed\x9f\xbf\xee\x80\x80", NULL}, /* around the surrogates */
    {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", NULL},
    {"\xff", "\xef\xbf\xbd"},
    {"a\x80z", "a\xef\xbf\xbdz"},
    {"\xc3", "\xef\xbf\xbd"},                                                 /* cut */
    {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},                                 /* cut */
    {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},                                 /* a long form */
    {"\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                 /* a long form */
    {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                 /* a surrogate */
    {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* above U+10FFFF */
    {"\xc3\xc3\xbc", "\xef\xbf\xbd\xc3\xbc"},
};

UNIT_LOOP_TEST(repairs, ARRAY_COUNT(rows))
{
    bool good = rows[_i].repaired == NULL;
    char *text = utf8_repair(base_strdup(rows[_i].text));

    ck_assert_int_eq(weir_str_is_utf8(str_from(rows[_i].text)), good);
    ck_assert_str_eq(text, good ? rows[_i].text : rows[_i].repaired);
    ck_assert(weir_str_is_utf8(str_from(text)));
    free(text);
}
