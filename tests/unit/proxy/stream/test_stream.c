/* SPDX-License-Identifier: MIT */
/* Requests that are answered, by servers and by Weir itself. */
#include "script.h"

#include "runner.h"

/* ---- requests that are answered ---- */

UNIT_TEST(a_request_is_answered)
{
    request("GET");
    expect("connect s0");
    connected();
    expect("0: GET /");
    respond(200);
    stream_up_events.on_data(exchange, "ok", 2);
    stream_up_events.on_trailer(exchange, STR("name"), STR("value"));
    stream_up_events.on_response_end(exchange);
    expect("answer 200; data ok; trailer name=value; end; 0: left");
    expect_reason(REASON_NONE);
    close_stream(true);
    ck_assert_uint_eq(server_requests(0), 1);
    ck_assert_uint_eq(stage.servers[0]->locals[0].traffic.status[2], 1);
    ck_assert_uint_eq(stage.local->traffic.status[2], 1);
    ck_assert_uint_eq(listener_local.traffic.requests, 1);
}

UNIT_TEST(an_idle_connection_is_used)
{
    idle_connection();
    request("GET");
    expect("0: GET /");
    respond_whole(200);
    expect("answer 200; data ok; end; 0: left");
}

UNIT_TEST(a_body_passes_both_ways_as_it_comes)
{
    request_with_body("POST");
    expect("hold; connect s0"); /* until somebody takes it */
    struct fake_server *server = connected();
    expect("0: POST /; go on");
    body("one");
    expect("0: data one");
    server->waiting = 1;
    body("two");
    expect("0: data two; hold");
    server->waiting = 0;
    stream_up_events.on_drained(exchange);
    expect("go on");
    stream_down_events.on_trailer(exchange, STR("name"), STR("value"));
    request_end();
    expect("0: trailer name=value; 0: end");
    respond(200);
    client_waiting = 1;
    stream_up_events.on_data(exchange, "a", 1);
    stream_up_events.on_flushed(exchange);
    expect("answer 200; data a; 0: hold");
    client_waiting = 0;
    stream_down_events.on_drained(exchange);
    expect("0: go on");
    stream_up_events.on_response_end(exchange);
    expect("end; 0: left");
}

UNIT_TEST(a_server_may_answer_early)
{
    request_with_body("POST");
    connected();
    body("one");
    skip();
    respond_whole(403);
    expect("answer 403; data ok; end; 0: left");
    body("two"); /* nobody's */
    request_end();
    expect("");
}

UNIT_TEST(an_awaited_100_passes)
{
    open_stream("POST");
    exchange->request.body = BODY_CHUNKED;
    exchange->request.expect_continue = true;
    stream_down_events.on_request(exchange);
    connected();
    skip();
    struct http_response_head head = {.status = 100, .version = HTTP_1_1};
    stream_up_events.on_interim(exchange, &head);
    expect("interim 100");
    ck_assert(stream->continued);
    body("x");
    request_end();
    respond_whole(200);
    expect("0: data x; 0: end; answer 200; data ok; end; 0: left");
}

/* ---- requests that Weir answers ---- */

static const struct {
    enum weir_status status;
    uint32_t pool;
    uint32_t redirect;
    const char *told;
    enum reason reason;
} routes[] = {
    {WEIR_DECLINED, 0, 0, "answer 404; end", REASON_NO_ROUTE},
    {WEIR_INVALID, 0, 0, "answer 500; end", REASON_MODULE_FAILED},
    {WEIR_OK, 7, 0, "answer 500; end", REASON_MODULE_FAILED},
    {WEIR_OK, 7, 302, "answer 302; end", REASON_REFUSED_BY_RULE},
    {WEIR_OK, 7, 410, "answer 410; end", REASON_REFUSED_BY_RULE},
};

UNIT_LOOP_TEST(a_router_may_have_no_pool, ARRAY_COUNT(routes))
{
    route_status = routes[_i].status;
    route_result.pool = routes[_i].pool;
    route_result.status = (uint16_t)routes[_i].redirect;
    route_result.location = STR("/there");
    request("GET");
    expect(routes[_i].told);
    expect_reason(routes[_i].reason);
    ck_assert_uint_eq(metered_strikes(&metered), routes[_i].reason == REASON_MODULE_FAILED);
}

UNIT_TEST(a_filter_answers_before_a_server_is_asked)
{
    refuse_all();
    request("GET");
    expect("answer 403; end");
    expect_reason(REASON_REFUSED_BY_RULE);
    ck_assert(str_equal(stream->detail, STR("filter")));
}

UNIT_TEST(a_refused_head_is_answered)
{
    open_stream("GET");
    exchange->error = (struct http_error){431, "fields_too_many"};
    stream_down_events.on_refused(exchange);
    expect("answer 431; end");
    expect_reason(REASON_TOO_LARGE);
}

UNIT_TEST(nobody_is_eligible)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        server_set_health(stage.servers[i], HEALTH_DOWN, "test");
    }
    stage_refresh(&stage);
    request("GET");
    expect("answer 503; end");
    expect_reason(REASON_NO_SERVER);
}

UNIT_FIXTURE(script_begin, script_end);
