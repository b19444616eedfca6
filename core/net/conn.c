/* SPDX-License-Identifier: MIT */
/*
 * Connections: opening, reading and writing plain, closing. What TLS adds is in conn_tls.c.
 *
 * Any callback may close the connection: after each one the code looks at conn->fd, which is -1
 * then; the struct itself lives to the end of the turn.
 */
#include "net/conn.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/conn_pool.h"

_Static_assert(CONN_OTHER < 1 << 4, "conn->error holds every conn_error");

/* ---- events ---- */

void conn_mark_readable(struct conn *conn)
{
    conn->readable = true;
    if (conn->tls != NULL) {
        conn_tls_edge(conn);
    }
}

void conn_tell_readable(struct conn *conn)
{
    conn->ops->on_readable(conn);
    loop_scratch_leave(conn->loop);
}

void conn_look_again(struct conn *conn)
{
    conn_mark_readable(conn);
    conn_tell_readable(conn);
}

void conn_doubt(struct conn *conn)
{
    if (!list_linked(&conn->doubt)) {
        struct conn_pool *pool = conn_pool_of(conn->loop);
        list_push_back(&pool->doubts, &conn->doubt);
        if (!timer_is_set(&pool->doubt_timer)) {
            timer_set(conn->loop, &pool->doubt_timer, DOUBT_NS);
        }
    }
}

static void send_fin(struct conn *conn)
{
    conn->shutdown_wanted = false;
    conn->shutdown_sent = true;
    shutdown(conn->fd, SHUT_WR);
}

static int send_flags(const struct conn *conn)
{
    return conn->ending ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL;
}

/* Sends what waits. True: all is gone. */
static bool flush(struct conn *conn)
{
    struct conn_buffer *out = conn->out;

    while (out != NULL && out->head < out->tail) {
        ssize_t n = send(conn->fd, out->data + out->head, out->tail - out->head, send_flags(conn));
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            conn->writable = false;
            if (!conn_would_block(errno)) {
                conn->fin_first = errno == EPIPE;
                conn_fail_write(conn, conn_error_from_errno(errno));
            }
            return false;
        }
        out->head += (size_t)n;
        conn->taken += (size_t)n;
    }
    buffer_release(conn_pool_of(conn->loop), &conn->out);
    if (conn->shutdown_wanted) {
        send_fin(conn);
    }
    return true;
}

void conn_opened(struct conn *conn, bool ok)
{
    conn->opening = false;
    conn->connecting = false;
    conn->ops->on_open(conn, ok);
    if (ok && conn->fd != -1 && conn->readable) {
        conn_tell_readable(conn);
    }
}

/* The outcome of connect. libevent tells an error as readable and writable at once; a new
 * connection is only writable, unless the server speaks first. */
static void connect_event(struct conn *conn, short what)
{
    int error = 0;

    if ((what & (EV_READ | EV_CLOSED)) != 0) {
        error = conn_socket_error(conn);
        conn_mark_readable(conn);
    }
    if (error != 0) {
        conn->error = conn_error_from_errno(error);
        conn->write_failed = true;
        conn_opened(conn, false);
    } else if ((what & EV_WRITE) != 0) {
        conn->connecting = false;
        conn->writable = true;
        if (unlikely(conn_waiting(conn) > 0)) { /* the preface */
            flush(conn);
        }
        if (conn->tls != NULL) {
            conn_tls_handshake(conn);
        } else {
            conn_opened(conn, conn->error == CONN_OK);
        }
    }
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;
    (void)fd;

    ASSERT(conn->magic == CONN_MAGIC);
    if (unlikely(conn->fd == -1)) {
        return; /* closed, and its socket is still to be */
    }
    conn->edge_seen = true;
    if (unlikely((what & EV_CLOSED) != 0)) {
        conn->eof_hint = true;
    }
    if (unlikely(conn->connecting)) {
        connect_event(conn, what);
        return;
    }
    if ((what & EV_WRITE) != 0 && !conn->write_failed) {
        conn->writable = true;
        if (unlikely(conn_waiting(conn) > 0) && flush(conn) && !conn->opening) {
            conn->ops->on_drained(conn);
            if (conn->fd == -1) {
                return;
            }
        }
    }
    if ((what & (EV_READ | EV_CLOSED)) != 0) {
        conn_mark_readable(conn);
        if (unlikely(conn->opening)) {
            conn_tls_handshake(conn);
        } else {
            conn_tell_readable(conn);
        }
    }
}

/* The end of the turn: conn_resume_read, a failed write, or a connect that failed at once. */
static void on_resume(struct task *task)
{
    struct conn *conn = container_of(task, struct conn, resume);

    if (!conn->opening) {
        conn_tell_readable(conn);
    } else if (conn->error != CONN_OK) {
        conn_opened(conn, false);
    }
}

/* ---- opening ---- */

/* A connection around `fd`, which it owns from here on; not yet watched. */
static struct conn *conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *owner)
{
    struct conn *conn = conn_pool_take(loop);

