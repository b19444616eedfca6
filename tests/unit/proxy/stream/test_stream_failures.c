/* SPDX-License-Identifier: MIT */
/* Failed attempts, and the outcome for the request. */
#include "script.h"

#include "runner.h"

/* ---- attempts that fail ---- */

UNIT_TEST(a_refused_connection_is_tried_elsewhere)
{
    request("POST");
    not_connected(CONN_REFUSED);
    connected();
    expect("connect s0; connect s1; 0: POST /");
    respond_whole(200);
    ck_assert_uint_eq(stream->attempt.retries, 1);
    ck_assert_uint_eq(stage.servers[0]->locals[0].traffic.errors[REASON_CONNECT_REFUSED], 1);
    ck_assert_uint_eq(stage.local->traffic.retries, 1);
    expect_reason(REASON_NONE);
}

UNIT_TEST(retries_are_bounded)
{
    request("GET");
    not_connected(CONN_REFUSED);
    not_connected(CONN_REFUSED);
    not_connected(CONN_TIMED_OUT);
    expect("connect s0; connect s1; connect s2; answer 504; end");
    expect_reason(REASON_CONNECT_TIMEOUT);
}

UNIT_TEST(no_resources_are_no_failure_of_the_server)
{
    connect_error = CONN_NO_DESCRIPTOR;
    request("GET");
    expect("connect s0; answer 503; end");
    expect_reason(REASON_NO_RESOURCES);
    ck_assert_uint_eq(server_requests(0), 0);
}

UNIT_TEST(no_port_is_free_towards_one_server)
{
    connect_error = CONN_NO_PORT;
    request("GET");
    expect("connect s0; connect s1; connect s2; connect s3; connect s4; answer 503; end");
    ck_assert_uint_eq(stream->attempt.retries, 0);
}

/* A request that a server may have begun to process is sent again only where that is safe. */
static const struct {
    const char *method;
    enum up_failure why;
    const char *told;
    enum reason reason;
} breaks[] = {
    {"GET", UP_RESET, "connect s1", REASON_NONE},
    {"POST", UP_RESET, "answer 502; end", REASON_UPSTREAM_RESET},
    {"POST", UP_UNREAD, "connect s1", REASON_NONE},
    {"POST", UP_REFUSED, "connect s1", REASON_NONE},
    {"POST", UP_FOREIGN, "connect s1", REASON_NONE},
    {"GET", UP_MALFORMED, "connect s1", REASON_NONE},
    {"POST", UP_MALFORMED, "answer 502; end", REASON_UPSTREAM_MALFORMED},
    {"POST", UP_OVERLONG, "answer 502; end", REASON_UPSTREAM_RESET},
};

UNIT_LOOP_TEST(a_connection_breaks_before_the_answer, ARRAY_COUNT(breaks))
{
    request(breaks[_i].method);
    connected();
    skip();
    break_off(breaks[_i].why);
    expect(breaks[_i].told);
    expect_reason(breaks[_i].reason);
    ck_assert_uint_eq(server_requests(0), breaks[_i].why != UP_OVERLONG);
}

/* An idle connection was dead: not a failure, and the same server may get the request. */
static const struct {
    const char *method;
    enum up_failure why;
    const char *told;
} stale[] = {
    {"GET", UP_STALE, "connect s0"},
    {"GET", UP_STRAY, "connect s0"},
    {"POST", UP_UNREAD, "connect s0"},
    {"POST", UP_STALE, "answer 502; end"},
};

UNIT_LOOP_TEST(an_idle_connection_was_dead, ARRAY_COUNT(stale))
{
    idle_connection();
    request(stale[_i].method);
    skip();
    break_off(stale[_i].why);
    expect(stale[_i].told);
    ck_assert_uint_eq(stream->attempt.retries, 0);
    ck_assert_uint_eq(server_requests(0), 0);
}

/* A live server that refuses is no idle connection that was dead. */
UNIT_TEST(a_refusal_on_a_used_connection_is_retried_by_the_rules)
{
    idle_connection();
    request("POST");
    skip();
    break_off(UP_REFUSED);
    expect("connect s1");
    ck_assert_uint_eq(stream->attempt.retries, 1);
    ck_assert_uint_eq(server_requests(0), 1);
}

/* No retry, and the same server; but not for ever. */
UNIT_TEST(what_a_connection_leaves_unread_moves_to_another)
{
    request("POST");
    for (unsigned i = 0; i < 3; i++) {
        expect("connect s0");
        connected();
        skip();
        break_off(UP_LEFT);
    }
    expect("connect s0");
    ck_assert_uint_eq(stream->attempt.retries, 0);
    ck_assert_uint_eq(server_requests(0), 0);
    connected();
    skip();
    break_off(UP_LEFT);
    expect("connect s1");
    ck_assert_uint_eq(stream->attempt.retries, 1);
}

UNIT_TEST(a_dead_one_may_show_when_it_is_used)
{
    idle_connection()->dead = true;
    request("POST");
    expect("connect s0");
}

UNIT_TEST(a_small_body_is_sent_again)
{
    request_with_body("PUT");
    connected();
    body("one");
    body("two");
    request_end();
    skip();
    break_off(UP_RESET);
    expect("connect s1");
    connected();
    expect("1: PUT /; 1: data onetwo; 1: end");
    respond_whole(200);
}

UNIT_TEST(a_body_that_is_not_here_whole_is_not)
{
    static char large[REPLAY_MAX + 1];
    memset(large, 'x', sizeof(large) - 1);
    request_with_body("PUT");
    connected();
    body(large);
    body("y");
    skip();
    break_off(UP_RESET);
    expect("answer 502; end");
}

UNIT_TEST(a_cut_response_breaks_the_clients)
{
    request("GET");
    connected();
    respond(200);
    skip();
    break_off(UP_TRUNCATED);
    expect("reset");
    expect_reason(REASON_UPSTREAM_TRUNCATED);
    ck_assert_uint_eq(stage.servers[0]->locals[0].traffic.errors[REASON_UPSTREAM_TRUNCATED], 1);
}

UNIT_FIXTURE(script_begin, script_end);
