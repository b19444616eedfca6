/* SPDX-License-Identifier: MIT */
/* h1_down.c: pipelined requests, and refused ones. */
#include "down_stage.h"

/* ---- requests, one behind the other ---- */

UNIT_TEST(keep_alive)
{
    say(GET);
    wait_notes(loop, notes, DONE);
    wait_data(loop, &client, OK);
    say(GET);
    wait_notes(loop, notes, DONE DONE);
    wait_data(loop, &client, OK OK);
    ck_assert(!closed);
    ck_assert(down_conn_idle(server));
}

UNIT_TEST(pipelined_requests_wait_for_their_turn)
{
    on_whole = answer_later;
    say(GET "GET /b HTTP/1.1\r\n" H "\r\nPOST /c HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc");
    wait_notes(loop, notes, "GET /{}");
    answer(current);
    flush();
    wait_notes(loop, notes, "GET /{}close GET /b{}");
    answer(current);
    flush();
    wait_notes(loop, notes, "GET /{}close GET /b{}close POST /c{abc}");
    answer(current);
    flush();
    wait_data(loop, &client, OK OK OK);
}

UNIT_TEST(pipelined_requests_answered_at_once)
{
    say(GET GET GET GET);
    wait_data(loop, &client, OK OK OK OK);
}

static const char pipeline[] = "\r\nPOST /a HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello"
                               "POST /b HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
                               "2\r\nhe\r\n3;x\r\nllo\r\n0\r\nA: b\r\n\r\n" GET;

/* Two pieces, cut anywhere: the second is sent after the first was parsed. */
UNIT_LOOP_TEST(requests_cut_at_every_position, sizeof(pipeline) - 2)
{
    char *text = base_strdup(pipeline);
    char *second = text + 1 + _i;
    char first = *second;
    *second = '\0';
    say(text);
    run_turns(loop, 6);
    *second = first;
    say(second);
    wait_notes(loop, notes, "POST /a{hello}close POST /b{hello|A: b}close " DONE);
    wait_data(loop, &client, OK OK OK);
    free(text);
}

UNIT_TEST(requests_in_single_bytes)
{
    char one[2] = "";
    for (size_t i = 0; i < sizeof(pipeline) - 1; i++) {
        one[0] = pipeline[i];
        say(one);
        run_turns(loop, 3);
    }
    wait_notes(loop, notes, "POST /a{hello}close POST /b{hello|A: b}close " DONE);
    wait_data(loop, &client, OK OK OK);
}

/* Many requests after a body in two pieces: they are kept up to the limit, and the rest stays in
 * the socket. */
UNIT_LOOP_TEST(a_long_pipeline_behind_a_body, 2)
{
    tear_down();
    set_up_large();
    const size_t count = 12000, len = strlen(GET);
    char *text = base_alloc(count * len);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + i * len, GET, len);
    }
    on_whole = answer_later;
    say("POST /p HTTP/1.1\r\n" H);
    say(_i == 0 ? "Content-Length: 4\r\n\r\nab" : "Transfer-Encoding: chunked\r\n\r\n2\r\nab");
    wait_notes(loop, notes, "POST /p{ab");
    const char *rest = _i == 0 ? "cd" : "\r\n2\r\ncd\r\n0\r\n\r\n";
    struct iovec iov[] = {{(void *)(uintptr_t)rest, strlen(rest)}, {text, count * len}};
    ck_assert(conn_write(client.conn, iov, 2));
    wait_notes(loop, notes, "POST /p{abcd}");
    ck_assert_uint_le(conn_kept(server->conn), LOOP_READ_MOST);
    on_whole = answer;
    answer(current);
    flush();
    size_t wanted = (count + 1) * strlen(OK);
    while (client.len < wanted && !client.ended) {
        run_turns(loop, 4);
        notes->len = 0;
    }
    ck_assert_uint_eq(client.len, wanted);
    free(text);
}

