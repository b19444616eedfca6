/* SPDX-License-Identifier: MIT */
/* One connection a turn, more in a rush; none while places or descriptors are short. See
 * acceptor.h. */
#include "net/acceptor.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

#define ACCEPT_BATCH_MAX 32u
#define ACCEPT_PAUSE_NS  (100 * NS_PER_MS)

struct acceptor {
    struct loop *loop;
    int fd;
    acceptor_fn fn;
    acceptor_gate_fn gate; /* NULL: none */
    acceptor_back_fn back;
    void *arg;
    struct event event;
    struct timer timer; /* the pause when descriptors are out */
    int reserve;        /* descriptors from here on are reserved; 0: none */
    struct freed freed;
    bool paused;        /* by the owner */
    bool closed;        /* acceptor_free was called */
    unsigned batch;     /* connections to take at the next event */
    uint64_t last_full; /* turn in which the whole batch was taken */
};

static void watch(struct acceptor *acceptor)
{
    if (acceptor->paused || timer_is_set(&acceptor->timer)) {
        event_del(&acceptor->event);
    } else if (!event_pending(&acceptor->event, EV_READ, NULL)) {
        event_add(&acceptor->event, NULL);
    }
}

/* Only reserved descriptors are free. */
static bool in_reserve(const struct acceptor *acceptor)
{
    int lowest = fcntl(acceptor->fd, F_DUPFD_CLOEXEC, 0);

    if (lowest != -1) {
        close(lowest);
    }
    return lowest == -1 || lowest >= acceptor->reserve;
}

static void on_timer(struct timer *timer)
{
    struct acceptor *acceptor = container_of(timer, struct acceptor, timer);

    if (acceptor->reserve > 0 && in_reserve(acceptor)) {
        timer_set(acceptor->loop, timer, ACCEPT_PAUSE_NS);
    }
    watch(acceptor);
}

/* Without resources the event would fire every turn and accept nothing: waits a little. */
static void out_of_resources(struct acceptor *acceptor, int error)
{
    static struct log_limit limit;
    struct address address = {.len = sizeof(address.u)};
    char text[ADDRESS_TEXT_SIZE + 8] = "?";

    if (getsockname(acceptor->fd, &address.u.any, &address.len) == 0) {
        address_text_port(&address, text, sizeof(text));
    }
    log_limited(&limit, WEIR_LOG_ERROR, "listener",
                "cannot accept connections on %s: %s; trying again in 100 ms", text,
                error == EMFILE || error == ENFILE
                    ? "no file descriptor is left, raise the limit (`ulimit -n`)"
                    : strerror(error));
    timer_set(acceptor->loop, &acceptor->timer, ACCEPT_PAUSE_NS);
    watch(acceptor);
}

/*
 * How many to take: with one, every accept succeeds, since the poll has reported it. While each
 * turn finds another one, the batch doubles, so a rush takes few turns; it is bounded, so that open
 * connections get their turns, too.
 */
static void fit_batch(struct acceptor *acceptor, unsigned taken)
{
    if (taken < acceptor->batch) {
        acceptor->batch = taken > 0 ? taken : 1;
    } else {
        bool rush = acceptor->last_full + 1 == acceptor->loop->turn;
        acceptor->last_full = acceptor->loop->turn;
        acceptor->batch = !rush                                ? 1
                          : acceptor->batch < ACCEPT_BATCH_MAX ? acceptor->batch * 2
                                                               : ACCEPT_BATCH_MAX;
    }
}

/* Hands one connection over. Its descriptor; -1: errno says why there is none, EBUSY where the gate
 * is closed. */
static int accept_one(struct acceptor *acceptor)
{
    struct address peer;

    if (acceptor->gate != NULL && !acceptor->gate(acceptor, acceptor->arg)) {
        errno = EBUSY;
        return -1;
    }
    peer.len = sizeof(peer.u);
    int fd = accept4(acceptor->fd, &peer.u.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int error = errno;
    if (fd != -1) {
        acceptor->fn(acceptor, fd, &peer, acceptor->arg);
    } else if (acceptor->gate != NULL) {
        acceptor->back(acceptor, acceptor->arg);
    }
    errno = error;
    return fd;
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_accept(evutil_socket_t listening, short what, void *arg)
{
    struct acceptor *acceptor = arg;
    unsigned taken = 0;
    (void)listening;
    (void)what;

    while (taken < acceptor->batch && !acceptor->paused && !acceptor->closed) {
        int fd = accept_one(acceptor), error = errno;
        if (fd == -1 && (error == EBUSY || error == EAGAIN || error == EWOULDBLOCK)) {
            break;
        }
        if (fd == -1 && is_shortage(error)) {
            out_of_resources(acceptor, error);
            break;
        }
        /* Errors of the connection being accepted (see accept(2)) count, so a permanently broken
         * listener cannot hold the loop. */
        taken++;
        if (unlikely(fd >= acceptor->reserve) && acceptor->reserve > 0 && !acceptor->closed) {
            out_of_resources(acceptor, EMFILE);
            break;
        }
    }
    if (!acceptor->closed) {
        fit_batch(acceptor, taken);
    }
}

struct acceptor *acceptor_new(struct loop *loop, int fd, acceptor_fn fn, void *arg)
{
    struct acceptor *acceptor = base_zalloc(sizeof(*acceptor));

    acceptor->loop = loop;
    acceptor->fd = fd;
    acceptor->fn = fn;
    acceptor->arg = arg;
    acceptor->batch = 1;
    acceptor->timer.fn = on_timer;
    event_assign(&acceptor->event, loop->base, fd, EV_READ | EV_PERSIST, on_accept, acceptor);
    watch(acceptor);
    return acceptor;
}

static void on_freed(struct freed *freed)
{
    free(container_of(freed, struct acceptor, freed));
}

void acceptor_free(struct acceptor **acceptor)
{
    struct acceptor *a = *acceptor;

    if (a == NULL) {
        return;
    }
    *acceptor = NULL;
    a->closed = true;
    event_del(&a->event);
    timer_cancel(a->loop, &a->timer);
    loop_free_later(a->loop, &a->freed, on_freed);
}

bool acceptor_finish(struct acceptor *acceptor)
{
    while (!acceptor->closed) {
        bool none = accept_one(acceptor) == -1;
        if (none && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINVAL)) {
            return true; /* EINVAL: a Unix socket that refuses, and nobody is left */
        }
        if (none && (errno == EBUSY || is_shortage(errno))) {
            return false;
        }
    }
    return true;
}

void acceptor_set_gate(struct acceptor *acceptor, acceptor_gate_fn gate, acceptor_back_fn back)
{
    acceptor->gate = gate;
    acceptor->back = back;
}

void acceptor_set_reserve(struct acceptor *acceptor, int from_fd)
{
    acceptor->reserve = from_fd;
}

void acceptor_pause(struct acceptor *acceptor, bool pause)
{
    acceptor->paused = pause;
    watch(acceptor);
}
