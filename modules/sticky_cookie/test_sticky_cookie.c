/* SPDX-License-Identifier: MIT */
/*
 * sticky_cookie: round trips, forgeries, expiry and renewal, attributes, how Cookie fields are
 * read, and mistakes.
 */
#include "../test_main.h"

#include "token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER UINT64_C(0x1122334455667788)
#define HOUR   UINT64_C(3600000000000)

struct fixture {
    struct weir_test *host;
    struct weir_test_instance *sticky;
};

static struct fixture begin(const char *conf)
{
    struct fixture f;
    f.host = test_begin();
    f.sticky = weir_test_create(f.host, WEIR_TEST_STICKY, test_conf(f.host, conf));
    ck_assert_ptr_nonnull(f.sticky);
    return f;
}

/* Set-Cookie of a response by `server`, copied; NULL: none. */
static char *set_cookie(struct fixture *f, struct weir_request *req, weir_server_id server,
                        bool known)
{
    struct weir_response *resp = weir_test_response(req, 200);
    weir_test_sticky_response(f->sticky, req, resp, server, known);
    const char *value = weir_test_response_header(resp, "Set-Cookie", 0);
    ck_assert_ptr_null(weir_test_response_header(resp, "Set-Cookie", 1));
    return value != NULL ? strdup(value) : NULL;
}

/* Set-Cookie for a visitor who is new. */
static char *issue(struct fixture *f, weir_server_id server, bool tls)
{
    struct weir_request *req = weir_test_request(f->host, "GET", "/");
    weir_test_request_set_tls(req, tls);
    ck_assert_uint_eq(weir_test_lookup(f->sticky, req), WEIR_NO_SERVER);
    char *value = set_cookie(f, req, server, false);
    ck_assert_ptr_nonnull(value);
    weir_test_request_free(&req);
    return value;
}

/* The same, cut to what a browser sends back. */
static char *issue_pair(struct fixture *f, weir_server_id server)
{
    char *value = issue(f, server, false);
    value[strcspn(value, ";")] = '\0';
    return value;
}

static weir_server_id lookup(struct fixture *f, const char *cookie)
{
    struct weir_request *req = weir_test_request(f->host, "GET", "/");
    weir_test_request_add(req, "Cookie", cookie);
    weir_server_id server = weir_test_lookup(f->sticky, req);
    weir_test_request_free(&req);
    return server;
}

/* What the host is told, of a visitor with that cookie, who stays; renewed: how the browser's
 * goes on. */
static uint64_t session_of(struct fixture *f, const char *cookie, char **renewed)
{
    struct weir_request *req = weir_test_request(f->host, "GET", "/");
    weir_test_request_add(req, "Cookie", cookie);
    ck_assert_uint_eq(weir_test_lookup(f->sticky, req), SERVER);
    *renewed = set_cookie(f, req, SERVER, true);
    uint64_t session = weir_test_session(req);
    weir_test_request_free(&req);
    return session;
}

/* Whether such a visitor gets a new one. */
static bool is_renewed(struct fixture *f, const char *cookie)
{
    char *value = NULL;
    session_of(f, cookie, &value);
    bool renewed = value != NULL;
    free(value);
    return renewed;
}

/* ---- values ---- */

UNIT_TEST(cookie_leads_back)
{
    struct fixture f = begin("");
    static const weir_server_id servers[] = {1, SERVER, UINT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        char *pair = issue_pair(&f, servers[i]);
        ck_assert_uint_eq(strlen(pair), strlen("weir_session=") + TOKEN_LEN);
        ck_assert_uint_eq(lookup(&f, pair), servers[i]);
        ck_assert_uint_eq(lookup(&f, pair), servers[i]); /* from what was opened before */
        free(pair);
    }
    test_end(&f.host);
}

UNIT_TEST(known_visitor_gets_no_new_cookie)
{
    struct fixture f = begin("");
    char *pair = issue_pair(&f, SERVER);
    ck_assert(!is_renewed(&f, pair));
    ck_assert_int_eq(weir_test_metric(f.host, "begun"), 1);
    ck_assert_int_eq(weir_test_metric(f.host, "kept"), 1);
    ck_assert_int_eq(weir_test_metric(f.host, "moved"), 0);
    free(pair);
    test_end(&f.host);
}

