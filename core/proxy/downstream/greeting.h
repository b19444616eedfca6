/* SPDX-License-Identifier: MIT */
/*
 * Connections of trusted proxies on a listener with proxy_protocol, until their PROXY header is
 * here. It comes before everything else, TLS too, so it is taken from the socket before there is a
 * connection.
 *
 * Owner: the listener's local half. Thread: its loop.
 */
#ifndef PROXY_DOWNSTREAM_GREETING_H
#define PROXY_DOWNSTREAM_GREETING_H

#include "net/address.h"
#include "net/loop.h"

/* Both ends of a connection, as a PROXY header tells them. */
struct told_ends {
    struct address peer, local;
};

/* Where greetings wait. `waiting` is the greeter's; the owner keeps the others up to date. */
struct greeter {
    struct loop *loop;
    struct list waiting;  /* struct greeting.link */
    const char *listener; /* its name, for the log */
    uint64_t timeout_ns;  /* until the header is here as a whole */
    uint64_t hurry_ns;    /* until its first byte is, once the listener goes */
    bool required;        /* a connection without a header is closed */
    bool hurried;         /* the listener goes */
    /* The header is out of the socket (`told` NULL: it told nothing, or there was none): takes over
     * `fd`. */
    void (*begun)(struct greeter *greeter, int fd, const struct address *peer, uint16_t port,
                  const struct told_ends *told);
    /* It was bad, or did not come: takes over `fd`, to close it. */
    void (*refused)(struct greeter *greeter, int fd);
};

/* Takes over `fd`, from `peer` to our `port`, which begins with a PROXY header, or may; calls back
 * now or later, once. */
void greeting_begin(struct greeter *greeter, int fd, const struct address *peer, uint16_t port);
/* Refuses `fd` of a peer that is not trusted where a PROXY header is required. */
void greeting_refuse(struct greeter *greeter, int fd, const struct address *peer);

/* The listener goes: those that have not begun to send their header have hurry_ns left. */
void greeting_hurry_all(struct greeter *greeter);
/* Refuses those that are still waiting. */
void greeting_close_all(struct greeter *greeter);

#endif
