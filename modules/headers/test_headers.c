/* SPDX-License-Identifier: MIT */
/*
 * headers: changes of fields, conditions, paths, redirects, and every mistake with its words.
 */
#include "../test_main.h"

#include <stdio.h>
#include <string.h>

#include "condition.h"

struct fixture {
    struct weir_test *host;
    struct weir_test_instance *filter;
};

static struct fixture begin(const char *conf)
{
    struct fixture f;
    f.host = test_begin();
    f.filter = weir_test_create(f.host, WEIR_TEST_FILTER, test_conf(f.host, conf));
    ck_assert_ptr_nonnull(f.filter);
    return f;
}

static struct weir_request *pass(struct fixture *f, const char *method, const char *target)
{
    struct weir_request *req = weir_test_request(f->host, method, target);
    ck_assert_int_eq(weir_test_filter_request(f->filter, req), WEIR_OK);
    return req;
}

/* ---- fields ---- */

UNIT_TEST(request_fields_change)
{
    struct fixture f = begin("request_set = {\"X-A: new\", \"X-Client:{client}:{client_port}\"}"
                             "  request_add = {\"X-B: two\"}"
                             "  request_remove = {\"Cookie\", \"X-Debug\"}");
    struct weir_request *req = weir_test_request(f.host, "GET", "/");
    weir_test_request_add(req, "x-a", "old");
    weir_test_request_add(req, "X-A", "older");
    weir_test_request_add(req, "X-B", "one");
    weir_test_request_add(req, "cookie", "a=b");
    ck_assert_int_eq(weir_test_filter_request(f.filter, req), WEIR_OK);
    ck_assert_str_eq(weir_test_request_header(req, "X-A"), "new");
    ck_assert_str_eq(weir_test_request_header(req, "X-Client"), "192.0.2.1:40000");
    ck_assert_str_eq(weir_test_request_header(req, "X-B"), "one");
    ck_assert_ptr_null(weir_test_request_header(req, "Cookie"));
    ck_assert_uint_eq(weir_request_field_count(req), 5); /* Host, X-A, X-Client, X-B twice */
    test_end(&f.host);
}

