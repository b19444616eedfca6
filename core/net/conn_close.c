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

/* Whether this turn has room for one more; then it is counted. */
static bool may_close(struct conn_pool *pool, const struct conn *conn)
{
    if (pool->closes_turn != pool->loop->turn) {
        pool->closes_turn = pool->loop->turn;
        pool->closes = 0;
    }
    if (pool->closes >= CLOSES_A_TURN) {
        return false;
    }
    pool->closes += conn->readable && !conn->eof_hint ? CLOSE_UNREAD : 1;
    return true;
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
    if (list_empty(&pool->closing) && may_close(pool, c)) {
        close_socket(c);
        return;
    }
    c->fd = -1;
    task_cancel(&c->resume);
    list_remove(&c->doubt);
    list_push_back(&pool->closing, &c->doubt);
    task_queue(c->loop, &pool->close_task);
}

/* NULL: none waits. */
static struct conn *next_waiting(struct conn_pool *pool)
{
    return list_empty(&pool->closing) ? NULL : container_of(pool->closing.next, struct conn, doubt);
}

bool conn_close_waiting(struct loop *loop)
{
    struct conn_pool *pool = conn_pool_of(loop);
    struct conn *conn = pool != NULL ? next_waiting(pool) : NULL;

    if (conn != NULL) {
        close_socket(conn); /* which takes it off the list */
    }
    return conn != NULL;
}

void conn_close_some(struct task *task)
{
    struct conn_pool *pool = container_of(task, struct conn_pool, close_task);
    struct conn *conn = NULL;

    while ((conn = next_waiting(pool)) != NULL) {
        if (!may_close(pool, conn)) {
            task_queue(pool->loop, &pool->close_task);
            return;
        }
        close_socket(conn);
    }
}
