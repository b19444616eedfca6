/* SPDX-License-Identifier: MIT */
/* h1_up.c: connections that end, and how that is reported. */
#include "up_stage.h"

/* ---- connections that end ---- */

UNIT_TEST(a_reset_before_the_answer)
{
    ask(ASKED);
    wait_data(loop, &peer, ASKED);
    peer_reset();
    wait_notes(loop, notes, "closed failed reset ");
}

/* Idle connections end; a request that finds one dead may safely be tried again. */
UNIT_TEST(a_connection_that_was_idle)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    ask(ASKED);
    peer_close();
    wait_notes(loop, notes, "200{ok} idle closed failed stale ");
}

/* The server's FIN was on its way before the request came: whoever it was meant for, it was not
 * read. */
UNIT_TEST(a_request_that_nobody_can_have_read)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    peer_leave();
    ask(ASKED);
    wait_notes(loop, notes, "200{ok} idle closed failed unread ");
}

/* The same on a new connection; and where the reset has overtaken what the kernel would take. */
UNIT_TEST(a_request_that_was_never_sent)
{
    peer_leave();
    ask(ASKED);
    exchange->up->ops->data(exchange->up, "more", 4);
    batch_flush(&batch);
    exchange->up->ops->data(exchange->up, "more", 4);
    batch_flush(&batch);
    wait_notes(loop, notes, "closed failed unread ");
}

/* It was read, and then the server ended in good order: it may have acted. */
UNIT_TEST(a_request_that_was_read)
{
    ask(ASKED);
    wait_data(loop, &peer, ASKED);
    peer_leave();
    wait_notes(loop, notes, "closed failed reset ");
}

/* A reset alone proves nothing: earlier bytes may have been read, and their acknowledgement be
 * late. */
UNIT_TEST(a_reset_tells_nothing)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    ask(ASKED);
    peer_reset();
    wait_notes(loop, notes, "200{ok} idle closed failed stale ");
}

UNIT_TEST(a_connection_that_was_idle_and_began_to_answer)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    ask(ASKED);
    say("HTTP/1.1 2");
    run_turns(loop, 5);
    peer_close();
    wait_notes(loop, notes, "200{ok} idle closed failed reset ");
}

static void serve_once(void)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
}

/* Its answer is not for this request, which goes to another connection. */
UNIT_LOOP_TEST(nonsense_on_a_connection_that_was_idle, 6)
{
    static const struct {
        const char *said, *noted;
    } rows[] = {
        {"0\r\n\r\n", "closed failed stray bad_version "},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
         "closed failed stray upgrade_not_asked "},
        {"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
         "closed failed unread "},
        /* An answer is one. */
        {"HTTP/1.1 408 Request Timeout\r\nContent-Length: 2\r\n\r\nno", "408{no} idle "},
        {"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
         "400{no} closed "},
        {"HTTP/1.1 100 Continue\r\n\r\n0\r\n\r\n", "100 closed failed malformed bad_version "},
    };
    serve_once();
    ask(ASKED);
    say(rows[_i].said);
    char *wanted = base_printf("200{ok} idle %s", rows[_i].noted);
    wait_notes(loop, notes, wanted);
    free(wanted);
}

UNIT_TEST(a_408_is_an_answer_on_a_new_connection)
{
    ask(ASKED);
    say("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    wait_notes(loop, notes, "408{} closed ");
}

/* Some servers close behind a head that they find too long, whoever sent it. */
UNIT_LOOP_TEST(a_long_head_that_gets_no_answer, 2)
{
    size_t len = _i == 0 ? 3000 : 5000;
    char *value = base_alloc(len + 1);
    memset(value, 'v', len);
    value[len] = '\0';
    const struct http_extra extra = {STR("A"), {value, len}, false};
    parse_request(exchange, ASKED);
    ck_assert(up_conn_use(client, exchange, false));
    ck_assert(exchange->up->ops->head(exchange->up, &extra, 1));
    batch_flush(&batch);
    run_turns(loop, 5);
    peer_leave();
    wait_notes(loop, notes, _i == 0 ? "closed failed reset " : "closed failed overlong ");
    free(value);
}

UNIT_LOOP_TEST(an_idle_connection_ends, 3)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    if (_i == 0) {
        peer_close();
    } else if (_i == 1) {
        peer_reset();
    } else {
        say("HTTP/1.1 408 Request Timeout\r\n\r\n");
    }
    wait_notes(loop, notes, "200{ok} idle closed ");
}

/* Looked at before it is used: what has come since is found without a turn of the loop. */
UNIT_TEST(a_dead_connection_is_found_by_looking)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    ck_assert_int_eq(send(peer.conn->fd, "x", 1, MSG_NOSIGNAL), 1);
    ck_assert(!ask_with(ASKED, true));
    ck_assert_ptr_null(client);
    ck_assert_str_eq(notes->text, "200{ok} idle closed ");
}

/* Found by the loop in this turn, and not told yet: known all the same, and without a system
 * call. */
static bool used_at_once;

static void use_at_once(struct conn *conn)
{
    char *data;
    size_t len;
    ck_assert_int_eq(conn_read(conn, &data, &len, 0), CONN_DATA);
    ck_assert_ptr_nonnull(client);
    used_at_once = true;
    ck_assert(!ask_with(ASKED, false));
    ck_assert_ptr_null(client);
}

UNIT_LOOP_TEST(bytes_that_wait_for_their_turn, 2)
{
    const struct conn_ops ops = {.on_readable = use_at_once};
    int fds[2];
    serve_once();
    tcp_pair(fds);
    struct conn *other = conn_accept(loop, fds[0], NULL, &ops, NULL);
    run_turns(loop, 2);
    ck_assert_int_eq(send(fds[1], "x", 1, MSG_NOSIGNAL), 1);
    if (_i == 0) {
        ck_assert_int_eq(send(peer.conn->fd, OK, strlen(OK), MSG_NOSIGNAL), (int)strlen(OK));
    } else {
        shutdown(peer.conn->fd, SHUT_WR);
    }
    used_at_once = false;
    run_until_true(loop, &used_at_once);
    ck_assert_str_eq(notes->text, "200{ok} idle closed ");
    conn_close(&other, false);
    close(fds[1]);
}

/* What the server said before it ended is still an answer, although the request could not all go
 * out. */
UNIT_TEST(an_early_answer_and_a_reset)
{
    char *large = pattern(8u << 20);
    peer.deaf = true;
    ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n");
    exchange->up->ops->data(exchange->up, large, 8u << 20);
    ck_assert_uint_gt(exchange->up->ops->waiting(exchange->up), 0);
    say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    run_turns(loop, 1);
    wait_notes(loop, notes, "413{no} closed ");
    free(large);
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(30);
