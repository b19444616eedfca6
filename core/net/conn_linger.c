/* SPDX-License-Identifier: MIT */
/*
 * Lingering close (RFC 9112 section 9.6). Closing a socket with unread bytes sends RST, and RST
 * makes the peer's system drop what the peer has not read yet: the answer that says why. So the
 * last bytes are sent, then FIN, and input is dropped until the peer's FIN.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "net/conn_pool.h"

struct linger_close {
    struct list link; /* in pool->lingering */
    struct conn *conn;
    struct timer timer;
    uint64_t end_ns; /* whatever still arrives */
    struct freed freed;
};

/* Dropped in one callback, so that a fast peer does not starve the others. */
#define DROP_PER_TURN (1024u * 1024)

#define LINGER_LEAST 4u
#define LINGER_MOST  1024u
/* One in so many descriptors may be held by a closing connection. */
#define LINGER_SHARE 64u

bool conn_closes_cleanly(struct conn *conn)
{
    return conn->tls == NULL && conn_is_idle_clean(conn) && conn_is_quiet(conn, false);
}

size_t conn_linger_most(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / LINGER_SHARE > LINGER_MOST) {
        return LINGER_MOST;
    }
    size_t share = limit.rlim_cur / LINGER_SHARE;
    return share > LINGER_LEAST ? share : LINGER_LEAST;
}

size_t conn_lingering(const struct loop *loop)
{
    const struct conn_pool *pool = conn_pool_of(loop);
    return pool != NULL ? pool->lingering_count : 0;
}

static void on_freed(struct freed *freed)
{
    free(container_of(freed, struct linger_close, freed));
}

static void finish(struct linger_close *lingering)
{
    struct loop *loop = lingering->conn->loop;

    timer_cancel(loop, &lingering->timer);
    list_remove(&lingering->link);
    conn_pool_of(loop)->lingering_count--;
    /* TLS has sent close_notify; what is still unsent is dropped. */
    conn_close(&lingering->conn, false);
    loop_free_later(loop, &lingering->freed, on_freed);
}

static void on_timer(struct timer *timer)
{
    finish(container_of(timer, struct linger_close, timer));
}

/* The peer is still sending: many clients read the answer only after their whole request. */
static void go_on(struct linger_close *lingering)
{
    struct loop *loop = lingering->conn->loop;
    uint64_t now_ns = loop_now_ns(loop);

    if (now_ns < lingering->end_ns) {
        uint64_t left_ns = lingering->end_ns - now_ns;
        timer_set(loop, &lingering->timer, left_ns < CONN_LINGER_NS ? left_ns : CONN_LINGER_NS);
    }
}

/* Drops input, below TLS, since its content does not matter. MSG_TRUNC: not even copied (TCP). */
static void on_readable(struct conn *conn)
{
    struct linger_close *lingering = conn->owner;
    char *scratch = loop_scratch_take(conn->loop);
    size_t dropped = 0;
    ssize_t n;

    do {
        n = recv(conn->fd, scratch, LOOP_SCRATCH_SIZE, MSG_TRUNC);
        if (n > 0) {
            dropped += (size_t)n;
        }
    } while ((n > 0 && dropped < DROP_PER_TURN) || (n < 0 && errno == EINTR));
    conn->eof_seen = n == 0;
    if (n == 0 && conn_waiting(conn) > 0) {
        return; /* half-closed: it still gets the rest */
    }
    if (n == 0 || (n < 0 && !conn_would_block(errno))) {
        finish(lingering);
        return;
    }
    if (dropped > 0) {
        go_on(lingering);
    }
    if (n > 0) {
        task_queue(conn->loop, &conn->resume);
    }
}

/* conn_shutdown's FIN has gone out behind what waited. */
static void on_drained(struct conn *conn)
{
    if (conn->eof_seen) {
        finish(conn->owner);
    }
}

static void on_open(struct conn *conn, bool ok)
{
    (void)conn;
    (void)ok; /* it was open before */
}

static const struct conn_ops linger_ops = {
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_open = on_open,
};

/* A client that never closes its side could hold any number of descriptors. */
static void make_room(struct conn_pool *pool)
{
    if (pool->lingering_count >= pool->lingering_most) {
        finish(container_of(pool->lingering.next, struct linger_close, link));
    }
}

void conn_close_lingering(struct conn **conn)
{
    struct conn *c = *conn;
    struct linger_close *lingering;

    if (c->opening || c->write_failed || (c->eof_seen && conn_waiting(c) == 0) ||
        (lingering = calloc(1, sizeof(*lingering))) == NULL) {
        conn_close(conn, false);
        return;
    }
    *conn = NULL;
    lingering->conn = c;
    lingering->timer.fn = on_timer;
    lingering->end_ns = loop_now_ns(c->loop) + conn_pool_of(c->loop)->linger_most_ns;
    make_room(conn_pool_of(c->loop));
    conn_pool_of(c->loop)->lingering_count++;
    list_push_back(&conn_pool_of(c->loop)->lingering, &lingering->link);
    timer_set(c->loop, &lingering->timer, CONN_LINGER_NS);
    conn_keep(c, NULL, 0);
    conn_set_owner(c, &linger_ops, lingering);
    conn_shutdown(c);
    /* Earlier input is still there; the end of the turn is soon enough. */
    task_queue(c->loop, &c->resume);
}

void conn_pool_close_lingering(struct conn_pool *pool)
{
    while (!list_empty(&pool->lingering)) {
        finish(container_of(pool->lingering.next, struct linger_close, link));
    }
}