UNIT_TEST(lost_server_means_a_new_cookie)
{
    struct fixture f = begin("");
    char *pair = issue_pair(&f, SERVER);
    struct weir_request *req = weir_test_request(f.host, "GET", "/");
    weir_test_request_add(req, "Cookie", pair);
    ck_assert_uint_eq(weir_test_lookup(f.sticky, req), SERVER);
    char *value = set_cookie(&f, req, 99, false);
    ck_assert_ptr_nonnull(value);
    value[strcspn(value, ";")] = '\0';
    ck_assert_uint_eq(lookup(&f, value), 99);
    ck_assert_int_eq(weir_test_metric(f.host, "begun"), 1);
    ck_assert_int_eq(weir_test_metric(f.host, "moved"), 1);
    free(value);
    free(pair);
    test_end(&f.host);
}

/* Nothing of the id can be read from the value, and two ids share no part of theirs. */
UNIT_TEST(value_is_opaque)
{
    struct fixture f = begin("");
    uint64_t same = 0;
    for (weir_server_id id = 1; id <= 200; id++) {
        char *a = issue_pair(&f, id);
        char *b = issue_pair(&f, id + 1);
        for (size_t i = strlen("weir_session=") + 2; a[i] != '\0'; i++) {
            same += a[i] == b[i];
        }
        free(a);
        free(b);
    }
    ck_assert_uint_lt(same, 200 * 38 / 64 * 2); /* one in 64 is chance */
    test_end(&f.host);
}

UNIT_TEST(forged_values_are_refused)
{
    struct fixture f = begin("ttl = 1h");
    char *pair = issue_pair(&f, SERVER);
    size_t start = strlen("weir_session=");
    size_t len = strlen(pair);
    static const char digits[] = "ABab01-_";
    ck_assert_uint_eq(lookup(&f, pair), SERVER);
    for (size_t i = start; i < len; i++) { /* any one digit changed */
        char was = pair[i];
        for (size_t d = 0; digits[d] != '\0'; d++) {
            pair[i] = digits[d];
            ck_assert(lookup(&f, pair) == (digits[d] == was ? SERVER : WEIR_NO_SERVER));
        }
        pair[i] = '!';
        ck_assert_uint_eq(lookup(&f, pair), WEIR_NO_SERVER);
        pair[i] = was;
    }
    char longer[128];
    snprintf(longer, sizeof(longer), "%sA", pair);
    ck_assert_uint_eq(lookup(&f, longer), WEIR_NO_SERVER);
    while (len > start) { /* cut */
        pair[--len] = '\0';
        ck_assert_uint_eq(lookup(&f, pair), WEIR_NO_SERVER);
    }
    free(pair);
    test_end(&f.host);
}

UNIT_TEST(other_pools_values_are_refused)
{
    struct fixture f = begin("");
    char *pair = issue_pair(&f, SERVER);
    weir_test_set_pool_name(f.host, "other");
    f.sticky = weir_test_create(f.host, WEIR_TEST_STICKY, test_conf(f.host, ""));
    ck_assert_ptr_nonnull(f.sticky);
    ck_assert_uint_eq(lookup(&f, pair), WEIR_NO_SERVER);
    weir_test_set_pool_name(f.host, "pool"); /* and after a reload the old ones hold */
    f.sticky = weir_test_create(f.host, WEIR_TEST_STICKY, test_conf(f.host, ""));
    ck_assert_ptr_nonnull(f.sticky);
    ck_assert_uint_eq(lookup(&f, pair), SERVER);
    free(pair);
    test_end(&f.host);
}

/* ---- time ---- */

UNIT_TEST(value_expires)
{
    struct fixture f = begin("ttl = 1h");
    char *pair = issue_pair(&f, SERVER);
    weir_test_advance(f.host, HOUR - HOUR / 3600);
    ck_assert_uint_eq(lookup(&f, pair), SERVER);
    weir_test_advance(f.host, HOUR / 3600);
    ck_assert_uint_eq(lookup(&f, pair), WEIR_NO_SERVER);
    free(pair);
    test_end(&f.host);
}

