/* SPDX-License-Identifier: MIT */
/* Waiting for a place; each phase ends in time, and with the client. */
#include "script.h"

#include "runner.h"

/* ---- waiting for a place ---- */

/* All servers have what they take. */
static void fill(void)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        stage.servers[i]->max_connections = 1;
        ck_assert(server_acquire(stage.servers[i]));
    }
    stage_refresh(&stage);
}

static void free_place(unsigned number)
{
    queue_release(&stage.pool->queue, stage.servers[number]);
}

static void free_places(unsigned but)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        if (i != but) {
            free_place(i);
        }
    }
}

UNIT_TEST(a_place_is_waited_for)
{
    fill();
    request_with_body("POST");
    expect("hold");
    ck_assert_uint_eq(stream->phase, PHASE_QUEUED);
    pass(NS_PER_MS);
    free_place(3);
    settle();
    expect("connect s3");
    connected();
    expect("0: POST /; go on");
    ck_assert_uint_ge(stream->attempt.queue_total_ns, NS_PER_MS);
    request_end();
    respond_whole(200);
    free_places(3);
}

UNIT_TEST(a_connection_that_is_full_is_followed_by_another)
{
    request("GET");
    expect("connect s0");
    no_room();
    expect("connect s0");
    ck_assert_uint_eq(stream->phase, PHASE_CONNECTING);
    connected();
    expect("0: GET /");
}

UNIT_TEST(nobody_connects_for_a_pool_that_has_left_meanwhile)
{
    request("GET");
    expect("connect s0");
    pool_local_adopt(stage.local, NULL);
    no_room();
    expect("answer 503; end");
    expect_reason(REASON_NO_SERVER);
    ck_assert_uint_eq(stage.servers[0]->in_flight, 0);
}

UNIT_TEST(who_is_gone_gets_no_place)
{
    fill();
    request("GET");
    client_gone = true;
    free_place(3);
    settle();
    expect("");
    ck_assert_uint_eq(stage.servers[3]->in_flight, 0);
    free_places(3);
}

UNIT_TEST(a_queue_may_be_full)
{
    stage.settings.queue_limit = 0;
    fill();
    request("GET");
    expect("answer 503; end");
    expect_reason(REASON_QUEUE_FULL);
    free_places(STAGE_SERVERS);
}

/* ---- each phase ends in time, and with the client ---- */

static const struct {
    enum stream_phase phase;
    const char *told; /* when the phase's time is over */
    enum reason reason;
    enum weir_outcome outcome;
} phases[] = {
    {PHASE_QUEUED, "answer 503; end", REASON_QUEUE_TIMEOUT, WEIR_OUTCOME_SUCCESS},
    {PHASE_CONNECTING, "connect s1", REASON_NONE, WEIR_OUTCOME_SUCCESS},
    {PHASE_SENT, "0: left; answer 504; end", REASON_RESPONSE_TIMEOUT, WEIR_OUTCOME_TIMEOUT},
    {PHASE_RESPONSE, "0: left; reset", REASON_IDLE_TIMEOUT, WEIR_OUTCOME_TIMEOUT},
};

static void come_to(enum stream_phase phase)
{
    if (phase == PHASE_QUEUED) {
        fill();
    }
    request("GET");
    if (phase >= PHASE_SENT) {
        connected();
    }
    if (phase >= PHASE_RESPONSE) {
        respond(200);
    }
    ck_assert_uint_eq(stream->phase, phase);
    ck_assert(timer_is_set(&stream->timer));
    skip();
}

static void leave_phase(enum stream_phase phase)
{
    if (phase == PHASE_QUEUED) {
        free_places(STAGE_SERVERS);
    }
}

UNIT_LOOP_TEST(each_phase_has_its_time, ARRAY_COUNT(phases))
{
    come_to(phases[_i].phase);
    pass(2 * NS_PER_SECOND);
    stream_timeout(&stream->timer);
    expect(phases[_i].told);
    expect_reason(phases[_i].reason);
    ck_assert_uint_eq(stream->outcome, phases[_i].outcome);
    leave_phase(phases[_i].phase);
}

UNIT_LOOP_TEST(a_client_may_go_in_each_phase, ARRAY_COUNT(phases))
{
    come_to(phases[_i].phase);
    stream_down_events.on_gone(exchange, DOWN_GONE_CLOSED);
    expect(phases[_i].phase >= PHASE_SENT ? "0: left" : "");
    expect_reason(REASON_CLIENT_GONE);
    ck_assert(!queue_waits(&stream->wait));
    ck_assert_ptr_null(stream->attempt.server);
    close_stream(false);
    leave_phase(phases[_i].phase);
}

UNIT_LOOP_TEST(a_request_has_its_time_in_each_phase, ARRAY_COUNT(phases))
{
    listener_settings.request_timeout = NS_PER_SECOND;
    come_to(phases[_i].phase);
    ck_assert(timer_is_set(&stream->deadline));
    stream_overdue(&stream->deadline);
    ck_assert_ptr_nonnull(
        strstr(told(), phases[_i].phase >= PHASE_RESPONSE ? "reset" : "answer 504; end"));
    expect_reason(REASON_REQUEST_TIMEOUT);
    leave_phase(phases[_i].phase);
}

UNIT_TEST(a_client_that_sends_no_body_is_told)
{
    request_with_body("POST");
    connected();
    skip();
    exchange->error = (struct http_error){408, "body_timeout"};
    stream_down_events.on_gone(exchange, DOWN_GONE_TIMEOUT);
    expect("0: left; answer 408; end");
    expect_reason(REASON_BODY_TIMEOUT);
    ck_assert_uint_eq(stage.servers[0]->locals[0].traffic.errors[REASON_BODY_TIMEOUT], 0);
}

/* While a body passes, the stalled side is to blame. */
UNIT_TEST(a_slow_client_is_not_the_servers_fault)
{
    request_with_body("POST");
    struct fake_server *server = connected();
    skip();
    pass(2 * NS_PER_SECOND);
    stream_timeout(&stream->timer); /* the server has all that has come */
    expect("");
    server->waiting = 1;
    server->taken = 1;
    pass(2 * NS_PER_SECOND);
    stream_timeout(&stream->timer); /* it takes something now and then */
    expect("");
    pass(2 * NS_PER_SECOND);
    stream_timeout(&stream->timer);
    expect("0: left; answer 504; end");
    expect_reason(REASON_IDLE_TIMEOUT);
}

UNIT_TEST(what_moves_has_more_time)
{
    come_to(PHASE_RESPONSE);
    pass(NS_PER_SECOND / 2);
    stream_up_events.on_data(exchange, "x", 1);
    pass(NS_PER_SECOND / 2);
    stream_timeout(&stream->timer);
    expect("data x");
    ck_assert(timer_is_set(&stream->timer));
}

UNIT_FIXTURE(script_begin, script_end);
