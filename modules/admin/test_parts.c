/* SPDX-License-Identifier: MIT */
/*
 * admin: text, hosts and origins, sessions, throttling.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../test_main.h"
#include "check.h"
#include "session.h"
#include "throttle.h"

#define SECOND UINT64_C(1000000000)

static struct weir_test *host;
static struct weir_test_instance *instance;
static struct weir_context *ctx;

static void set_up(void)
{
    host = test_begin();
    instance = weir_test_create(host, WEIR_TEST_HANDLER, test_conf(host, "web_dir = \"\""));
    ck_assert_ptr_nonnull(instance);
    ctx = weir_test_instance_context(instance);
}

static void tear_down(void)
{
    test_end(&host);
}

/* ---- text ---- */

UNIT_TEST(accept_encoding)
{
    static const struct {
        const char *field;
        bool gzip;
    } cases[] = {
        {"gzip", true},          {"deflate, GZIP;q=0.5", true},
        {"br, *", true},         {"gzip;q=0", false},
        {"gzip;q=0;q=1", false}, {"gzip;q=1;q=0", false},
        {"gzip;q=2", false},     {"gzip;q=", false},
        {"gzip;q=1.000", true},  {"gzip; q=0.000, *", false},
        {"br", false},           {"", false},
        {"*;q=0", false},        {"identity, x-gzip", true},
        {"gzip ;q=0.001", true}, {"gzipped", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(text_accepts_gzip(weir_str_of(cases[i].field)) == cases[i].gzip, "%s",
                      cases[i].field);
    }
}

UNIT_TEST(etags)
{
    struct weir_str etag = weir_str_of("\"abc\"");
    ck_assert(text_matches_etag(weir_str_of("\"abc\""), etag));
    ck_assert(text_matches_etag(weir_str_of("\"x\", W/\"abc\""), etag));
    ck_assert(text_matches_etag(weir_str_of("*"), etag));
    ck_assert(!text_matches_etag(weir_str_of("\"abcd\""), etag));
    ck_assert(!text_matches_etag(weir_str_of("abc"), etag));
}

UNIT_TEST(json_is_escaped_and_cut)
{
    char out[32];
    size_t len = text_put_json(out, 0, sizeof(out), weir_str_of("\xc3\xa9\xff\xe2\x82"));
    ck_assert_str_eq(out, "\"\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    len = text_put_json(out, 0, sizeof(out), weir_str_of("a\"\\\n\x7f"));
    ck_assert_str_eq(out, "\"a\\\"\\\\\\u000a\\u007f\"");
    ck_assert_uint_eq(len, strlen(out));
    len = text_put_json(out, 0, sizeof(out),
                        weir_str_of("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    ck_assert_uint_lt(len, sizeof(out));
    ck_assert_int_eq(out[len - 1], '"');
}

UNIT_TEST(utf8)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\xc3\xbc",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xed\x9f\xbf"};
    static const char *const bad[] = {"\xff",
                                      "\x80",
                                      "\xc3",
                                      "\xc0\x80",
                                      "\xe0\x80\x80",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xc3(",
                                      "\xf5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(weir_str_is_utf8(weir_str_of(good[i])), "%zu", i);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!weir_str_is_utf8(weir_str_of(bad[i])), "%zu", i);
    }
}

UNIT_TEST(base64)
{
    char out[16];
    ck_assert_uint_eq(weir_base64_encode((const uint8_t *)"\xff\xef\xbe", 3, out), 4);
    ck_assert_str_eq(out, "_---");
    weir_base64_encode((const uint8_t *)"a", 1, out);
    ck_assert_str_eq(out, "YQ");
    weir_base64_encode((const uint8_t *)"ab", 2, out);
    ck_assert_str_eq(out, "YWI");
}

static bool read_object(const char *text, struct text_member *members, bool *malformed)
{
    const char *error;
    char *copy = strdup(text);
    members[0] = (struct text_member){.name = "name"};
    members[1] = (struct text_member){.name = "password"};
    bool good = text_read_object(copy, strlen(copy), members, 2, &error, malformed);
    /* What is kept is compared before the copy goes. */
    for (size_t i = 0; i < 2; i++) {
        if (good && members[i].value.ptr != NULL) {
            char *kept = strndup(members[i].value.ptr, members[i].value.len);
            members[i].value = (struct weir_str){kept, members[i].value.len};
        }
    }
    free(copy);
    return good;
}

UNIT_TEST(objects_are_read)
{
    struct text_member members[2];
    bool malformed;
    static const struct {
        const char *text;
        bool malformed;
    } bad[] = {
        {"", true},
        {"[]", true},
        {"{", true},
        {"{\"name\":\"a\"", true},
        {"{\"name\":\"a\",}", true},
        {"{\"name\":\"a\"} x", true},
        {"{\"name\":\"\\x\"}", true},
        {"{\"name\":\"\\ud800\"}", true},
        {"{\"name\":\"\\udc00\"}", true},
        {"{\"name\":\"\\u0000\"}", true},
        {"{\"name\":\"a\nb\"}", true},
        {"{\"name\":7}", false},
        {"{\"name\":null}", false},
        {"{\"name\":\"a\",\"name\":\"b\"}", false},
        {"{\"other\":\"a\"}", false},
    };

    ck_assert(read_object(
        " { \"name\" : \"J\\u00fcrgen \\ud83d\\ude00\" , \"password\":\"\\\"\\/\\t\" } ", members,
        &malformed));
    ck_assert(weir_str_is(members[0].value, "J\xc3\xbcrgen \xf0\x9f\x98\x80"));
    ck_assert(weir_str_is(members[1].value, "\"/\t"));
    free((void *)(uintptr_t)members[0].value.ptr);
    free((void *)(uintptr_t)members[1].value.ptr);
    ck_assert(read_object("{}", members, &malformed));
    ck_assert_ptr_null(members[0].value.ptr);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!read_object(bad[i].text, members, &malformed), "%s", bad[i].text);
        ck_assert_msg(malformed == bad[i].malformed, "%s", bad[i].text);
    }
}