UNIT_TEST(value_is_renewed_after_half_its_time)
{
    struct fixture f = begin("ttl = 1h");
    char *pair = issue_pair(&f, SERVER);
    ck_assert(!is_renewed(&f, pair));
    weir_test_advance(f.host, HOUR / 2 - HOUR / 3600);
    ck_assert(!is_renewed(&f, pair));
    weir_test_advance(f.host, HOUR / 3600);
    ck_assert(is_renewed(&f, pair));
    free(pair);
    test_end(&f.host);
}

UNIT_TEST(each_visitor_is_a_session_that_lasts)
{
    struct fixture f = begin("ttl = 1h");
    char *one = issue_pair(&f, SERVER), *two = issue_pair(&f, SERVER), *renewed = NULL;
    uint64_t session = session_of(&f, one, &renewed);
    ck_assert_uint_ne(session, 0);
    ck_assert_ptr_null(renewed);
    ck_assert_uint_eq(session_of(&f, one, &renewed), session);
    ck_assert_uint_ne(session_of(&f, two, &renewed), session);
    weir_test_advance(f.host, HOUR / 2);
    ck_assert_uint_eq(session_of(&f, one, &renewed), session);
    ck_assert_ptr_nonnull(renewed);
    renewed[strcspn(renewed, ";")] = '\0';
    weir_test_advance(f.host, HOUR / 2 + 1);
    ck_assert_uint_eq(lookup(&f, one), WEIR_NO_SERVER);
    char *again = NULL;
    ck_assert_uint_eq(session_of(&f, renewed, &again), session);
    free(again);
    free(renewed);
    free(one);
    free(two);
    test_end(&f.host);
}

/* A visitor's first response counts too. */
UNIT_TEST(a_new_visitor_is_a_session)
{
    struct fixture f = begin("");
    struct weir_request *req = weir_test_request(f.host, "GET", "/");
    ck_assert_uint_eq(weir_test_lookup(f.sticky, req), WEIR_NO_SERVER);
    ck_assert_uint_eq(weir_test_session(req), 0);
    char *value = set_cookie(&f, req, SERVER, false), *renewed = NULL;
    uint64_t session = weir_test_session(req);
    weir_test_request_free(&req);
    value[strcspn(value, ";")] = '\0';
    ck_assert_uint_ne(session, 0);
    ck_assert_uint_eq(session_of(&f, value, &renewed), session);
    free(value);
    test_end(&f.host);
}

UNIT_TEST(session_value_never_expires)
{
    struct fixture f = begin("");
    char *pair = issue_pair(&f, SERVER);
    weir_test_set_wall_ms(f.host, UINT64_C(4000000000000));
    ck_assert(!is_renewed(&f, pair));
    free(pair);
    test_end(&f.host);
}

/* A value that was made under another ttl holds, and is replaced by one of this ttl. */
UNIT_TEST(changed_ttl_renews)
{
    static const char *const before[] = {"", "ttl = 1h", "ttl = 30d"};
    static const char *const after[] = {"ttl = 1h", "", "ttl = 1h"};
    for (size_t i = 0; i < 3; i++) {
        struct fixture f = begin(before[i]);
        char *pair = issue_pair(&f, SERVER);
        f.sticky = weir_test_create(f.host, WEIR_TEST_STICKY, test_conf(f.host, after[i]));
        ck_assert_ptr_nonnull(f.sticky);
        ck_assert(is_renewed(&f, pair));
        free(pair);
        test_end(&f.host);
    }
}

/* ---- attributes ---- */

static void expect_attributes(const char *conf, bool tls, const char *attributes)
{
    struct fixture f = begin(conf);
    char *value = issue(&f, SERVER, tls);
    ck_assert_str_eq(value + strcspn(value, ";"), attributes);
    free(value);
    test_end(&f.host);
}