    if (conn == NULL) {
        close(fd);
        return NULL;
    }
    conn->magic = CONN_MAGIC;
    conn->fd = fd;
    conn->loop = loop;
    conn->ops = ops;
    conn->owner = owner;
    conn->resume.fn = on_resume;
    event_assign(&conn->event, loop->base, fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST,
                 on_event, conn);
    return conn;
}

struct conn *conn_accept(struct loop *loop, int fd, SSL_CTX *ctx, const struct conn_ops *ops,
                         void *owner)
{
    struct conn *conn = conn_new(loop, fd, ops, owner);

    if (conn == NULL) {
        return NULL;
    }
    conn->writable = true;
    conn->opening = ctx != NULL;
    if ((ctx != NULL && !conn_tls_accept(conn, ctx)) || event_add(&conn->event, NULL) != 0) {
        conn_close(&conn, false);
    }
    return conn;
}

static int connect_socket(const struct loop *loop, int family, enum conn_error *error)
{
    const struct conn_pool *pool = conn_pool_of(loop);
    int reserve = pool != NULL && pool->connect_reserve > 0 ? pool->connect_reserve : INT_MAX;
    int one = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1) {
        *error = conn_error_from_errno(errno);
    } else if (unlikely(fd >= reserve)) {
        *error = CONN_NO_DESCRIPTOR;
        close(fd);
        return -1;
    } else if (family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    return fd;
}

struct conn *conn_connect(struct loop *loop, const struct sockaddr *address, socklen_t address_len,
                          const struct conn_tls_client *tls, const struct conn_ops *ops,
                          void *owner, enum conn_error *error)
{
    *error = CONN_NO_MEMORY;
    int fd = connect_socket(loop, address->sa_family, error);
    struct conn *conn = fd != -1 ? conn_new(loop, fd, ops, owner) : NULL;

    if (conn == NULL) {
        return NULL;
    }
    conn->opening = true;
    conn->connecting = true;
    if (tls != NULL && !conn_tls_connect(conn, tls)) {
        conn_close(&conn, false);
        return NULL;
    }
    if (connect(fd, address, address_len) != 0 && errno != EINPROGRESS && errno != EINTR) {
        bool full = errno == EAGAIN && address->sa_family == AF_UNIX;
        enum conn_error why = full ? CONN_BACKLOG : conn_error_from_errno(errno);
        if (conn_error_is_own(why)) {
            *error = why;
            conn_close(&conn, false);
            return NULL;
        }
        conn->error = why;
        conn->write_failed = true;
        task_queue(loop, &conn->resume);
    } else if (event_add(&conn->event, NULL) != 0) {
        /* Watched only now: before connect epoll would tell of a hang-up. */
        conn_close(&conn, false);
        return NULL;
    }
    *error = CONN_OK;
    return conn;
}

bool conn_preface(struct conn *conn, const char *data, size_t len)
{
    ASSERT(conn->connecting && conn_waiting(conn) == 0);
    return buffer_append(conn_pool_of(conn->loop), &conn->out, data, len);
}

void conn_set_owner(struct conn *conn, const struct conn_ops *ops, void *owner)
{
    conn->ops = ops;
    conn->owner = owner;
}

/* ---- reading ---- */

static enum conn_result read_plain(struct conn *conn, char *out, size_t room, size_t *got)
{
    ssize_t n;

    do {
        n = recv(conn->fd, out, room, 0);
    } while (unlikely(n < 0 && errno == EINTR));
    if (likely(n > 0)) {
        if (likely((size_t)n < room && !conn->eof_hint)) {
            conn->readable = false;
            conn_doubt(conn);
        }
        *got = (size_t)n;
        return CONN_DATA;
    }
    conn->readable = false;
    if (n == 0) {
        /* A RST is told once; if the write has heard of it, only an end is left for us. */
        conn->eof_seen = !conn->write_failed;
        return conn->write_failed ? CONN_ERROR : CONN_EOF;
    }
    if (conn_would_block(errno)) {
        conn->eof_hint = false;
        return conn->write_failed ? CONN_ERROR : CONN_AGAIN;
    }
    conn->fin_first = errno == EPIPE;
    conn->error = conn_error_from_errno(errno);
    conn->write_failed = true;
    return CONN_ERROR;
}

/* Moves what is kept to the beginning of scratch, where what comes next stands behind it. */
static void unkeep(struct conn *conn)
{
    memcpy(conn->loop->scratch, conn->in->data + conn->in->head, conn_kept(conn));
    buffer_release(conn_pool_of(conn->loop), &conn->in);
}

enum conn_result conn_read(struct conn *conn, char **data, size_t *len, size_t max)
{
    char *scratch = loop_scratch_take(conn->loop);
    size_t kept = conn_kept(conn);
    size_t got = 0;

