/* SPDX-License-Identifier: MIT */
/*
 * Connections to Weir: addresses, connecting with a limit, TLS with verification.
 */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "util.h"

struct stream {
    int fd;
    int read_ms;
    SSL *ssl;
    SSL_CTX *ctx;
};

/* ---- endpoints ---- */

bool endpoint_from_socket(struct endpoint *endpoint, const char *path, char *error, size_t size)
{
    struct sockaddr_un address;

    if (path[0] == '\0' || strlen(path) >= sizeof(address.sun_path)) {
        snprintf(error, size, "\"%s\" is no path of a Unix socket: 1 to %zu bytes", path,
                 sizeof(address.sun_path) - 1);
        return false;
    }
    endpoint->socket_path = copy_string(path);
    endpoint->authority = copy_string("localhost");
    endpoint->prefix = copy_string("");
    snprintf(endpoint->display, sizeof(endpoint->display), "unix:%s", path);
    return true;
}

/* Takes HOST[:PORT] or [IPV6][:PORT] in `text`, up to `end`. */
static bool take_authority(struct endpoint *endpoint, const char *text, const char *end)
{
    const char *host_end = NULL;
    const char *host = text;

    if (*text == '[') {
        host = text + 1;
        host_end = memchr(host, ']', (size_t)(end - host));
        if (host_end == NULL) {
            return false;
        }
        text = host_end + 1;
    } else {
        host_end = memchr(text, ':', (size_t)(end - text));
        host_end = host_end != NULL ? host_end : end;
        text = host_end;
    }
    if (host_end == host || memchr(host, '@', (size_t)(host_end - host)) != NULL) {
        return false;
    }
    if (text != end) {
        const char *port = text + 1;
        size_t digits = (size_t)(end - port);
        if (*text != ':' || digits == 0 || digits > 5 || strspn(port, "0123456789") < digits ||
            atoi(port) > 65535) {
            return false;
        }
        endpoint->port = copy_slice(port, digits);
    } else {
        endpoint->port = copy_string(endpoint->tls ? "443" : "80");
    }
    endpoint->host = copy_slice(host, (size_t)(host_end - host));
    return true;
}

bool endpoint_from_url(struct endpoint *endpoint, const char *url, char *error, size_t size)
{
    const char *rest = NULL;

    if (strncmp(url, "unix:", 5) == 0) {
        return endpoint_from_socket(endpoint, url + 5, error, size);
    }
    if (strncmp(url, "http://", 7) == 0) {
        rest = url + 7;
    } else if (strncmp(url, "https://", 8) == 0) {
        rest = url + 8;
        endpoint->tls = true;
    }
    const char *end = rest != NULL ? rest + strcspn(rest, "/?#") : NULL;
    if (rest == NULL || strpbrk(end, "?# \t\r\n") != NULL || strlen(url) > 4000 ||
        !take_authority(endpoint, rest, end)) {
        snprintf(error, size,
                 "\"%s\" is no URL of Weir: http://HOST:PORT, https://HOST:PORT or "
                 "unix:PATH",
                 url);
        return false;
    }
    size_t prefix = strlen(end);
    while (prefix > 0 && end[prefix - 1] == '/') {
        prefix--;
    }
    endpoint->authority = copy_slice(rest, (size_t)(end - rest));
    endpoint->prefix = copy_slice(end, prefix);
    snprintf(endpoint->display, sizeof(endpoint->display), "%s", url);
    return true;
}

void endpoint_clear(struct endpoint *endpoint)
{
    free(endpoint->socket_path);
    free(endpoint->host);
    free(endpoint->port);
    free(endpoint->authority);
    free(endpoint->prefix);
    memset(endpoint, 0, sizeof(*endpoint));
}

/* ---- connecting ---- */

/* Waits until the socket is ready for `events`. false: the limit passed (errno is ETIMEDOUT), or
 * errno. A signal does not end the wait, and does not make it longer. */
