/* SPDX-License-Identifier: MIT */
/* How connections end: at once, many in one turn, and lingering. */
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "conn_stage.h"
#include "runner.h"

/* ---- closing ---- */

UNIT_LOOP_TEST(test_close_is_an_end_and_reset_is_none, 2)
{
    char byte;

    open_pair(tcp_pair);
    conn_close(&here.conn, _i == 1);
    ck_assert_ptr_null(here.conn);
    ssize_t n = recv(there, &byte, 1, 0);
    if (_i == 1) {
        ck_assert_int_eq(n, -1);
        ck_assert_int_eq(errno, ECONNRESET);
    } else {
        ck_assert_int_eq(n, 0);
    }
}

/* The answer and the FIN behind it share a packet: the kernel holds the one until the other comes
 * (200 ms at most, so a machine that stands still that long has nothing to show). */
UNIT_LOOP_TEST(test_the_last_packet_waits_for_the_end, 3)
{
    const struct iovec answer = {(void *)(uintptr_t) "answer", 6};
    int unsent = 0;
    char data[8];

    open_pair(tcp_pair);
    uint64_t began_ns = loop_now_refresh(loop);
    conn_write_last(here.conn);
    ck_assert(conn_write(here.conn, &answer, 1));
    ck_assert_uint_eq(conn_waiting(here.conn), 0);
    ck_assert_int_eq(ioctl(here.conn->fd, SIOCOUTQNSD, &unsent), 0);
    ck_assert(unsent == 6 || loop_now_refresh(loop) - began_ns > 100 * NS_PER_MS);
    switch (_i) {
    case 0: conn_close(&here.conn, false); break;
    case 1: conn_close_lingering(&here.conn); break;
    default: conn_shutdown(here.conn); break;
    }
    ck_assert_int_eq(recv(there, data, sizeof(data), MSG_WAITALL), 6);
    ck_assert_int_eq(memcmp(data, "answer", 6), 0);
}

/* A byte that came since the loop looked makes close a reset; the answer has gone out before. */
UNIT_TEST(test_the_last_packet_precedes_a_reset)
{
    const struct iovec answer = {(void *)(uintptr_t) "answer", 6};
    char data[8];

    open_pair(tcp_pair);
    there_sends("x");
    conn_write_last(here.conn);
    ck_assert(conn_write(here.conn, &answer, 1));
    conn_close(&here.conn, false);
    ck_assert_int_eq(recv(there, data, sizeof(data), 0), 6);
    ck_assert_int_eq(memcmp(data, "answer", 6), 0);
}

static struct conn *doomed[2];

static void close_both(struct conn *conn)
{
    (void)conn;
    for (int i = 0; i < 2; i++) {
        conn_close(&doomed[i], false);
    }
}

static const struct conn_ops close_both_ops = {.on_readable = close_both};

UNIT_TEST(test_callbacks_may_close_any_connection)
{
    int fds[2];

    /* Both have an event in the same turn; whose callback comes first closes both. */
    tcp_pair(fds);
    for (int i = 0; i < 2; i++) {
        doomed[i] = conn_accept(loop, fds[i], NULL, &close_both_ops, NULL);
        ck_assert_int_eq(send(fds[i], "x", 1, 0), 1);
    }
    while (doomed[0] != NULL) {
        run_turns(loop, 1);
    }
    ck_assert_ptr_null(doomed[1]);
    run_turns(loop, 2);
}

/* ---- closing many ---- */

#define MANY ((int)CLOSES_A_TURN * 2 + 3)

static struct conn *crowd[CLOSES_A_TURN * 2 + 3];
static int peers[CLOSES_A_TURN * 2 + 3];

static void nobody_looks(struct conn *conn)
{
    (void)conn;
    ck_abort_msg("a callback of a closed connection");
}

static const struct conn_ops nobody_ops = {.on_readable = nobody_looks, .on_drained = nobody_looks};

static void open_many(void)
{
    timer_set(loop, &conn_pool_get(loop)->doubt_timer, 3600 * NS_PER_SECOND);
    for (int i = 0; i < MANY; i++) {
        int fds[2];
        tcp_pair(fds);
        crowd[i] = conn_accept(loop, fds[0], NULL, &nobody_ops, NULL);
        ck_assert_ptr_nonnull(crowd[i]);
        peers[i] = fds[1];
        conn_keep(crowd[i], "kept", 4);
    }
}