/* RFC 9112 section 2.2: behind a body, say. By itself it begins no request, and no clock. */
UNIT_TEST(empty_lines_between)
{
    say("POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello\r\n");
    wait_notes(loop, notes, "POST /p{hello}close ");
    ck_assert(down_conn_idle(server));
    say(GET "\r\n" GET);
    wait_notes(loop, notes, "POST /p{hello}close " DONE DONE);
    say("\r\n");
    run_turns(loop, 10);
    ck_assert(down_conn_idle(server));
    say(GET);
    wait_data(loop, &client, OK OK OK OK);
}

UNIT_TEST(close_is_kept)
{
    say("GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n" GET);
    wait_data(loop, &client, BYE);
    wait_notes(loop, notes, DONE);
    wait_ended(loop, &client, CONN_EOF);
    ck_assert(closed);
}

/* A client that announced its last request and kept to it needs no lingering; any other does. */
static const struct {
    const char *request;
    bool lingers;
} last_requests[] = {
    {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false},
    {"GET / HTTP/1.0\r\n" H "\r\n", false},
    {"GET / HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 0\r\n\r\n", false},
    {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n" GET, true},
    {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n\r\n", true},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     true},
};

UNIT_LOOP_TEST(lingering_where_more_may_come, ARRAY_COUNT(last_requests))
{
    say(last_requests[_i].request);
    run_until_true(loop, &closed);
    ck_assert_uint_eq(conn_lingering(loop), last_requests[_i].lingers ? 1 : 0);
    wait_data(loop, &client, BYE);
    wait_notes(loop, notes, DONE);
    wait_ended(loop, &client, CONN_EOF);
}

/* Unread bytes after the request would turn the close into a reset. */
UNIT_LOOP_TEST(lingering_where_more_came, 2)
{
    on_whole = answer_later;
    say("GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    wait_notes(loop, notes, "GET /{}");
    say("\r\n");
    if (_i == 0) { /* the loop has heard of it */
        run_turns(loop, 4);
    }
    answer(current);
    flush();
    run_until_true(loop, &closed);
    ck_assert_uint_eq(conn_lingering(loop), 1);
    wait_data(loop, &client, BYE);
    wait_ended(loop, &client, CONN_EOF);
}

/* ---- requests that are refused ---- */

UNIT_TEST(what_follows_a_refused_request_is_not_read)
{
    say("GET / HTTP/1.1\r\nHost : h\r\n\r\n" GET);
    wait_data(loop, &client, REFUSED("400 Bad Request"));
    wait_notes(loop, notes, "refused space_before_colon close ");
    say(GET);
    wait_ended(loop, &client, CONN_EOF);
    wait_notes(loop, notes, "refused space_before_colon close ");
}

UNIT_TEST(what_follows_both_lengths_is_not_read)
{
    say("POST /p HTTP/1.1\r\n" H
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX" GET);
    wait_data(loop, &client, BYE);
    wait_ended(loop, &client, CONN_EOF);
    wait_notes(loop, notes, "POST /p{}close ");
}

UNIT_TEST(broken_chunks)
{
    say("POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nx");
    wait_data(loop, &client, REFUSED("400 Bad Request"));
    wait_notes(loop, notes, "POST /p{abgone protocol close ");
    wait_ended(loop, &client, CONN_EOF);
}

UNIT_TEST(broken_chunks_when_the_answer_has_begun)
{
    on_head = begin_answer;
    say("POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nx");
    wait_notes(loop, notes, "POST /p{abgone protocol cut ");
    wait_ended(loop, &client, CONN_ERROR);
}

UNIT_TEST(announced_bodies_above_the_limit)
{
    conf.body_limit = 4;
    say("POST /p HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nabcd"
        "POST /q HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n");
    wait_data(loop, &client, OK REFUSED("413 Content Too Large"));
    wait_notes(loop, notes, "POST /p{abcd}close refused body_too_large close ");
}

UNIT_TEST(bodies_that_grow_above_the_limit)
{
    conf.body_limit = 4;
    say("POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n1\r\ne\r\n");
    wait_data(loop, &client, REFUSED("413 Content Too Large"));
    wait_notes(loop, notes, "POST /p{abcdgone protocol close ");
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(30);
