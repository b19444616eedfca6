/* SPDX-License-Identifier: MIT */
/*
 * What the tests of core/net share: turning a loop until a condition holds, and an end of a
 * connection that collects what comes.
 */
#ifndef TESTS_UNIT_NET_HELP_H
#define TESTS_UNIT_NET_HELP_H

#include <check.h>

#include "net/conn.h"

/* Turns the loop until `condition(arg)`; the test fails after 20 s. */
void run_until(struct loop *loop, bool (*condition)(void *arg), void *arg);
/* The same, until *flag. */
void run_until_true(struct loop *loop, bool *flag);
/* Some turns, without waiting. */
void run_turns(struct loop *loop, unsigned turns);

/* One end of a connection, and what its owner has seen. */
struct end {
    struct conn *conn;
    char *data; /* all that came */
    size_t len, size;
    size_t keep; /* bytes of each read to keep, and not to count */
    size_t max;  /* for conn_read */
    bool deaf;   /* does not read */
    bool opened; /* on_open came */
    bool open_ok;
    bool ended; /* CONN_EOF or CONN_ERROR came */
    enum conn_result result;
    unsigned readable_calls, drained_calls;
};

/* Reads until CONN_AGAIN, and collects; counts the calls. */
extern const struct conn_ops end_ops;
void end_free(struct end *end);
/* Writes text. */
bool end_send(struct end *end, const char *text);
/* Two connected TCP sockets on loopback, non-blocking. */
void tcp_pair(int fds[2]);
/* Two connected Unix sockets. */
void unix_pair(int fds[2]);
/* Bytes that tell their place, from malloc. */
char *pattern(size_t len);

#endif