/* All are closed in one turn, every second by RST. */
static void close_many(void)
{
    open_many();
    for (int i = 0; i < MANY; i++) {
        conn_close(&crowd[i], i % 2 == 1);
        ck_assert_ptr_null(crowd[i]);
    }
}

static void hear(int from, int to)
{
    for (int i = from; i < to; i++) {
        char byte;
        ssize_t n = recv(peers[i], &byte, 1, MSG_DONTWAIT);
        ck_assert_msg(i % 2 == 0 ? n == 0 : n == -1 && errno == ECONNRESET, "peer %d", i);
        close(peers[i]);
    }
}

static void hear_nothing(int from)
{
    for (int i = from; i < MANY; i++) {
        char byte;
        ck_assert_int_eq(recv(peers[i], &byte, 1, MSG_DONTWAIT), -1);
        ck_assert_msg(errno == EAGAIN, "peer %d", i);
    }
}

UNIT_TEST(test_many_are_closed_over_some_turns)
{
    const int part = (int)CLOSES_A_TURN;

    close_many();
    hear(0, part);
    hear_nothing(part);
    /* What is sent to one that waits reaches nobody. */
    ck_assert_int_eq(send(peers[MANY - 2], "x", 1, MSG_NOSIGNAL), 1);
    run_turns(loop, 1);
    hear(part, 2 * part);
    hear_nothing(2 * part);
    run_turns(loop, 1);
    hear(2 * part, MANY);
}

/* What nobody has read is the kernel's to free. */
UNIT_TEST(test_those_with_much_unread_are_closed_over_more_turns)
{
    const int part = (int)(CLOSES_A_TURN / CLOSE_UNREAD);

    open_many();
    for (int i = 0; i < MANY; i++) {
        crowd[i]->readable = true;
    }
    for (int i = 0; i < MANY; i++) {
        conn_close(&crowd[i], i % 2 == 1);
    }
    hear(0, part);
    hear_nothing(part);
    run_turns(loop, 1);
    hear(part, 2 * part);
    hear_nothing(2 * part);
    while (loop_settle(loop)) {}
    hear(2 * part, MANY);
}

/* Their last packets do not wait for their sockets' turn. */
UNIT_TEST(test_answers_of_many_are_not_held)
{
    const struct iovec answer = {(void *)(uintptr_t) "answer", 6};
    char data[8];

    open_many();
    for (int i = 0; i < MANY; i++) {
        conn_write_last(crowd[i]);
        ck_assert(conn_write(crowd[i], &answer, 1));
        conn_close(&crowd[i], false);
    }
    for (int i = 0; i < MANY; i++) {
        ck_assert_msg(recv(peers[i], data, sizeof(data), MSG_DONTWAIT) == 6, "peer %d", i);
        ck_assert_msg(recv(peers[i], data, sizeof(data), MSG_DONTWAIT) == 0, "peer %d", i);
        close(peers[i]);
    }
}

UNIT_LOOP_TEST(test_those_that_wait_are_closed_without_turns, 3)
{
    close_many();
    switch (_i) {
    case 0:
        while (loop_settle(loop)) {}
        break;
    case 1:
        while (conn_close_waiting(loop)) {}
        break;
    default: loop_free(&loop);
    }
    hear(0, MANY);
}

UNIT_TEST(test_structs_and_buffers_are_used_again)
{
    open_pair(tcp_pair);
    struct conn *first = here.conn;
    conn_keep(first, "abc", 3);
    struct conn_buffer *buffer = first->in;
    const bool kept = !POISON_WORKS; /* else they are freed, for the sanitizer to see */
    conn_close(&here.conn, false);
    run_turns(loop, 1);
    close(there);
    open_pair(tcp_pair);
    ck_assert(!kept || here.conn == first);
    conn_keep(here.conn, "def", 3);
    ck_assert(!kept || here.conn->in == buffer);
    ck_assert_uint_eq(here.conn->received, 0);
}

/* ---- lingering ---- */

static bool none_lingers(void *arg)
{
    (void)arg;
    return list_empty(&conn_pool_get(loop)->lingering);
}

