/* SPDX-License-Identifier: MIT */
/* h1_down.c: how responses go out: bodies, 1xx, early answers, flow and tunnels. */
#include "down_stage.h"

/* ---- how bodies of responses go out ---- */

static void answer_chunked(struct fake *fake)
{
    answer_as(fake, 200, BODY_CHUNKED, "hello world 0123456789");
}

static void answer_until_close(struct fake *fake)
{
    answer_as(fake, 200, BODY_CLOSE, "hello");
}

UNIT_TEST(chunked)
{
    on_whole = answer_chunked;
    say(GET);
    wait_data(
        loop, &client,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n16\r\nhello world 0123456789\r\n"
        "0\r\n\r\n");
    ck_assert(!closed);
}

UNIT_TEST(chunked_where_the_server_meant_its_end)
{
    on_whole = answer_until_close;
    say(GET);
    wait_data(loop, &client,
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    ck_assert(!closed);
}

/* RFC 9112 section 7.1: HTTP/1.0 has no chunks; its body ends with the connection. */
UNIT_TEST(http_1_0_gets_no_chunks)
{
    on_whole = answer_chunked;
    say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    wait_data(loop, &client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world 0123456789");
    wait_ended(loop, &client, CONN_EOF);
}

UNIT_TEST(http_1_0_may_keep_its_connection)
{
    say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n");
    wait_data(loop, &client,
              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok" BYE);
    wait_ended(loop, &client, CONN_EOF);
}

UNIT_TEST(head_has_no_body)
{
    say("HEAD / HTTP/1.1\r\n" H "\r\n" GET);
    wait_data(loop, &client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" OK);
}

UNIT_TEST(no_content_has_no_body)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    answer_as(current, 204, BODY_NONE, "not to be sent");
    flush();
    wait_data(loop, &client, "HTTP/1.1 204 No Content\r\n\r\n");
    ck_assert(!closed);
}

static void answer_with_trailers(struct fake *fake)
{
    struct down *down = fake->exchange.down;
    struct http_response_head head = {.status = 200, .version = HTTP_1_1, .body = BODY_CHUNKED};
    fake->exchange.response = head;
    down->ops->head(down, &fake->exchange.response, false);
    down->ops->data(down, "x", 1);
    down->ops->trailer(down, STR("A"), STR("b"));
    down->ops->trailer(down, STR("C"), STR(""));
    down->ops->end(down);
}

UNIT_TEST(trailers)
{
    on_whole = answer_with_trailers;
    say(GET "GET / HTTP/1.0\r\n\r\n");
    wait_data(loop, &client,
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nC: \r\n"
              "\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nx");
}

/* A body of the wrong length is aborted visibly, and is never longer than announced. */
UNIT_TEST(too_little_is_cut)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    begin_answer(current);
    current->exchange.down->ops->data(current->exchange.down, "abc", 3);
    current->exchange.down->ops->end(current->exchange.down);
    wait_notes(loop, notes, "GET /{}cut ");
    wait_ended(loop, &client, CONN_ERROR);
}

UNIT_TEST(too_much_is_cut)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    begin_answer(current);
    current->exchange.down->ops->data(current->exchange.down, "abcdefg", 7);
    flush();
    wait_data(loop, &client, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde");
    current->exchange.down->ops->end(current->exchange.down);
    wait_notes(loop, notes, "GET /{}cut ");
    wait_ended(loop, &client, CONN_ERROR);
}

UNIT_TEST(reset_is_seen)
{
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    begin_answer(current);
    current->exchange.down->ops->data(current->exchange.down, "abc", 3);
    current->exchange.down->ops->reset(current->exchange.down);
    wait_notes(loop, notes, "GET /{}cut ");
    wait_ended(loop, &client, CONN_ERROR);
    ck_assert_str_eq(client.data, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc");
}

/* ---- 1xx and early answers ---- */

static void interim_then_answer(struct fake *fake)
{
    struct http_response_head head = {.status = 103, .version = HTTP_1_1};
    fields_add(&head.fields, &fake->exchange.arena, STR("Link"), STR("l"));
    fake->exchange.down->ops->interim(fake->exchange.down, &head);
    answer(fake);
}

UNIT_TEST(interim_responses)
{
    on_whole = interim_then_answer;
    say(GET "GET / HTTP/1.0\r\n\r\n");
    wait_data(loop, &client, "HTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n" OK BYE);
}

static void say_continue(struct fake *fake)
{
    struct http_response_head head = {.status = 100, .version = HTTP_1_1};
    ck_assert(fake->exchange.request.expect_continue);
    fake->exchange.down->ops->interim(fake->exchange.down, &head);
}

UNIT_TEST(continue_and_go_on)
{
    on_head = say_continue;
    say("POST /p HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    wait_data(loop, &client, "HTTP/1.1 100 Continue\r\n\r\n");
    on_head = NULL;
    say("hello" GET);
    wait_data(loop, &client, "HTTP/1.1 100 Continue\r\n\r\n" OK OK);
    wait_notes(loop, notes, "POST /p{hello}close " DONE);
}

static void refuse_body(struct fake *fake)
{
    answer_as(fake, 403, BODY_LENGTH, "no");
}

/* A final answer before the body goes out at once; what comes then is no request. */
UNIT_LOOP_TEST(early_answer, 2)
{
    on_head = refuse_body;
    say("POST /p HTTP/1.1\r\n" H);
    say(bodies_to_come[_i]);
    wait_data(loop, &client,
              "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    wait_notes(loop, notes, "POST /p{close ");
    say(GET);
    wait_ended(loop, &client, CONN_EOF);
    wait_notes(loop, notes, "POST /p{close ");
}

/* Without 100 it is unknown whether the client sends its body: no more requests. */
UNIT_LOOP_TEST(early_answer_to_an_expectation, 2)
{
    on_head = answer;
    say("POST /p HTTP/1.1\r\n" H "Expect: 100-continue\r\n");
    say(bodies_to_come[_i]);
    wait_data(loop, &client, BYE);
    say(GET);
    wait_ended(loop, &client, CONN_EOF);
    wait_notes(loop, notes, "POST /p{close ");
}

/* ---- flow ---- */

static void pause_body(struct fake *fake)
{
    fake->exchange.down->ops->pause(fake->exchange.down);
}

UNIT_TEST(paused_bodies_wait)
{
    on_head = pause_body;
    say("POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab");
    wait_notes(loop, notes, "POST /p{");
    say("cde");
    run_turns(loop, 10);
    ck_assert_str_eq(notes->text, "POST /p{");
    on_head = NULL;
    current->exchange.down->ops->resume(current->exchange.down);
    wait_notes(loop, notes, "POST /p{abcde}close ");
    wait_data(loop, &client, OK);
    say(GET);
    wait_data(loop, &client, OK OK);
}

UNIT_TEST(what_waits_is_sent_when_the_client_reads)
{
    size_t len = 8u << 20;
    char *large = pattern(len);
    on_whole = answer_later;
    say(GET);
    wait_notes(loop, notes, "GET /{}");
    client.deaf = true;
    answer_as(current, 200, BODY_LENGTH, large);
    flush();
    run_turns(loop, 10);
    ck_assert_str_eq(notes->text, "GET /{}");
    client.deaf = false;
    conn_resume_read(client.conn);
    wait_notes(loop, notes, DONE);
    while (client.len < len) {
        run_turns(loop, 2);
    }
    ck_assert_str_eq(client.data + client.len - len, large);
    free(large);
}

/* ---- tunnels ---- */

static void switch_over(struct fake *fake)
{
    struct down *down = fake->exchange.down;
    fake->exchange.response =
        (struct http_response_head){.status = 101, .version = HTTP_1_1, .body = BODY_TUNNEL};
    ck_assert(fake->exchange.request.upgrade_websocket);
    down->ops->head(down, &fake->exchange.response, true);
}

#define UPGRADE "GET /w HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
#define SWITCHED \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

UNIT_LOOP_TEST(tunnel, 2)
{
    on_whole = switch_over;
    say(UPGRADE "early ");
    wait_data(loop, &client, SWITCHED);
    wait_notes(loop, notes, "GET /w{}early ");
    say(GET);
    wait_notes(loop, notes, "GET /w{}early " GET);
    struct down *down = current->exchange.down;
    down->ops->data(down, "\x81\x02hi", 4);
    flush();
    wait_data(loop, &client, SWITCHED "\x81\x02hi");

    on_whole = NULL;
    if (_i == 0) { /* the client ends first */
        client_half_close();
        wait_notes(loop, notes, "GET /w{}early " GET "}");
        down->ops->data(down, "bye", 3);
        down->ops->end(down);
    } else {
        down->ops->data(down, "bye", 3);
        down->ops->end(down);
        wait_ended(loop, &client, CONN_EOF);
        ck_assert(!closed);
        say("more");
        client_half_close();
    }
    wait_notes(loop, notes,
               _i == 0 ? "GET /w{}early " GET "}close " : "GET /w{}early " GET "more}close ");
    ck_assert_str_eq(client.data, SWITCHED "\x81\x02hibye");
    wait_ended(loop, &client, CONN_EOF);
    ck_assert(closed);
}

UNIT_TEST(tunnel_that_the_client_breaks)
{
    on_whole = switch_over;
    say(UPGRADE);
    wait_data(loop, &client, SWITCHED);
    client_reset();
    wait_notes(loop, notes, "GET /w{}gone closed cut ");
    ck_assert(closed);
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(30);
