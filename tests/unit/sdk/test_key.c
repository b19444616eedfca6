/* SPDX-License-Identifier: MIT */
/*
 * key.h: what tells requests apart.
 */
#include "runner.h"

#include <weir/key.h>

#include "mock_module.h"

UNIT_TEST(keys_are_read)
{
    static const struct {
        const char *text;
        enum weir_key_kind kind;
        const char *name;
    } good[] = {{"address", WEIR_KEY_ADDRESS, ""},
                {"path", WEIR_KEY_PATH, ""},
                {"header:X-User", WEIR_KEY_HEADER, "X-User"},
                {"cookie:id", WEIR_KEY_COOKIE, "id"},
                {"query:a:b", WEIR_KEY_QUERY, "a:b"}};
    static const char *const bad[] = {"",        "addr",       "header",  "header:", "header:a b",
                                      "cookie:", "cookie:a;b", "query:",  "path:",   "address:x",
                                      "Path",    ":x",         "pathname"};
    struct weir_key key;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert(weir_key_parse(weir_str_of(good[i].text), &key));
        ck_assert(key.kind == good[i].kind && weir_str_is(key.name, good[i].name));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!weir_key_parse(weir_str_of(bad[i]), &key), "%s", bad[i]);
    }
    ck_assert(!weir_key_parse((struct weir_str){NULL, 0}, &key));
}

static void expect(const struct weir_request *req, const char *key_text, const char *value)
{
    struct weir_key key;
    struct weir_str got;

    ck_assert(weir_key_parse(weir_str_of(key_text), &key));
    ck_assert_msg(weir_request_key(req, &key, &got) == (value[0] != '\0'), "%s", key_text);
    ck_assert_msg(weir_str_is(got, value), "%s: %.*s", key_text, (int)got.len, got.ptr);
}

UNIT_TEST(requests_have_keys)
{
    struct weir_test *host = mock_host();
    struct weir_request *req =
        weir_test_request(host, "GET", "/a/b?x=1&id=7%20&id=8&empty=&none&=odd&idx=9");

    weir_test_request_add(req, "X-User", "me");
    weir_test_request_add(req, "Cookie", "a=1; id=77; empty=");
    expect(req, "address", "192.0.2.1");
    expect(req, "path", "/a/b");
    expect(req, "query:id", "7%20");
    expect(req, "query:x", "1");
    expect(req, "query:idx", "9");
    expect(req, "query:empty", "");
    expect(req, "query:none", "");
    expect(req, "query:i", "");
    expect(req, "header:x-user", "me");
    expect(req, "header:X-Other", "");
    expect(req, "cookie:id", "77");
    expect(req, "cookie:empty", "");
    weir_test_request_set_peer(req, "::ffff:198.51.100.7", 1);
    expect(req, "address", "198.51.100.7");
    weir_test_request_set_peer(req, "::ffff:1", 1);
    expect(req, "address", "::ffff:1");
    weir_test_request_set_peer(req, "unix", 0);
    expect(req, "address", "unix");
    ck_assert(weir_test_free(&host));
}
