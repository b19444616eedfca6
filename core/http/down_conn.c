/* SPDX-License-Identifier: MIT */
/*
 * Shared by the codecs of clients' connections: the end of a connection. See down_conn.h.
 */
#include "http/down_conn.h"

static void down_conn_free(struct freed *freed)
{
    struct down_conn *c = container_of(freed, struct down_conn, freed);
    c->owner->on_free(c);
}

void down_conn_close(struct down_conn *c, enum codec_end how)
{
    struct conn *conn = c->conn;
    struct loop *loop = conn->loop;

    timer_cancel(loop, &c->timer);
    task_cancel(&c->task);
    batch_forget(c->batch, conn);
    c->conn = NULL;
    if (how == END_LINGER) {
        conn_close_lingering(&conn);
    } else {
        conn_close(&conn, how == END_RESET);
    }
    c->owner->on_closed(c);
    loop_free_later(loop, &c->freed, down_conn_free);
}

void down_conn_hurry(struct down_conn *c, uint64_t delay_ns)
{
    uint64_t at_ns = loop_now_ns(down_conn_loop(c)) + delay_ns;

    if (!timer_is_set(&c->timer) || c->timer.deadline_ns > at_ns) {
        timer_set(down_conn_loop(c), &c->timer, delay_ns);
        c->hurried = true;
    }
}
