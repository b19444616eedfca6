/* SPDX-License-Identifier: MIT */
/*
 * Closing connections: a bounded number of sockets a turn, the others in later turns.
 */
#include <unistd.h>

#include "net/conn_pool.h"

static void on_freed(struct freed *freed)
{
    struct conn *conn = container_of(freed, struct conn, freed);
    conn_pool_give(conn_pool_of(conn->loop), conn);
}

/* Closes the socket, which is most of the cost. */
static void close_socket(struct conn *c)
{
    struct conn_pool *pool = conn_pool_of(c->loop);

    c->fd = event_get_fd(&c->event);
    if (c->tls != NULL && !c->opening && !c->shutdown_sent && !c->write_failed &&
        conn_waiting(c) == 0) {
        conn_tls_shutdown(c);
    }
    event_del(&c->event);
    close(c->fd);
    c->fd = -1;
    if (c->tls != NULL) {
        conn_tls_free(c);
    }
    buffer_release(pool, &c->in);
    buffer_release(pool, &c->out);
    task_cancel(&c->resume); /* before `freed` takes its place */
    list_remove(&c->doubt);
    loop_free_later(c->loop, &c->freed, on_freed);
}

/* Counts a socket closed in this turn. false: the limit is reached. */
static bool may_close(struct conn_pool *pool)
{
    if (pool->closes_turn != pool->loop->turn) {
        pool->closes_turn = pool->loop->turn;
        pool->closes = 0;
    }
    return pool->closes++ < CLOSES_A_TURN;
}

void conn_close(struct conn **conn, bool reset)
{
    struct conn *c = *conn;
    struct conn_pool *pool = conn_pool_of(c->loop);

    ASSERT(c->magic == CONN_MAGIC && c->fd != -1);
    *conn = NULL;
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        c->write_failed = true; /* no close_notify either */
    }
    if (c->ending) {
        /* The last packet waits for the FIN. The socket may be closed some turns later, and with
         * bytes that nobody has read, which would make the kernel drop the packet. */
        conn_shutdown(c);
    }
    if (list_empty(&pool->closing) && may_close(pool)) {
        close_socket(c);
        return;
    }
    c->fd = -1;
    task_cancel(&c->resume);
    list_remove(&c->doubt);
    list_push_back(&pool->closing, &c->doubt);
    task_queue(c->loop, &pool->close_task);
}

bool conn_close_waiting(struct loop *loop)
{
    struct conn_pool *pool = conn_pool_of(loop);
    struct list *link = pool != NULL ? list_pop_front(&pool->closing) : NULL;

    if (link != NULL) {
        close_socket(container_of(link, struct conn, doubt));
    }
    return link != NULL;
}

void conn_close_some(struct task *task)
{
    struct conn_pool *pool = container_of(task, struct conn_pool, close_task);

    while (!list_empty(&pool->closing)) {
        if (!may_close(pool)) {
            task_queue(pool->loop, &pool->close_task);
            return;
        }
        conn_close_waiting(pool->loop);
    }
}
