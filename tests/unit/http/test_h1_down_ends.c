/* SPDX-License-Identifier: MIT */
/* h1_down.c: how connections end: by the client, by time, by draining. */
#include "down_stage.h"

/* ---- clients that go away ---- */

UNIT_TEST(a_half_closed_client_gets_its_answer)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    client_half_close();
    run_turns(loop, 10);
    answer(current);
    flush();
    wait_data(loop, &client, BYE);
    wait_notes(loop, notes, DONE);
    wait_ended(loop, &client, CONN_EOF);
}

UNIT_LOOP_TEST(a_half_closed_client_gets_all_its_answers, 2)
{
    on_whole = _i == 0 ? answer : answer_later;
    say(GET GET GET);
    client_half_close();
    if (_i == 1) {
        wait_notes(loop, notes, "GET /{}");
        answer(current);
        flush();
        wait_notes(loop, notes, DONE "GET /{}");
        answer(current);
        flush();
        wait_notes(loop, notes, DONE DONE "GET /{}");
        answer(current);
        flush();
    }
    wait_notes(loop, notes, DONE DONE DONE);
    wait_ended(loop, &client, CONN_EOF);
    ck_assert_uint_ge(client.len, strlen(OK OK BYE) - strlen("Connection: close\r\n"));
}

/* The same where the end is known before the second request is looked at. */
UNIT_TEST(a_half_closed_client_gets_its_answers_at_once)
{
    on_whole = answer_later;
    say(GET GET GET);
    wait_notes(loop, notes, "GET /{}");
    client_half_close();
    run_turns(loop, 10);
    on_whole = answer;
    answer(current);
    flush();
    wait_notes(loop, notes, DONE DONE DONE);
    wait_data(loop, &client, OK OK BYE);
    wait_ended(loop, &client, CONN_EOF);
}

UNIT_TEST(an_idle_client_may_end)
{
    say(GET);
    wait_data(loop, &client, OK);
    client_half_close();
    wait_ended(loop, &client, CONN_EOF);
    ck_assert(closed);
    wait_notes(loop, notes, DONE);
}

UNIT_TEST(a_client_that_ends_before_it_has_asked)
{
    client_half_close();
    wait_ended(loop, &client, CONN_EOF);
    ck_assert(closed);
    wait_notes(loop, notes, "");
}

UNIT_TEST(a_cut_head_is_no_request)
{
    say("GET / HTTP/1.1\r\nHost: h\r\n");
    run_turns(loop, 6);
    client_half_close();
    wait_data(loop, &client, REFUSED("400 Bad Request"));
    wait_notes(loop, notes, "refused head_cut close ");
    wait_ended(loop, &client, CONN_EOF);
}

UNIT_LOOP_TEST(a_cut_body_is_no_request, 2)
{
    say("POST /p HTTP/1.1\r\n" H);
    say(bodies_to_come[_i]);
    wait_notes(loop, notes, "POST /p{");
    client_half_close();
    wait_data(loop, &client, REFUSED("400 Bad Request"));
    wait_notes(loop, notes, "POST /p{gone protocol close ");
    wait_ended(loop, &client, CONN_EOF);
}

/* The client is gone, whatever else it sent. */
UNIT_LOOP_TEST(a_reset_is_heard_while_the_answer_is_made, 2)
{
    on_whole = answer_later;
    say(_i == 0 ? GET : GET GET);
    wait_notes(loop, notes, "GET /{}");
    client_reset();
    wait_notes(loop, notes, "GET /{}gone closed cut ");
    ck_assert(closed);
}

UNIT_TEST(a_reset_is_heard_in_a_body)
{
    say("POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab");
    wait_notes(loop, notes, "POST /p{ab");
    client_reset();
    wait_notes(loop, notes, "POST /p{abgone closed cut ");
    ck_assert(closed);
}

/* ---- time ---- */

#define SHORT_NS (30 * NS_PER_MS)

