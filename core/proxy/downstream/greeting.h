/* SPDX-License-Identifier: MIT */
/*
 * Accepted sockets of trusted proxies on a listener with proxy_protocol, until their PROXY header
 * is complete. It precedes everything else, even TLS, so it is consumed before the connection is
 * created.
 *
 * Owner: the loop's half of the listener. Thread: its loop.
 */
#ifndef PROXY_DOWNSTREAM_GREETING_H
#define PROXY_DOWNSTREAM_GREETING_H

#include "net/address.h"
#include "net/loop.h"

/* Both addresses of a connection, as a PROXY header gives them. */
struct told_ends {
    struct address peer, local;
};

/* The waiting sockets and their settings. The greeter writes `waiting`; the owner keeps the rest up
 * to date. */
struct greeter {
    struct loop *loop;
    struct list waiting;  /* struct greeting.link */
    const char *listener; /* its name, for the log */
    uint64_t timeout_ns;  /* until the header is complete */
    uint64_t hurry_ns;    /* until its first byte, once the listener is leaving */
    bool required;        /* a connection without a header is refused */
    bool hurried;         /* the listener is leaving */
    /* The header is consumed (`told` NULL: it had no addresses, or there was none): takes over
     * `fd`. */
    void (*begun)(struct greeter *greeter, int fd, const struct address *peer, uint16_t port,
                  const struct told_ends *told);
    /* The header was malformed or late: takes over `fd`, to close it. */
    void (*refused)(struct greeter *greeter, int fd);
};

/* Takes over `fd`, from `peer` to the local `port`, which must or may begin with a PROXY header;
 * calls back once, now or later. */
void greeting_begin(struct greeter *greeter, int fd, const struct address *peer, uint16_t port);
/* Refuses `fd` of a peer that is not trusted where a PROXY header is required. */
void greeting_refuse(struct greeter *greeter, int fd, const struct address *peer);

/* The listener is leaving: sockets that have sent no byte of their header have hurry_ns left. */
void greeting_hurry_all(struct greeter *greeter);
/* Refuses all that still wait. */
void greeting_close_all(struct greeter *greeter);

#endif
