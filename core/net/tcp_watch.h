/* SPDX-License-Identifier: MIT */
/*
 * How long a TCP peer may be silent without being taken for dead: keep-alive, and the time for what
 * was sent to be acknowledged. The kernel does the work.
 */
#ifndef NET_TCP_WATCH_H
#define NET_TCP_WATCH_H

#include "base/base.h"

struct tcp_watch {
    uint64_t keepalive_ns;    /* of silence, before the kernel asks; 0: it does not */
    uint64_t user_timeout_ns; /* for an acknowledgement; 0: the system's */
};

/* Questions without an answer after which the peer is dead, and the most that passes between
 * two. */
#define TCP_WATCH_PROBES       3
#define TCP_WATCH_INTERVAL_SEC 10

/* Of a new socket, or one that listens and hands it on to those that it accepts. Nothing on Unix
 * sockets. */
void tcp_watch_set(int fd, const struct tcp_watch *watch);

#endif
