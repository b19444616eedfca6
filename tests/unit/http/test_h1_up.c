/* SPDX-License-Identifier: MIT */
/* h1_up.c: answers. */
#include "up_stage.h"

/* ---- answers ---- */

static const struct {
    const char *rule, *asked, *said, *noted;
    bool end; /* the server ends the connection behind it */
} answers[] = {
    {"a length", ASKED, OK, "200{ok} idle ", false},
    {"no body", ASKED, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200{} idle ", false},
    {"9112 7.1: chunks", ASKED,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\nA: b\r\nHost: "
     "x\r\n\r\n",
     "200{ok|A: b} idle ", false},
    {"9112 6.3: until the end", ASKED, "HTTP/1.1 200 OK\r\n\r\nok", "200{ok} closed ", true},
    {"9112 6.3: HTTP/1.0", ASKED, "HTTP/1.0 200 OK\r\n\r\nok", "200{ok} closed ", true},
    {"9112 9.3: HTTP/1.0 does not keep", ASKED, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
     "200{ok} closed ", false},
    {"9112 9.3: unless it says so", ASKED,
     "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", "200{ok} idle ",
     false},
    {"9112 9.6: close", ASKED,
     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "200{ok} closed ",
     false},
    {"9112 6.3: HEAD", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "200{} idle ", false},
    {"9112 6.3: 204", ASKED, "HTTP/1.1 204 No Content\r\n\r\n", "204{} idle ", false},
    {"9112 6.3: 304", ASKED, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
     "304{} idle ", false},
    {"9110 15.2: interim ones before", ASKED,
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n" OK,
     "100 103 200{ok} idle ", false},
    /* Surplus bytes are discarded (RFC 9112 section 6.3, and 9.2: responses are paired by
     * order). */
    {"9112 6.3: HEAD of a server that sends a body", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", OK,
     "200{} closed ", false},
    {"surplus behind a length", ASKED, OK "x", "200{ok} closed ", false},
    {"a second answer", ASKED, OK OK, "200{ok} closed ", false},
    {"surplus behind no body", ASKED, "HTTP/1.1 204 No Content\r\n\r\nx", "204{} closed ", false},
    {"surplus behind chunks", ASKED,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n", "200{} closed ", false},
    /* Stray bytes before a response. */
    {"no HTTP", ASKED, "hello\r\n\r\n", "closed failed malformed bad_version ", false},
    {"both lengths", ASKED,
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "closed failed malformed both_lengths ", false},
    {"9110 7.8: a switch that was not asked for", ASKED,
     "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
     "closed failed malformed upgrade_not_asked ", false},
    {"nonsense behind an interim one", ASKED, "HTTP/1.1 100 Continue\r\n\r\nx\r\n\r\n",
     "100 closed failed malformed bad_version ", false},
    /* Cut. */
    {"the end and no answer", ASKED, "", "closed failed reset ", true},
    {"the end in a head", ASKED, "HTTP/1.1 200 OK\r\nContent", "closed failed reset ", true},
    {"the end behind an interim one", ASKED, "HTTP/1.1 100 Continue\r\n\r\n",
     "100 closed failed reset ", true},
    {"9112 8: the end in a body", ASKED, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
     "200{okclosed failed truncated ", true},
    {"9112 8: the end between chunks", ASKED,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
     "200{okclosed failed truncated ", true},
    {"9112 8: the end in trailers", ASKED,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n",
     "200{ok|A: bclosed failed truncated ", true},
    {"9112 7.1: broken chunks", ASKED,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokx",
     "200{okclosed failed malformed bad_chunk_end ", false},
};

UNIT_LOOP_TEST(answer, ARRAY_COUNT(answers))
{
    ask(answers[_i].asked);
    wait_data(loop, &peer, answers[_i].asked);
    if (answers[_i].said[0] != '\0') {
        say(answers[_i].said);
    }
    if (answers[_i].end) {
        peer_close();
    }
    wait_notes(loop, notes, answers[_i].noted);
}

/* The same in two pieces, cut anywhere. Surplus may come late: then the connection was idle. */
UNIT_LOOP_TEST(answer_in_pieces, 12)
{
    size_t len = strlen(answers[_i].said);
    for (size_t cut = 1; cut < len; cut++) {
        char *first = base_strndup(answers[_i].said, cut);
        ask(answers[_i].asked);
        say(first);
        run_turns(loop, 5);
        if (peer.conn != NULL && client != NULL) {
            end_send(&peer, answers[_i].said + cut);
        }
        if (answers[_i].end) {
            peer_close();
        }
        wait_notes(loop, notes, answers[_i].noted);
        free(first);
        tear_down();
        set_up();
    }
}

UNIT_TEST(one_connection_serves_many)
{
    for (int i = 0; i < 3; i++) {
        ask(ASKED);
        say(OK);
        run_turns(loop, 2);
        while (exchange->up != NULL) {
            run_turns(loop, 2);
        }
    }
    wait_notes(loop, notes, "200{ok} idle 200{ok} idle 200{ok} idle ");
    wait_data(loop, &peer, ASKED ASKED ASKED);
    ck_assert_uint_eq(client->served, 3);
}

/* A filter may make much of little: what others wait for is time and not bytes. */
UNIT_TEST(whoever_tires_the_loop_goes_behind_all_others)
{
    const size_t len = 200000;
    char *body = base_zalloc(len + 1);

    memset(body, 'x', len);
    char *expected = base_printf("200{%s} idle ", body);
    tires_ns = LOOP_WEARY_NS + 1;
    ask(ASKED);
    say("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");
    say(body);
    wait_notes(loop, notes, expected);
    ck_assert_uint_le(most_pieces, 2); /* once as it becomes readable, once as it is resumed */
    free(expected);
    free(body);
}

/* A waiting request gets the connection in the same turn; surplus bytes are not taken for its
 * answer and do not close the connection under it. */
UNIT_LOOP_TEST(surplus_is_no_answer_to_the_next, 2)
{
    struct exchange *first = exchange;
    queued = exchange_new();
    parse_request(queued, ASKED);
    struct exchange *second = queued;
    ask(ASKED);
    say(_i == 0 ? OK : OK OK);
    if (_i == 0) {
        wait_notes(loop, notes, "200{ok} idle ");
        ck_assert_ptr_eq(exchange, second);
        say(OK);
        wait_notes(loop, notes, "200{ok} idle 200{ok} idle ");
        exchange_free(first);
    } else {
        wait_notes(loop, notes, "200{ok} closed ");
        ck_assert_ptr_eq(exchange, first);
        exchange_free(second);
    }
}

UNIT_TEST(too_many_interim_answers)
{
    ask(ASKED);
    for (int i = 0; i < 200 && client != NULL; i++) {
        end_send(&peer, "HTTP/1.1 102 Processing\r\n\r\n");
        run_turns(loop, 3);
    }
    ck_assert_ptr_null(client);
    ck_assert_ptr_nonnull(strstr(notes->text, "failed malformed too_many_interim_responses "));
}

/* After a read that fills its buffer exactly there may be more: this costs a check, and the
 * connection only if there is more. */
UNIT_LOOP_TEST(a_last_read_that_is_full, 2)
{
    const char *head = "HTTP/1.1 200 OK\r\nContent-Length: ";
    char *said = NULL;
    size_t body = PACE_SMALL - strlen(head) - strlen("00000\r\n\r\n");
    char *bytes = pattern(body);
    said = base_printf("%s%05zu\r\n\r\n%s%s", head, body, bytes, _i == 0 ? "" : "x");
    ck_assert_uint_eq(strlen(said), PACE_SMALL + (size_t)_i);
    int size = 4 * PACE_SMALL;
    setsockopt(client->conn->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    ask(ASKED);
    wait_data(loop, &peer, ASKED);
    say(said);
    /* All of it is there before the first read: what is written first is read with it. */
    while (conn_waiting(peer.conn) > 0) {
        run_turns(loop, 1);
    }
    char *wanted = base_printf("200{%s} %s ", bytes, _i == 0 ? "idle" : "closed");
    wait_notes(loop, notes, wanted);
    free(wanted);
    free(said);
    free(bytes);
}

UNIT_TEST(an_endless_head)
{
    ask(ASKED);
    say("HTTP/1.1 200 OK\r\nX: ");
    for (int i = 0; i < 100 && client != NULL; i++) {
        end_send(&peer, "01234567890123456789012345678901234567890123456789");
        run_turns(loop, 3);
    }
    wait_notes(loop, notes, "closed failed malformed head_too_long ");
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(30);
