/* SPDX-License-Identifier: MIT */
/*
 * Waiting for PROXY headers. See greeting.h.
 *
 * The bytes are looked at in the socket (MSG_PEEK) and only the header is taken out, so that what follows
 * is read by the connection as if nothing had come before. A header is at most 4 KiB and mostly there
 * with the connection: then nothing is allocated and no event is made.
 */
#include "proxy/downstream/greeting.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "net/proxy_header.h"

struct greeting {
    struct list link; /* the listener's local half's */
    struct listener_local *local;
    int fd;
    uint16_t port; /* ours */
    bool heard;    /* its header has begun to come */
    struct address peer;
    struct event event;
    struct timer timer;
    struct freed freed;
};

bool greeting_wanted(const struct listener_plan *plan, const struct address *peer)
{
    return plan->settings->proxy_protocol != PROXY_PROTOCOL_OFF && downstream_trusts(plan, peer);
}

static void tell(const struct address *peer, const struct listener_plan *plan, const char *what,
                 const char *reason)
{
    static struct log_limit limit;
    char text[ADDRESS_TEXT_SIZE + 8];

    address_text_port(peer, text, sizeof(text));
    log_limited(&limit, WEIR_LOG_WARNING, "listener", "%.*s: %s from %s%s%s; connection closed",
                STR_ARGS(plan->settings->name), what, text, reason[0] != '\0' ? ": " : "", reason);
}

enum verdict { VERDICT_WAIT, VERDICT_OPEN, VERDICT_CLOSE };

/* Looks at what has come. VERDICT_OPEN: the header, if there was one, is out of the socket, and has told
 * the ends (`told->peer.len` 0: it has not). */
static enum verdict look(struct listener_local *local, int fd, const struct address *peer,
                         struct downstream_ends *told)
{
    const struct listener_plan *plan = local->plan;
    char data[PROXY_HEADER_MAX];
    struct proxy_header header;
    const char *reason = "";
    ssize_t n;

    do {
        n = recv(fd, data, sizeof(data), MSG_PEEK);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? VERDICT_WAIT : VERDICT_CLOSE;
    }
    switch (proxy_header_parse(data, (size_t)n, &header, &reason)) {
    case PROXY_HEADER_INCOMPLETE: return VERDICT_WAIT;
    case PROXY_HEADER_BAD:
        tell(peer, plan, "a malformed PROXY header came", reason);
        return VERDICT_CLOSE;
    case PROXY_HEADER_NONE:
        if (plan->settings->proxy_protocol == PROXY_PROTOCOL_REQUIRE) {
            tell(peer, plan, "no PROXY header came (proxy_protocol = require)", "");
            return VERDICT_CLOSE;
        }
        return VERDICT_OPEN;
    case PROXY_HEADER_OK: break;
    }
    if (recv(fd, data, header.len, 0) != (ssize_t)header.len) {
        return VERDICT_CLOSE; /* it was there a moment ago: the connection broke */
    }
    if (header.known) {
        *told = (struct downstream_ends){header.source, header.destination};
    }
    return VERDICT_OPEN;
}

static void open_client(struct listener_local *local, int fd, const struct address *peer,
                        uint16_t port, const struct downstream_ends *told)
{
    downstream_open(local, fd, peer, port, told->peer.len > 0 ? told : NULL);
}

static void greeting_freed(struct freed *freed)
{
    free(container_of(freed, struct greeting, freed));
}

/* The end of waiting; the socket is the caller's again. */
static int greeting_end(struct greeting *greeting)
{
    struct loop *loop = greeting->local->worker->loop;

    event_del(&greeting->event);
    timer_cancel(loop, &greeting->timer);
    list_remove(&greeting->link);
    loop_free_later(loop, &greeting->freed, greeting_freed);
    return greeting->fd;
}

static void greeting_close(struct greeting *greeting)
{
    struct listener_local *local = greeting->local;
    downstream_refuse(local, greeting_end(greeting));
}

