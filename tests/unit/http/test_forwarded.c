/* SPDX-License-Identifier: MIT */
/* Elements of Forwarded, addresses of nodes, and what is written. */
#include "http/forwarded.h"
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>

/* All elements as "node/proto" with a blank between; "BAD" where it stops. Reads from memory of
 * exactly that length. */
static const char *elements(const char *text)
{
    static char out[512];
    size_t len = strlen(text);
    char *copy = malloc(len + 1);
    struct weir_str rest = {copy, len};
    struct forwarded_element element;
    enum forwarded_result result;

    memcpy(copy, text, len);
    copy = realloc(copy, len > 0 ? len : 1);
    rest.ptr = copy;
    out[0] = '\0';
    while ((result = forwarded_next(&rest, &element)) == FORWARDED_ELEMENT) {
        size_t at = strlen(out);
        snprintf(out + at, sizeof(out) - at, "%s%.*s/%.*s", at > 0 ? " " : "",
                 STR_ARGS(element.node), STR_ARGS(element.proto));
    }
    if (result == FORWARDED_BAD) {
        strcat(out, out[0] != '\0' ? " BAD" : "BAD");
    }
    free(copy);
    return out;
}

UNIT_TEST(elements_are_read)
{
    static const char *const rows[][2] = {
        {"", ""},
        {" , ,, ", ""},
        {"for=192.0.2.1", "192.0.2.1/"},
        {"For=192.0.2.1;PROTO=http;by=203.0.113.43", "192.0.2.1/http"},
        {"for=192.0.2.43, for=198.51.100.17", "192.0.2.43/ 198.51.100.17/"},
        {"for=a,for=b,,for=c,", "a/ b/ c/"},
        {"for=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711/"},
        {"for=\"a,b;c\";proto=https , for=\"_x\"", "a,b;c/https _x/"},
        {"for=\"a\\\"b\"", "a\\\"b/"},
        {"proto=https", "/https"},
        {"secret=42;for=_hidden", "_hidden/"},
        {"for=a; proto=http ;host=x", "a/http"},
        {"for=a;", "a/"},
        {";for=a", "a/"},
        {"for=a;;proto=b", "a/b"},
        /* malformed */
        {"for", "BAD"},
        {"for=", "BAD"},
        {"=a", "BAD"},
        {"for =a", "BAD"},
        {"for= a", "BAD"},
        {"for=\"a", "BAD"},
        {"for=\"a\\", "BAD"},
        {"for=\"a\\\"", "BAD"},
        {"for=\"\"", "BAD"},
        {"for=[::1]", "BAD"},
        {"for=192.0.2.1:80", "BAD"},
        {"for=a b", "BAD"},
        {"for=a;for=b", "BAD"},
        {"for=a;proto=x;Proto=y", "BAD"},
        {"for=a, for=\"b", "a/ BAD"},
        {"192.0.2.1", "BAD"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        ck_assert_msg(strcmp(elements(rows[i][0]), rows[i][1]) == 0, "%s: %s", rows[i][0],
                      elements(rows[i][0]));
    }
}

UNIT_TEST(nodes_are_addresses)
{
    static const struct {
        const char *node, *text;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1:0"},
        {"192.0.2.1:80", "192.0.2.1:80"},
        {"192.0.2.1:_port", "192.0.2.1:0"},
        {"[2001:db8::1]", "[2001:db8::1]:0"},
        {"[2001:DB8::1]:65535", "[2001:db8::1]:65535"},
        {"2001:db8::1", "[2001:db8::1]:0"},
        {"::ffff:192.0.2.1", "192.0.2.1:0"},
        {"", NULL},
        {"unknown", NULL},
        {"_hidden", NULL},
        {"_hidden:80", NULL},
        {"192.0.2.1:", NULL},
        {"192.0.2.1:65536", NULL},
        {"192.0.2.1:123456", NULL},
        {"192.0.2.1:8o", NULL},
        {"192.0.2.1:_", NULL},
        {"192.0.2", NULL},
        {"192.0.2.1 ", NULL},
        {"[2001:db8::1", NULL},
        {"[2001:db8::1]x", NULL},
        {"[2001:db8::1]:", NULL},
        {"fe80::1%lo", NULL},
        {"example.org", NULL},
        {"localhost:80", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct address address;
        char text[ADDRESS_TEXT_SIZE + 8];
        ck_assert(!forwarded_node_address((struct weir_str){NULL, 0}, &address));
        bool ok = forwarded_node_address(str_from(rows[i].node), &address);
        ck_assert_msg(ok == (rows[i].text != NULL), "%s", rows[i].node);
        if (ok) {
            address_text_port(&address, text, sizeof(text));
            ck_assert_str_eq(text, rows[i].text);
        }
    }
}

UNIT_TEST(elements_are_written)
{
    static const struct {
        const char *client, *host, *text;
    } rows[] = {
        {"192.0.2.1:80", "example.org", "for=192.0.2.1;proto=https;host=example.org"},
        {"192.0.2.1:80", "", "for=192.0.2.1;proto=https"},
        {"[2001:db8::1]:80", "example.org:8443",
         "for=\"[2001:db8::1]\";proto=https;host=\"example.org:8443\""},
        {"[::ffff:192.0.2.1]:80", "[::1]", "for=192.0.2.1;proto=https;host=\"[::1]\""},
        {"unix:/run/x", "a\"b\\c", "for=unknown;proto=https;host=\"a\\\"b\\\\c\""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct arena arena;
        struct address client;
        char error[256];
        arena_init(&arena, NULL, 0);
        ck_assert(address_parse(&client, str_from(rows[i].client), error, sizeof(error)));
        struct weir_str text =
            forwarded_make(&arena, &client, STR("https"), str_from(rows[i].host));
        ck_assert_msg(str_equal(text, str_from(rows[i].text)), "%.*s", STR_ARGS(text));
        /* What is written can be read, but for names. */
        struct forwarded_element element;
        ck_assert_int_eq(forwarded_next(&text, &element), FORWARDED_ELEMENT);
        ck_assert_int_eq(forwarded_next(&text, &element), FORWARDED_END);
        arena_reset(&arena);
    }
}