UNIT_TEST(test_a_lingering_close_saves_the_answer)
{
    char *body = pattern(300000);
    char answer[64] = "";

    open_pair(tcp_pair);
    here.deaf = true;
    ssize_t sent = send(there, body, 300000, MSG_NOSIGNAL);
    ck_assert_int_gt(sent, 100000);
    run_turns(loop, 3);
    /* The upload is refused without being read. */
    ck_assert(end_send(&here, "413 too large"));
    conn_close_lingering(&here.conn);
    ck_assert_ptr_null(here.conn);
    run_turns(loop, 3);
    ck_assert_int_gt(send(there, body, 50000, MSG_NOSIGNAL), 0); /* goes on a while */
    run_turns(loop, 3);
    ck_assert(!none_lingers(NULL));
    ck_assert_int_eq(recv(there, answer, sizeof(answer), 0), 13);
    ck_assert_str_eq(answer, "413 too large");
    ck_assert_int_eq(recv(there, answer, sizeof(answer), 0), 0);
    close(there);
    there = -1;
    run_until(loop, none_lingers, NULL);
    free(body);
}

UNIT_TEST(test_what_was_not_read_keeps_a_close_from_being_clean)
{
    open_pair(tcp_pair);
    there_sends("request");
    wait_for_bytes(7);
    ck_assert(end_send(&here, "response"));
    ck_assert(conn_closes_cleanly(here.conn));
    here.deaf = true;
    there_sends("more");
    while (!here.conn->readable) {
        run_turns(loop, 1);
    }
    ck_assert(!conn_closes_cleanly(here.conn));
    here.deaf = false;
    conn_look_again(here.conn);
    ck_assert(conn_closes_cleanly(here.conn));
    conn_keep(here.conn, "more", 4);
    ck_assert(!conn_closes_cleanly(here.conn));
}

UNIT_TEST(test_lingering_ends_by_time)
{
    open_pair(tcp_pair);
    uint64_t begin = loop_now_refresh(loop);
    conn_close_lingering(&here.conn);
    run_until(loop, none_lingers, NULL); /* the peer does nothing */
    ck_assert_uint_ge(loop_now_refresh(loop) - begin, CONN_LINGER_NS);
}

/* The peer sends on; false once it cannot. */
static bool push(size_t *pushed)
{
    static const char block[65536];
    ssize_t n = send(there, block, sizeof(block), MSG_NOSIGNAL);
    if (n > 0) {
        *pushed += (size_t)n;
    }
    return n > 0 || errno == EAGAIN;
}

static bool pushed_much(void *arg)
{
    size_t *pushed = arg;
    ck_assert_msg(push(pushed), "cut after %zu bytes: %s", *pushed, strerror(errno));
    return *pushed > 16u << 20;
}

/* A client that looks for its answer only when all of its body is sent. */
UNIT_TEST(test_lingering_takes_a_whole_upload)
{
    size_t pushed = 0;
    open_pair(tcp_pair);
    conn_close_lingering(&here.conn);
    run_until(loop, pushed_much, &pushed);
    ck_assert(!none_lingers(NULL));
    close(there);
    there = -1;
    run_until(loop, none_lingers, NULL);
}

static bool push_until_closed(void *arg)
{
    size_t pushed = 0;
    push(&pushed);
    return none_lingers(arg);
}

UNIT_TEST(test_lingering_ends_whatever_comes)
{
    open_pair(tcp_pair);
    conn_pool_get(loop)->linger_most_ns = NS_PER_SECOND / 4;
    uint64_t begin = loop_now_refresh(loop);
    conn_close_lingering(&here.conn);
    run_until(loop, push_until_closed, NULL);
    ck_assert_uint_lt(loop_now_refresh(loop) - begin, CONN_LINGER_NS);
}

UNIT_TEST(test_lingering_sends_what_waits)
{
    const size_t len = 4u << 20;
    char *data = pattern(len);
    struct drain drain = {.data = base_alloc(len + 1), .size = len + 1};
    struct iovec iov = {data, len};

    open_pair(tcp_pair);
    shutdown(there, SHUT_WR); /* half-closed: it still reads */
    run_until_true(loop, &here.ended);
    ck_assert(conn_write(here.conn, &iov, 1));
    ck_assert_uint_gt(conn_waiting(here.conn), 0);
    conn_close_lingering(&here.conn);
    run_until(loop, drain_some, &drain);
    ck_assert_uint_eq(drain.len, len);
    ck_assert_mem_eq(drain.data, data, len);
    run_until(loop, none_lingers, NULL);
    free(data);
    free(drain.data);
}

UNIT_TEST(test_a_loop_that_ends_closes_those_that_linger)
{
    open_pair(tcp_pair);
    conn_close_lingering(&here.conn);
    ck_assert(!none_lingers(NULL));
    /* teardown frees the loop; the sanitizers look on */
}

UNIT_FIXTURE(conn_stage_set_up, conn_stage_tear_down);
UNIT_TIMEOUT(60);
