/* SPDX-License-Identifier: MIT */
/* Plain connections: order and wholeness, ends and errors, keeping, closing. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/conn_pool.h"
#include "net_help.h"
#include "runner.h"

static struct loop *loop;
static struct end here;
static int there = -1; /* the other end: a raw socket */

static void setup(void)
{
    loop = loop_new(0);
    ck_assert_ptr_nonnull(loop);
    here = (struct end){0};
    there = -1;
}

static void teardown(void)
{
    end_free(&here);
    if (there != -1) {
        close(there);
    }
    loop_free(&loop);
}

/* `here` is a connection, `there` the other end's socket. The sweep over the doubtful is put off, so
 * that what a test sees came from an edge. */
static void open_pair(void (*make)(int fds[2]))
{
    int fds[2];

    make(fds);
    timer_set(loop, &conn_pool_get(loop)->doubt_timer, 3600 * NS_PER_SECOND);
    here.conn = conn_accept(loop, fds[0], NULL, &end_ops, &here);
    ck_assert_ptr_nonnull(here.conn);
    there = fds[1];
}

static void there_sends(const char *text)
{
    ck_assert_int_eq(send(there, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static size_t wanted;

static bool here_has_wanted(void *arg)
{
    (void)arg;
    return here.len >= wanted;
}

static void wait_for_bytes(size_t count)
{
    wanted = count;
    run_until(loop, here_has_wanted, NULL);
}

/* ---- reading ---- */

START_TEST(test_reads_what_comes)
{
    open_pair(tcp_pair);
    there_sends("hello");
    wait_for_bytes(5);
    ck_assert_str_eq(here.data, "hello");
    ck_assert(!here.conn->readable); /* the short read told so */
    ck_assert_uint_eq(here.conn->received, 5);
    there_sends(" again");
    wait_for_bytes(11);
    ck_assert_str_eq(here.data, "hello again");
}
END_TEST

START_TEST(test_an_end_that_comes_with_the_data_is_seen_at_once)
{
    open_pair(_i == 0 ? tcp_pair : unix_pair);
    there_sends("GET /");
    ck_assert_int_eq(shutdown(there, SHUT_WR), 0);
    run_until_true(loop, &here.ended);
    ck_assert_str_eq(here.data, "GET /");
    ck_assert_int_eq(here.result, CONN_EOF);
    /* Half-closed: the answer still goes out. */
    ck_assert(end_send(&here, "ok"));
    char answer[8] = "";
    ck_assert_int_eq(recv(there, answer, sizeof(answer), 0), 2);
}
END_TEST

START_TEST(test_a_close_that_comes_with_the_data_is_seen_at_once)
{
    open_pair(_i == 0 ? tcp_pair : unix_pair);
    there_sends("HTTP/1.0 200 OK");
    close(there);
    there = -1;
    run_until_true(loop, &here.ended);
    ck_assert_str_eq(here.data, "HTTP/1.0 200 OK");
    ck_assert_int_eq(here.result, CONN_EOF);
}
END_TEST

START_TEST(test_an_end_after_the_data_is_seen)
{
    open_pair(tcp_pair);
    there_sends("x");
    wait_for_bytes(1);
    shutdown(there, SHUT_WR);
    run_until_true(loop, &here.ended);
    ck_assert_int_eq(here.result, CONN_EOF);
}
END_TEST

static void there_resets(void)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(there, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(there);
    there = -1;
}

START_TEST(test_a_reset_that_comes_with_the_data_is_found_by_the_sweep)
{
    open_pair(tcp_pair);
    timer_cancel(loop, &conn_pool_get(loop)->doubt_timer);
    there_sends("half a mess");
    there_resets();
    run_until_true(loop, &here.ended);
    ck_assert_str_eq(here.data, "half a mess");
    ck_assert_int_eq(here.result, CONN_ERROR);
    ck_assert_int_eq(here.conn->error, CONN_RESET);
    ck_assert_str_eq(conn_error_word(here.conn->error), "reset");
}
END_TEST

static bool not_in_doubt(void *arg)
{
    (void)arg;
    return !list_linked(&here.conn->doubt);
}

START_TEST(test_the_sweep_leaves_quiet_connections_alone)
{
    open_pair(tcp_pair);
    timer_cancel(loop, &conn_pool_get(loop)->doubt_timer);
    there_sends("x");
    wait_for_bytes(1);
    unsigned calls = here.readable_calls;
    run_until(loop, not_in_doubt, NULL);
    ck_assert_uint_eq(here.readable_calls, calls);
    ck_assert(conn_is_idle_clean(here.conn));
    ck_assert(!timer_is_set(&conn_pool_get(loop)->doubt_timer));
    there_sends("y");
    wait_for_bytes(2);
}
END_TEST

START_TEST(test_a_reset_is_an_error)
{
    open_pair(tcp_pair);
    run_turns(loop, 2);
    there_resets();
    run_until_true(loop, &here.ended);
    ck_assert_int_eq(here.result, CONN_ERROR);
    ck_assert_int_eq(here.conn->error, CONN_RESET);
    ck_assert(!end_send(&here, "x"));
}
END_TEST

START_TEST(test_reads_no_more_than_asked)
{
    char *data;
    size_t len;

    open_pair(tcp_pair);
    here.deaf = true;
    there_sends("abcdefgh");
    shutdown(there, SHUT_WR);
    while (!here.conn->eof_hint) {
        run_turns(loop, 1);
    }
    ck_assert_int_eq(conn_read(here.conn, &data, &len, 3), CONN_DATA);
    ck_assert_uint_eq(len, 3);
    ck_assert_int_eq(conn_read(here.conn, &data, &len, 5), CONN_DATA);
    ck_assert_uint_eq(len, 5);
    ck_assert_mem_eq(data, "defgh", 5);
    for (int i = 0; i < 2; i++) { /* the end repeats */
        ck_assert_int_eq(conn_read(here.conn, &data, &len, 0), CONN_EOF);
        ck_assert_uint_eq(len, 0);
    }
}
END_TEST

static const char *lent[2];

/* Reads twice, and sees what becomes of the first piece. */
static void read_twice(struct conn *conn)
{
    char *data;
    size_t len;

    for (int i = 0; i < 2; i++) {
        if (conn_read(conn, &data, &len, 3) != CONN_DATA) {
            return;
        }
        ck_assert(!POISONED(data) && !POISONED(data + len - 1));
        lent[i] = data;
    }
    ck_assert(POISONED(lent[0]) == POISON_WORKS);
}

/* In sanitizer builds, which then find in any test a slice that outlives its read. */
START_TEST(test_what_was_read_is_lent_for_the_callback)
{
    static const struct conn_ops ops = {.on_readable = read_twice};
    open_pair(tcp_pair);
    conn_set_owner(here.conn, &ops, &here);
    lent[1] = NULL;
    there_sends("abcdef");
    while (lent[1] == NULL) {
        run_turns(loop, 1);
    }
    ck_assert(POISONED(lent[0]) == POISON_WORKS && POISONED(lent[1]) == POISON_WORKS);
}
END_TEST

START_TEST(test_kept_bytes_come_again_before_the_new_ones)
{
    char *data;
    size_t len;

    open_pair(tcp_pair);
    here.keep = 4;
    there_sends("1234567");
    wait_for_bytes(3);
    ck_assert_str_eq(here.data, "123");
    ck_assert_uint_eq(conn_kept(here.conn), 4);
    ck_assert_int_eq(conn_read(here.conn, &data, &len, 0), CONN_AGAIN);
    here.keep = 0;
    there_sends("89");
    wait_for_bytes(9);
    ck_assert_str_eq(here.data, "123456789");
    ck_assert_uint_eq(conn_kept(here.conn), 0);
    ck_assert_ptr_null(here.conn->in);
}
END_TEST

START_TEST(test_resuming_gives_kept_bytes_once)
{
    open_pair(tcp_pair);
    here.keep = 100;
    there_sends("pipelined");
    while (conn_kept(here.conn) == 0) {
        run_turns(loop, 1);
    }
    unsigned calls = here.readable_calls;
    conn_resume_read(here.conn); /* all is kept again: must not spin */
    run_turns(loop, 5);
    ck_assert_uint_eq(here.readable_calls, calls + 1);
    ck_assert_uint_eq(conn_kept(here.conn), 9);
    here.keep = 0;
    conn_resume_read(here.conn);
    wait_for_bytes(9);
    ck_assert_str_eq(here.data, "pipelined");
}
END_TEST

START_TEST(test_an_end_leaves_what_is_kept)
{
    open_pair(tcp_pair);
    here.keep = 100;
    there_sends("tail");
    shutdown(there, SHUT_WR);
    run_until_true(loop, &here.ended);
    ck_assert_int_eq(here.result, CONN_EOF);
    ck_assert_uint_eq(conn_kept(here.conn), 4);
    ck_assert(!conn_is_idle_clean(here.conn));
}
END_TEST

START_TEST(test_a_reader_that_stopped_goes_on_when_it_resumes)
{
    open_pair(tcp_pair);
    here.deaf = true;
    there_sends("later");
    while (here.readable_calls == 0) {
        run_turns(loop, 1);
    }
    run_turns(loop, 3);
    ck_assert_uint_eq(here.len, 0);
    here.deaf = false;
    conn_resume_read(here.conn);
    wait_for_bytes(5);
    ck_assert_str_eq(here.data, "later");
}
END_TEST

/* ---- writing ---- */

struct drain {
    char *data;
    size_t len, size;
    bool ended;
};

/* Reads a little at a time at the other end. */
static bool drain_some(void *arg)
{
    struct drain *drain = arg;
    ssize_t n = recv(there, drain->data + drain->len, drain->size - drain->len, 0);

    if (n > 0) {
        drain->len += (size_t)n;
    } else if (n == 0) {
        drain->ended = true;
    } else {
        ck_assert_int_eq(errno, EAGAIN);
    }
    return drain->ended || drain->len == drain->size;
}

START_TEST(test_what_the_socket_refuses_goes_later_in_order)
{
    const size_t len = 8u << 20;
    char *data = pattern(len);
    struct drain drain = {.data = base_alloc(len), .size = len};

    open_pair(_i == 0 ? tcp_pair : unix_pair);
    struct iovec iov[3] = {{data, 100}, {data + 100, 0}, {data + 100, 5000000}};
    ck_assert(conn_write(here.conn, iov, 3));
    ck_assert_uint_gt(conn_waiting(here.conn), 0);
    struct iovec rest = {data + 5000100, len - 5000100};
    ck_assert(conn_write(here.conn, &rest, 1));
    run_until(loop, drain_some, &drain);
    ck_assert_uint_eq(drain.len, len);
    ck_assert_mem_eq(drain.data, data, len);
    ck_assert_uint_eq(here.drained_calls, 1);
    ck_assert_uint_eq(here.conn->sent, len);
    ck_assert_ptr_null(here.conn->out);
    free(data);
    free(drain.data);
}
END_TEST

START_TEST(test_shutdown_goes_behind_what_waits)
{
    const size_t len = 6u << 20;
    char *data = pattern(len);
    struct drain drain = {.data = base_alloc(len + 1), .size = len + 1};
    struct iovec iov = {data, len};

    open_pair(tcp_pair);
    ck_assert(conn_write(here.conn, &iov, 1));
    conn_shutdown(here.conn);
    ck_assert(!here.conn->shutdown_sent);
    run_until(loop, drain_some, &drain);
    ck_assert(drain.ended);
    ck_assert_uint_eq(drain.len, len);
    ck_assert_mem_eq(drain.data, data, len);
    there_sends("thanks"); /* our reading goes on */
    wait_for_bytes(6);
    free(data);
    free(drain.data);
}
END_TEST

START_TEST(test_after_a_failed_write_the_early_answer_can_be_read)
{
    open_pair(tcp_pair);
    run_turns(loop, 2);
    here.deaf = true;
    there_sends("413 too large");
    there_resets();
    while (end_send(&here, "body")) {
        run_turns(loop, 1);
    }
    ck_assert_int_eq(here.conn->error, CONN_RESET);
    here.deaf = false;
    run_until_true(loop, &here.ended);
    ck_assert_int_eq(here.result, CONN_ERROR);
    ck_assert_str_eq(here.data, "413 too large");
}
END_TEST

/* ---- closing ---- */

START_TEST(test_close_is_an_end_and_reset_is_none)
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
END_TEST

static struct conn *doomed[2];

static void close_both(struct conn *conn)
{
    (void)conn;
    for (int i = 0; i < 2; i++) {
        conn_close(&doomed[i], false);
    }
}

static const struct conn_ops close_both_ops = {.on_readable = close_both};

START_TEST(test_callbacks_may_close_any_connection)
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
END_TEST

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

/* All are closed in one turn, every second by RST. */
static void close_many(void)
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

START_TEST(test_many_are_closed_over_some_turns)
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
END_TEST

START_TEST(test_those_that_wait_are_closed_without_turns)
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
END_TEST

START_TEST(test_structs_and_buffers_are_used_again)
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
END_TEST

START_TEST(test_an_idle_connection_is_clean_and_holds_nothing)
{
    open_pair(tcp_pair);
    ck_assert(conn_is_idle_clean(here.conn));
    there_sends("request");
    wait_for_bytes(7);
    ck_assert(end_send(&here, "response"));
    ck_assert(conn_is_idle_clean(here.conn));
    ck_assert_ptr_null(here.conn->in);
    ck_assert_ptr_null(here.conn->out);
    shutdown(there, SHUT_WR);
    while (conn_is_idle_clean(here.conn)) {
        run_turns(loop, 1);
    }
}
END_TEST

/* ---- lingering ---- */

static bool none_lingers(void *arg)
{
    (void)arg;
    return list_empty(&conn_pool_get(loop)->lingering);
}

START_TEST(test_a_lingering_close_saves_the_answer)
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
END_TEST

START_TEST(test_what_was_not_read_keeps_a_close_from_being_clean)
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
END_TEST

START_TEST(test_lingering_ends_by_time)
{
    open_pair(tcp_pair);
    uint64_t begin = loop_now_refresh(loop);
    conn_close_lingering(&here.conn);
    run_until(loop, none_lingers, NULL); /* the peer does nothing */
    ck_assert_uint_ge(loop_now_refresh(loop) - begin, CONN_LINGER_NS);
}
END_TEST

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
START_TEST(test_lingering_takes_a_whole_upload)
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
END_TEST

static bool push_until_closed(void *arg)
{
    size_t pushed = 0;
    push(&pushed);
    return none_lingers(arg);
}

START_TEST(test_lingering_ends_whatever_comes)
{
    open_pair(tcp_pair);
    conn_pool_get(loop)->linger_most_ns = NS_PER_SECOND / 4;
    uint64_t begin = loop_now_refresh(loop);
    conn_close_lingering(&here.conn);
    run_until(loop, push_until_closed, NULL);
    ck_assert_uint_lt(loop_now_refresh(loop) - begin, CONN_LINGER_NS);
}
END_TEST

START_TEST(test_lingering_sends_what_waits)
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
END_TEST

START_TEST(test_a_loop_that_ends_closes_those_that_linger)
{
    open_pair(tcp_pair);
    conn_close_lingering(&here.conn);
    ck_assert(!none_lingers(NULL));
    /* teardown frees the loop; the sanitizers look on */
}
END_TEST

/* ---- connecting ---- */

static struct sockaddr_in listen_on_loopback(int *listening)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *listening = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(*listening, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(*listening, 8), 0);
    ck_assert_int_eq(getsockname(*listening, (struct sockaddr *)&address, &len), 0);
    return address;
}

static void connect_to(const void *address, size_t len)
{
    enum conn_error error;

    here.conn = conn_connect(loop, address, (socklen_t)len, NULL, &end_ops, &here, &error);
    ck_assert_ptr_nonnull(here.conn);
    ck_assert_int_eq(error, CONN_OK);
    ck_assert(!here.opened); /* never inside the call */
    run_until_true(loop, &here.opened);
}

START_TEST(test_connects)
{
    int listening;
    struct sockaddr_in address = listen_on_loopback(&listening);

    connect_to(&address, sizeof(address));
    ck_assert(here.open_ok);
    there = accept(listening, NULL, NULL);
    ck_assert(end_send(&here, "hi"));
    char text[4] = "";
    ck_assert_int_eq(recv(there, text, sizeof(text), 0), 2);
    there_sends("ho");
    wait_for_bytes(2);
    close(listening);
}
END_TEST

START_TEST(test_a_preface_goes_before_everything_else)
{
    int listening;
    struct sockaddr_in address = listen_on_loopback(&listening);
    enum conn_error error;
    char text[32] = "";

    here.conn = conn_connect(loop, (struct sockaddr *)&address, sizeof(address), NULL, &end_ops,
                             &here, &error);
    ck_assert_ptr_nonnull(here.conn);
    ck_assert(conn_preface(here.conn, "PROXY ", 6));
    run_until_true(loop, &here.opened);
    ck_assert(here.open_ok);
    ck_assert_uint_eq(conn_waiting(here.conn), 0);
    ck_assert(end_send(&here, "GET"));
    there = accept(listening, NULL, NULL);
    ck_assert_int_eq(recv(there, text, 9, MSG_WAITALL), 9);
    ck_assert_str_eq(text, "PROXY GET");
    ck_assert(conn_is_idle_clean(here.conn));
    close(listening);
}
END_TEST

START_TEST(test_a_refused_connect_says_so)
{
    int listening;
    struct sockaddr_in address = listen_on_loopback(&listening);

    close(listening);
    connect_to(&address, sizeof(address));
    ck_assert(!here.open_ok);
    ck_assert_int_eq(here.conn->error, CONN_REFUSED);
}
END_TEST

START_TEST(test_an_absent_unix_socket_is_refused)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};

    connect_to(&address, sizeof(address));
    ck_assert(!here.open_ok);
    ck_assert_int_eq(here.conn->error, CONN_REFUSED);
}
END_TEST

