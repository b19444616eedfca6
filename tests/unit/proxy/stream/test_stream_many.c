/* SPDX-License-Identifier: MIT */
/* Several requests at a time on a client's connection, and on one to a server. */
#include "script.h"

#include "runner.h"

/* Three requests of the client, which wait for one connection. */
static void three_requests(const char *method)
{
    for (unsigned i = 0; i < SCRIPT_STREAMS; i++) {
        turn_to(i);
        request(method);
    }
    expect("connect s0; connect s0; connect s0");
}

static void no_place_is_taken(void)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        ck_assert_uint_eq(stage.servers[i]->in_flight, 0);
    }
}

UNIT_TEST(each_ends_by_itself)
{
    three_requests("GET");
    struct fake_server *server = connected_with_room(SCRIPT_STREAMS);
    expect("0: GET /; 0: GET /; 0: GET /");
    ck_assert_uint_eq(server->c.running, 3);
    turn_to(1);
    respond_whole(200);
    close_stream(true);
    expect("answer 200; data ok; end; 0: left");
    ck_assert_uint_eq(server->c.running, 2);
    turn_to(2);
    stream_down_events.on_gone(exchange, DOWN_GONE_CLOSED);
    expect("0: left");
    turn_to(0);
    respond_whole(200);
    expect("answer 200; data ok; end; 0: left");
    no_place_is_taken();
}

UNIT_TEST(who_finds_no_room_gets_another_connection)
{
    three_requests("GET");
    connected_with_room(2);
    expect("0: GET /; 0: GET /; connect s0");
    connected();
    expect("1: GET /");
    ck_assert_uint_eq(server_requests(0), 0); /* nothing has failed */
}

/* What ALPN may bring at first; then what the server spoke last. */
UNIT_TEST(a_connection_is_expected_to_be_like_the_last_one)
{
    request("GET");
    ck_assert_uint_eq(connect_room, 1);
    stage.servers[0]->locals[0].expected_room = 100;
    turn_to(1);
    request("GET");
    ck_assert_uint_eq(connect_room, 100);
    stage.plan.limits.h2_streams = 7; /* the pool's own limit */
    turn_to(2);
    request("GET");
    ck_assert_uint_eq(connect_room, 7);
}

/* A client that does not read one answer stops that one alone. */
UNIT_TEST(each_is_paused_by_itself)
{
    three_requests("GET");
    connected_with_room(SCRIPT_STREAMS);
    for (unsigned i = 0; i < SCRIPT_STREAMS; i++) {
        turn_to(i);
        respond(200);
    }
    skip();
    client_waiting = 1;
    turn_to(1);
    stream_up_events.on_flushed(exchange);
    expect("0: hold");
    client_waiting = 0;
    turn_to(2);
    stream_up_events.on_flushed(exchange);
    expect("");
    turn_to(1);
    stream_down_events.on_drained(exchange);
    expect("0: go on");
}

/* All have come to it new: none can blame those that were there before. */
UNIT_TEST(a_new_connection_breaks_under_all)
{
    three_requests("POST");
    struct fake_server *server = connected_with_room(SCRIPT_STREAMS);
    skip();
    break_all(server, UP_UNREAD);
    expect("connect s1; connect s1; connect s1");
    ck_assert_uint_eq(server_requests(0), 3);
}

/* One that has served before was stale: it goes on at the same server, once, by a new one. */
UNIT_TEST(a_used_connection_breaks_under_all)
{
    struct fake_server *server = idle_connection();
    server->c.room = SCRIPT_STREAMS;
    for (unsigned i = 0; i < SCRIPT_STREAMS; i++) {
        turn_to(i);
        request("GET");
    }
    expect("0: GET /; 0: GET /; 0: GET /");
    spares_remove(&stage.servers[0]->locals[0].spares, &server->c);
    break_all(server, UP_STALE);
    expect("connect s0; connect s0; connect s0");
    ck_assert_uint_eq(server_requests(0), 0);
    server = connected_with_room(SCRIPT_STREAMS);
    skip();
    break_all(server, UP_UNREAD);
    expect("connect s1; connect s1; connect s1");
}

UNIT_TEST(a_connection_that_cannot_be_made_fails_each_once)
{
    three_requests("POST");
    not_connected(CONN_REFUSED);
    expect("connect s1; connect s1; connect s1");
    ck_assert_uint_eq(server_requests(0), 3);
}

/* Looking at the client for one of its requests tells all of them that it is gone. */
UNIT_TEST(a_client_that_is_gone_leaves_with_all)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        stage.servers[i]->max_connections = 1;
        ck_assert(server_acquire(stage.servers[i]));
    }
    stage_refresh(&stage);
    for (unsigned i = 0; i < 2; i++) {
        turn_to(i);
        request("GET");
    }
    expect("");
    client_gone = true;
    queue_release(&stage.pool->queue, stage.servers[0]);
    queue_release(&stage.pool->queue, stage.servers[1]); /* both have been granted one */
    settle();
    for (unsigned i = 2; i < STAGE_SERVERS; i++) {
        server_release(stage.servers[i]);
    }
    no_place_is_taken();
    expect_reason(REASON_CLIENT_GONE);
    turn_to(0);
    expect_reason(REASON_CLIENT_GONE);
}

/* The pool has left the plan while they waited for a connection to its server. */
UNIT_TEST(a_pool_is_removed_while_they_wait)
{
    three_requests("GET");
    stage.balancer.refs++; /* the stage's own */
    pool_local_adopt(stage.local, NULL);
    connected_with_room(1);
    expect("0: GET /; answer 503; end; answer 503; end");
    turn_to(0);
    respond_whole(200);
    no_place_is_taken();
    stage.next[0] = &stage.balancer;
    pool_local_adopt(stage.local, &stage.plan);
}

UNIT_FIXTURE(script_begin, script_end);