UNIT_TEST(variables_are_filled_in)
{
    static const struct {
        const char *value, *expected;
    } cases[] = {
        {"plain", "plain"},
        {"{method} {path}{query} {protocol}", "GET /a/b?c=d HTTP/1.1"},
        {"{scheme}://{host}{path}", "https://www.example/a/b"},
        {"{rest}", "/b"},
        {"{tls_version}/{tls_name}", "TLSv1.3/"},
        {"{request_id}", "id-1"},
        {"{listener}", "public"},
        {"<{header:x-from}>", "<somebody>"},
        {"<{header:X-None}>", "<>"},
        {"{{{host}}}", "{www.example}"},
        {"}}{{", "}{"},
        {"\\\"quoted\\\"; a=\xc3\xa4", "\"quoted\"; a=\xc3\xa4"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char conf[256];
        snprintf(conf, sizeof(conf), "path = {\"/a\"}  request_set = {\"X-V: %s\"}",
                 cases[i].value);
        struct fixture f = begin(conf);
        struct weir_request *req = weir_test_request(f.host, "GET", "/a/b?c=d");
        weir_test_request_set_tls(req, true);
        weir_test_request_set_str(req, WEIR_REQUEST_ID, "id-1");
        weir_test_request_add(req, "X-From", "somebody");
        ck_assert_int_eq(weir_test_filter_request(f.filter, req), WEIR_OK);
        ck_assert_str_eq(weir_test_request_header(req, "X-V"), cases[i].expected);
        test_end(&f.host);
    }
}

UNIT_TEST(a_variable_without_value_leaves_no_field)
{
    struct fixture f =
        begin("request_set = {\"X-Tls: {tls_version}\"}  request_add = {\"X-Q: {query}\"}");
    struct weir_request *req = weir_test_request(f.host, "GET", "/");
    weir_test_request_add(req, "X-Tls", "forged");
    ck_assert_int_eq(weir_test_filter_request(f.filter, req), WEIR_OK);
    ck_assert_ptr_null(weir_test_request_header(req, "X-Tls"));
    ck_assert_ptr_null(weir_test_request_header(req, "X-Q"));
    test_end(&f.host);
}

UNIT_TEST(response_fields_change)
{
    struct fixture f =
        begin("response_set = {\"X-Frame-Options: DENY\", \"X-Status: {status}\"}"
              "  response_add = {\"Set-Cookie: b=2\"}  response_remove = {\"Server\"}");
    struct weir_request *req = pass(&f, "GET", "/");
    struct weir_response *resp = weir_test_response(req, 404);
    weir_test_response_add(resp, "Server", "secret/1.2");
    weir_test_response_add(resp, "x-frame-options", "ALLOW");
    weir_test_response_add(resp, "Set-Cookie", "a=1");
    weir_test_filter_response(f.filter, req, resp);
    ck_assert_ptr_null(weir_test_response_header(resp, "Server", 0));
    ck_assert_str_eq(weir_test_response_header(resp, "X-Frame-Options", 0), "DENY");
    ck_assert_ptr_null(weir_test_response_header(resp, "X-Frame-Options", 1));
    ck_assert_str_eq(weir_test_response_header(resp, "Set-Cookie", 0), "a=1");
    ck_assert_str_eq(weir_test_response_header(resp, "Set-Cookie", 1), "b=2");
    ck_assert_str_eq(weir_test_response_header(resp, "X-Status", 0), "404");
    test_end(&f.host);
}

/* ---- conditions ---- */

UNIT_TEST(conditions_hold_or_do_not)
{
    static const struct {
        const char *conf, *method, *target;
        bool tls, holds;
    } cases[] = {
        {"", "GET", "/", false, true},
        {"path = {\"/api\"}", "GET", "/api", false, true},
        {"path = {\"/api\"}", "GET", "/api/x", false, true},
        {"path = {\"/api/\"}", "GET", "/api", false, true},
        {"path = {\"/api\"}", "GET", "//api//x", false, true},
        {"path = {\"/api\"}", "GET", "/apix", false, false},
        {"path = {\"/api\"}", "GET", "/", false, false},
        {"path = {\"/x\", \"/api\"}", "GET", "/api", false, true},
        {"path = {\"/\"}", "GET", "/anything", false, true},
        {"path = {\"/\"}", "OPTIONS", "*", false, false},
        {"method = {\"GET\", \"HEAD\"}", "HEAD", "/", false, true},
        {"method = {\"GET\", \"HEAD\"}", "POST", "/", false, false},
        {"method = {\"GET\"}", "get", "/", false, false},
        {"scheme = https", "GET", "/", false, false},
        {"scheme = https", "GET", "/", true, true},
        {"scheme = http", "GET", "/", false, true},
        {"scheme = http", "GET", "/", true, false},
        {"scheme = http  path = {\"/a\"}  method = {\"GET\"}", "GET", "/a", false, true},
        {"scheme = http  path = {\"/a\"}  method = {\"PUT\"}", "GET", "/a", false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char conf[256];
        snprintf(conf, sizeof(conf), "%s  request_set = {\"X: y\"}  response_set = {\"X: y\"}",
                 cases[i].conf);
        struct fixture f = begin(conf);
        struct weir_request *req = weir_test_request(f.host, cases[i].method, cases[i].target);
        weir_test_request_set_tls(req, cases[i].tls);
        ck_assert_int_eq(weir_test_filter_request(f.filter, req), WEIR_OK);
        ck_assert_msg((weir_test_request_header(req, "X") != NULL) == cases[i].holds, "%s: %s",
                      cases[i].conf, cases[i].target);
        struct weir_response *resp = weir_test_response(req, 200);
        weir_test_filter_response(f.filter, req, resp);
        ck_assert_msg((weir_test_response_header(resp, "X", 0) != NULL) == cases[i].holds, "%s: %s",
                      cases[i].conf, cases[i].target);
        test_end(&f.host);
    }
}

UNIT_TEST(statuses_choose_responses)
{
    static const struct {
        uint32_t status;
        bool holds;
    } cases[] = {{200, true}, {299, true}, {300, false}, {404, true}, {405, false}, {500, false}};
    struct fixture f = begin(
        "status = {\"200-299\", \"404\"}  response_set = {\"X: y\"}  request_set = {\"X: y\"}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_request *req = pass(&f, "GET", "/");
        ck_assert_ptr_nonnull(weir_test_request_header(req, "X"));
        struct weir_response *resp = weir_test_response(req, cases[i].status);
        weir_test_filter_response(f.filter, req, resp);
        ck_assert((weir_test_response_header(resp, "X", 0) != NULL) == cases[i].holds);
    }
    test_end(&f.host);
}

/* The path is stripped on its way in; what the client asked for still decides on the way out. */
UNIT_TEST(responses_remember_the_client_s_path)
{
    struct fixture f = begin("path = {\"/api\"}  strip_prefix = \"/api\""
                             "  response_set = {\"X-Rest: {rest}\"}");
    struct weir_request *req = pass(&f, "GET", "/api/users");
    ck_assert_str_eq(weir_request_path(req).ptr, "/users");
    struct weir_response *resp = weir_test_response(req, 200);
    weir_test_filter_response(f.filter, req, resp);
    ck_assert_str_eq(weir_test_response_header(resp, "X-Rest", 0), "/users");
    /* A response to a request that the filter has not seen: an earlier one has answered. */
    req = weir_test_request(f.host, "GET", "/api/other");
    resp = weir_test_response(req, 429);
    weir_test_filter_response(f.filter, req, resp);
    ck_assert_str_eq(weir_test_response_header(resp, "X-Rest", 0), "/other");
    test_end(&f.host);
}

/* ---- paths ---- */

UNIT_TEST(paths_change)
{
    static const struct {
        const char *conf, *target, *expected;
    } cases[] = {
        {"strip_prefix = \"/api\"", "/api/v1/x?q=1", "/v1/x"},
        {"strip_prefix = \"/api\"", "/api", "/"},
        {"strip_prefix = \"/api\"", "/api/", "/"},
        {"strip_prefix = \"/api/\"", "/api/x", "/x"},
        {"strip_prefix = \"/api\"", "/apix", "/apix"},
        {"strip_prefix = \"/api\"", "/api//evil.example/", "/evil.example/"},
        {"strip_prefix = \"/api\"", "//api/x", "/x"},
        {"add_prefix = \"/v2\"", "/x", "/v2/x"},
        {"add_prefix = \"/v2/\"", "/x", "/v2/x"},
        {"add_prefix = \"/v2\"", "/", "/v2/"},
        {"strip_prefix = \"/old\"  add_prefix = \"/new\"", "/old/x", "/new/x"},
        {"strip_prefix = \"/old\"  add_prefix = \"/new\"", "/old", "/new"},
        {"strip_prefix = \"/old\"  add_prefix = \"/new/\"", "/old", "/new/"},
        {"strip_prefix = \"/old\"  add_prefix = \"/new\"", "/other", "/other"},
        {"strip_prefix = \"/old\"  add_prefix = \"/\"", "/old/x", "/x"},
        {"strip_prefix = \"/old\"", "*", "*"},
        {"path = {\"/b\"}  add_prefix = \"/c\"", "/a", "/a"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f = begin(cases[i].conf);
        struct weir_request *req = pass(&f, "OPTIONS", cases[i].target);
        ck_assert_str_eq(weir_request_path(req).ptr, cases[i].expected);
        test_end(&f.host);
    }
}

/* ---- redirects ---- */

static void expect_redirect(const char *conf, const char *target, const char *location)
{
    struct fixture f = begin(conf);
    struct weir_request *req = weir_test_request(f.host, "GET", target);
    ck_assert_int_eq(weir_test_filter_request(f.filter, req), WEIR_DONE);
    ck_assert_uint_eq(weir_test_reply_of(req).status, 308);
    ck_assert_str_eq(weir_test_reply_header(req, "Location"), location);
    test_end(&f.host);
}

UNIT_TEST(redirects_are_answered)
{
    expect_redirect("redirect = \"https://{host}{path}{query}\"  redirect_status = 308", "/a?b=c",
                    "https://www.example/a?b=c");
    expect_redirect("redirect = \"https://{host}{path}{query}\"  redirect_status = 308", "/a",
                    "https://www.example/a");
    expect_redirect("redirect = \"/new{rest}\"  path = {\"/old\"}  redirect_status = 308",
                    "/old//evil.example", "/new/evil.example");
    expect_redirect("redirect = \"https://other.example:8443/\"  redirect_status = 308", "/x",
                    "https://other.example:8443/");
    expect_redirect("redirect = \"{scheme}://www.{host}{path}\"  redirect_status = 308", "/x",
                    "http://www.www.example/x");
}

UNIT_TEST(a_redirect_has_a_host_or_none_is_sent)
{
    struct fixture f = begin("redirect = \"https://{host}/\"  scheme = http");
    struct weir_request *req = weir_test_request(f.host, "GET", "/");
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, "");
    ck_assert_int_eq(weir_test_filter_request(f.filter, req), WEIR_DONE);
    ck_assert_uint_eq(weir_test_reply_of(req).status, 400);
    req = weir_test_request(f.host, "GET", "/");
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, "2001:db8::1");
    ck_assert_int_eq(weir_test_filter_request(f.filter, req), WEIR_DONE);
    ck_assert_str_eq(weir_test_reply_header(req, "Location"), "https://[2001:db8::1]/");
    req = weir_test_request(f.host, "GET", "/");
    weir_test_request_set_tls(req, true);
    ck_assert_int_eq(weir_test_filter_request(f.filter, req), WEIR_OK);
    test_end(&f.host);
}

/* ---- mistakes ---- */

UNIT_TEST(mistakes_are_told)
{
    static const struct {
        const char *conf, *text;
    } cases[] = {
        {"request_set = {\"X-A\"}", "\"X-A\" is no field name; write \"Name: value\""},
        {"request_set = {\": x\"}", "is no field name"},
        {"request_set = {\"X A: b\"}", "\"X A\" is no field name"},
        {"request_set = {\"X-A: {hots}\"}", "there is no {hots} here; known are {host}"},
        {"request_set = {\"X-A: {status}\"}", "there is no {status} here"},
        {"response_set = {\"X-A: {header:}\"}", "{header:NAME} needs the name of a field"},
        {"request_set = {\"X-A: {host\"}", "a brace is open"},
        {"request_set = {\"X-A: host}\"}", "a brace closes nothing"},
        {"request_set = {\"X-A: a\\r\\nX-B: c\"}", "no control characters"},
        {"request_set = {\"Content-Length: 5\"}", "\"Content-Length\" frames the message"},
        {"response_set = {\"transfer-encoding: chunked\"}", "frames the message"},
        {"response_add = {\"Connection: close\"}", "frames the message"},
        {"response_remove = {\"Upgrade\"}", "frames the message"},
        {"request_remove = {\"TE\"}", "frames the message"},
        {"request_set = {\"Host: other\"}", "\"Host\" is written by Weir itself"},
        {"request_remove = {\"X-Forwarded-For\"}", "is written by Weir itself"},
        {"request_remove = {\"X-A: b\"}", "\"X-A: b\" is no field name"},
        {"path = {\"api\"}", "\"api\": a path begins with /"},
        {"path = {\"/a?b\"}", "write them as %XX"},
        {"path = {\"/a/../b\"}", "a path has no segments"},
        {"path = {\"/%c3%a4\"}", "in upper case"},
        {"path = {\"/%61\"}", "not as %XX"},
        {"strip_prefix = \"api\"", "a path begins with /"},
        {"add_prefix = \"v2\"", "a path begins with /"},
        {"method = {\"G ET\"}", "\"G ET\" is no method"},
        {"status = {\"2xx\"}", "status: \"2xx\" is neither a status nor a range"},
        {"status = {\"299-200\"}", "neither a status nor a range"},
        {"status = {\"100\"}", "neither a status nor a range"},
        {"redirect = \"other.example\"", "a redirect begins with"},
        {"redirect = \"//other.example\"", "after the first \"/\""},
        {"redirect = \"/{rest}\"", "after the first \"/\""},
        {"redirect = \"https://{path}\"", "after \"//\" stands the host's name"},
        {"redirect = \"https:///x\"", "after \"//\" stands the host's name"},
        {"redirect = \"https://a/{header:X}\"", "there is no {header:X} here"},
        {"redirect = \"https://a/{client}\"", "there is no {client} here"},
        {"redirect = \"https://a/ b\"", "write them as %XX"},
        {"redirect = \"https://a/\"  redirect_status = 305", "305 does not redirect"},
    };
    struct weir_test *host = test_begin();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_refused(host, cases[i].conf, cases[i].text);
    }
    test_end(&host);
}

UNIT_TEST(memory_that_runs_out_is_told)
{
    for (size_t skip = 0; skip < 6; skip++) {
        struct fixture f = begin("request_set = {\"X-A: {host}\"}  request_add = {\"X-B: {path}\"}"
                                 "  response_set = {\"X-C: {rest}\"}  add_prefix = \"/x\"");
        struct weir_request *req = weir_test_request(f.host, "GET", "/a");
        weir_test_fail_alloc(f.host, skip);
        enum weir_status status = weir_test_filter_request(f.filter, req);
        ck_assert(status == WEIR_OK || status == WEIR_NO_MEMORY);
        ck_assert(status != WEIR_OK || weir_test_request_header(req, "X-B") != NULL);
        test_end(&f.host);
    }
}
