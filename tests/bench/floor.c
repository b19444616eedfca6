/* SPDX-License-Identifier: MIT */
/* The floor of the benchmark: a bare edge-triggered epoll relay that parses nothing.
 *
 * Each client connection gets one upstream connection of its own. Bytes are received into one
 * scratch buffer and sent at once; only what the other side refuses is copied. What a proxy costs
 * above this is what it does with HTTP. One thread.
 *
 * usage: floor ORIGIN_PORT [LISTEN_PORT]
 */

#define _GNU_SOURCE

#include <stdbool.h>
#include <sys/epoll.h>

#include "sockets.h"

#define SCRATCH_SIZE ((size_t)256 * 1024)
#define EVENT_BATCH  256

/* One side of a relayed pair. `held` is what was read from this side's peer and could not be sent
 * here yet: while there is any, the peer is not read. */
struct side {
    int fd;
    bool readable;   /* an edge was seen and the socket was not drained since */
    bool read_ended; /* the peer's FIN was read */
    bool end_sent;   /* our FIN was sent */
    struct side *other;
    char *held;
    size_t held_len;
    size_t held_off;
    struct side *next_dead;
};

static char scratch[SCRATCH_SIZE];
static int epoll_fd = -1;
static uint16_t origin_port;

/* Sides closed in this turn: events later in the same batch may still point to them. */
static struct side *dead;

static void pair_close(struct side *a)
{
    struct side *b = a->other;

    if (a->fd == -1) {
        return;
    }
    (void)close(a->fd);
    (void)close(b->fd);
    a->fd = -1;
    b->fd = -1;
    a->next_dead = b;
    b->next_dead = dead;
    dead = a;
}

static void free_dead(void)
{
    while (dead != NULL) {
        struct side *side = dead;

        dead = side->next_dead;
        free(side->held);
        free(side);
    }
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN;
}

/* Sends what is held for `to`; false when some is left or the pair is gone. */
static bool flush_held(struct side *to)
{
    while (to->held_off < to->held_len) {
        ssize_t n =
            send(to->fd, to->held + to->held_off, to->held_len - to->held_off, MSG_NOSIGNAL);

        if (n < 0) {
            if (!would_block()) {
                pair_close(to);
            }
            return false;
        }
        to->held_off += (size_t)n;
    }
    free(to->held);
    to->held = NULL;
    to->held_len = 0;
    to->held_off = 0;
    return true;
}

static void hold(struct side *to, const char *data, size_t len)
{
    to->held = malloc(len);
    if (to->held == NULL) {
        die("malloc");
    }
    memcpy(to->held, data, len);
    to->held_len = len;
    to->held_off = 0;
}

static void pass_end(struct side *from, struct side *to)
{
    from->read_ended = true;
    if (to->read_ended) {
        pair_close(from);
    } else if (!to->end_sent) {
        to->end_sent = true;
        (void)shutdown(to->fd, SHUT_WR);
    }
}

/* Moves bytes from one side to the other until the one is drained or the other is full. A short
 * read means drained, unless the end of the stream was announced, which only a further read
 * sees. */
static void relay(struct side *from, bool ended)
{
    struct side *to = from->other;

    while (from->fd != -1 && from->readable && !from->read_ended) {
        ssize_t n;
        ssize_t sent;

        if (to->held_len > 0 && !flush_held(to)) {
            return;
        }
        n = recv(from->fd, scratch, sizeof scratch, 0);
        if (n < 0) {
            from->readable = false;
            if (!would_block()) {
                pair_close(from);
            }
            return;
        }
        if (n == 0) {
            pass_end(from, to);
            return;
        }
        if ((size_t)n < sizeof scratch && !ended) {
            from->readable = false;
        }
        sent = send(to->fd, scratch, (size_t)n, MSG_NOSIGNAL);
        if (sent < 0 && !would_block()) {
            pair_close(from);
            return;
        }
        if (sent < n) {
            size_t done = sent < 0 ? 0 : (size_t)sent;

            hold(to, scratch + done, (size_t)n - done);
        }
    }
}

static void on_event(struct side *side, uint32_t events)
{
    bool ended = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;

    if (side->fd == -1) {
        return;
    }
    if (ended || (events & EPOLLIN) != 0) {
        side->readable = true;
        relay(side, ended);
    }
    if (side->fd != -1 && (events & EPOLLOUT) != 0 && side->held_len > 0 && flush_held(side)) {
        /* The peer's edge was spent while it could not be read: its end may be waiting too. */
        side->other->readable = true;
        relay(side->other, true);
    }
}

static struct side *side_new(int fd)
{
    struct side *side = calloc(1, sizeof *side);

    if (side == NULL) {
        die("calloc");
    }
    side->fd = fd;
    sock_nodelay(fd);
    return side;
}

static void side_watch(struct side *side)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};

    event.data.ptr = side;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, side->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void pair_open(int client_fd)
{
    struct sockaddr_in addr = sock_loopback(origin_port);
    int origin_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct side *client;
    struct side *origin;

    if (origin_fd == -1) {
        die("socket");
    }
    if (connect(origin_fd, (struct sockaddr *)&addr, sizeof addr) != 0 && errno != EINPROGRESS) {
        die("connect to the origin");
    }
    client = side_new(client_fd);
    origin = side_new(origin_fd);
    client->other = origin;
    origin->other = client;
    side_watch(client);
    side_watch(origin);
}

static void accept_all(int listen_fd)
{
    for (;;) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd != -1) {
            pair_open(fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            die("accept");
        }
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENT_BATCH];
    struct epoll_event listening = {.events = EPOLLIN | EPOLLET, .data = {.ptr = NULL}};
    int listen_fd;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: floor ORIGIN_PORT [LISTEN_PORT]\n");
        return 2;
    }
    (void)sock_file_limit();
    origin_port = (uint16_t)number_argument(argv[1], UINT16_MAX);
    listen_fd =
        sock_listen(argc == 3 ? (uint16_t)number_argument(argv[2], UINT16_MAX) : 0, "127.0.0.1");
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd == -1 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &listening) != 0) {
        die("epoll");
    }
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENT_BATCH, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL) {
                accept_all(listen_fd);
            } else {
                on_event(events[i].data.ptr, events[i].events);
            }
        }
        free_dead();
    }
}
