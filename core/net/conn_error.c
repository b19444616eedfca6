/* SPDX-License-Identifier: MIT */
/* Why connections fail: from the kernel's numbers to words for operators. */
#include <errno.h>

#include "net/conn_pool.h"

enum conn_error conn_error_from_errno(int error)
{
    switch (error) {
    case 0: return CONN_OK;
    case ECONNREFUSED:
    case ENOENT: /* a Unix socket that is not there */
    case EACCES: return CONN_REFUSED;
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
    case ECONNABORTED: return CONN_RESET;
    case ETIMEDOUT: return CONN_TIMED_OUT;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN: return CONN_UNREACHABLE;
    case EMFILE:
    case ENFILE: return CONN_NO_DESCRIPTOR;
    case ENOMEM:
    case ENOBUFS: return CONN_NO_MEMORY;
    case EADDRNOTAVAIL:
    case EAGAIN: return CONN_NO_PORT;
    default: return CONN_OTHER;
    }
}

const char *conn_error_word(enum conn_error error)
{
    static const char *const words[] = {
        [CONN_OK] = "ok",
        [CONN_REFUSED] = "refused",
        [CONN_RESET] = "reset",
        [CONN_TIMED_OUT] = "timed out",
        [CONN_UNREACHABLE] = "unreachable",
        [CONN_NO_MEMORY] = "no memory is left for it",
        [CONN_TLS] = "TLS failure",
        [CONN_TLS_VERIFY] = "certificate not trusted",
        [CONN_ALPN] = "speaks none of the protocols offered (ALPN)",
        [CONN_TRUNCATED] = "truncated",
        [CONN_NO_PORT] = "no local port is free",
        [CONN_NO_DESCRIPTOR] = "no file descriptor is left",
        [CONN_BACKLOG] = "not accepted in time, its backlog is full",
        [CONN_OTHER] = "other",
    };
    return (size_t)error < ARRAY_COUNT(words) ? words[error] : "other";
}

bool conn_error_is_own(enum conn_error error)
{
    return error == CONN_NO_MEMORY || error == CONN_NO_PORT || error == CONN_NO_DESCRIPTOR;
}

const char *conn_error_advice(enum conn_error error)
{
    switch (error) {
    case CONN_NO_DESCRIPTOR: return "; raise the limit (`ulimit -n`, LimitNOFILE= of the unit)";
    case CONN_NO_PORT:
        return "; widen net.ipv4.ip_local_port_range, or keep more connections (`keepalive`)";
    case CONN_NO_MEMORY: return "; look at the machine's memory, and at net.ipv4.tcp_mem";
    default: return "";
    }
}