UNIT_TEST(attributes_follow_options)
{
    expect_attributes("", false, "; Path=/; HttpOnly; SameSite=Lax");
    expect_attributes("", true, "; Path=/; HttpOnly; Secure; SameSite=Lax");
    expect_attributes("secure = never", true, "; Path=/; HttpOnly; SameSite=Lax");
    expect_attributes("secure = always", false, "; Path=/; HttpOnly; Secure; SameSite=Lax");
    expect_attributes("same_site = strict  http_only = off", false, "; Path=/; SameSite=Strict");
    expect_attributes("same_site = none", true, "; Path=/; HttpOnly; Secure; SameSite=None");
    expect_attributes("same_site = none", false, "; Path=/; HttpOnly");
    expect_attributes("path = \"/shop\"  domain = \"shop.example\"  ttl = 90m", false,
                      "; Path=/shop; Domain=shop.example; Max-Age=5400; HttpOnly; SameSite=Lax");
}

UNIT_TEST(longest_attributes_fit)
{
    char conf[1024];
    char name[129] = "";
    char path[513] = "";
    char domain[254] = "";
    memset(name, 'n', 128);
    memset(path, '/', 512);
    memset(domain, 'd', 253);
    snprintf(conf, sizeof(conf),
             "name = %s  path = \"%s\"  domain = %s  ttl = 3650d  secure = always", name, path,
             domain);
    struct fixture f = begin(conf);
    char *pair = issue_pair(&f, SERVER);
    ck_assert_uint_eq(lookup(&f, pair), SERVER);
    free(pair);
    test_end(&f.host);
}

/* A proxy before Weir that took the TLS off says so by the scheme. */
UNIT_TEST(scheme_decides_as_tls_does)
{
    struct fixture f = begin("");
    struct weir_request *req = weir_test_request(f.host, "GET", "/");
    weir_test_request_set_str(req, WEIR_REQUEST_SCHEME, "https");
    char *value = set_cookie(&f, req, SERVER, false);
    ck_assert_ptr_nonnull(strstr(value, "; Secure"));
    free(value);
    test_end(&f.host);
}

/* ---- Cookie fields ---- */

UNIT_TEST(cookie_is_found_among_others)
{
    struct fixture f = begin("name = id");
    char *pair = issue_pair(&f, SERVER);
    const char *value = pair + strlen("id=");
    static const char *const good[] = {
        "id=%s",           "a=b; id=%s",   "a=b;id=%s; c=d", "  id=%s  ",         "id = %s",
        "id=\"%s\"",       ";;; id=%s ;;", "x; =y; id=%s",   "idx=%s; id=%s",     "id=; id=%s",
        "id=short; id=%s", "a=\"b; id=%s", "a==b=c; id=%s;", "\tid=%s\t;other=1",
    };
    static const char *const bad[] = {
        "ID=%s",   "idx=%s",  "xid=%s", "id:%s", "id=\"%s",
        "id=%s\"", "id=%s x", "%s",     "=%s",   "a=id=%s",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text), good[i], value, value);
        ck_assert_msg(lookup(&f, text) == SERVER, "%s", text);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text), bad[i], value, value);
        ck_assert_msg(lookup(&f, text) == WEIR_NO_SERVER, "%s", text);
    }
    free(pair);
    test_end(&f.host);
}