static bool wait_ready(int fd, short events, int limit_ms)
{
    struct timespec start;
    int left = limit_ms;

    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        struct pollfd item = {fd, events, 0};
        int ready = poll(&item, 1, left);
        if (ready > 0) {
            return true;
        }
        if (ready < 0 && errno != EINTR) {
            return false;
        }
        if (limit_ms >= 0) {
            struct timespec now;
            clock_gettime(CLOCK_MONOTONIC, &now);
            long passed =
                (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
            left = passed >= limit_ms ? 0 : limit_ms - (int)passed;
            if (ready == 0 || left == 0) {
                errno = ETIMEDOUT;
                return false;
            }
        }
    }
}

/* Connects within the limit. The socket stays non-blocking: waits are poll's. -1: errno. */
static int connect_address(const struct sockaddr *address, socklen_t len, int limit_ms)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int failed = 0;
    socklen_t size = sizeof(failed);

    if (fd < 0) {
        return -1;
    }
    if (connect(fd, address, len) == 0) {
        return fd;
    }
    if (errno != EINPROGRESS) {
        failed = errno;
    } else if (!wait_ready(fd, POLLOUT, limit_ms)) {
        failed = errno;
    } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0) {
        failed = errno;
    }
    if (failed == 0) {
        return fd;
    }
    close(fd);
    errno = failed;
    return -1;
}

/* A full backlog makes a non-blocking connect fail at once: this one blocks, with a limit. */
static int connect_unix(const struct endpoint *endpoint)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {endpoint->connect_ms / 1000, endpoint->connect_ms % 1000 * 1000};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, endpoint->socket_path, strlen(endpoint->socket_path) + 1);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
                    connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
                    fcntl(fd, F_SETFL, O_NONBLOCK) != 0)) {
        int failed = errno == EAGAIN ? ETIMEDOUT : errno;
        close(fd);
        errno = failed;
        fd = -1;
    }
    return fd;
}

/* Tries the host's addresses in turn. */
static int connect_host(const struct endpoint *endpoint, char *error, size_t size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    int fd = -1;

    int failed = getaddrinfo(endpoint->host, endpoint->port, &hints, &found);
    if (failed == EAI_NONAME) {
        /* AI_ADDRCONFIG hides 127.0.0.1 and ::1 where there is no other interface. */
        hints.ai_flags = 0;
        failed = getaddrinfo(endpoint->host, endpoint->port, &hints, &found);
    }
    if (failed != 0) {
        snprintf(error, size, "%s", gai_strerror(failed));
        return -1;
    }
    for (struct addrinfo *each = found; each != NULL && fd < 0; each = each->ai_next) {
        fd = connect_address(each->ai_addr, each->ai_addrlen, endpoint->connect_ms);
        if (fd < 0) {
            snprintf(error, size, "%s", strerror(errno));
        }
    }
    freeaddrinfo(found);
    return fd;
}

/* ---- TLS ---- */

static void tls_error(const SSL *ssl, char *error, size_t size)
{
    long verdict = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;
    unsigned long code = ERR_get_error();

    if (verdict != X509_V_OK) {
        snprintf(error, size, "its certificate is not trusted: %s (--ca FILE names an authority)",
                 X509_verify_cert_error_string(verdict));
    } else if (code != 0 && ERR_reason_error_string(code) != NULL) {
        snprintf(error, size, "TLS: %s", ERR_reason_error_string(code));
    } else {
        snprintf(error, size, "TLS: the connection was closed");
    }
    ERR_clear_error();
}

/* Waits for what the last TLS call wanted. false: it was an end or an error. */
static bool tls_wait(const struct stream *stream, int result, int limit_ms, char *error,
                     size_t size)
{
    int why = SSL_get_error(stream->ssl, result);

    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        tls_error(stream->ssl, error, size);
        return false;
    }
    if (!wait_ready(stream->fd, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, limit_ms)) {
        snprintf(error, size, "%s", strerror(errno));
        return false;
    }
    return true;
}

