/* SPDX-License-Identifier: MIT */
/* See conn_stage.h. */
#include "conn_stage.h"

#include <check.h>
#include <unistd.h>

struct loop *loop;
struct end here;
int there = -1;

void conn_stage_set_up(void)
{
    loop = loop_new(0);
    ck_assert_ptr_nonnull(loop);
    here = (struct end){0};
    there = -1;
}

void conn_stage_tear_down(void)
{
    end_free(&here);
    if (there != -1) {
        close(there);
    }
    loop_free(&loop);
}

void open_pair(void (*make)(int fds[2]))
{
    int fds[2];

    make(fds);
    timer_set(loop, &conn_pool_get(loop)->doubt_timer, 3600 * NS_PER_SECOND);
    here.conn = conn_accept(loop, fds[0], NULL, &end_ops, &here);
    ck_assert_ptr_nonnull(here.conn);
    there = fds[1];
}

void there_sends(const char *text)
{
    ck_assert_int_eq(send(there, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static size_t wanted;

static bool here_has_wanted(void *arg)
{
    (void)arg;
    return here.len >= wanted;
}

void wait_for_bytes(size_t count)
{
    wanted = count;
    run_until(loop, here_has_wanted, NULL);
}

/* Reads a little at a time at the other end. */
bool drain_some(void *arg)
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
