/* SPDX-License-Identifier: MIT */
/* uri.c: what is routed and passed on, and what is refused before. */
#include "runner.h"

#include <stdlib.h>

#include "base/base.h"
#include "http/uri.h"

/* A copy of exactly that length, so that a read beyond it is found. */
static struct weir_str exact(const char *text)
{
    size_t len = strlen(text);
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, text, len);
    return (struct weir_str){copy, len};
}

static const struct {
    const char *in, *out; /* out NULL: refused */
} paths[] = {
    {"/", "/"},
    {"/a", "/a"},
    {"/a/b/", "/a/b/"},
    {"/a//b", "/a//b"},
    {"//", "//"},
    /* 6.2.2.2: what needs no encoding */
    {"/%61pi", "/api"},
    {"/%41-%7e%5F%2e", "/A-~_."},
    {"/%7e", "/~"},
    /* and what does, in capitals */
    {"/%2f", "/%2F"},
    {"/a%2Fb", "/a%2Fb"},
    {"/%3f%23%5b", "/%3F%23%5B"},
    {"/%25", "/%25"},
    {"/%2561", "/%2561"},
    {"/%c3%a4", "/%C3%A4"},
    {"/%20", "/%20"},
    {"/%0d%0a", "/%0D%0A"},
    /* what is allowed stays as it is */
    {"/!$&'()*+,;=:@-._~", "/!$&'()*+,;=:@-._~"},
    {"/a;b=c/d", "/a;b=c/d"},
    /* 6.2.2.3: dot segments */
    {"/.", "/"},
    {"/./", "/"},
    {"/..", "/"},
    {"/../", "/"},
    {"/../../etc", "/etc"},
    {"/a/.", "/a/"},
    {"/a/..", "/"},
    {"/a/../", "/"},
    {"/a/b/..", "/a/"},
    {"/a/b/../c", "/a/c"},
    {"/a/./b", "/a/b"},
    {"/a/b/../../../c", "/c"},
    {"/api/../x", "/x"},
    {"/%2e%2E/x", "/x"},
    {"/a/%2e./b", "/b"},
    {"/a/.%2e/b", "/b"},
    {"/a/%2e/b", "/a/b"},
    /* an empty segment is one */
    {"/a//../b", "/a/b"},
    {"//..", "/"},
    {"/a/..//b", "//b"},
    /* dots that are no dot segments */
    {"/...", "/..."},
    {"/a./b", "/a./b"},
    {"/.a/..b", "/.a/..b"},
    {"/..;/x", "/..;/x"},
    {"/..%2f", "/..%2F"},
    /* long ones, where 16 bytes are looked at together */
    {"/abcdefghijklmnopqrstuvwxyz/0123456789", "/abcdefghijklmnopqrstuvwxyz/0123456789"},
    {"/abcdefghijklmnopqrstuvwxyz/../0123456789", "/0123456789"},
    {"/abcdefghijklmnopqrstuvwxyz%2e/0123456789", "/abcdefghijklmnopqrstuvwxyz./0123456789"},
    {"/abcdefghijklmn/.", "/abcdefghijklmn/"},
    {"/abcdefghijklmno/.", "/abcdefghijklmno/"},
    {"/abcdefghijklmnop/.", "/abcdefghijklmnop/"},
    /* refused */
    {"", NULL},
    {"a", NULL},
    {"*", NULL},
    {"/%", NULL},
    {"/%4", NULL},
    {"/%4x", NULL},
    {"/%x4", NULL},
    {"/%%41", NULL},
    {"/%u0041", NULL},
    {"/%00", NULL},
    {"/a?b", NULL},
    {"/a#b", NULL},
    {"/a\\b", NULL},
    {"/..\\x", NULL},
    {"/a b", NULL},
    {"/a\tb", NULL},
    {"/\x7f", NULL},
    {"/\xc3\xa4", NULL},
};

UNIT_LOOP_TEST(path, ARRAY_COUNT(paths))
{
    struct arena arena;
    struct weir_str in = exact(paths[_i].in), out, again;
    arena_init(&arena, NULL, 0);
    bool taken = uri_normalise_path(in, &arena, &out);
    ck_assert_msg(taken == (paths[_i].out != NULL), "%s: taken %d", paths[_i].in, taken);
    if (taken) {
        ck_assert_msg(str_equal(out, str_from(paths[_i].out)), "%s: got %.*s, wanted %s",
                      paths[_i].in, STR_ARGS(out), paths[_i].out);
        /* A normal path stays as it is: a second decoding must not change it. */
        ck_assert(uri_normalise_path(out, &arena, &again));
        ck_assert(str_equal(out, again));
    }
    arena_reset(&arena);
    free((char *)(uintptr_t)in.ptr);
}

