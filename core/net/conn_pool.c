/* SPDX-License-Identifier: MIT */
/*
 * What the connections of one loop share: free structs and buffers, and the sweep over those in
 * doubt.
 */
#include "net/conn_pool.h"

#include <poll.h>
#include <stdlib.h>

/* Whether the socket has bytes, an end or an error. MSG_PEEK would tell as well, but consume the
 * error. */
static bool has_news(const struct conn *conn)
{
    struct pollfd look = {.fd = conn->fd, .events = POLLIN | POLLRDHUP};
    return poll(&look, 1, 0) > 0;
}

static void look_again(struct conn *conn)
{
    if (conn->tls != NULL) {
        conn_tls_quiet(conn);
    }
    if (conn->ops->on_quiet != NULL) {
        conn->ops->on_quiet(conn);
    }
    if (conn->connecting || conn->error != CONN_OK) {
        return;
    }
    if (conn->opening) { /* in the handshake: a client that was reset gives up its place */
        if (has_news(conn)) {
            conn->eof_hint = true;
            conn_mark_readable(conn);
            conn_tls_handshake(conn);
        }
        return;
    }
    if (conn->readable || conn->eof_seen) {
        return;
    }
    if (has_news(conn)) {
        /* The news may be behind the bytes: a short read does not end them. */
        conn->eof_hint = true;
        conn_mark_readable(conn);
        conn_tell_readable(conn);
    }
}

/* Connections with an edge since the last sweep stay; quiet ones are checked and leave. */
static void sweep(struct timer *timer)
{
    struct conn_pool *pool = container_of(timer, struct conn_pool, doubt_timer);
    struct list batch, *link;

    list_init(&batch);
    while ((link = list_pop_front(&pool->doubts)) != NULL) {
        list_push_back(&batch, link);
    }
    while ((link = list_pop_front(&batch)) != NULL) {
        struct conn *conn = container_of(link, struct conn, doubt);
        if (conn->edge_seen) {
            conn->edge_seen = false;
            list_push_back(&pool->doubts, link);
        } else {
            look_again(conn);
        }
    }
    if (!list_empty(&pool->doubts)) {
        timer_set(pool->loop, timer, DOUBT_NS);
    }
}

/* After all connections that were closed before. */
static void pool_free(struct freed *freed)
{
    struct conn_pool *pool = container_of(freed, struct conn_pool, freed);
    struct list *link;

    while ((link = list_pop_front(&pool->free_conns)) != NULL) {
        free(container_of(link, struct conn, doubt));
    }
    buffers_free(pool);
    BIO_free(pool->bio);
    free(pool->staging);
    free(pool->gather);
    pool->loop->parts[LOOP_PART_NET] = NULL;
    free(pool);
}

static void pool_end(struct loop *loop, struct loop_part *part)
{
    struct conn_pool *pool = container_of(part, struct conn_pool, part);

    conn_pool_close_lingering(pool);
    while (conn_close_waiting(loop)) {}
    timer_cancel(loop, &pool->doubt_timer);
    timer_cancel(loop, &pool->buffers_timer);
    pool->ending = true;
    task_cancel(&pool->close_task);
    loop_free_later(loop, &pool->freed, pool_free);
}

static struct conn_pool *pool_new(struct loop *loop)
{
    struct conn_pool *pool = calloc(1, sizeof(*pool));

    if (pool == NULL) {
        return NULL;
    }
    pool->part.end = pool_end;
    pool->loop = loop;
    loop->parts[LOOP_PART_NET] = &pool->part;
    list_init(&pool->free_conns);
    list_init(&pool->doubts);
    list_init(&pool->closing);
    pool->close_task.fn = conn_close_some;
    list_init(&pool->lingering);
    pool->lingering_most = conn_linger_most();
    pool->linger_most_ns = CONN_LINGER_MOST_NS;
    pool->doubt_timer.fn = sweep;
    pool->buffers_timer.fn = buffers_step;
    return pool;
}

struct conn_pool *conn_pool_get(struct loop *loop)
{
    struct conn_pool *pool = conn_pool_of(loop);
    return likely(pool != NULL) ? pool : pool_new(loop);
}

bool conn_set_reserve(struct loop *loop, int from)
{
    struct conn_pool *pool = conn_pool_get(loop);

    if (pool != NULL) {
        pool->connect_reserve = from;
    }
    return pool != NULL;
}

struct conn *conn_pool_take(struct loop *loop)
{
    struct conn_pool *pool = conn_pool_get(loop);

    if (unlikely(pool == NULL)) {
        return NULL;
    }
    struct list *link = list_pop_front(&pool->free_conns);
    if (link == NULL) {
        return calloc(1, sizeof(struct conn));
    }
    struct conn *conn = container_of(link, struct conn, doubt);
    pool->free_conn_count--;
    memset(conn, 0, sizeof(*conn));
    return conn;
}

void conn_pool_give(struct conn_pool *pool, struct conn *conn)
{
    conn->magic = 0;
    if (POISON_WORKS || pool->free_conn_count >= CONNS_KEPT) {
        free(conn);
        return;
    }
    list_push_front(&pool->free_conns, &conn->doubt);
    pool->free_conn_count++;
}