UNIT_TEST(idle_connections_are_closed)
{
    conf.idle_timeout_ns = SHORT_NS;
    say(GET);
    wait_data(loop, &client, OK);
    wait_ended(loop, &client, CONN_EOF);
    ck_assert_str_eq(client.data, OK);
}

UNIT_TEST(slow_heads)
{
    conf.header_timeout_ns = SHORT_NS;
    say("GET / HT");
    wait_data(loop, &client, REFUSED("408 Request Timeout"));
    wait_notes(loop, notes, "refused header_timeout close ");
    wait_ended(loop, &client, CONN_EOF);
}

UNIT_TEST(slow_bodies)
{
    conf.body_timeout_ns = SHORT_NS;
    say("POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab");
    wait_data(loop, &client, REFUSED("408 Request Timeout"));
    wait_notes(loop, notes, "POST /p{abgone timeout close ");
    wait_ended(loop, &client, CONN_EOF);
}

/* A response that no socket holds, to a client that does not read. */
static char *answer_large(void)
{
    const int size = 64 * 1024;
    char *large = pattern(8u << 20);
    setsockopt(server->conn->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    setsockopt(client.conn->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    client.deaf = true;
    answer_as(current, 200, BODY_LENGTH, large);
    flush();
    run_turns(loop, 1);
    ck_assert_uint_gt(conn_waiting(server->conn), 0);
    return large;
}

/* What the client takes by itself, past its connection. */
static size_t take(size_t most)
{
    static char sink[64 * 1024];
    ssize_t n = recv(client.conn->fd, sink, most < sizeof(sink) ? most : sizeof(sink), 0);
    return n > 0 ? (size_t)n : 0;
}

/* Advances the turn's time. */
static void pass_time(uint64_t ns)
{
    (void)loop_now_ns(loop);
    loop->now_ns_ += ns;
}

static void look_at_the_clock(void)
{
    server->timer.fn(&server->timer);
}

UNIT_TEST(clients_that_do_not_read)
{
    char *large = answer_large();
    look_at_the_clock(); /* of the head, say: it is not the response's */
    ck_assert(!closed);
    pass_time(conf.idle_timeout_ns / 2);
    look_at_the_clock();
    ck_assert(!closed);
    pass_time(conf.idle_timeout_ns / 2);
    look_at_the_clock();
    wait_notes(loop, notes, "GET /{}cut ");
    ck_assert(closed);
    free(large);
}

/* All of the response has been handed over; some of it goes from time to time. What counts is what
 * the client's kernel has acknowledged, which may come a little later than the client takes
 * something. */
UNIT_TEST(clients_that_read_slowly)
{
    char *large = answer_large();
    for (int i = 0; i < 5; i++) {
        while (conn_taken_mark(server->conn) ==
               ((const struct h1_serving *)current->exchange.serving)->stall_mark) {
            take(SIZE_MAX);
            run_turns(loop, 2);
        }
        ck_assert_uint_gt(conn_waiting(server->conn), 0);
        pass_time(2 * conf.idle_timeout_ns);
        look_at_the_clock();
        ck_assert(!closed);
    }
    free(large);
}

/* Nothing waits for the client: an earlier timer must not hit the response. */
UNIT_TEST(clocks_of_before)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    for (int i = 0; i < 3; i++) {
        pass_time(2 * conf.idle_timeout_ns);
        look_at_the_clock();
    }
    ck_assert(!closed);
    answer(current);
    flush();
    wait_data(loop, &client, OK);
}

/* The kernel's buffers are full: the answer to a refused request waits, but not for ever. */
UNIT_TEST(refused_clients_that_do_not_read)
{
    char *large = answer_large();
    conf.header_timeout_ns = conf.idle_timeout_ns = SHORT_NS;
    while (strcmp(notes->text, DONE) != 0) {
        take(4096);
        run_turns(loop, 2);
    }
    say("GET / HT");
    run_until_true(loop, &closed);
    free(large);
}

/* ---- drain and abort ---- */

/* A time for one more request, and then the end. */
UNIT_TEST(draining_when_idle)
{
    conf.lame_duck_ns = SHORT_NS;
    say(GET);
    wait_data(loop, &client, OK);
    down_conn_drain(server);
    ck_assert(!closed);
    wait_ended(loop, &client, CONN_EOF);
    ck_assert_str_eq(client.data, OK);
}

UNIT_TEST(draining_serves_one_more)
{
    conf.lame_duck_ns = 60 * NS_PER_SECOND;
    say(GET);
    wait_data(loop, &client, OK);
    down_conn_drain(server);
    say(GET);
    wait_data(loop, &client, OK BYE);
    wait_ended(loop, &client, CONN_EOF);
}

/* The time is over while an unread request is in the socket: when draining, and when idle for
 * long. */
UNIT_LOOP_TEST(idle_connections_are_read_once_more, 2)
{
    say(GET);
    wait_data(loop, &client, OK);
    if (_i == 1) {
        down_conn_drain(server);
    }
    say(GET);
    look_at_the_clock();
    wait_data(loop, &client, _i == 1 ? OK BYE : OK OK);
}

/* A new client has a second for its first byte, even without lame_duck. */
UNIT_TEST(draining_when_new)
{
    down_conn_drain(server);
    ck_assert(!closed);
    ck_assert_uint_ge(server->timer.deadline_ns, loop_now_ns(loop) + NS_PER_SECOND / 2);
    say(GET);
    wait_data(loop, &client, BYE);
    wait_ended(loop, &client, CONN_EOF);
}

UNIT_TEST(draining_serves_what_is_here)
{
    on_whole = answer_later;
    say(GET GET);
    wait_notes(loop, notes, "GET /{}");
    down_conn_drain(server);
    answer(current);
    flush();
    wait_notes(loop, notes, "GET /{}close GET /{}");
    answer(current);
    flush();
    wait_data(loop, &client, OK BYE);
    wait_ended(loop, &client, CONN_EOF);
}

UNIT_TEST(draining_when_busy)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    down_conn_drain(server);
    ck_assert(!closed);
    answer(current);
    flush();
    wait_data(loop, &client, BYE);
    wait_ended(loop, &client, CONN_EOF);
}