/* Bytes that browsers send raw are encoded, so that the next one reads them in one way. */
UNIT_TEST(raw_bytes_are_encoded)
{
    static const struct {
        const char *in, *out;
    } raw[] = {
        {"/a\"b", "/a%22b"}, {"/a<b>", "/a%3Cb%3E"}, {"/a[b]", "/a%5Bb%5D"},
        {"/a^b", "/a%5Eb"},  {"/a`b", "/a%60b"},     {"/a{b|c}", "/a%7Bb%7Cc%7D"},
    };
    struct arena arena;
    struct weir_str out;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < ARRAY_COUNT(raw); i++) {
        struct weir_str in = exact(raw[i].in);
        ck_assert_msg(uri_normalise_path(in, &arena, &out), "%s refused", raw[i].in);
        ck_assert_msg(str_equal(out, str_from(raw[i].out)), "%s: got %.*s", raw[i].in,
                      STR_ARGS(out));
        free((char *)(uintptr_t)in.ptr);
    }
    arena_reset(&arena);
}

UNIT_TEST(normal_paths_are_not_copied)
{
    struct weir_str in = STR("/static/app-1.2.3/main.js"), out;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    ck_assert(uri_normalise_path(in, &arena, &out));
    ck_assert_ptr_eq(out.ptr, in.ptr);
    ck_assert_uint_eq(arena.total, 0);
}

UNIT_TEST(queries)
{
    for (unsigned byte = 1; byte < 256; byte++) {
        char c = (char)byte;
        bool expected = byte > 0x20 && byte < 0x7f && byte != '#';
        ck_assert_msg(uri_query_valid((struct weir_str){&c, 1}) == expected, "byte %02x", byte);
    }
    ck_assert(uri_query_valid(STR("")));
    ck_assert(!uri_query_valid(STR("a\0b")));
    ck_assert(uri_query_valid(STR("a=/?b&c[]=%zz")));
}

static const struct {
    const char *in, *host; /* host NULL: refused */
    unsigned port;
} authorities[] = {
    {"a", "a", 0},
    {"A.Example", "a.example", 0},
    {"a.example.:80", "a.example", 80},
    {"a:65535", "a", 65535},
    {"a:00080", "a", 80},
    {"a:", "a", 0},
    {"127.0.0.1:8080", "127.0.0.1", 8080},
    {"[::1]:8443", "[::1]", 8443},
    {"[2001:DB8::A]", "[2001:db8::a]", 0},
    {"[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]", 0},
    {"a_b~!$&'()*+;=-.c", "a_b~!$&'()*+;=-.c", 0},
    {"", NULL, 0},
    {":80", NULL, 0},
    {".", NULL, 0},
    {"a..", NULL, 0},
    {"a:65536", NULL, 0},
    {"a:000080", NULL, 0},
    {"a:-1", NULL, 0},
    {"a:0", NULL, 0},
    {"a:8o", NULL, 0},
    {"a:80:80", NULL, 0},
    {"a/b", NULL, 0},
    {"a?b", NULL, 0},
    {"a@b", NULL, 0},
    {"a b", NULL, 0},
    {"a,b", NULL, 0},
    {"a%62", NULL, 0},
    {"a\\b", NULL, 0},
    {"[", NULL, 0},
    {"[]", NULL, 0},
    {"[::1", NULL, 0},
    {"[::1]80", NULL, 0},
    {"[::g]", NULL, 0},
    {"[1.2.3.4]", NULL, 0},
    {"[v1.x]", NULL, 0},
    {"[fe80::1%25eth0]", NULL, 0},
    {"::1", NULL, 0},
    {"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", NULL, 0},
};

UNIT_LOOP_TEST(authority, ARRAY_COUNT(authorities))
{
    struct arena arena;
    struct weir_str in = exact(authorities[_i].in), host;
    uint16_t port;
    arena_init(&arena, NULL, 0);
    bool taken = uri_parse_authority(in, &arena, &host, &port);
    ck_assert_msg(taken == (authorities[_i].host != NULL), "%s: taken %d", authorities[_i].in,
                  taken);
    if (taken) {
        ck_assert_msg(str_equal(host, str_from(authorities[_i].host)), "%s: got %.*s",
                      authorities[_i].in, STR_ARGS(host));
        ck_assert_uint_eq(port, authorities[_i].port);
    }
    arena_reset(&arena);
    free((char *)(uintptr_t)in.ptr);
}