/* Part of the header is here: it has header_timeout, also where it was hurried. */
static void greeting_heard(struct greeting *greeting)
{
    struct listener_local *local = greeting->local;

    if (!greeting->heard) {
        greeting->heard = true;
        timer_set(local->worker->loop, &greeting->timer, local->plan->http.header_timeout_ns);
    }
}

static void greeting_hurry(struct greeting *greeting)
{
    struct listener_local *local = greeting->local;
    uint64_t grace_ns = down_conn_first_grace_ns(&local->plan->http);
    char byte;

    greeting->heard = greeting->heard || recv(greeting->fd, &byte, 1, MSG_PEEK) > 0;
    if (!greeting->heard && grace_ns < local->plan->http.header_timeout_ns) {
        timer_set(local->worker->loop, &greeting->timer, grace_ns);
    }
}

void greeting_hurry_all(struct listener_local *local)
{
    list_each(link, &local->greetings)
    {
        greeting_hurry(container_of(link, struct greeting, link));
    }
}

/* false: its header is not here, as a whole. */
static bool greeting_look(struct greeting *greeting)
{
    struct listener_local *local = greeting->local;
    struct downstream_ends told = {0};

    switch (look(local, greeting->fd, &greeting->peer, &told)) {
    case VERDICT_WAIT: return false;
    case VERDICT_OPEN:
        open_client(local, greeting_end(greeting), &greeting->peer, greeting->port, &told);
        return true;
    case VERDICT_CLOSE: greeting_close(greeting); break;
    }
    return true;
}

static void greeting_event(evutil_socket_t fd, short what, void *arg)
{
    struct greeting *greeting = arg;
    (void)fd;
    (void)what;

    if (!greeting_look(greeting)) {
        greeting_heard(greeting);
    }
}

static void greeting_timer(struct timer *timer)
{
    struct greeting *greeting = container_of(timer, struct greeting, timer);

    if (greeting_look(greeting)) {
        return; /* it came just now */
    }
    tell(&greeting->peer, greeting->local->plan, "no whole PROXY header came in time", "");
    greeting_close(greeting);
}

/* Edge-triggered: bytes that were looked at and stay in the socket do not come up again. */
static void greeting_wait(struct listener_local *local, int fd, const struct address *peer,
                          uint16_t port)
{
    struct loop *loop = local->worker->loop;
    struct greeting *greeting = calloc(1, sizeof(*greeting));

    if (greeting == NULL) {
        downstream_refuse(local, fd);
        return;
    }
    greeting->local = local;
    greeting->fd = fd;
    greeting->port = port;
    greeting->peer = *peer;
    greeting->timer.fn = greeting_timer;
    list_push_back(&local->greetings, &greeting->link);
    event_assign(&greeting->event, loop->base, fd, EV_READ | EV_ET | EV_PERSIST, greeting_event,
                 greeting);
    timer_set(loop, &greeting->timer, local->plan->http.header_timeout_ns);
    if (local->gone || local->worker->draining) {
        greeting_hurry(greeting);
    }
    if (event_add(&greeting->event, NULL) != 0) {
        greeting_close(greeting);
    }
}

void greeting_begin(struct listener_local *local, int fd, const struct address *peer, uint16_t port)
{
    struct downstream_ends told = {0};

    switch (look(local, fd, peer, &told)) {
    case VERDICT_WAIT: greeting_wait(local, fd, peer, port); break;
    case VERDICT_OPEN: open_client(local, fd, peer, port, &told); break;
    case VERDICT_CLOSE: downstream_refuse(local, fd); break;
    }
}

void greeting_refuse(struct listener_local *local, int fd, const struct address *peer)
{
    tell(peer, local->plan, "a connection that is not of trusted_proxies came", "");
    downstream_refuse(local, fd);
}

void greeting_close_all(struct listener_local *local)
{
    list_each(link, &local->greetings)
    {
        greeting_close(container_of(link, struct greeting, link));
    }
}
