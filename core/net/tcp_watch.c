/* SPDX-License-Identifier: MIT */
/*
 * TCP keep-alive and user timeout. See tcp_watch.h.
 */
#include "net/tcp_watch.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define KEEPALIVE_MOST_SEC 32767u /* the kernel's bound */

static void set(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

void tcp_watch_set(int fd, const struct tcp_watch *watch)
{
    uint64_t seconds = (watch->keepalive_ns + NS_PER_SECOND - 1) / NS_PER_SECOND;
    uint64_t user_ms = watch->user_timeout_ns / NS_PER_MS;

    set(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
    if (seconds > 0) {
        int idle = (int)(seconds < KEEPALIVE_MOST_SEC ? seconds : KEEPALIVE_MOST_SEC);
        set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
        set(fd, IPPROTO_TCP, TCP_KEEPINTVL,
            idle < TCP_WATCH_INTERVAL_SEC ? idle : TCP_WATCH_INTERVAL_SEC);
        set(fd, IPPROTO_TCP, TCP_KEEPCNT, TCP_WATCH_PROBES);
    }
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)(user_ms < INT32_MAX ? user_ms : INT32_MAX));
}
