/* SPDX-License-Identifier: MIT */
/*
 * route_path: which rule wins, by path and by host; ways of writing a path; redirects; mistakes;
 * many routes against a plain search.
 */
#include "test_route_path.h"

#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `pool` NULL: declined. */
static void expect(struct weir_test *host, struct weir_test_instance *instance, const char *name,
                   const char *target, const char *pool)
{
    struct weir_request *req = request(host, name, target);
    struct weir_route_result result;
    enum weir_status status = weir_test_route(instance, req, &result);
    if (pool == NULL) {
        ck_assert_msg(status == WEIR_DECLINED, "%s%s was taken", name, target);
    } else {
        ck_assert_msg(status == WEIR_OK, "%s%s was declined", name, target);
        ck_assert_str_eq(weir_test_pool_name(host, result.pool), pool);
        ck_assert_uint_eq(result.status, 0);
    }
    weir_test_request_free(&req);
}

UNIT_TEST(prefixes_end_at_segments)
{
    struct weir_test *host = begin();
    struct weir_test_instance *r = router(host, "route \"/api\" { pool = api }\n"
                                                "route \"/api/v2\" { pool = v2 }\n"
                                                "route \"/a/b/c/d/\" { pool = deep }");
    static const struct {
        const char *target;
        const char *pool;
    } rows[] = {
        {"/api", "api"},
        {"/api/", "api"},
        {"/api/x", "api"},
        {"/api?x=/api/v2", "api"},
        {"/api/v2", "v2"},
        {"/api/v2/", "v2"},
        {"/api/v2/x/y", "v2"},
        {"/api/v20", "api"},
        {"/api/v", "api"},
        {"/apix", NULL},
        {"/apix/v2", NULL},
        {"/ap", NULL},
        {"/", NULL},
        {"/API", NULL},
        {"/x/api", NULL},
        {"/a/b/c", NULL},
        {"/a/b/c/d", "deep"},
        {"/a/b/c/d/e", "deep"},
        {"//api", "api"},
        {"/api//v2", "v2"},
        {"///api///v2///x", "v2"},
        {"/api%2Fv2", NULL},
        {"/api/%2Fv2", "api"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect(host, r, "any.example", rows[i].target, rows[i].pool);
    }
    test_end(&host);
}

UNIT_TEST(exact_beats_prefix)
{
    struct weir_test *host = begin();
    struct weir_test_instance *r = router(host, "route \"/api\" { pool = exact  exact = on }\n"
                                                "route \"/api\" { pool = api }\n"
                                                "route \"/only\" { pool = v2  exact = on }\n"
                                                "route \"/\" { pool = root }");
    expect(host, r, "a", "/api", "exact");
    expect(host, r, "a", "/api/", "exact");
    expect(host, r, "a", "/api/x", "api");
    expect(host, r, "a", "/only", "v2");
    expect(host, r, "a", "/only/x", "root");
    expect(host, r, "a", "/", "root");
    expect(host, r, "a", "/else", "root");
    test_end(&host);
}

UNIT_TEST(nearer_host_wins)
{
    struct weir_test *host = begin();
    struct weir_test_instance *r =
        router(host, "route \"/\" { pool = root }\n"
                     "route \"/api\" { pool = api }\n"
                     "route \"/\" { pool = shop  host = {\"Shop.Example\", \"[2001:DB8::1]\"} }\n"
                     "route \"/\" { pool = wild  host = {\"*.example\"} }\n"
                     "route \"/deep\" { pool = deep  host = {\"*.sub.example\", \"deep.test\"} }");
    static const struct {
        const char *host;
        const char *target;
        const char *pool;
    } rows[] = {
        {"shop.example", "/", "shop"},
        {"shop.example", "/api", "shop"},
        {"shop.example.", "/", "shop"},
        {"other.example", "/api", "wild"},
        {"a.b.c.example", "/", "wild"},
        {"example", "/", "root"},
        {"xexample", "/api", "api"},
        {"x.sub.example", "/deep/x", "deep"},
        {"x.sub.example", "/else", "wild"},
        {"sub.example", "/deep", "wild"},
        {"deep.test", "/deep", "deep"},
        {"deep.test", "/api", "api"},
        {"deep.test", "/", "root"},
        {"2001:db8::1", "/", "shop"},
        {"[2001:db8::1]", "/", "shop"},
        {"", "/api", "api"},
        {".", "/api", "api"},
        {".example", "/", "wild"},
        {"[]", "/", "root"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect(host, r, rows[i].host, rows[i].target, rows[i].pool);
    }
    test_end(&host);
}

UNIT_TEST(default_takes_what_is_left)
{
    struct weir_test *host = begin();
    struct weir_test_instance *r =
        router(host, "route \"/api\" { pool = api }  default = \"root\"");
    expect(host, r, "a", "/api", "api");
    expect(host, r, "a", "/else", "root");
    struct weir_test_instance *empty = router(host, "");
    expect(host, empty, "a", "/", NULL);
    test_end(&host);
}

UNIT_TEST(asterisk_is_the_root)
{
    struct weir_test *host = begin();
    struct weir_test_instance *r = router(host, "route \"/\" { pool = root }");
    struct weir_request *req = weir_test_request(host, "OPTIONS", "/");
    struct weir_route_result result;
    weir_test_request_set_str(req, WEIR_REQUEST_PATH, "*");
    ck_assert_int_eq(weir_test_route(r, req, &result), WEIR_OK);
    test_end(&host);
}

UNIT_TEST(routes_have_names)
{
    struct weir_test *host = begin();
    struct weir_test_instance *r =
        router(host, "route \"/x/../%61pi/\" { pool = api }\n"
                     "route \"/api\" { pool = exact  exact = on }\n"
                     "route \"/\" { pool = shop  host = {\"a.example\", \"*.b.example\"} }");
    static const char *const names[] = {"/api", "/api (exact)", "a.example,*.b.example/"};
    ck_assert_uint_eq(weir_test_route_count(host), 3);
    for (weir_route_ref i = 0; i < 3; i++) {
        ck_assert_str_eq(weir_test_route_name(host, i), names[i]);
    }
    struct weir_request *req = request(host, "x.b.example", "/");
    struct weir_route_result result;
    ck_assert_int_eq(weir_test_route(r, req, &result), WEIR_OK);
    ck_assert_str_eq(weir_test_route_name(host, result.route), names[2]);
    test_end(&host);
}

/* ---- normal forms ---- */

UNIT_TEST(paths_are_normalised)
{
    static const struct {
        const char *in;
        const char *out; /* NULL: refused */
    } rows[] = {
        {"/", "/"},
        {"/api", "/api"},
        {"/a/./b", "/a/b"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a/"},
        {"/a/b/.", "/a/b/"},
        {"/..", "/"},
        {"/../../a", "/a"},
        {"/%61pi", "/api"},
        {"/%7euser", "/~user"},
        {"/a%2fb", "/a%2Fb"},
        {"/a/%2e%2E/b", "/b"},
        {"/a//b", "/a/b"},
        {"/caf\xc3\xa9 au", "/caf%C3%A9%20au"},
        {"/...", "/..."},
        {"/.a/..b", "/.a/..b"},
        {"/a;x=1,2@:!$&'()*+", "/a;x=1,2@:!$&'()*+"},
        {"", NULL},
        {"api", NULL},
        {"/a?b", NULL},
        {"/a#b", NULL},
        {"/a%", NULL},
        {"/a%4", NULL},
        {"/a%4g", NULL},
        {"/a%00", NULL},
        {"/a\tb", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_str in = {rows[i].in, strlen(rows[i].in)};
        struct weir_str out;
        char *buffer = malloc(3 * in.len + 1);
        const char *wrong = table_path(in, buffer, &out);
        ck_assert_msg((wrong != NULL) == (rows[i].out == NULL), "%s", rows[i].in);
        if (wrong == NULL) {
            ck_assert_uint_eq(out.len, strlen(rows[i].out));
            ck_assert_mem_eq(out.ptr, rows[i].out, out.len);
        }
        free(buffer);
    }
}

/* ---- redirects ---- */

static void expect_redirect(const char *route, const char *name, const char *target,
                            uint32_t status, const char *location)
{
    struct weir_test *host = begin();
    struct weir_test_instance *r = router(host, route);
    struct weir_request *req = request(host, name, target);
    struct weir_route_result result;
    ck_assert_int_eq(weir_test_route(r, req, &result), WEIR_OK);
    ck_assert_uint_eq(result.status, status);
    ck_assert_uint_eq(result.pool, WEIR_NO_REF);
    if (location != NULL) {
        ck_assert_msg(result.location.len == strlen(location) &&
                          memcmp(result.location.ptr, location, result.location.len) == 0,
                      "%.*s, not %s", (int)result.location.len, result.location.ptr, location);
    }
    test_end(&host);
}

UNIT_TEST(redirects_are_filled_in)
{
    expect_redirect("route \"/\" { redirect = \"https://x.example/\" }", "a", "/y?z", 302,
                    "https://x.example/");
    expect_redirect("route \"/\" { redirect = \"https://{host}{path}{query}\"  status = 308 }",
                    "a.example", "/y/z?q=1", 308, "https://a.example/y/z?q=1");
    expect_redirect("route \"/\" { redirect = \"https://{host}:8443{path}{query}\" }",
                    "2001:db8::1", "/", 302, "https://[2001:db8::1]:8443/");
    expect_redirect("route \"/old/\" { redirect = \"/new{rest}{query}\"  status = 301 }", "a",
                    "/old/x/y?q", 301, "/new/x/y?q");
    expect_redirect("route \"/old\" { redirect = \"/new{rest}{query}\" }", "a", "/old", 302,
                    "/new");
    /* Nothing that a client sends may move the target to another site. */
    expect_redirect("route \"/old\" { redirect = \"/new{rest}\" }", "a", "/old//evil.example", 302,
                    "/new//evil.example");
    expect_redirect("route \"/\" { redirect = \"https://{host}/\" }", "", "/", 400, NULL);
}

UNIT_TEST(out_of_memory_is_told)
{
    struct weir_test *host = begin();
    struct weir_test_instance *r = router(host, "route \"/\" { redirect = \"/x{path}\" }");
    struct weir_request *req = request(host, "a", "/y");
    struct weir_route_result result;
    weir_test_fail_alloc(host, 0);
    ck_assert_int_eq(weir_test_route(r, req, &result), WEIR_NO_MEMORY);
    test_end(&host);
}

/* ---- mistakes ---- */

UNIT_TEST(mistakes_are_told)
{
    struct weir_test *host = begin();
    static const struct {
        const char *conf;
        const char *text;
    } rows[] = {
        {"route \"/\" { }", "leads nowhere"},
        {"route \"/\" { pool = api  redirect = \"/x\" }", "both a pool and a redirect"},
        {"route \"/\" { pool = nowhere }", "nowhere"},
        {"route \"api\" { pool = api }", "begins with \"/\""},
        {"route \"/a?b\" { pool = api }", "neither query nor fragment"},
        {"route \"/a\" { pool = api }\nroute \"/a/\" { pool = v2 }", "conf:2"},
        {"route \"/a\" { pool = api }\nroute \"/%61\" { pool = v2 }", "repeated further down"},
        {"route \"/a\" { pool = api  host = {\"x\"} }\nroute \"/a\" { pool = v2  host = {\"X.\"} }",
         "for host x"},
        {"route \"/a\" { pool = api  host = {\"x\", \"X\"} }", "twice"},
        {"route \"/a\" { pool = api  host = {\"x:80\"} }", "without its port"},
        {"route \"/a\" { pool = api  host = {\"a.*.b\"} }", "at the front alone"},
        {"route \"/a\" { pool = api  host = {\"\"} }", "host"},
        {"route \"/a\" { pool = api  host = {\"a..b\"} }", "empty label"},
        {"route \"/a\" { pool = api  host = {\"m\xc3\xbcller\"} }", "xn--"},
        {"route \"/a\" { redirect = \"/x\"  status = 304 }", "304 is no redirect"},
        {"route \"/a\" { redirect = \"/x\"  status = 200 }", "200"},
        {"route \"/a\" { redirect = \"ftp://x\" }", "begins with"},
        {"route \"/a\" { redirect = \"//evil\" }", "stands a name"},
        {"route \"/a\" { redirect = \"/{path}\" }", "stands a name"},
        {"route \"/a\" { redirect = \"https://{path}\" }", "host's name"},
        {"route \"/a\" { redirect = \"/x{what}\" }", "knows {host}"},
        {"route \"/a\" { redirect = \"/x y\" }", "no spaces"},
        {"default = nowhere", "nowhere"},
        {"route \"/a\" { pol = api }", "pool"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        test_refused(host, rows[i].conf, rows[i].text);
    }
    test_end(&host);
}

UNIT_TEST(all_mistakes_are_told_at_once)
{
    struct weir_test *host = begin();
    ck_assert_ptr_null(weir_test_conf(host, "route \"a\" { pool = api }\n"
                                            "route \"/b\" { }\n"
                                            "route \"/c\" { redirect = \"x\" }\n"));
    ck_assert_ptr_nonnull(strstr(weir_test_mistakes(host), "conf:1:"));
    ck_assert_ptr_nonnull(strstr(weir_test_mistakes(host), "conf:2:"));
    ck_assert_ptr_nonnull(strstr(weir_test_mistakes(host), "conf:3:"));
    test_end(&host);
}

/* ---- many routes ---- */

#define MANY 10000

struct many {
    struct table *table;
    char paths[MANY][48];
    struct table_key keys[MANY];
    bool used[MANY];
};

static void random_path(uint64_t *random, char *out)
{
    uint32_t depth = 1 + test_random(random, 5);
    size_t len = 0;
    for (uint32_t i = 0; i < depth; i++) {
        len += (size_t)sprintf(out + len, "/%x", test_random(random, 12));
    }
}

static bool key_covers(const struct table_key *key, struct weir_str path)
{
    bool prefix = path.len >= key->path.len && memcmp(path.ptr, key->path.ptr, key->path.len) == 0;
    return prefix && (path.len == key->path.len || (!key->exact && path.ptr[key->path.len] == '/'));
}

/* The rule by trying all: host before path, exact before prefix, then the longest. */
static uint32_t plain_search(const struct many *many, struct weir_str name, struct weir_str path)
{
    uint32_t best = TABLE_NONE;
    size_t best_rank = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        const struct table_key *key = &many->keys[i];
        bool host_fits = key->host.len == 0 || (key->host.len == name.len &&
                                                memcmp(key->host.ptr, name.ptr, name.len) == 0);
        if (many->used[i] && host_fits && key_covers(key, path)) {
            size_t rank =
                (key->host.len > 0 ? 10000u : 1u) + (key->exact ? 1000 : 0) + key->path.len;
            if (rank > best_rank) {
                best_rank = rank;
                best = i;
            }
        }
    }
    return best;
}

UNIT_TEST(many_routes_as_a_plain_search)
{
    static const char *const hosts[] = {"", "a.example", "b.example"};
    struct many *many = calloc(1, sizeof(*many));
    uint64_t random = 3;
    ck_assert_ptr_nonnull(many);
    many->table = table_new(MANY, 5 * MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        const char *name = hosts[test_random(&random, 3)];
        random_path(&random, many->paths[i]);
        many->keys[i] = (struct table_key){.host = {name, strlen(name)},
                                           .exact = test_random(&random, 4) == 0,
                                           .path = {many->paths[i], strlen(many->paths[i])}};
        many->used[i] = table_add(many->table, &many->keys[i], i) == TABLE_NONE;
    }
    for (uint32_t i = 0; i < 2000; i++) {
        char text[64];
        const char *name = hosts[1 + test_random(&random, 2)];
        struct weir_str host = {name, strlen(name)};
        random_path(&random, text);
        struct weir_str path = {text, strlen(text)};
        uint32_t found = table_find(many->table, host, path);
        uint32_t wanted = plain_search(many, host, path);
        if (found != wanted) {
            ck_abort_msg("%s%s: rule %u, not %u", name, text, found, wanted);
        }
    }
    table_free(many->table);
    free(many);
}

/* Ten million lookups: were each to look at all rules, the test's time would be up a thousand
 * times. */
UNIT_TEST(many_routes_cost_no_more_than_few)
{
    struct table *table = table_new(1, 3 * MANY);
    char(*paths)[32] = calloc(MANY, sizeof(*paths));
    ck_assert(table != NULL && paths != NULL);
    for (uint32_t i = 0; i < MANY; i++) {
        int len = snprintf(paths[i], sizeof(paths[i]), "/api/v%u/item%u", i % 10, i);
        struct table_key key = {.path = {paths[i], (size_t)len}};
        ck_assert_uint_eq(table_add(table, &key, i), TABLE_NONE);
    }
    struct weir_str host = {"shop.example", 12};
    for (uint32_t i = 0; i < 1000 * MANY; i++) {
        struct weir_str path = {paths[i % MANY], strlen(paths[i % MANY])};
        if (table_find(table, host, path) != i % MANY) {
            ck_abort_msg("%s", paths[i % MANY]);
        }
    }
    table_free(table);
    free(paths);
}

UNIT_TEST(many_routes_are_configured)
{
    struct weir_test *host = begin();
    size_t size = (size_t)SOME * 48;
    char *conf = malloc(size);
    size_t len = 0;
    ck_assert_ptr_nonnull(conf);
    for (uint32_t i = 0; i < SOME; i++) {
        len += (size_t)snprintf(conf + len, size - len, "route \"/s%u/x\" { pool = api }\n", i);
    }
    struct weir_test_instance *r = router(host, conf);
    expect(host, r, "a", "/s1999/x/y", "api");
    expect(host, r, "a", "/s1999", NULL);
    free(conf);
    test_end(&host);
}

UNIT_TIMEOUT(60);
