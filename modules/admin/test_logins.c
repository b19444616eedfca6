/* SPDX-License-Identifier: MIT */
/*
 * admin: logins, sessions, and what ends them.
 */
#include "test_site.h"

UNIT_TEST(passwords_tokens_and_links_log_in)
{
    site_begin("");
    ck_assert_uint_eq(site_log_in("{\"name\":\"ann\",\"password\":\"wrong\"}"), 401);
    ck_assert_uint_eq(site_log_in("{\"name\":\"ann\",\"password\":\"secret\"}"), 200);
    struct weir_request *req = site_with_cookie("GET", "/api/v1/session");
    ck_assert_uint_eq(site_send(req, NULL), 200);
    ck_assert(site_says(req, "{\"author\":\"ann\",\"role\":\"operator\",\"csrf\":\""));
    ck_assert(site_says(req, site_csrf));
    ck_assert_uint_eq(site_send(site_with_cookie("GET", "/"), NULL), 200);
    ck_assert_uint_eq(site_log_in("{\"token\":\"weir_ann\"}"), 200);
    ck_assert_uint_eq(site_log_in("{\"link\":\"once\"}"), 200);
    ck_assert_uint_eq(site_log_in("{\"link\":\"once\"}"), 401);
    ck_assert_uint_eq(site_log_in("{\"link\":\"once\",\"token\":\"weir_ann\"}"), 422);
    ck_assert_uint_eq(site_log_in("{\"name\":\"ann\"}"), 422);
    ck_assert_uint_eq(site_log_in("{}"), 422);
    ck_assert_uint_eq(site_log_in("nonsense"), 400);
    ck_assert_uint_eq(site_send(site_request("PUT", "/api/v1/session"), NULL), 405);
    ck_assert_uint_eq(site_send(site_request("GET", "/api/v1/session"), NULL), 401);
    ck_assert_int_eq(weir_test_metric(host, "logins"), 3);
    ck_assert_int_eq(weir_test_metric(host, "logins_failed"), 2);
}

UNIT_TEST(writes_of_a_session_want_its_token)
{
    site_begin("");
    ck_assert_uint_eq(site_log_in("{\"token\":\"weir_ann\"}"), 200);
    ck_assert_uint_eq(site_send(site_with_cookie("DELETE", "/api/v1/x"), NULL), 403);
    struct weir_request *req = site_with_cookie("DELETE", "/api/v1/x");
    weir_test_request_add(req, "X-CSRF-Token", "0123456789012345678901234567890123456789012");
    ck_assert_uint_eq(site_send(req, NULL), 403);
    req = site_with_cookie("DELETE", "/api/v1/x");
    weir_test_request_add(req, "X-CSRF-Token", site_csrf);
    weir_test_request_add(req, "Origin", "http://evil.example");
    ck_assert_uint_eq(site_send(req, NULL), 403);
    req = site_with_cookie("GET", "/api/v1/x");
    weir_test_request_add(req, "Sec-Fetch-Site", "same-site");
    ck_assert_uint_eq(site_send(req, NULL), 403);
    ck_assert_uint_eq(weir_test_control_count(host), 0);
    req = site_with_cookie("DELETE", "/api/v1/x");
    weir_test_request_add(req, "X-CSRF-Token", site_csrf);
    weir_test_request_add(req, "Origin", "http://localhost:9000");
    ck_assert_uint_eq(site_send(req, NULL), 404);
    ck_assert_uint_eq(weir_test_control_count(host), 1);
    req = site_request("POST", "/api/v1/session");
    weir_test_request_add(req, "Sec-Fetch-Site", "cross-site");
    ck_assert_uint_eq(site_send(req, "{\"token\":\"weir_ann\"}"), 403);
}

UNIT_TEST(sessions_outlive_reloads_and_end_with_users)
{
    site_begin("");
    ck_assert_uint_eq(site_log_in("{\"token\":\"weir_ann\"}"), 200);
    weir_test_destroy(&admin);
    site_begin("");
    ck_assert_uint_eq(site_send(site_with_cookie("GET", "/api/v1/session"), NULL), 200);
    weir_test_person_set_role(host, "ann", WEIR_ROLE_VIEWER);
    struct weir_request *req = site_with_cookie("GET", "/api/v1/session");
    ck_assert_uint_eq(site_send(req, NULL), 200);
    ck_assert(site_says(req, "\"role\":\"viewer\""));
    weir_test_person_set_role(host, "ann", WEIR_ROLE_NONE);
    ck_assert_uint_eq(site_send(site_with_cookie("GET", "/api/v1/session"), NULL), 401);
}

UNIT_TEST(sessions_end_with_the_token_that_began_them)
{
    site_begin("");
    ck_assert_uint_eq(site_log_in("{\"token\":\"weir_ann\"}"), 200);
    weir_test_person_set_token(host, "ann", "weir_other");
    ck_assert_uint_eq(site_send(site_with_cookie("GET", "/api/v1/session"), NULL), 401);
    ck_assert_uint_eq(site_log_in("{\"name\":\"ann\",\"password\":\"secret\"}"), 200);
    weir_test_person_set_token(host, "ann", NULL);
    ck_assert_uint_eq(site_send(site_with_cookie("GET", "/api/v1/session"), NULL), 200);
}

UNIT_TEST(logging_in_again_ends_the_streams_of_the_session_before)
{
    site_begin("");
    ck_assert_uint_eq(site_log_in("{\"token\":\"weir_ann\"}"), 200);
    struct weir_request *events = site_with_cookie("GET", "/api/v1/events");
    ck_assert_uint_eq(site_send(events, NULL), 200);
    struct weir_request *req = site_with_cookie("POST", "/api/v1/session");
    ck_assert_uint_eq(site_send(req, "{\"token\":\"weir_ann\"}"), 200);
    ck_assert(weir_test_reply_of(events).ended);
}

UNIT_TEST(logging_out)
{
    site_begin("");
    ck_assert_uint_eq(site_log_in("{\"token\":\"weir_ann\"}"), 200);
    struct weir_request *events = site_with_cookie("GET", "/api/v1/events");
    ck_assert_uint_eq(site_send(events, NULL), 200);
    struct weir_request *req = site_with_cookie("DELETE", "/api/v1/session");
    weir_test_request_add(req, "X-CSRF-Token", site_csrf);
    ck_assert_uint_eq(site_send(req, NULL), 204);
    ck_assert(weir_test_reply_of(events).ended);
    ck_assert_ptr_nonnull(strstr(weir_test_reply_header(req, "Set-Cookie"), "Max-Age=0"));
    ck_assert_uint_eq(site_send(site_with_cookie("GET", "/api/v1/session"), NULL), 401);
}

UNIT_TEST(failed_logins_are_slowed_down)
{
    site_begin("");
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(site_log_in("{\"name\":\"ann\",\"password\":\"wrong\"}"), 401);
    }
    struct weir_request *req = site_request("POST", "/api/v1/session");
    ck_assert_uint_eq(site_send(req, "{\"name\":\"ann\",\"password\":\"secret\"}"), 429);
    ck_assert_str_eq(weir_test_reply_header(req, "Retry-After"), "1");
    weir_test_advance(host, SECOND);
    ck_assert_uint_eq(site_log_in("{\"name\":\"ann\",\"password\":\"secret\"}"), 200);
    ck_assert_uint_eq(site_log_in("{\"name\":\"ann\",\"password\":\"wrong\"}"), 401);
}

UNIT_FIXTURE(site_set_up, site_tear_down);
