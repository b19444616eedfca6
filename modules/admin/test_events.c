/* SPDX-License-Identifier: MIT */
/*
 * admin: streams of events, and what ends them.
 */
#include "test_site.h"

#include <stdlib.h>

static struct weir_request *listen_to_events(const char *last_id)
{
    struct weir_request *req = site_with_token("GET", "/api/v1/events");
    if (last_id != NULL) {
        weir_test_request_add(req, "Last-Event-ID", last_id);
    }
    ck_assert_uint_eq(site_send(req, NULL), 200);
    ck_assert_str_eq(weir_test_reply_header(req, "Content-Type"), "text/event-stream");
    return req;
}

UNIT_TEST(events_are_streamed)
{
    site_begin("");
    struct weir_request *req = listen_to_events("17");
    ck_assert_uint_eq(weir_test_subscription_last_id(host), 17);
    weir_test_event(host, 0, "statistics", "{\"a\":1}");
    weir_test_event(host, 18, "change", "{\"id\":3}");
    ck_assert_str_eq(weir_test_reply_of(req).body,
                     "retry: 1000\n\nevent: statistics\ndata: {\"a\":1}\n\n"
                     "id: 18\nevent: change\ndata: {\"id\":3}\n\n");
    weir_test_advance(host, 16 * SECOND);
    ck_assert(site_says(req, ": still here\n\n"));
    ck_assert_uint_eq(weir_test_subscription_count(host), 1);
    weir_test_client_gone(admin, req);
    ck_assert_uint_eq(weir_test_subscription_count(host), 0);
    ck_assert_uint_eq(site_send(site_with_token("POST", "/api/v1/events"), NULL), 405);
    ck_assert_uint_eq(site_get("/api/v1/events"), 401);
}

UNIT_TEST(slow_listeners_are_cut_off)
{
    char *data = calloc(1, 40001);
    site_begin("");
    struct weir_request *req = listen_to_events(NULL);
    weir_test_reply_hold(req, true);
    memset(data, '1', 40000);
    for (int i = 0; i < 10; i++) {
        weir_test_event(host, 0, "statistics", data);
    }
    size_t len = weir_test_reply_of(req).body_len;
    ck_assert_uint_lt(len, 130000); /* statistics are left out */
    for (uint64_t i = 1; i < 40 && !weir_test_reply_of(req).aborted; i++) {
        weir_test_event(host, i, "change", data);
    }
    ck_assert(weir_test_reply_of(req).aborted);
    weir_test_run(host);
    ck_assert(weir_test_request_over(req));
    ck_assert_uint_eq(weir_test_subscription_count(host), 0);
    free(data);
}

UNIT_TEST(streams_end_with_generation_session_and_user)
{
    site_begin("event_clients = 2");
    struct weir_request *first = listen_to_events(NULL);
    listen_to_events(NULL);
    ck_assert_uint_eq(site_send(site_with_token("GET", "/api/v1/events"), NULL), 503);
    weir_test_drain(admin);
    ck_assert(weir_test_reply_of(first).ended);
    ck_assert_uint_eq(weir_test_subscription_count(host), 0);
    weir_test_destroy(&admin);
    site_begin("session_idle_timeout = 100s");
    ck_assert_uint_eq(site_log_in("{\"token\":\"weir_ann\"}"), 200);
    struct weir_request *req = site_with_cookie("GET", "/api/v1/events");
    ck_assert_uint_eq(site_send(req, NULL), 200);
    weir_test_advance(host, 300 * SECOND); /* an open page is not idle */
    ck_assert(!weir_test_reply_of(req).ended);
    struct weir_request *by_token = listen_to_events(NULL);
    weir_test_person_set_role(host, "ann", WEIR_ROLE_NONE);
    weir_test_advance(host, 16 * SECOND);
    ck_assert(weir_test_reply_of(req).ended);
    ck_assert(weir_test_reply_of(by_token).ended);
}

UNIT_TEST(whoever_is_out_hears_no_further_event)
{
    site_begin("");
    weir_test_person(host, "eve", WEIR_ROLE_VIEWER, "weir_eve", NULL, NULL);
    ck_assert_uint_eq(site_log_in("{\"token\":\"weir_ann\"}"), 200);
    struct weir_request *session = site_with_cookie("GET", "/api/v1/events");
    ck_assert_uint_eq(site_send(session, NULL), 200);
    struct weir_request *token = listen_to_events(NULL),
                        *eve = site_request("GET", "/api/v1/events");
    weir_test_request_add(eve, "Authorization", "Bearer weir_eve");
    ck_assert_uint_eq(site_send(eve, NULL), 200);
    weir_test_event(host, 1, "change", "{\"id\":1}");
    weir_test_person_set_token(host, "ann", NULL);
    weir_test_event(host, 2, "change", "{\"id\":2}");
    ck_assert(weir_test_reply_of(session).ended && weir_test_reply_of(token).ended);
    ck_assert(site_says(session, "\"id\":1") && !site_says(session, "\"id\":2"));
    ck_assert(site_says(token, "\"id\":1") && !site_says(token, "\"id\":2"));
    ck_assert(site_says(eve, "\"id\":2") && !weir_test_reply_of(eve).ended);
    weir_test_client_gone(admin, eve);
    ck_assert_uint_eq(weir_test_subscription_count(host), 0);
}

UNIT_FIXTURE(site_set_up, site_tear_down);
