/* SPDX-License-Identifier: MIT */
/* A visitor's connection to the site. One socket, one level-triggered event for reading that stays,
 * one for writing while something is to be written, and one timer for the whole exchange. */
#include "visitors_channel.h"

#include <assert.h>
#include <errno.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

enum { REQUEST_LIMIT = 16 * 1024, READ_SIZE = 16 * 1024 };

enum channel_state { CLOSED, CONNECTING, HANDSHAKING, SENDING, RECEIVING, IDLE };

struct channel {
    struct target *target;
    channel_done done;
    void *arg;
    enum channel_state state;
    bool busy;  /* an exchange is under way */
    bool stray; /* bytes came that no request asked for */
    int fd;     /* -1 when closed */
    SSL *tls;
    SSL_SESSION *session; /* of an earlier connection, to be resumed */
    struct addrinfo *address;
    struct event *read_event;
    struct event *write_event;
    struct event *timer;
    struct event_base *base;
    size_t request_len;
    size_t sent;
    char why[200];
    char request[REQUEST_LIMIT];
    struct response response;
};

static void on_ready(evutil_socket_t fd, short what, void *arg);

/* --- The socket ------------------------------------------------------------------------------ */

static void close_socket(struct channel *channel)
{
    if (channel->read_event != NULL) {
        event_free(channel->read_event);
        channel->read_event = NULL;
    }
    if (channel->write_event != NULL) {
        event_free(channel->write_event);
        channel->write_event = NULL;
    }
    SSL_free(channel->tls);
    channel->tls = NULL;
    if (channel->fd != -1) {
        close(channel->fd);
        channel->fd = -1;
    }
    channel->state = CLOSED;
    channel->stray = false;
}

/* Ends the exchange. The last thing that an event handler does: the visitor may act at once. */
static void finish(struct channel *channel, enum exchange_result result, const char *why)
{
    assert(channel->busy);
    evtimer_del(channel->timer);
    channel->busy = false;
    if (result == EXCHANGE_OK && channel->response.keep_alive) {
        channel->state = IDLE;
    } else {
        if (channel->tls != NULL && result == EXCHANGE_OK) {
            SSL_shutdown(channel->tls);
        }
        close_socket(channel);
    }
    channel->done(channel->arg, result, &channel->response, why);
}

static bool start_socket(struct channel *channel)
{
    const struct addrinfo *address = channel->address;
    int one = 1;
    channel->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (channel->fd == -1) {
        return false;
    }
    setsockopt(channel->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(channel->fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) {
        return false;
    }
    channel->read_event =
        event_new(channel->base, channel->fd, EV_READ | EV_PERSIST, on_ready, channel);
    channel->write_event = event_new(channel->base, channel->fd, EV_WRITE, on_ready, channel);
    if (channel->read_event == NULL || channel->write_event == NULL) {
        return false;
    }
    channel->state = CONNECTING;
    return event_add(channel->write_event, NULL) == 0;
}

/* Tries the addresses of the host from `address` on; the result of the last one counts. */
static void connect_from(struct channel *channel, struct addrinfo *address)
{
    for (; address != NULL; address = address->ai_next) {
        channel->address = address;
        if (start_socket(channel)) {
            return;
        }
        close_socket(channel);
    }
    channel->target->preferred = NULL;
    snprintf(channel->why, sizeof channel->why, "no connection: %s", strerror(errno));
    finish(channel, EXCHANGE_NO_CONNECTION, channel->why);
}

static bool start_tls(struct channel *channel)
{
    channel->tls = SSL_new(channel->target->tls_context);
    if (channel->tls == NULL || SSL_set_fd(channel->tls, channel->fd) != 1) {
        return false;
    }
    SSL_set_app_data(channel->tls, &channel->session);
    struct in6_addr raw;
    const char *host = channel->target->host;
    if (inet_pton(AF_INET, host, &raw) == 1 || inet_pton(AF_INET6, host, &raw) == 1) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(channel->tls), host);
    } else if (SSL_set1_host(channel->tls, host) != 1 ||
               SSL_set_tlsext_host_name(channel->tls, host) != 1) {
        return false;
    }
    if (channel->session != NULL) {
        SSL_set_session(channel->tls, channel->session);
    }
    channel->state = HANDSHAKING;
    return true;
}

