/* SPDX-License-Identifier: MIT */
/*
 * admin: the API as requests see it: who asks, bodies, limits.
 */
#include "test_site.h"

UNIT_TEST(the_api_wants_to_know_who)
{
    site_begin("");
    struct weir_request *req = site_request("GET", "/api/v1/pools");
    ck_assert_uint_eq(site_send(req, NULL), 401);
    ck_assert_str_eq(weir_test_reply_header(req, "WWW-Authenticate"), "Bearer realm=\"weir\"");
    ck_assert_str_eq(weir_test_reply_header(req, "Content-Type"), "application/problem+json");
    req = site_request("GET", "/api/v1/pools");
    weir_test_request_add(req, "Authorization", "Bearer weir_wrong");
    ck_assert_uint_eq(site_send(req, NULL), 401);
    ck_assert_ptr_nonnull(strstr(weir_test_reply_header(req, "WWW-Authenticate"), "invalid_token"));
    req = site_request("GET", "/openapi.json");
    weir_test_request_add(req, "Authorization", "Basic YTpi");
    ck_assert_uint_eq(site_send(req, NULL), 401);
    ck_assert_uint_eq(weir_test_control_count(host), 0);
}

UNIT_TEST(calls_and_answers_pass)
{
    static const struct weir_control_answer made = {
        .size = sizeof(made),
        .status = 201,
        .content_type = WEIR_STR_INIT("application/json"),
        .body = WEIR_STR_INIT("{\"id\":\"x\"}"),
        .etag = WEIR_STR_INIT("\"7\""),
        .location = WEIR_STR_INIT("/api/v1/pools/web/servers/x"),
        .journal = 12,
    };
    site_begin("");
    weir_test_script_answer(host, "POST", "/api/v1/pools/web/servers", &made);
    struct weir_request *req = site_with_token("POST", "/api/v1/pools/web/servers?confirm=60s");
    weir_test_request_add(req, "If-Match", "\"6\"");
    ck_assert_uint_eq(site_send(req, "{\"url\":\"http://a:1\"}"), 201);
    const struct weir_control_request *call = weir_test_control_call(host, 0);
    ck_assert(weir_str_is(call->method, "POST"));
    ck_assert(weir_str_is(call->path, "/api/v1/pools/web/servers"));
    ck_assert(weir_str_is(call->query, "confirm=60s"));
    ck_assert(weir_str_is(call->body, "{\"url\":\"http://a:1\"}"));
    ck_assert(weir_str_is(call->if_match, "\"6\""));
    ck_assert(weir_str_is(call->caller.author, "ann"));
    ck_assert_int_eq(call->caller.role, WEIR_ROLE_OPERATOR);
    ck_assert_str_eq(weir_test_reply_of(req).body, "{\"id\":\"x\"}");
    ck_assert_str_eq(weir_test_reply_header(req, "ETag"), "\"7\"");
    ck_assert_str_eq(weir_test_reply_header(req, "Location"), "/api/v1/pools/web/servers/x");
    ck_assert_str_eq(weir_test_reply_header(req, "Weir-Journal"), "12");
    ck_assert_str_eq(weir_test_reply_header(req, "Cache-Control"), "no-store");
}

UNIT_TEST(an_answer_that_cannot_be_sent_keeps_nobody_waiting)
{
    static const struct weir_control_answer nothing = {.size = sizeof(nothing)};
    site_begin("");
    weir_test_script_answer(host, "GET", "/api/v1/pools", &nothing);
    struct weir_request *req = site_with_token("GET", "/api/v1/pools");
    site_send(req, NULL);
    ck_assert(weir_test_reply_of(req).aborted);
}

