/* SPDX-License-Identifier: MIT */
/*
 * admin: its options, and pages as requests see them.
 */
#include "test_site.h"

UNIT_TEST(other_machines_want_tls)
{
    static const char *const open[] = {"127.0.0.1:1", "0.0.0.0:2", NULL};
    static const char *const local[] = {"127.0.0.1:1", "[::1]:2", "unix:/run/x", NULL};

    weir_test_set_listener(host, open, false);
    test_refused(host, "web_dir = \"\"", "insecure = true");
    ck_assert_ptr_nonnull(strstr(weir_test_mistakes(host), "0.0.0.0:2"));
    test_conf(host, "web_dir = \"\" insecure = true");
    weir_test_set_listener(host, open, true);
    test_conf(host, "web_dir = \"\"");
    weir_test_set_listener(host, local, false);
    test_conf(host, "web_dir = \"\"");
}

UNIT_TEST(wrong_options_are_told)
{
    test_refused(host, "web_dir = \"/nowhere/at/all\"", "web_dir = \"\"");
    test_refused(host, "web_dir = \"\" session_idle_timeout = 2h session_lifetime = 1h",
                 "longer than session_lifetime");
    test_refused(host, "web_dir = \"\" hosts = {\"a.example\", \"http://b.example\"}",
                 "\"http://b.example\" is no host name");
    test_refused(host, "web_dir = \"\" hosts = {\"a.example:9000\"}", "is no host name");
}

UNIT_TEST(pages_are_behind_the_login)
{
    site_begin("");
    struct weir_request *req = site_request("GET", "/");
    ck_assert_uint_eq(site_send(req, NULL), 303);
    ck_assert_str_eq(weir_test_reply_header(req, "Location"), "/login");
    ck_assert_uint_eq(site_get("/traffic"), 303);
    ck_assert_uint_eq(site_get("/login"), 200);
    ck_assert_uint_eq(site_get("/web/sub/b.css"), 200);
    ck_assert_uint_eq(site_get("/nothing"), 404);
    ck_assert_uint_eq(site_get("/web/.hidden"), 404);
    ck_assert_uint_eq(site_get("/web/local.mk"), 404);
    ck_assert_uint_eq(site_get("/web/../a.js"), 404);
    req = site_request("GET", "/");
    weir_test_request_add(req, "Authorization", "Bearer weir_ann");
    ck_assert_uint_eq(site_send(req, NULL), 200);
    ck_assert_str_eq(weir_test_reply_of(req).body, "<p>panel");
    ck_assert_ptr_nonnull(
        strstr(weir_test_reply_header(req, "Content-Security-Policy"), "default-src 'none'"));
    ck_assert_uint_eq(site_send(site_request("POST", "/web/a.js"), NULL), 405);
}

UNIT_TEST(pages_have_tags_and_are_compressed)
{
    site_begin("");
    struct weir_request *req = site_request("GET", "/web/a.js");
    ck_assert_uint_eq(site_send(req, NULL), 200);
    ck_assert_uint_eq(weir_test_reply_of(req).body_len, 3999);
    ck_assert_ptr_null(weir_test_reply_header(req, "Content-Encoding"));
    const char *etag = weir_test_reply_header(req, "ETag");

    struct weir_request *again = site_request("GET", "/web/a.js");
    weir_test_request_add(again, "If-None-Match", etag);
    ck_assert_uint_eq(site_send(again, NULL), 304);
    ck_assert_str_eq(weir_test_reply_header(again, "ETag"), etag);
    struct weir_request *head = site_request("HEAD", "/web/a.js");
    ck_assert_uint_eq(site_send(head, NULL), 200);
    ck_assert_int_eq(weir_test_reply_of(head).content_length, 3999);
    ck_assert_uint_eq(weir_test_reply_of(head).body_len, 0);
#ifdef ADMIN_GZIP
    struct weir_request *small = site_request("GET", "/web/a.js");
    weir_test_request_add(small, "Accept-Encoding", "gzip");
    ck_assert_uint_eq(site_send(small, NULL), 200);
    ck_assert_str_eq(weir_test_reply_header(small, "Content-Encoding"), "gzip");
    ck_assert_str_eq(weir_test_reply_header(small, "Vary"), "Accept-Encoding");
    ck_assert_str_ne(weir_test_reply_header(small, "ETag"), etag);
    ck_assert_uint_lt(weir_test_reply_of(small).body_len, 100);
#endif
}

UNIT_TEST(other_names_are_refused)
{
    site_begin("hosts = {\"weir.example\"}");
    struct weir_request *req = site_request("GET", "/login");
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, "evil.example");
    ck_assert_uint_eq(site_send(req, NULL), 421);
    ck_assert(site_says(req, "the option hosts"));
    req = site_request("GET", "/login");
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, "weir.example");
    ck_assert_uint_eq(site_send(req, NULL), 200);
    req = site_request("GET", "/login");
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, "evil.example");
    weir_test_request_set_tls(req, true);
    ck_assert_uint_eq(site_send(req, NULL), 200);
}

UNIT_FIXTURE(site_set_up, site_tear_down);
