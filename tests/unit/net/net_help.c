/* SPDX-License-Identifier: MIT */
/* What the tests of core/net share. */
#include "net_help.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define PATIENCE_NS (20 * NS_PER_SECOND)

/* ---- turning ---- */

struct waiting {
    struct task task;
    struct loop *loop;
    bool (*condition)(void *arg);
    void *arg;
    uint64_t until_ns;
    bool gave_up;
};

static void look(struct task *task)
{
    struct waiting *waiting = container_of(task, struct waiting, task);

    waiting->gave_up = loop_now_ns(waiting->loop) > waiting->until_ns;
    if (waiting->gave_up || waiting->condition(waiting->arg)) {
        loop_stop(waiting->loop);
    } else {
        sched_yield();
        task_queue(waiting->loop, task);
    }
}

void run_until(struct loop *loop, bool (*condition)(void *arg), void *arg)
{
    struct waiting waiting = {
        .task = {.fn = look},
        .loop = loop,
        .condition = condition,
        .arg = arg,
        .until_ns = loop_now_refresh(loop) + PATIENCE_NS,
    };

    task_queue(loop, &waiting.task);
    loop_run(loop);
    ck_assert_msg(!waiting.gave_up, "the condition did not come true");
}

static bool flag_is_set(void *arg)
{
    return *(bool *)arg;
}

void run_until_true(struct loop *loop, bool *flag)
{
    run_until(loop, flag_is_set, flag);
}

static bool count_down(void *arg)
{
    unsigned *left = arg;
    return *left == 0 || --*left == 0;
}

void run_turns(struct loop *loop, unsigned turns)
{
    run_until(loop, count_down, &turns);
}

/* ---- an end ---- */

static void collect(struct end *end, const char *data, size_t len)
{
    if (end->size < end->len + len + 1) {
        end->size = 2 * (end->len + len + 1);
        end->data = base_realloc(end->data, end->size);
    }
    memcpy(end->data + end->len, data, len);
    end->len += len;
    end->data[end->len] = '\0';
}

static void on_readable(struct conn *conn)
{
    struct end *end = conn->owner;
    char *data;
    size_t len;

    end->readable_calls++;
    while (!end->deaf && !end->ended) {
        enum conn_result result = conn_read(conn, &data, &len, end->max);
        if (result == CONN_AGAIN) {
            return;
        }
        if (result != CONN_DATA) {
            ck_assert_uint_eq(len, 0);
            end->ended = true;
            end->result = result;
            return;
        }
        size_t keep = end->keep < len ? end->keep : len;
        collect(end, data, len - keep);
        conn_keep(conn, data + len - keep, keep);
    }
}

static void on_drained(struct conn *conn)
{
    struct end *end = conn->owner;
    ck_assert_uint_eq(conn_waiting(conn), 0);
    end->drained_calls++;
}

static void on_open(struct conn *conn, bool ok)
{
    struct end *end = conn->owner;
    ck_assert(!end->opened);
    end->opened = true;
    end->open_ok = ok;
}

const struct conn_ops end_ops = {
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_open = on_open,
};

void end_free(struct end *end)
{
    if (end->conn != NULL) {
        conn_close(&end->conn, false);
    }
    free(end->data);
    *end = (struct end){0};
}

bool end_send(struct end *end, const char *text)
{
    struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    return conn_write(end->conn, &iov, 1);
}

/* ---- sockets ---- */

static void make_nonblocking(int fd)
{
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

void tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int one = 1;
    int listening = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(listening, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listening, 1), 0);
    ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&address, &len), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fds[0], (struct sockaddr *)&address, sizeof(address)), 0);
    fds[1] = accept(listening, NULL, NULL);
    ck_assert_int_ne(fds[1], -1);
    close(listening);
    for (int i = 0; i < 2; i++) {
        make_nonblocking(fds[i]);
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
}

void unix_pair(int fds[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    make_nonblocking(fds[0]);
    make_nonblocking(fds[1]);
}

char *pattern(size_t len)
{
    char *data = base_alloc(len + 1);
    uint32_t state = 2463534242u;

    for (size_t i = 0; i < len; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        data[i] = (char)('!' + state % 90);
    }
    data[len] = '\0';
    return data;
}