UNIT_TEST(bodies_are_small_json)
{
    site_begin("");
    struct weir_request *req = site_with_token("POST", "/api/v1/explain");
    weir_test_request_add(req, "Content-Type", "text/plain");
    ck_assert_uint_eq(site_send(req, "{}"), 415);
    req = site_with_token("POST", "/api/v1/explain");
    weir_test_request_add(req, "Content-Length", "65537");
    weir_test_request_add(req, "Content-Type", "application/json");
    ck_assert_int_eq(weir_test_handle_head(admin, req), WEIR_OK);
    ck_assert_uint_eq(weir_test_reply_of(req).status, 413);
    /* Of unknown length: as it comes. */
    req = site_with_token("POST", "/api/v1/explain");
    weir_test_request_add(req, "Transfer-Encoding", "chunked");
    weir_test_request_add(req, "Content-Type", "application/json; charset=utf-8");
    ck_assert_int_eq(weir_test_handle_head(admin, req), WEIR_OK);
    char piece[1024];
    memset(piece, ' ', sizeof(piece));
    for (int i = 0; i < 64; i++) {
        weir_test_handle_data(admin, req, piece, sizeof(piece), false);
        ck_assert_uint_eq(weir_test_reply_of(req).status, 0);
    }
    weir_test_handle_data(admin, req, piece, 1, false);
    ck_assert_uint_eq(weir_test_reply_of(req).status, 413);
    weir_test_handle_data(admin, req, piece, sizeof(piece), true);
    ck_assert_uint_eq(weir_test_control_count(host), 0);
}

UNIT_TEST(clients_that_go_are_not_answered)
{
    site_begin("");
    weir_test_control_hold(host, true);
    struct weir_request *req = site_with_token("GET", "/api/v1/pools");
    ck_assert_uint_eq(site_send(req, NULL), 0);
    weir_test_client_gone(admin, req);
    struct weir_request *other = site_with_token("GET", "/api/v1/pools");
    site_send(other, NULL);
    weir_test_control_hold(host, false);
    weir_test_run(host);
    ck_assert_uint_eq(weir_test_reply_of(other).status, 404);
    /* The instance may go while an answer is on its way. */
    weir_test_control_hold(host, true);
    req = site_with_token("GET", "/api/v1/pools");
    site_send(req, NULL);
    weir_test_client_gone(admin, req);
    weir_test_destroy(&admin);
    weir_test_control_hold(host, false);
}

UNIT_TEST(whoever_is_out_before_his_body_is_here_changes_nothing)
{
    site_begin("");
    struct weir_request *req = site_with_token("POST", "/api/v1/explain");
    weir_test_request_add(req, "Content-Length", "2");
    weir_test_request_add(req, "Content-Type", "application/json");
    ck_assert_int_eq(weir_test_handle_head(admin, req), WEIR_OK);
    weir_test_person_set_token(host, "ann", "weir_other");
    weir_test_handle_data(admin, req, "{}", 2, true);
    ck_assert_uint_eq(weir_test_reply_of(req).status, 401);
    ck_assert_uint_eq(weir_test_control_count(host), 0);
}

UNIT_TEST(callers_are_limited)
{
    site_begin("request_limit = 5");
    for (int i = 0; i < 10; i++) {
        ck_assert_uint_eq(site_send(site_with_token("GET", "/api/v1/x"), NULL), 404);
    }
    struct weir_request *req = site_with_token("GET", "/api/v1/x");
    ck_assert_uint_eq(site_send(req, NULL), 429);
    ck_assert_str_eq(weir_test_reply_header(req, "Retry-After"), "1");
    weir_test_advance(host, SECOND);
    ck_assert_uint_eq(site_send(site_with_token("GET", "/api/v1/x"), NULL), 404);
}

UNIT_TEST(peers_of_unix_sockets)
{
    struct weir_credentials root = {0, 0, 1};
    site_begin("");
    struct weir_request *req = site_request("GET", "/api/v1/pools");
    weir_test_request_set_credentials(req, &root);
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, "whatever");
    ck_assert_uint_eq(site_send(req, NULL), 404);
    ck_assert_int_eq(weir_test_control_call(host, 0)->caller.role, WEIR_ROLE_ADMIN);
    req = site_request("GET", "/api/v1/pools");
    weir_test_request_set_credentials(req, &root);
    weir_test_request_add(req, "X-Forwarded-For", "192.0.2.9");
    ck_assert_uint_eq(site_send(req, NULL), 401);
}

UNIT_FIXTURE(site_set_up, site_tear_down);