UNIT_TEST(first_valid_of_several_fields_wins)
{
    struct fixture f = begin("");
    char *one = issue_pair(&f, 1);
    char *two = issue_pair(&f, 2);
    struct weir_request *req = weir_test_request(f.host, "GET", "/");
    weir_test_request_add(req, "X-Cookie", two);
    weir_test_request_add(req, "Cookie", "a=b");
    weir_test_request_add(req, "cookie", "weir_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    weir_test_request_add(req, "COOKIE", one);
    weir_test_request_add(req, "Cookie", two);
    ck_assert_uint_eq(weir_test_lookup(f.sticky, req), 1);
    free(one);
    free(two);
    test_end(&f.host);
}

/* A client that sends thousands of wrong values costs a handful of checks, and is not served. */
UNIT_TEST(tries_are_bounded)
{
    struct fixture f = begin("");
    char *pair = issue_pair(&f, SERVER);
    char text[1024] = "";
    for (int i = 0; i < 4; i++) {
        strcat(text, "weir_session=B" /* TOKEN_LEN */
                     "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB; ");
    }
    strcat(text, pair);
    ck_assert_uint_eq(lookup(&f, text), WEIR_NO_SERVER);
    free(pair);
    test_end(&f.host);
}

/* What is not a value of ours never opens, whatever the field looks like. */
UNIT_TEST(random_fields_do_no_harm)
{
    static const char letters[] = "weir_session=;;;; \t\"=AB\x80\xff";
    struct fixture f = begin("hide = on");
    char *pair = issue_pair(&f, SERVER);
    uint64_t random = 11;
    for (uint32_t turn = 0; turn < 20000; turn++) {
        char text[200];
        size_t len = 1 + test_random(&random, 100);
        bool real = test_random(&random, 4) == 0;
        for (size_t i = 0; i < len; i++) {
            text[i] = letters[test_random(&random, sizeof(letters) - 1)];
        }
        text[len] = '\0';
        if (real) { /* behind any rubbish, the real one is found */
            strcpy(text + len, ";");
            strcat(text, pair);
        }
        if (lookup(&f, text) != (real ? SERVER : WEIR_NO_SERVER)) {
            ck_abort_msg("%s", text);
        }
    }
    free(pair);
    test_end(&f.host);
}

UNIT_TEST(cookie_can_be_hidden)
{
    struct fixture f = begin("hide = on");
    char *pair = issue_pair(&f, SERVER);
    char text[256];
    snprintf(text, sizeof(text), "a=b; %s;c=\"d\"", pair);

    struct weir_request *req = weir_test_request(f.host, "GET", "/");
    weir_test_request_add(req, "Cookie", text);
    weir_test_request_add(req, "Cookie", pair);
    weir_test_request_add(req, "Cookie", "e");
    ck_assert_uint_eq(weir_test_lookup(f.sticky, req), SERVER);
    ck_assert_str_eq(weir_test_request_header(req, "Cookie"), "a=b; c=\"d\"; e");

    req = weir_test_request(f.host, "GET", "/");
    weir_test_request_add(req, "Cookie", pair);
    ck_assert_uint_eq(weir_test_lookup(f.sticky, req), SERVER);
    ck_assert_ptr_null(weir_test_request_header(req, "Cookie"));

    req = weir_test_request(f.host, "GET", "/");
    weir_test_request_add(req, "Cookie", "x=y;z");
    ck_assert_uint_eq(weir_test_lookup(f.sticky, req), WEIR_NO_SERVER);
    ck_assert_str_eq(weir_test_request_header(req, "Cookie"), "x=y;z");
    free(pair);
    test_end(&f.host);
}

/* ---- mistakes ---- */

UNIT_TEST(mistakes_are_told)
{
    struct weir_test *host = test_begin();
    static const struct {
        const char *conf;
        const char *text;
    } rows[] = {
        {"name = \"a b\"", "no name for a cookie"},
        {"name = \"\"", "no name for a cookie"},
        {"name = \"a=b\"", "no name for a cookie"},
        {"path = \"shop\"", "begins with \"/\""},
        {"path = \"/a;b\"", "no path for a cookie"},
        {"domain = \"a b\"", "no domain"},
        {"domain = \"a:80\"", "without port"},
        {"ttl = 500ms", "at least 1s"},
        {"same_site = none  secure = never", "same_site = none without secure"},
        {"same_site = sometimes", "lax"},
        {"name = \"__Secure-x\"  secure = never", "without secure"},
        {"name = \"__Host-x\"  domain = \"a\"", "with a domain"},
        {"name = \"__Host-x\"  path = \"/a\"", "with a domain or a path"},
        {"nme = x", "name"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        test_refused(host, rows[i].conf, rows[i].text);
    }
    weir_test_fail_secret(host, true);
    test_refused(host, "", "state_dir");
    weir_test_fail_secret(host, false);
    test_end(&host);
}

UNIT_TIMEOUT(60);
