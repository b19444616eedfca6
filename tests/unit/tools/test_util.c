/* SPDX-License-Identifier: MIT */
/* Growing text, encoding, the nearest word, addresses of Weir. */
#include "runner.h"

#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "util.h"

UNIT_TEST(text_grows)
{
    struct text text = {0};
    ck_assert_str_eq(text_get(&text), "");
    for (int i = 0; i < 1000; i++) {
        text_printf(&text, "%d,", i);
    }
    ck_assert_uint_eq(text.len, 3890);
    ck_assert_str_eq(text.data + text.len - 4, "999,");
    text_clear(&text);
    text_encode(&text, "a b/\xc3\xa4?%~-._");
    ck_assert_str_eq(text_get(&text), "a%20b%2F%C3%A4%3F%25~-._");
    text_clear(&text);
}

UNIT_TEST(the_nearest_word_is_found_or_none)
{
    static const char *const words[] = {"servers", "server add", "status", "pools", "undo"};
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"sevrers", "servers"},
        {"stats", "status"},
        {"pool", "pools"},
        {"serv", "servers"},
        {"udno", "undo"},
        {"x", NULL},
        {"banana", NULL},
        {"POOLS", "pools"},
        {"server ad", "server add"},
        {"a word that is so long that nothing can be near to it, ever", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *found = nearest_word(cases[i].word, words, 5);
        ck_assert_msg((found == NULL) == (cases[i].nearest == NULL) &&
                          (found == NULL || strcmp(found, cases[i].nearest) == 0),
                      "%s: %s", cases[i].word, found != NULL ? found : "none");
    }
}

UNIT_TEST(urls_are_taken_apart)
{
    static const struct {
        const char *url, *host, *base;
    } cases[] = {
        {"http://a", "a", "http://a"},
        {"https://a.example/", "a.example", "https://a.example"},
        {"http://127.0.0.1:9000", "127.0.0.1", "http://127.0.0.1:9000"},
        {"https://[::1]:9000/admin/", "::1", "https://[::1]:9000/admin"},
        {"http://[::1]", "::1", "http://[::1]"},
    };
    char error[4600];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct endpoint endpoint = {0};
        ck_assert_msg(endpoint_from_url(&endpoint, cases[i].url, error, sizeof(error)), "%s",
                      error);
        ck_assert_str_eq(endpoint.host, cases[i].host);
        ck_assert_str_eq(endpoint.url, cases[i].base);
        endpoint_clear(&endpoint);
    }
}

UNIT_TEST(wrong_urls_are_refused)
{
    static const char *const urls[] = {
        "",
        "a",
        "ftp://a",
        "http://",
        "http://:80",
        "http://a:",
        "http://a:0x1",
        "http://a:65536",
        "http://a:123456",
        "http://u:p@a",
        "http://[::1",
        "http://[]",
        "http://[::1]x",
        "http://a/?q",
        "http://a/#f",
        "http://a/ b",
        "http://a\r\nX: y",
        "unix:",
    };
    char error[4600];
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct endpoint endpoint = {0};
        ck_assert_msg(!endpoint_from_url(&endpoint, urls[i], error, sizeof(error)), "%s", urls[i]);
        ck_assert_uint_gt(strlen(error), 0);
        endpoint_clear(&endpoint);
    }
    char path[200];
    struct endpoint endpoint = {0};
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    ck_assert(!endpoint_from_socket(&endpoint, path, error, sizeof(error)));
}