/* Sets up verification: the authority, and the name or address that the certificate must be for. */
static bool tls_prepare(struct stream *stream, const struct endpoint *endpoint, char *error,
                        size_t size)
{
    stream->ctx = SSL_CTX_new(TLS_client_method());
    if (stream->ctx == NULL) {
        tls_error(NULL, error, size);
        return false;
    }
    SSL_CTX_set_min_proto_version(stream->ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(stream->ctx, SSL_VERIFY_PEER, NULL);
    if (endpoint->ca == NULL) {
        SSL_CTX_set_default_verify_paths(stream->ctx);
    } else if (SSL_CTX_load_verify_locations(stream->ctx, endpoint->ca, NULL) != 1) {
        snprintf(error, size, "%s cannot be read as PEM certificates", endpoint->ca);
        ERR_clear_error();
        return false;
    }
    stream->ssl = SSL_new(stream->ctx);
    if (stream->ssl == NULL || SSL_set_fd(stream->ssl, stream->fd) != 1) {
        tls_error(NULL, error, size);
        return false;
    }
    X509_VERIFY_PARAM *wanted = SSL_get0_param(stream->ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(wanted, endpoint->host) != 1) {
        ERR_clear_error();
        SSL_set_tlsext_host_name(stream->ssl, endpoint->host);
        SSL_set_hostflags(stream->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                           X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        SSL_set1_host(stream->ssl, endpoint->host);
    }
    return true;
}

static bool tls_begin(struct stream *stream, const struct endpoint *endpoint, char *error,
                      size_t size)
{
    int result = 0;

    if (!tls_prepare(stream, endpoint, error, size)) {
        return false;
    }
    while ((result = SSL_connect(stream->ssl)) != 1) {
        if (!tls_wait(stream, result, endpoint->connect_ms, error, size)) {
            return false;
        }
    }
    return true;
}

/* ---- streams ---- */

struct stream *stream_open(const struct endpoint *endpoint, char *error, size_t size)
{
    struct stream *stream = allocate(sizeof(*stream));

    stream->read_ms = endpoint->read_ms;
    if (endpoint->socket_path != NULL) {
        stream->fd = connect_unix(endpoint);
        if (stream->fd < 0) {
            snprintf(error, size, "%s", strerror(errno));
        }
    } else {
        stream->fd = connect_host(endpoint, error, size);
    }
    if (stream->fd < 0 || (endpoint->tls && !tls_begin(stream, endpoint, error, size))) {
        stream_close(&stream);
    }
    return stream;
}

bool stream_write(struct stream *stream, const void *data, size_t len, char *error, size_t size)
{
    const char *next = data;

    while (len > 0) {
        ssize_t done = 0;
        if (stream->ssl != NULL) {
            done = SSL_write(stream->ssl, next, len > INT_MAX ? INT_MAX : (int)len);
            if (done <= 0 && !tls_wait(stream, (int)done, stream->read_ms, error, size)) {
                return false;
            }
        } else {
            done = send(stream->fd, next, len, MSG_NOSIGNAL);
            if (done < 0 && errno == EAGAIN ? !wait_ready(stream->fd, POLLOUT, stream->read_ms)
                                            : done < 0 && errno != EINTR) {
                snprintf(error, size, "%s", strerror(errno));
                return false;
            }
        }
        if (done > 0) {
            next += done;
            len -= (size_t)done;
        }
    }
    return true;
}

ssize_t stream_read(struct stream *stream, void *data, size_t len, char *error, size_t size)
{
    for (;;) {
        if (stream->ssl != NULL) {
            int done = SSL_read(stream->ssl, data, len > INT_MAX ? INT_MAX : (int)len);
            if (done > 0) {
                return done;
            }
            if (SSL_get_error(stream->ssl, done) == SSL_ERROR_ZERO_RETURN) {
                return 0;
            }
            if (!tls_wait(stream, done, stream->read_ms, error, size)) {
                return -1;
            }
            continue;
        }
        ssize_t done = recv(stream->fd, data, len, 0);
        if (done >= 0) {
            return done;
        }
        if (errno == EAGAIN ? !wait_ready(stream->fd, POLLIN, stream->read_ms) : errno != EINTR) {
            snprintf(error, size, "%s", strerror(errno));
            return -1;
        }
    }
}

void stream_set_read_ms(struct stream *stream, int read_ms)
{
    stream->read_ms = read_ms;
}

void stream_close(struct stream **stream)
{
    if (*stream == NULL) {
        return;
    }
    SSL_free((*stream)->ssl);
    SSL_CTX_free((*stream)->ctx);
    if ((*stream)->fd >= 0) {
        close((*stream)->fd);
    }
    free(*stream);
    *stream = NULL;
}