/* --- TLS or plain ---------------------------------------------------------------------------- */

enum transfer { DONE, AGAIN, ENDED, BROKEN };

/* What an SSL_ or socket call's result means; wanting to write arms the write event. */
static enum transfer judge(struct channel *channel, ssize_t result)
{
    if (channel->tls == NULL) {
        if (result < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (channel->state == SENDING) {
                event_add(channel->write_event, NULL);
            }
            return AGAIN;
        }
        return result > 0 ? DONE : result == 0 ? ENDED : BROKEN;
    }
    if (result > 0) {
        return DONE;
    }
    switch (SSL_get_error(channel->tls, (int)result)) {
    case SSL_ERROR_WANT_READ: return AGAIN;
    case SSL_ERROR_WANT_WRITE: event_add(channel->write_event, NULL); return AGAIN;
    case SSL_ERROR_ZERO_RETURN: return ENDED;
    default: return BROKEN;
    }
}

static enum transfer read_some(struct channel *channel, char *data, size_t *len)
{
    ERR_clear_error();
    ssize_t got = channel->tls != NULL ? SSL_read(channel->tls, data, READ_SIZE)
                                       : recv(channel->fd, data, READ_SIZE, 0);
    *len = got > 0 ? (size_t)got : 0;
    return judge(channel, got);
}

/* --- The steps of an exchange; each returns whether the next can be tried at once -------------- */

static bool step_connect(struct channel *channel)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(channel->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        struct addrinfo *next = channel->address->ai_next;
        close_socket(channel);
        errno = error;
        connect_from(channel, next);
        return false;
    }
    channel->target->preferred = channel->address;
    channel->target->connections++;
    event_add(channel->read_event, NULL);
    if (!channel->target->tls) {
        channel->state = SENDING;
    } else if (!start_tls(channel)) {
        finish(channel, EXCHANGE_NO_CONNECTION, "no memory for TLS");
        return false;
    }
    return true;
}

static bool step_handshake(struct channel *channel)
{
    ERR_clear_error();
    enum transfer result = judge(channel, SSL_connect(channel->tls));
    if (result == DONE) {
        channel->target->resumed += SSL_session_reused(channel->tls) != 0;
        channel->state = SENDING;
        return true;
    }
    if (result != AGAIN) {
        long verdict = SSL_get_verify_result(channel->tls);
        unsigned long error = ERR_peek_error();
        snprintf(channel->why, sizeof channel->why, "TLS handshake: %s",
                 verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                 : error != 0         ? ERR_reason_error_string(error)
                                      : "the server closed the connection");
        finish(channel, EXCHANGE_NO_CONNECTION, channel->why);
    }
    return false;
}

static bool step_send(struct channel *channel)
{
    size_t left = channel->request_len - channel->sent;
    const char *from = channel->request + channel->sent;
    ERR_clear_error();
    ssize_t put = channel->tls != NULL ? SSL_write(channel->tls, from, (int)left)
                                       : send(channel->fd, from, left, MSG_NOSIGNAL);
    enum transfer result = judge(channel, put);
    if (result == DONE) {
        channel->sent += (size_t)put;
        channel->state = channel->sent == channel->request_len ? RECEIVING : SENDING;
        return true;
    }
    if (result != AGAIN) {
        finish(channel, EXCHANGE_CUT, "closed while the request was being sent");
    }
    return false;
}