/* ---- hosts, origins, cookies ---- */

UNIT_TEST(hosts)
{
    static const struct weir_str names[] = {WEIR_STR_INIT("weir.example")};
    struct weir_list allowed = {names, 1};
    static const char *const good[] = {"localhost", "localhost.", "127.0.0.1",   "::1",
                                       "[::1]",     "192.0.2.7",  "WEIR.example"};
    static const char *const wrong[] = {
        "",      "evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "weir.example.evil",
        "1.2.3", "127.0.0.1x"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(check_host(weir_str_of(good[i]), &allowed), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ck_assert_msg(!check_host(weir_str_of(wrong[i]), &allowed), "%s", wrong[i]);
    }
}

static bool origin_ok(const char *origin, const char *site)
{
    struct weir_request *req = weir_test_request(host, "POST", "/");
    weir_test_request_set_str(req, WEIR_REQUEST_AUTHORITY, "localhost:9000");
    if (origin != NULL) {
        weir_test_request_add(req, "Origin", origin);
    }
    if (site != NULL) {
        weir_test_request_add(req, "Sec-Fetch-Site", site);
    }
    bool good = check_origin(req);
    weir_test_request_free(&req);
    return good;
}

UNIT_TEST(origins)
{
    ck_assert(origin_ok(NULL, NULL));
    ck_assert(origin_ok("http://localhost:9000", "same-origin"));
    ck_assert(origin_ok("http://LOCALHOST:9000", NULL));
    ck_assert(origin_ok(NULL, "none"));
    ck_assert(!origin_ok("http://localhost:9001", NULL));
    ck_assert(!origin_ok("https://localhost:9000", NULL));
    ck_assert(!origin_ok("null", NULL));
    ck_assert(!origin_ok("http://evil.example", NULL));
    ck_assert(!origin_ok(NULL, "cross-site"));
    ck_assert(!origin_ok(NULL, "same-site"));
    ck_assert(!origin_ok("http://localhost:9000", "cross-site"));
}

UNIT_TEST(cookies)
{
    struct weir_request *req = weir_test_request(host, "GET", "/");
    struct weir_str value = {NULL, 0};
    ck_assert(!weir_request_cookie(req, weir_str_of("weir_admin"), &value));
    weir_test_request_add(req, "Cookie", "a=b; xweir_admin=no; weir_admin2=no");
    ck_assert(!weir_request_cookie(req, weir_str_of("weir_admin"), &value));
    weir_test_request_add(req, "Cookie", "c=d;weir_admin=yes; e=f");
    ck_assert(weir_request_cookie(req, weir_str_of("weir_admin"), &value));
    ck_assert(weir_str_is(value, "yes"));
}

/* ---- sessions ---- */

static const struct session_limits limits = {60 * SECOND, 600 * SECOND};

static const struct weir_caller *who(const char *name)
{
    static struct weir_caller caller;
    caller = (struct weir_caller){
        .size = sizeof(caller), .role = WEIR_ROLE_VIEWER, .author = weir_str_of(name)};
    return &caller;
}

UNIT_TEST(sessions_end)
{
    struct sessions *sessions = calloc(1, sizeof(*sessions));
    char token[SESSION_TOKEN], other[SESSION_TOKEN];
    struct session *session = session_new(sessions, ctx, &limits, who("ann"), token);

    ck_assert_uint_eq(strlen(token), SESSION_TOKEN - 1);
    ck_assert_str_ne(token, session->csrf);
    ck_assert(!text_has((struct weir_str){(const char *)sessions, sizeof(*sessions)}, token));
    session_new(sessions, ctx, &limits, who("bob"), other);
    ck_assert_str_ne(token, other);
    ck_assert_ptr_eq(session_find(sessions, ctx, &limits, weir_str_of(token)), session);
    ck_assert_ptr_null(session_find(sessions, ctx, &limits, weir_str_of("")));
    other[3] = other[3] == 'A' ? 'B' : 'A';
    ck_assert_ptr_null(session_find(sessions, ctx, &limits, weir_str_of(other)));
    /* Idle. */
    weir_test_advance(host, 59 * SECOND);
    ck_assert_ptr_eq(session_find(sessions, ctx, &limits, weir_str_of(token)), session);
    weir_test_advance(host, 60 * SECOND);
    ck_assert_ptr_null(session_find(sessions, ctx, &limits, weir_str_of(token)));
    /* In the end, whatever happens. */
    session_new(sessions, ctx, &limits, who("ann"), token);
    for (int i = 0; i < 19; i++) {
        weir_test_advance(host, 30 * SECOND);
        ck_assert_ptr_nonnull(session_find(sessions, ctx, &limits, weir_str_of(token)));
    }
    weir_test_advance(host, 30 * SECOND);
    ck_assert_ptr_null(session_find(sessions, ctx, &limits, weir_str_of(token)));
    free(sessions);
}

UNIT_TEST(the_oldest_session_makes_place)
{
    struct sessions *sessions = calloc(1, sizeof(*sessions));
    char first[SESSION_TOKEN], second[SESSION_TOKEN], token[SESSION_TOKEN];

    session_new(sessions, ctx, &limits, who("a"), first);
    weir_test_advance(host, SECOND);
    session_new(sessions, ctx, &limits, who("b"), second);
    for (int i = 0; i < SESSIONS_MAX - 1; i++) {
        weir_test_advance(host, SECOND / 1000);
        session_new(sessions, ctx, &limits, who("c"), token);
    }
    ck_assert_ptr_null(session_find(sessions, ctx, &limits, weir_str_of(first)));
    ck_assert_ptr_nonnull(session_find(sessions, ctx, &limits, weir_str_of(second)));
    ck_assert_ptr_nonnull(session_find(sessions, ctx, &limits, weir_str_of(token)));
    free(sessions);
}

/* ---- throttling ---- */

static uint64_t wait_s(struct throttle *throttle, const char *address, const char *name)
{
    uint64_t ns = throttle_login_wait_ns(throttle, ctx, weir_str_of(address), weir_str_of(name));
    return (ns + SECOND - 1) / SECOND;
}

static void fail_login(struct throttle *throttle, const char *address, const char *name)
{
    throttle_login(throttle, ctx, weir_str_of(address), weir_str_of(name), false);
}

UNIT_TEST(failed_logins_wait_longer_each_time)
{
    struct throttle *throttle = calloc(1, sizeof(*throttle));

    for (int i = 0; i < 4; i++) {
        fail_login(throttle, "192.0.2.1", "ann");
        ck_assert_uint_eq(wait_s(throttle, "192.0.2.1", "ann"), 0);
    }
    for (uint64_t expected = 1; expected <= 16; expected *= 2) {
        fail_login(throttle, "192.0.2.1", "ann");
        ck_assert_uint_eq(wait_s(throttle, "192.0.2.1", "ann"), expected);
        ck_assert_uint_eq(wait_s(throttle, "192.0.2.1", "bob"), expected);
        ck_assert_uint_eq(wait_s(throttle, "192.0.2.2", "ann"), expected);
        ck_assert_uint_eq(wait_s(throttle, "192.0.2.2", "bob"), 0);
        weir_test_advance(host, expected * SECOND);
        ck_assert_uint_eq(wait_s(throttle, "192.0.2.1", "ann"), 0);
    }
    for (int i = 0; i < 60; i++) {
        fail_login(throttle, "192.0.2.1", "ann");
    }
    ck_assert_uint_eq(wait_s(throttle, "192.0.2.1", "ann"), 900);
    ck_assert_uint_eq(wait_s(throttle, "192.0.2.2", "ann"), 30);
    throttle_login(throttle, ctx, weir_str_of("192.0.2.1"), weir_str_of("ann"), true);
    ck_assert_uint_eq(wait_s(throttle, "192.0.2.1", "ann"), 0);
    free(throttle);
}

UNIT_TEST(an_ipv6_network_counts_as_one)
{
    struct throttle *throttle = calloc(1, sizeof(*throttle));
    for (int i = 0; i < 5; i++) {
        char address[40];
        snprintf(address, sizeof(address), "2001:db8:1:2::%d", i);
        fail_login(throttle, address, "");
    }
    ck_assert_uint_eq(wait_s(throttle, "2001:db8:1:2:ffff::9", ""), 1);
    ck_assert_uint_eq(wait_s(throttle, "2001:db8:1:3::1", ""), 0);
    free(throttle);
}

UNIT_TEST(failures_are_forgotten_and_the_table_is_bounded)
{
    struct throttle *throttle = calloc(1, sizeof(*throttle));
    for (int i = 0; i < 5; i++) {
        fail_login(throttle, "192.0.2.1", "");
    }
    weir_test_advance(host, 3601 * SECOND);
    fail_login(throttle, "192.0.2.1", "");
    ck_assert_uint_eq(wait_s(throttle, "192.0.2.1", ""), 0);
    for (int i = 0; i < 3 * THROTTLE_SLOTS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "name%d", i);
        fail_login(throttle, "198.51.100.1", name);
    }
    ck_assert_uint_gt(wait_s(throttle, "198.51.100.1", ""), 0);
    free(throttle);
}

UNIT_TEST(requests_come_from_a_bucket)
{
    struct throttle *throttle = calloc(1, sizeof(*throttle));
    int taken = 0;
    while (taken < 1000 && throttle_take(throttle, ctx, weir_str_of("ann"), 10)) {
        taken++;
    }
    ck_assert_int_eq(taken, 20);
    ck_assert(throttle_take(throttle, ctx, weir_str_of("bob"), 10));
    weir_test_advance(host, SECOND / 2);
    for (taken = 0; throttle_take(throttle, ctx, weir_str_of("ann"), 10); taken++) {}
    ck_assert_int_eq(taken, 5);
    ck_assert(throttle_take(throttle, ctx, weir_str_of("ann"), 0));
    free(throttle);
}

UNIT_FIXTURE(set_up, tear_down);
