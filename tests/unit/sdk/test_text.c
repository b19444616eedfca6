/* SPDX-License-Identifier: MIT */
/*
 * text.h: comparing, cutting, lists, weights, UTF-8, base64url.
 */
#include "runner.h"

#include <weir/text.h>

static void expect_str(struct weir_str text, const char *out)
{
    ck_assert_msg(weir_str_is(text, out), "\"%.*s\" for \"%s\"", (int)text.len, text.ptr, out);
}

UNIT_TEST(texts_are_compared)
{
    struct weir_str none = {NULL, 0}, text = weir_str_of("Keep-Alive");

    ck_assert(weir_str_equal(none, weir_str_of("")));
    ck_assert(weir_str_is(none, "") && weir_str_is_nocase(none, "") && weir_str_starts(none, ""));
    ck_assert(weir_str_is_nocase(text, "keep-alive") && !weir_str_is(text, "keep-alive"));
    ck_assert(!weir_str_is_nocase(text, "keep-alive2") && !weir_str_is_nocase(text, "keep"));
    ck_assert(weir_str_starts(text, "Keep") && !weir_str_starts(text, "keep"));
    ck_assert(weir_str_ends(text, "Alive") && !weir_str_ends(text, "a Keep-Alive"));
    ck_assert(weir_bytes_equal_secret("abc", "abc", 3) &&
              !weir_bytes_equal_secret("abc", "abd", 3));
}

UNIT_TEST(tokens_are_told)
{
    ck_assert(weir_is_token(weir_str_of("X-Api_Key.1~|`^")));
    ck_assert(!weir_is_token(weir_str_of("")) && !weir_is_token(weir_str_of("a b")));
    ck_assert(!weir_is_token(weir_str_of("a:")) && !weir_is_token(weir_str_of("\xc3\xa9")));
    ck_assert(!weir_is_token((struct weir_str){"a\0", 2}));
    ck_assert_int_eq(weir_hex_digit('f'), 15);
    ck_assert_int_eq(weir_hex_digit('A'), 10);
    ck_assert_int_eq(weir_hex_digit('g'), -1);
}

UNIT_TEST(texts_are_cut)
{
    struct weir_str rest = weir_str_of(" a = 1 ;; b=\"x;y\" ");

    expect_str(weir_str_cut(&rest, ';'), "a = 1");
    expect_str(weir_str_cut(&rest, ';'), "");
    struct weir_str quoted = rest;
    expect_str(weir_str_cut(&rest, ';'), "b=\"x");
    expect_str(weir_str_cut(&rest, ';'), "y\"");
    ck_assert_uint_eq(rest.len, 0);
    expect_str(weir_str_cut(&rest, ';'), "");
    expect_str(weir_str_cut_unquoted(&quoted, ';'), "b=\"x;y\"");
}

UNIT_TEST(lists_are_read)
{
    struct weir_str list = weir_str_of(",, a;x=\"1, \\\" 2\" ,\tb , "), element, name, value;

    ck_assert(weir_list_next(&list, &element));
    expect_str(element, "a;x=\"1, \\\" 2\"");
    expect_str(weir_str_cut_unquoted(&element, ';'), "a");
    ck_assert(weir_list_parameter(&element, &name, &value));
    expect_str(name, "x");
    expect_str(value, "\"1, \\\" 2\"");
    ck_assert(!weir_list_parameter(&element, &name, &value));
    ck_assert(weir_list_next(&list, &element));
    expect_str(element, "b");
    ck_assert(!weir_list_next(&list, &element));
    ck_assert(weir_list_has(weir_str_of("private=\"no-store, b\", No-Transform"), "no-transform"));
    ck_assert(weir_list_has(weir_str_of("max-age = 5"), "max-age"));
    ck_assert(!weir_list_has(weir_str_of("private=\"no-transform, b\""), "no-transform"));
}

UNIT_TEST(weights_are_read)
{
    static const struct {
        const char *parameters;
        int weight;
    } rows[] = {
        {"", 1000},  {"q=1", 1000},  {"q=0.5", 500},   {"a=b; Q = 0.125", 125},
        {"q=0", 0},  {"q=1.001", 0}, {"q=0.1;q=1", 0}, {"q=0.1234", 0},
        {"q=.5", 0}, {"q=", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_int_eq(weir_list_weight(weir_str_of(rows[i].parameters)), rows[i].weight);
    }
    ck_assert_int_eq(weir_weight(weir_str_of("0.")), 0);
    ck_assert_int_eq(weir_weight(weir_str_of("2")), -1);
}

UNIT_TEST(utf8_is_told)
{
    static const char *const bad[] = {
        "\xff", "\xc3", "\xc3(", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\x80"};
    ck_assert(weir_str_is_utf8(weir_str_of("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80")));
    ck_assert(weir_str_is_utf8((struct weir_str){NULL, 0}));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert(!weir_str_is_utf8(weir_str_of(bad[i])));
        ck_assert_uint_eq(weir_utf8_len(weir_str_of(bad[i])), 0);
    }
}

UNIT_TEST(base64_goes_there_and_back)
{
    uint8_t bytes[64], back[64];
    char text[WEIR_BASE64_SIZE(sizeof(bytes))];

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 37 + 11);
    }
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        struct weir_str written = {text, weir_base64_encode(bytes, len, text)};
        ck_assert_uint_eq(written.len, strlen(text));
        ck_assert_uint_lt(written.len, WEIR_BASE64_SIZE(len));
        ck_assert_int_eq(weir_base64_decode(written, back), (ptrdiff_t)len);
        ck_assert_int_eq(memcmp(bytes, back, len), 0);
    }
    weir_base64_encode((const uint8_t *)"\xfb\xff\xfe", 3, text);
    ck_assert_str_eq(text, "-__-");
    ck_assert_int_eq(weir_base64_decode(weir_str_of("ab+d"), back), -1);
    ck_assert_int_eq(weir_base64_decode(weir_str_of("abcde"), back), -1);
    ck_assert_int_eq(weir_base64_decode(weir_str_of("ab"), back), -1); /* bits that say nothing */
}