START_TEST(test_without_descriptors_there_is_no_connection)
{
    struct rlimit old, none;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
    enum conn_error error;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    here.conn = conn_connect(loop, (struct sockaddr *)&address, sizeof(address), NULL, &end_ops,
                             &here, &error);
    setrlimit(RLIMIT_NOFILE, &old);
    ck_assert_ptr_null(here.conn);
    ck_assert_int_eq(error, CONN_NO_DESCRIPTOR);
}
END_TEST

static Suite *conn_suite(void)
{
    Suite *suite = suite_create("net/conn");
    TCase *tcase = tcase_create("conn");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_reads_what_comes);
    tcase_add_loop_test(tcase, test_an_end_that_comes_with_the_data_is_seen_at_once, 0, 2);
    tcase_add_loop_test(tcase, test_a_close_that_comes_with_the_data_is_seen_at_once, 0, 2);
    tcase_add_test(tcase, test_an_end_after_the_data_is_seen);
    tcase_add_test(tcase, test_a_reset_that_comes_with_the_data_is_found_by_the_sweep);
    tcase_add_test(tcase, test_the_sweep_leaves_quiet_connections_alone);
    tcase_add_test(tcase, test_a_reset_is_an_error);
    tcase_add_test(tcase, test_reads_no_more_than_asked);
    tcase_add_test(tcase, test_what_was_read_is_lent_for_the_callback);
    tcase_add_test(tcase, test_kept_bytes_come_again_before_the_new_ones);
    tcase_add_test(tcase, test_resuming_gives_kept_bytes_once);
    tcase_add_test(tcase, test_an_end_leaves_what_is_kept);
    tcase_add_test(tcase, test_a_reader_that_stopped_goes_on_when_it_resumes);
    tcase_add_loop_test(tcase, test_what_the_socket_refuses_goes_later_in_order, 0, 2);
    tcase_add_test(tcase, test_shutdown_goes_behind_what_waits);
    tcase_add_test(tcase, test_after_a_failed_write_the_early_answer_can_be_read);
    tcase_add_loop_test(tcase, test_close_is_an_end_and_reset_is_none, 0, 2);
    tcase_add_test(tcase, test_callbacks_may_close_any_connection);
    tcase_add_test(tcase, test_many_are_closed_over_some_turns);
    tcase_add_loop_test(tcase, test_those_that_wait_are_closed_without_turns, 0, 3);
    tcase_add_test(tcase, test_structs_and_buffers_are_used_again);
    tcase_add_test(tcase, test_an_idle_connection_is_clean_and_holds_nothing);
    tcase_add_test(tcase, test_a_lingering_close_saves_the_answer);
    tcase_add_test(tcase, test_what_was_not_read_keeps_a_close_from_being_clean);
    tcase_add_test(tcase, test_lingering_ends_by_time);
    tcase_add_test(tcase, test_lingering_takes_a_whole_upload);
    tcase_add_test(tcase, test_lingering_ends_whatever_comes);
    tcase_add_test(tcase, test_lingering_sends_what_waits);
    tcase_add_test(tcase, test_a_loop_that_ends_closes_those_that_linger);
    tcase_add_test(tcase, test_connects);
    tcase_add_test(tcase, test_a_preface_goes_before_everything_else);
    tcase_add_test(tcase, test_a_refused_connect_says_so);
    tcase_add_test(tcase, test_an_absent_unix_socket_is_refused);
    tcase_add_test(tcase, test_without_descriptors_there_is_no_connection);
    suite_add_tcase(suite, tcase);
    return suite;
}
UNIT_SUITE(conn_suite);