static bool step_receive(struct channel *channel)
{
    char data[READ_SIZE];
    size_t len;
    size_t used = 0;
    enum transfer result = read_some(channel, data, &len);
    if (result == AGAIN) {
        return false;
    }
    enum parse_result parsed = result == DONE
                                   ? response_feed(&channel->response, data, len, &used)
                                   : response_closed(&channel->response, result == ENDED);
    if (parsed == PARSE_MORE) {
        return true;
    }
    if (parsed == PARSE_BAD) {
        finish(channel, result == DONE ? EXCHANGE_BAD : EXCHANGE_CUT, channel->response.problem);
    } else if (used < len) {
        finish(channel, EXCHANGE_BAD, "bytes after the end of the answer");
    } else {
        finish(channel, EXCHANGE_OK, "");
    }
    return false;
}

/* Between exchanges: the server may close, or send TLS session tickets, and nothing else. */
static bool step_idle(struct channel *channel)
{
    char data[READ_SIZE];
    size_t len;
    switch (read_some(channel, data, &len)) {
    case AGAIN: break;
    case DONE:
        channel->stray = true;
        event_del(channel->read_event);
        break;
    case ENDED:
    case BROKEN: close_socket(channel); break;
    }
    return false;
}

static void drive(struct channel *channel)
{
    bool on = true;
    while (on) {
        switch (channel->state) {
        case CONNECTING: on = step_connect(channel); break;
        case HANDSHAKING: on = step_handshake(channel); break;
        case SENDING: on = step_send(channel); break;
        case RECEIVING: on = step_receive(channel); break;
        case IDLE: on = step_idle(channel); break;
        case CLOSED: on = false; break;
        }
    }
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    drive(arg);
}

/* Fires at once to begin an exchange, and later when it takes too long. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct channel *channel = arg;
    if (channel->state == RECEIVING || channel->state == SENDING) {
        finish(channel, EXCHANGE_LATE, "no whole answer in time");
    } else {
        finish(channel, EXCHANGE_LATE, "no connection in time");
    }
}

static void on_begin(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct channel *channel = arg;
    if (channel->stray) {
        finish(channel, EXCHANGE_BAD, "bytes came before the request");
    } else if (channel->state == IDLE) {
        channel->state = SENDING;
        drive(channel);
    } else {
        struct target *target = channel->target;
        connect_from(channel, target->preferred != NULL ? target->preferred : target->addresses);
    }
}

void channel_send(struct channel *channel, const char *request, size_t len, bool is_head,
                  unsigned timeout_ms)
{
    static const struct timeval now = {0};
    struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    assert(!channel->busy && len <= REQUEST_LIMIT);
    memcpy(channel->request, request, len);
    channel->request_len = len;
    channel->sent = 0;
    channel->busy = true;
    response_begin(&channel->response, is_head);
    evtimer_add(channel->timer, &limit);
    event_base_once(channel->base, -1, EV_TIMEOUT, on_begin, channel, &now);
}

void channel_hang_up(struct channel *channel)
{
    assert(!channel->busy);
    if (channel->tls != NULL && channel->state == IDLE) {
        SSL_shutdown(channel->tls);
    }
    close_socket(channel);
}

void channel_forget(struct channel *channel)
{
    channel_hang_up(channel);
    SSL_SESSION_free(channel->session);
    channel->session = NULL;
}

struct channel *channel_new(struct event_base *base, struct target *target, channel_done done,
                            void *arg)
{
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        return NULL;
    }
    channel->timer = evtimer_new(base, on_timer, channel);
    if (channel->timer == NULL) {
        free(channel);
        return NULL;
    }
    channel->base = base;
    channel->target = target;
    channel->done = done;
    channel->arg = arg;
    channel->fd = -1;
    return channel;
}

void channel_free(struct channel **channel)
{
    if (*channel != NULL) {
        close_socket(*channel);
        event_free((*channel)->timer);
        SSL_SESSION_free((*channel)->session);
        response_free(&(*channel)->response);
        free(*channel);
        *channel = NULL;
    }
}
