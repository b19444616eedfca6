/* SPDX-License-Identifier: MIT */
/* h1_up.c: connections that end, and how that is reported. */
#include "up_stage.h"

/* ---- connections that end ---- */

START_TEST(a_reset_before_the_answer)
{
    ask(ASKED);
    wait_data(loop, &peer, ASKED);
    peer_reset();
    wait_notes(loop, notes, "closed failed reset ");
}
END_TEST

/* Idle connections end; a request that finds one dead may safely be tried again. */
START_TEST(a_connection_that_was_idle)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    ask(ASKED);
    peer_close();
    wait_notes(loop, notes, "200{ok} idle closed failed stale ");
}
END_TEST

/* The server's FIN was on its way before the request came: whoever it was meant for, it was not
 * read. */
START_TEST(a_request_that_nobody_can_have_read)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    peer_leave();
    ask(ASKED);
    wait_notes(loop, notes, "200{ok} idle closed failed unread ");
}
END_TEST

/* The same on a new connection; and where the reset has overtaken what the kernel would take. */
START_TEST(a_request_that_was_never_sent)
{
    peer_leave();
    ask(ASKED);
    exchange->up->ops->data(exchange->up, "more", 4);
    batch_flush(&batch);
    exchange->up->ops->data(exchange->up, "more", 4);
    batch_flush(&batch);
    wait_notes(loop, notes, "closed failed unread ");
}
END_TEST

/* It was read, and then the server ended in good order: it may have acted. */
START_TEST(a_request_that_was_read)
{
    ask(ASKED);
    wait_data(loop, &peer, ASKED);
    peer_leave();
    wait_notes(loop, notes, "closed failed reset ");
}
END_TEST

/* A reset alone proves nothing: earlier bytes may have been read, and their acknowledgement be
 * late. */
START_TEST(a_reset_tells_nothing)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    ask(ASKED);
    peer_reset();
    wait_notes(loop, notes, "200{ok} idle closed failed stale ");
}
END_TEST

START_TEST(a_connection_that_was_idle_and_began_to_answer)
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
END_TEST

static void serve_once(void)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
}

/* Its answer is not for this request, which goes to another connection. */
START_TEST(nonsense_on_a_connection_that_was_idle)
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
END_TEST

START_TEST(a_408_is_an_answer_on_a_new_connection)
{
    ask(ASKED);
    say("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    wait_notes(loop, notes, "408{} closed ");
}
END_TEST

/* Some servers close behind a head that they find too long, whoever sent it. */
START_TEST(a_long_head_that_gets_no_answer)
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
END_TEST

START_TEST(an_idle_connection_ends)
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
END_TEST

/* Looked at before it is used: what has come since is found without a turn of the loop. */
START_TEST(a_dead_connection_is_found_by_looking)
{
    ask(ASKED);
    say(OK);
    wait_notes(loop, notes, "200{ok} idle ");
    ck_assert_int_eq(send(peer.conn->fd, "x", 1, MSG_NOSIGNAL), 1);
    ck_assert(!ask_with(ASKED, true));
    ck_assert_ptr_null(client);
    ck_assert_str_eq(notes->text, "200{ok} idle closed ");
}
END_TEST

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

START_TEST(bytes_that_wait_for_their_turn)
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
END_TEST

/* What the server said before it ended is still an answer, although the request could not all go
 * out. */
START_TEST(an_early_answer_and_a_reset)
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
END_TEST

static Suite *h1_up_ends_suite(void)
{
    Suite *suite = suite_create("h1_up_ends");
    TCase *ends = group(suite, "ends", set_up);
    tcase_add_test(ends, a_reset_before_the_answer);
    tcase_add_test(ends, a_connection_that_was_idle);
    tcase_add_test(ends, a_request_that_nobody_can_have_read);
    tcase_add_test(ends, a_request_that_was_never_sent);
    tcase_add_test(ends, a_request_that_was_read);
    tcase_add_test(ends, a_reset_tells_nothing);
    tcase_add_test(ends, a_connection_that_was_idle_and_began_to_answer);
    tcase_add_loop_test(ends, nonsense_on_a_connection_that_was_idle, 0, 6);
    tcase_add_test(ends, a_408_is_an_answer_on_a_new_connection);
    tcase_add_loop_test(ends, a_long_head_that_gets_no_answer, 0, 2);
    tcase_add_loop_test(ends, an_idle_connection_ends, 0, 3);
    tcase_add_test(ends, a_dead_connection_is_found_by_looking);
    tcase_add_loop_test(ends, bytes_that_wait_for_their_turn, 0, 2);
    tcase_add_test(ends, an_early_answer_and_a_reset);
    return suite;
}

UNIT_SUITE(h1_up_ends_suite);
