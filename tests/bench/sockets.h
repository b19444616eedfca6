/* SPDX-License-Identifier: MIT */
/* The few socket calls that the benchmark's origin and floor share. */

#ifndef BENCH_SOCKETS_H
#define BENCH_SOCKETS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Programs of a benchmark give up loudly: a half-working one would yield numbers. */
static inline void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* Raises the soft limit of open files to the hard one, and returns it: connections are kept in
 * a table that is indexed by descriptor. */
static inline size_t sock_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        die("getrlimit");
    }
    limit.rlim_cur = limit.rlim_max > 1048576 ? 1048576 : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        die("setrlimit");
    }
    return (size_t)limit.rlim_cur;
}

static inline void sock_nodelay(int fd)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline struct sockaddr_in sock_loopback(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

/* A non-blocking listening socket on an IPv4 address; port 0 takes a free one. Says on standard
 * output which port it is, so that whoever started the program can wait for that line. */
static inline int sock_listen(uint16_t port, const char *address)
{
    struct sockaddr_in addr = sock_loopback(port);
    socklen_t len = sizeof addr;
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1) {
        die("socket");
    }
    if (inet_pton(AF_INET, address, &addr.sin_addr) != 1) {
        fprintf(stderr, "'%s' is no IPv4 address\n", address);
        exit(2);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&addr, len) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
        die("listen");
    }
    printf("listening on port %u\n", (unsigned)ntohs(addr.sin_port));
    fflush(stdout);
    return fd;
}

/* Reads a whole number from the command line, or ends the program. */
static inline unsigned long number_argument(const char *text, unsigned long max)
{
    char *end = NULL;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value > max) {
        fprintf(stderr, "'%s' is not a number from 0 to %lu\n", text, max);
        exit(1);
    }
    return value;
}

#endif