    ASSERT(conn->magic == CONN_MAGIC && conn->fd != -1);
    *data = scratch;
    *len = 0;
    if (unlikely(conn->offer_kept)) {
        conn->offer_kept = false;
        if (kept > 0) {
            unkeep(conn);
            *len = kept;
            return CONN_DATA;
        }
    }
    if (unlikely(conn->torn)) {
        return CONN_ERROR;
    }
    if (!conn->readable) {
        return conn->eof_seen ? CONN_EOF : conn->error != CONN_OK ? CONN_ERROR : CONN_AGAIN;
    }
    size_t room = max != 0 && max < LOOP_READ_MOST ? max : LOOP_READ_MOST;
    enum conn_result result = conn->tls == NULL ? read_plain(conn, scratch + kept, room, &got)
                                                : conn_tls_read(conn, scratch + kept, room, &got);
    if (result == CONN_DATA) {
        conn->received += got;
        if (kept > 0) {
            unkeep(conn);
        }
        *len = kept + got;
    }
    return result;
}

void conn_keep(struct conn *conn, const char *data, size_t len)
{
    ASSERT(len <= LOOP_READ_MOST);
    buffer_release(conn_pool_of(conn->loop), &conn->in);
    if (len > 0 && !buffer_append(conn_pool_of(conn->loop), &conn->in, data, len)) {
        conn->torn = true;
        conn_fail_write(conn, CONN_NO_MEMORY);
    }
}

void conn_resume_read(struct conn *conn)
{
    conn->offer_kept = conn_kept(conn) > 0;
    if (conn->offer_kept || conn->readable || conn->eof_seen || conn->error != CONN_OK) {
        task_queue(conn->loop, &conn->resume);
    }
}

/* ---- writing ---- */

void conn_fail_write(struct conn *conn, enum conn_error error)
{
    conn->write_failed = true;
    conn->writable = false;
    if (conn->error == CONN_OK) {
        conn->error = error;
    }
    buffer_release(conn_pool_of(conn->loop), &conn->out);
    /* What the peer sent before it went may be there still: an early answer, say. */
    conn_mark_readable(conn);
    if (!conn->opening) {
        task_queue(conn->loop, &conn->resume);
    }
}

/* Keeps what the socket did not take: the iovecs from byte `done` on. */
static bool keep_rest(struct conn *conn, const struct iovec *iov, int count, size_t done)
{
    for (int i = 0; i < count; i++) {
        size_t skip = done < iov[i].iov_len ? done : iov[i].iov_len;
        done -= skip;
        if (skip < iov[i].iov_len &&
            !buffer_append(conn_pool_of(conn->loop), &conn->out,
                           (const char *)iov[i].iov_base + skip, iov[i].iov_len - skip)) {
            conn_fail_write(conn, CONN_NO_MEMORY);
            return false;
        }
    }
    return true;
}

static bool send_or_keep(struct conn *conn, const struct iovec *iov, int count, size_t total)
{
    size_t done = 0;

    if (likely(conn->writable && conn_waiting(conn) == 0)) {
        ssize_t n;
        do {
            if (count == 1) {
                n = send(conn->fd, iov->iov_base, total, send_flags(conn));
            } else {
                struct msghdr message = {
                    .msg_iov = (struct iovec *)(uintptr_t)iov,
                    .msg_iovlen = (size_t)count,
                };
                n = sendmsg(conn->fd, &message, send_flags(conn));
            }
        } while (unlikely(n < 0 && errno == EINTR));
        if (likely(n == (ssize_t)total)) {
            conn->taken += total;
            return true;
        }
        if (n < 0 && !conn_would_block(errno)) {
            conn->fin_first = errno == EPIPE;
            conn_fail_write(conn, conn_error_from_errno(errno));
            return false;
        }
        /* A write that was taken in part also makes the kernel tell when there is room again. */
        conn->writable = false;
        done = n > 0 ? (size_t)n : 0;
        conn->taken += done;
    }
    return keep_rest(conn, iov, count, done);
}

bool conn_send_raw(struct conn *conn, const char *data, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)data, len};
    return !conn->write_failed && send_or_keep(conn, &iov, 1, len);
}

bool conn_write(struct conn *conn, const struct iovec *iov, int count)
{
    size_t total = 0;

    ASSERT(conn->magic == CONN_MAGIC && conn->fd != -1 && !conn->opening);
    ASSERT(!conn->shutdown_sent && !conn->shutdown_wanted);
    if (unlikely(conn->write_failed)) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        total += iov[i].iov_len;
    }
    if (total == 0) {
        return true;
    }
    conn->sent += total;
    return conn->tls == NULL ? send_or_keep(conn, iov, count, total)
                             : conn_tls_write(conn, iov, count, total);
}

void conn_write_last(struct conn *conn)
{
    conn->ending = true;
}

/* ---- closing ---- */

void conn_shutdown(struct conn *conn)
{
    if (conn->shutdown_sent || conn->shutdown_wanted || conn->write_failed) {
        return;
    }
    if (conn->tls != NULL) {
        conn_tls_shutdown(conn);
    }
    if (conn_waiting(conn) > 0) {
        conn->shutdown_wanted = true;
    } else if (!conn->write_failed) {
        send_fin(conn);
    }
}
