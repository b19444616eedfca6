/* SPDX-License-Identifier: MIT */
/* Plain connections: order and wholeness, ends and errors, keeping, closing. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "conn_stage.h"
#include "runner.h"

/* ---- reading ---- */

UNIT_TEST(test_reads_what_comes)
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

UNIT_LOOP_TEST(test_an_end_that_comes_with_the_data_is_seen_at_once, 2)
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

UNIT_LOOP_TEST(test_a_close_that_comes_with_the_data_is_seen_at_once, 2)
{
    open_pair(_i == 0 ? tcp_pair : unix_pair);
    there_sends("HTTP/1.0 200 OK");
    close(there);
    there = -1;
    run_until_true(loop, &here.ended);
    ck_assert_str_eq(here.data, "HTTP/1.0 200 OK");
    ck_assert_int_eq(here.result, CONN_EOF);
}

UNIT_TEST(test_an_end_after_the_data_is_seen)
{
    open_pair(tcp_pair);
    there_sends("x");
    wait_for_bytes(1);
    shutdown(there, SHUT_WR);
    run_until_true(loop, &here.ended);
    ck_assert_int_eq(here.result, CONN_EOF);
}

static void there_resets(void)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(there, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(there);
    there = -1;
}

UNIT_TEST(test_a_reset_that_comes_with_the_data_is_found_by_the_sweep)
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

static bool not_in_doubt(void *arg)
{
    (void)arg;
    return !list_linked(&here.conn->doubt);
}

UNIT_TEST(test_the_sweep_leaves_quiet_connections_alone)
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

UNIT_TEST(test_a_reset_is_an_error)
{
    open_pair(tcp_pair);
    run_turns(loop, 2);
    there_resets();
    run_until_true(loop, &here.ended);
    ck_assert_int_eq(here.result, CONN_ERROR);
    ck_assert_int_eq(here.conn->error, CONN_RESET);
    ck_assert(!end_send(&here, "x"));
}

UNIT_TEST(test_reads_no_more_than_asked)
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
UNIT_TEST(test_what_was_read_is_lent_for_the_callback)
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

UNIT_TEST(test_kept_bytes_come_again_before_the_new_ones)
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

UNIT_TEST(test_resuming_gives_kept_bytes_once)
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

UNIT_TEST(test_an_end_leaves_what_is_kept)
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

UNIT_TEST(test_a_reader_that_stopped_goes_on_when_it_resumes)
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

/* ---- writing ---- */

UNIT_LOOP_TEST(test_what_the_socket_refuses_goes_later_in_order, 2)
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

UNIT_TEST(test_shutdown_goes_behind_what_waits)
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

UNIT_TEST(test_after_a_failed_write_the_early_answer_can_be_read)
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

UNIT_TEST(test_an_idle_connection_is_clean_and_holds_nothing)
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

UNIT_TEST(test_connects)
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

UNIT_TEST(test_a_preface_goes_before_everything_else)
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

UNIT_TEST(test_a_refused_connect_says_so)
{
    int listening;
    struct sockaddr_in address = listen_on_loopback(&listening);

    close(listening);
    connect_to(&address, sizeof(address));
    ck_assert(!here.open_ok);
    ck_assert_int_eq(here.conn->error, CONN_REFUSED);
}

UNIT_TEST(test_an_absent_unix_socket_is_refused)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};

    connect_to(&address, sizeof(address));
    ck_assert(!here.open_ok);
    ck_assert_int_eq(here.conn->error, CONN_REFUSED);
}

UNIT_TEST(test_without_descriptors_there_is_no_connection)
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

/* What comes behind a gap is another message, or none. */
UNIT_TEST(test_nothing_is_read_behind_what_was_lost)
{
    struct rlimit old, none;
    char *rest = pattern(LOOP_READ_MOST);

    if (!LIBC_MALLOC) { /* sanitizers take addresses as they like */
        free(rest);
        return;
    }
    open_pair(tcp_pair);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &old), 0);
    none = old;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &none), 0);
    conn_keep(here.conn, rest, LOOP_READ_MOST);
    setrlimit(RLIMIT_AS, &old);
    free(rest);
    there_sends("behind it");
    run_until_true(loop, &here.ended);
    ck_assert_int_eq(here.result, CONN_ERROR);
    ck_assert_int_eq(here.conn->error, CONN_NO_MEMORY);
    ck_assert_uint_eq(here.len, 0);
}

UNIT_FIXTURE(conn_stage_set_up, conn_stage_tear_down);
UNIT_TIMEOUT(60);

/* The kernel's word on the whole process. */
static size_t resident(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    ck_assert_int_eq(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static bool few_are_free(void *arg)
{
    const struct conn_pool *pool = arg;
    return pool->buffer_count[3] <= BUFFER_CLASS_KEPT / (64 * 1024);
}

/* Not with malloc_trim's long lock, and not in one turn. */
UNIT_TEST(test_large_buffers_of_a_rush_go_back_in_steps)
{
    static struct conn_buffer *buffers[512];
    static char data[60 * 1024];
    struct conn_pool *pool = conn_pool_get(loop);
    size_t before = resident();

    memset(data, 'x', sizeof(data));
    for (size_t i = 0; i < ARRAY_COUNT(buffers); i++) {
        ck_assert(buffer_append(pool, &buffers[i], data, sizeof(data)));
    }
    for (size_t i = 0; i + 1 < ARRAY_COUNT(buffers); i++) { /* the last one keeps the heap's end */
        buffer_release(pool, &buffers[i]);
    }
    if (!POISON_WORKS) {
        ck_assert_uint_eq(pool->buffer_count[3], ARRAY_COUNT(buffers) - 1);
        run_turns(loop, 1);
        ck_assert(!few_are_free(pool));
        run_until(loop, few_are_free, pool);
        ck_assert(!timer_is_set(&pool->buffers_timer));
        ck_assert(!LIBC_MALLOC || resident() < before + sizeof(data) * ARRAY_COUNT(buffers) / 4);
    }
    buffer_release(pool, &buffers[ARRAY_COUNT(buffers) - 1]);
}