/* Its end comes with the request, or behind it; off, it is half a close. */
UNIT_LOOP_TEST(ends_before_the_answer, 4)
{
    conf.abort_on_close = _i >= 2;
    on_whole = answer_later;
    say(GET);
    if (_i % 2 == 0) {
        wait_notes(loop, notes, "GET /{}");
    }
    client_half_close();
    if (_i >= 2) {
        wait_notes(loop, notes, "GET /{}gone closed cut ");
        ck_assert(closed);
        return;
    }
    wait_notes(loop, notes, "GET /{}");
    run_turns(loop, 3);
    answer(current);
    flush();
    wait_ended(loop, &client, CONN_EOF);
    ck_assert_int_eq(strncmp(client.data, "HTTP/1.1 200 OK", 15), 0);
}

/* When a request resumes after a wait, the client's end may not be reported yet. */
UNIT_LOOP_TEST(a_look_at_the_client, 3)
{
    conf.abort_on_close = _i == 1;
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    ck_assert(current->exchange.down->ops->look(current->exchange.down));
    if (_i == 0) {
        client_reset();
    } else {
        client_half_close();
    }
    ck_assert(current->exchange.down->ops->look(current->exchange.down) == (_i == 2));
    ck_assert_str_eq(notes->text, _i == 2 ? "GET /{}" : "GET /{}gone closed ");
}

UNIT_TEST(a_listener_that_is_gone)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    conf_gone = true;
    answer(current);
    flush();
    wait_data(loop, &client, BYE);
    wait_ended(loop, &client, CONN_EOF);
}

UNIT_TEST(aborting)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    down_conn_abort(server);
    ck_assert(closed);
    wait_notes(loop, notes, "GET /{}gone closed cut ");
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(30);
