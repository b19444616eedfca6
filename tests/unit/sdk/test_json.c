/* SPDX-License-Identifier: MIT */
/*
 * json.h: buffers, escaping, and JSON as it is written.
 */
#include "runner.h"

#include <weir/json.h>

static void expect_text(const char *text, size_t len, enum weir_escape how, size_t limit,
                        const char *out)
{
    struct weir_buffer buffer = {0};
    weir_buffer_escaped(&buffer, (struct weir_str){text, len}, how, limit);
    weir_buffer_byte(&buffer, '\0');
    ck_assert_str_eq(buffer.data, out);
    weir_buffer_free(&buffer);
}

UNIT_TEST(text_is_escaped)
{
    static const struct {
        const char *in;
        const char *quoted;
        const char *json;
    } rows[] = {
        {"plain ~", "plain ~", "plain ~"},
        {"a\"b\\c", "a\\\"b\\\\c", "a\\\"b\\\\c"},
        {"\r\n\t\x1b\x7f", "\\x0d\\x0a\\x09\\x1b\\x7f", "\\u000d\\u000a\\u0009\\u001b\\u007f"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
         "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xff\xfe", "\\xff\\xfe", "\\u00ff\\u00fe"},
        {"\xc3", "\\xc3", "\\u00c3"},                                 /* cut sequence */
        {"\xc3(", "\\xc3(", "\\u00c3("},                              /* wrong second byte */
        {"\xc0\xaf", "\\xc0\\xaf", "\\u00c0\\u00af"},                 /* overlong */
        {"\xe0\x80\x80", "\\xe0\\x80\\x80", "\\u00e0\\u0080\\u0080"}, /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80", "\\u00ed\\u00a0\\u0080"}, /* surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\u00f4\\u0090\\u0080\\u0080"},
        {"\xc2\x9b", "\\xc2\\x9b", "\\u00c2\\u009b"}, /* a terminal's control sequence */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_text(rows[i].in, strlen(rows[i].in), WEIR_ESCAPE_QUOTED, 100, rows[i].quoted);
        expect_text(rows[i].in, strlen(rows[i].in), WEIR_ESCAPE_JSON_BYTES, 100, rows[i].json);
    }
    expect_text("a b", 3, WEIR_ESCAPE_WORD, 100, "a\\x20b");
    expect_text("a\0b", 3, WEIR_ESCAPE_QUOTED, 100, "a\\x00b");
    expect_text("", 0, WEIR_ESCAPE_QUOTED, 100, "");
    /* Where bytes that are no text are replaced; C1 controls pass, since no terminal reads them. */
    expect_text("a\xff\xc3\"\x7f\n", 6, WEIR_ESCAPE_JSON, 100,
                "a\xef\xbf\xbd\xef\xbf\xbd\\\"\\u007f\\u000a");
    expect_text("a\xff\"\\\n\t", 6, WEIR_ESCAPE_LABEL, 100, "a\xef\xbf\xbd\\\"\\\\\\n\t");
}

UNIT_TEST(text_is_cut)
{
    expect_text("1234567890", 10, WEIR_ESCAPE_QUOTED, 10, "1234567890");
    expect_text("12345678901", 11, WEIR_ESCAPE_QUOTED, 10, "1234567...");
    expect_text("123456\n\n", 8, WEIR_ESCAPE_QUOTED, 10, "123456..."); /* never inside an escape */
    expect_text("12345\n", 6, WEIR_ESCAPE_QUOTED, 10, "12345\\x0a");
    expect_text("123456\xe2\x82\xac\xe2\x82\xac", 12, WEIR_ESCAPE_QUOTED, 10, "123456...");
    expect_text("\n\n", 2, WEIR_ESCAPE_JSON_BYTES, 6, "...");
}

static void expect_real(double number, const char *out)
{
    struct weir_buffer buffer = {0};
    weir_buffer_real(&buffer, number);
    weir_buffer_byte(&buffer, '\0');
    ck_assert_str_eq(buffer.data, out);
    weir_buffer_free(&buffer);
}

UNIT_TEST(reals_are_short)
{
    expect_real(0, "0");
    expect_real(12345678901234, "12345678901234");
    expect_real(0.1, "0.1");
    expect_real(-2.5, "-2.5");
    expect_real(1.0 / 3, "0.3333333333333333");
    expect_real(1e300, "1e+300");
}

UNIT_TEST(values_have_their_commas)
{
    struct weir_buffer buffer = {0};
    struct weir_json json = {&buffer, false};

    weir_json_open(&json, NULL, '{');
    weir_json_text(&json, "name", "a \"b\"");
    weir_json_text(&json, "none", NULL);
    weir_json_open(&json, "list", '[');
    weir_json_number(&json, NULL, UINT64_MAX);
    weir_json_real(&json, NULL, 0.25);
    weir_json_real(&json, NULL, 1e308 * 10);
    weir_json_open(&json, NULL, '{');
    weir_json_close(&json, '}');
    weir_json_close(&json, ']');
    weir_json_key(&json, weir_str_of("a\nkey"));
    weir_json_bool(&json, NULL, true);
    weir_json_raw(&json, "raw", weir_str_of("[1]"));
    weir_json_close(&json, '}');
    weir_buffer_byte(&buffer, '\0');
    ck_assert_str_eq(buffer.data, "{\"name\":\"a \\\"b\\\"\",\"none\":null,"
                                  "\"list\":[18446744073709551615,0.25,null,{}],"
                                  "\"a\\u000akey\":true,\"raw\":[1]}");
    weir_buffer_free(&buffer);
}

UNIT_TEST(fixed_buffers_take_what_fits)
{
    char room[8];
    struct weir_buffer buffer = {room, 0, sizeof(room), true, false};

    weir_buffer_text(&buffer, "12345");
    weir_buffer_text(&buffer, "6789");
    ck_assert(buffer.failed);
    weir_buffer_text(&buffer, "6"); /* nothing more: a text has no holes */
    ck_assert(weir_str_is(weir_buffer_str(&buffer), "12345"));
    weir_buffer_free(&buffer);
    ck_assert_uint_eq(buffer.len, 0);
}
