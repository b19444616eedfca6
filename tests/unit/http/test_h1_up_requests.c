/* SPDX-License-Identifier: MIT */
/* h1_up.c: requests, flow and tunnels. */
#include "up_stage.h"

/* ---- requests ---- */

UNIT_LOOP_TEST(bodies_of_requests, 3)
{
    struct up *up;
    if (_i == 0) {
        ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
        up = exchange->up;
        up->ops->data(up, "he", 2);
        up->ops->data(up, "llo", 3);
    } else {
        ask("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        up = exchange->up;
        up->ops->data(up, "hello world, ", 13);
        up->ops->data(up, "", 0); /* an empty chunk would be the last one */
        up->ops->data(up, "hello", 5);
        if (_i == 2) {
            up->ops->trailer(up, STR("A"), STR("b"));
            up->ops->trailer(up, STR("C"), STR(""));
        }
    }
    up->ops->end(up);
    batch_flush(&batch);
    wait_data(loop, &peer,
              _i == 0 ? "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
              : _i == 1
                  ? "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nhello "
                    "world, \r\n5\r\nhello\r\n0\r\n\r\n"
                  : "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nhello "
                    "world, \r\n5\r\nhello\r\n0\r\nA: b\r\nC: \r\n\r\n");
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
}

/* The answer came first: what is still to be sent will not be, so that the connection is of no more
 * use. */
UNIT_TEST(an_answer_before_the_request_is_whole)
{
    ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    exchange->up->ops->data(exchange->up, "he", 2);
    batch_flush(&batch);
    say(OK);
    wait_notes(loop, notes, "200{ok} closed ");
}

UNIT_TEST(letting_go_early)
{
    ask(ASKED);
    say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    wait_notes(loop, notes, "200{he");
    let_go();
    wait_notes(loop, notes, "200{heclosed ");
    wait_ended(loop, &peer, CONN_ERROR);
}

/* Whatever was put into the head: it cannot be two. */
UNIT_TEST(a_head_that_must_not_go_out)
{
    parse_request(exchange, ASKED);
    ck_assert(up_conn_use(client, exchange, false));
    exchange->request.path = STR("/ HTTP/1.1\r\nX: y");
    ck_assert(!exchange->up->ops->head(exchange->up, NULL, 0));
    let_go();
    batch_flush(&batch);
    wait_ended(loop, &peer, CONN_ERROR);
    ck_assert_uint_eq(peer.len, 0);
}

UNIT_TEST(a_head_that_is_larger_than_the_output)
{
    size_t len = 40000;
    char *value = base_alloc(len + 1);
    memset(value, 'v', len);
    value[len] = '\0';
    const struct http_extra extra = {STR("A"), {value, len}, false};
    parse_request(exchange, ASKED);
    ck_assert(up_conn_use(client, exchange, false));
    ck_assert(exchange->up->ops->head(exchange->up, &extra, 1));
    batch_flush(&batch);
    char *wanted = base_printf("GET / HTTP/1.1\r\nHost: h\r\nA: %s\r\n\r\n", value);
    wait_data(loop, &peer, wanted);
    free(wanted);
    free(value);
}

/* ---- flow and tunnels ---- */

UNIT_TEST(paused_answers_wait)
{
    ask(ASKED);
    say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    wait_notes(loop, notes, "200{he");
    exchange->up->ops->pause(exchange->up);
    say("llo");
    run_turns(loop, 10);
    ck_assert_str_eq(notes->text, "200{he");
    exchange->up->ops->resume(exchange->up);
    wait_notes(loop, notes, "200{hello} idle ");
}

#define UPGRADE "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
#define SWITCH \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

UNIT_LOOP_TEST(tunnel, 2)
{
    stays = true;
    ask(UPGRADE);
    wait_data(loop, &peer, UPGRADE);
    say(SWITCH "hi");
    wait_notes(loop, notes, "101{hi");
    struct up *up = exchange->up;
    up->ops->data(up, "hello", 5);
    batch_flush(&batch);
    wait_data(loop, &peer, UPGRADE "hello");
    if (_i == 0) { /* the server ends first */
        peer_close();
        wait_notes(loop, notes, "101{hi} ");
        up->ops->data(up, "bye", 3);
        up->ops->end(up);
    } else {
        up->ops->data(up, "bye", 3);
        up->ops->end(up);
        wait_ended(loop, &peer, CONN_EOF);
        say("more");
        peer_close();
        wait_notes(loop, notes, "101{himore} ");
    }
    let_go();
    wait_ended(loop, &peer, CONN_EOF);
    ck_assert_str_eq(peer.data, UPGRADE "hellobye");
    wait_notes(loop, notes, _i == 0 ? "101{hi} closed " : "101{himore} closed ");
}

/* The server has ended its side; what the client said last still reaches it. */
UNIT_TEST(last_words_in_a_tunnel)
{
    size_t len = 8u << 20;
    char *large = pattern(len);
    stays = true;
    ask(UPGRADE);
    wait_data(loop, &peer, UPGRADE);
    say(SWITCH);
    wait_notes(loop, notes, "101{");
    peer_close();
    wait_notes(loop, notes, "101{} ");
    peer.deaf = true;
    exchange->up->ops->data(exchange->up, large, len);
    ck_assert_uint_gt(exchange->up->ops->waiting(exchange->up), 0);
    exchange->up->ops->end(exchange->up);
    let_go();
    peer.deaf = false;
    conn_resume_read(peer.conn);
    wait_ended(loop, &peer, CONN_EOF);
    ck_assert_uint_eq(peer.len, strlen(UPGRADE) + len);
    ck_assert_str_eq(peer.data + strlen(UPGRADE), large);
    free(large);
}

UNIT_TEST(a_switch_is_declined)
{
    ask(UPGRADE);
    say("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno");
    wait_notes(loop, notes, "426{no} idle ");
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(30);
