/* SPDX-License-Identifier: MIT */
/*
 * What is known of a connection's peer, to the kernel too: for owners that do not read now.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "net/conn_pool.h"

int conn_socket_error(const struct conn *conn)
{
    int error = 0;
    socklen_t len = sizeof(error);

    return getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 ? errno : error;
}

bool conn_unread(const struct conn *conn, uint64_t since)
{
    int protocol = 0;
    int waiting = 0;
    socklen_t len = sizeof(protocol);

    if (conn->taken == since) {
        return true;
    }
    if ((!conn->eof_seen && !conn->fin_first) ||
        getsockopt(conn->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) != 0 ||
        protocol != IPPROTO_TCP || ioctl(conn->fd, SIOCOUTQ, &waiting) != 0) {
        return false;
    }
    /* Not acknowledged: of the last bytes that were sent. */
    return (uint64_t)waiting >= conn->taken - since;
}

uint64_t conn_taken_mark(const struct conn *conn)
{
    int unacknowledged = 0;

    if (ioctl(conn->fd, SIOCOUTQ, &unacknowledged) != 0) {
        unacknowledged = 0;
    }
    return conn->sent - conn_waiting(conn) - (uint64_t)unacknowledged;
}

bool conn_is_broken(struct conn *conn)
{
    if (conn->write_failed) {
        return true;
    }
    int error = conn_socket_error(conn);
    if (error != 0) {
        conn_fail_write(conn, conn_error_from_errno(error));
    }
    return error != 0;
}

/* The loop has found the socket ready in this turn, and calls on_event later in it. libevent has no
 * question for this: of a registered event, event_pending says what it is registered for. */
static bool edge_waits(const struct conn *conn)
{
    return (conn->event.ev_evcallback.evcb_flags & EVLIST_ACTIVE) != 0 &&
           (conn->event.ev_res & (EV_READ | EV_CLOSED)) != 0;
}

bool conn_is_quiet(struct conn *conn, bool ask)
{
    bool known = conn->readable || edge_waits(conn);
    char byte;
    size_t got;

    if (likely(!known && !ask)) {
        return true;
    }
    if (conn->tls == NULL || !known) {
        if (recv(conn->fd, &byte, 1, MSG_PEEK) < 0 && conn_would_block(errno)) {
            conn->readable = false;
            return true;
        }
        if (conn->tls == NULL) {
            return false;
        }
    }
    conn_mark_readable(conn);
    return conn_tls_read(conn, &byte, 1, &got) == CONN_AGAIN;
}

void conn_look_at_peer(struct conn *conn)
{
    struct pollfd peer = {.fd = conn->fd, .events = POLLRDHUP};

    if (poll(&peer, 1, 0) <= 0) {
        return;
    }
    conn->eof_hint = conn->eof_hint || (peer.revents & POLLRDHUP) != 0;
    if ((peer.revents & (POLLERR | POLLHUP)) != 0 && !conn_is_broken(conn)) {
        conn_fail_write(conn, CONN_RESET); /* it was told before */
    }
}

bool conn_is_idle_clean(const struct conn *conn)
{
    return conn->fd != -1 && !conn->opening && !conn->readable && !conn->eof_seen &&
           !conn->eof_hint && conn->error == CONN_OK && !conn->write_failed &&
           !conn->shutdown_sent && !conn->shutdown_wanted && conn_kept(conn) == 0 &&
           conn_waiting(conn) == 0;
}
