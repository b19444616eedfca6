/* SPDX-License-Identifier: MIT */
/*
 * Waiting for PROXY headers. See greeting.h.
 *
 * Bytes are peeked at in the socket (MSG_PEEK) and only the header is consumed, so the connection
 * reads what follows as if there had been no header. A header is at most 4 KiB and mostly arrives
 * with the connection: then nothing is allocated and no event is created.
 */
#include "proxy/downstream/greeting.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "base/log.h"
#include "net/proxy_header.h"

struct greeting {
    struct list link; /* the greeter's */
    struct greeter *greeter;
    int fd;
    uint16_t port; /* ours */
    bool heard;    /* part of its header has arrived */
    struct address peer;
    struct event event;
    struct timer timer;
    struct freed freed;
};

static void tell(const struct greeter *greeter, const struct address *peer, const char *what,
                 const char *reason)
{
    static struct log_limit limit;
    char text[ADDRESS_TEXT_SIZE + 8];

    address_text_port(peer, text, sizeof(text));
    log_limited(&limit, WEIR_LOG_WARNING, "listener", "%s: %s from %s%s%s; connection closed",
                greeter->listener, what, text, reason[0] != '\0' ? ": " : "", reason);
}

static void greeting_freed(struct freed *freed)
{
    free(container_of(freed, struct greeting, freed));
}

/* Ends the wait; the caller owns the socket again. */
static void greeting_end(struct greeting *greeting)
{
    struct loop *loop = greeting->greeter->loop;

    event_del(&greeting->event);
    timer_cancel(loop, &greeting->timer);
    list_remove(&greeting->link);
    loop_free_later(loop, &greeting->freed, greeting_freed);
}

static void greeting_close(struct greeting *greeting)
{
    greeting_end(greeting);
    greeting->greeter->refused(greeting->greeter, greeting->fd);
}

/* Peeks, and calls back when the header is complete, which ends `waiting` (NULL: none). false: it
 * is not complete. */
static bool look(struct greeter *greeter, int fd, const struct address *peer, uint16_t port,
                 struct greeting *waiting)
{
    char data[PROXY_HEADER_MAX];
    struct proxy_header header = {.known = false};
    const char *reason = "";
    ssize_t n;

    do {
        n = recv(fd, data, sizeof(data), MSG_PEEK);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return false;
    }
    bool good = n > 0;
    if (good) {
        switch (proxy_header_parse(data, (size_t)n, &header, &reason)) {
        case PROXY_HEADER_INCOMPLETE: return false;
        case PROXY_HEADER_BAD:
            tell(greeter, peer, "a malformed PROXY header came", reason);
            good = false;
            break;
        case PROXY_HEADER_NONE:
            if (greeter->required) {
                tell(greeter, peer, "no PROXY header came (proxy_protocol = require)", "");
                good = false;
            }
            header.known = false;
            break;
        case PROXY_HEADER_OK: /* it was there when peeked at: else the connection broke */
            good = recv(fd, data, header.len, 0) == (ssize_t)header.len;
            break;
        }
    }
    if (waiting != NULL) {
        greeting_end(waiting);
    }
    const struct told_ends told = {header.source, header.destination};
    if (good) {
        greeter->begun(greeter, fd, peer, port, header.known ? &told : NULL);
    } else {
        greeter->refused(greeter, fd);
    }
    return true;
}

static bool greeting_look(struct greeting *greeting)
{
    return look(greeting->greeter, greeting->fd, &greeting->peer, greeting->port, greeting);
}

/* Part of the header has arrived: it gets the full time again, even if it was hurried.
 * Edge-triggered: bytes left in the socket do not raise the event again. */
static void greeting_event(evutil_socket_t fd, short what, void *arg)
{
    struct greeting *greeting = arg;
    (void)fd;
    (void)what;

    if (!greeting_look(greeting) && !greeting->heard) {
        greeting->heard = true;
        timer_set(greeting->greeter->loop, &greeting->timer, greeting->greeter->timeout_ns);
    }
}

static void greeting_timer(struct timer *timer)
{
    struct greeting *greeting = container_of(timer, struct greeting, timer);

    if (!greeting_look(greeting)) { /* nor has it arrived meanwhile */
        tell(greeting->greeter, &greeting->peer, "no whole PROXY header came in time", "");
        greeting_close(greeting);
    }
}

static void greeting_hurry(struct greeting *greeting)
{
    const struct greeter *greeter = greeting->greeter;
    char byte;

    greeting->heard = greeting->heard || recv(greeting->fd, &byte, 1, MSG_PEEK) > 0;
    if (!greeting->heard && greeter->hurry_ns < greeter->timeout_ns) {
        timer_set(greeter->loop, &greeting->timer, greeter->hurry_ns);
    }
}

void greeting_begin(struct greeter *greeter, int fd, const struct address *peer, uint16_t port)
{
    if (look(greeter, fd, peer, port, NULL)) {
        return;
    }
    struct greeting *greeting = calloc(1, sizeof(*greeting));
    if (greeting == NULL) {
        greeter->refused(greeter, fd);
        return;
    }
    greeting->greeter = greeter;
    greeting->fd = fd;
    greeting->port = port;
    greeting->peer = *peer;
    greeting->timer.fn = greeting_timer;
    list_push_back(&greeter->waiting, &greeting->link);
    event_assign(&greeting->event, greeter->loop->base, fd, EV_READ | EV_ET | EV_PERSIST,
                 greeting_event, greeting);
    timer_set(greeter->loop, &greeting->timer, greeter->timeout_ns);
    if (greeter->hurried) {
        greeting_hurry(greeting);
    }
    if (event_add(&greeting->event, NULL) != 0) {
        greeting_close(greeting);
    }
}

void greeting_refuse(struct greeter *greeter, int fd, const struct address *peer)
{
    tell(greeter, peer, "a connection that is not of trusted_proxies came", "");
    greeter->refused(greeter, fd);
}

void greeting_hurry_all(struct greeter *greeter)
{
    greeter->hurried = true;
    list_each(link, &greeter->waiting)
    {
        greeting_hurry(container_of(link, struct greeting, link));
    }
}

void greeting_close_all(struct greeter *greeter)
{
    list_each(link, &greeter->waiting)
    {
        greeting_close(container_of(link, struct greeting, link));
    }
}
