/* SPDX-License-Identifier: MIT */
/*
 * A connection to Weir's admin listener: a Unix socket, TCP, or TLS over TCP. Blocking, with a limit on
 * how long each step may take.
 */
#ifndef WEIRCTL_STREAM_H
#define WEIRCTL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** Where Weir is asked. Strings are owned by the endpoint; endpoint_clear frees them. */
struct endpoint {
    bool tls;
    char *socket_path; /**< of a Unix socket; NULL: host and port are used */
    char *host;
    char *port;
    char *authority;    /**< for the Host field */
    char *prefix;       /**< the URL's path without its last slash; may be empty */
    const char *ca;     /**< a PEM file instead of the system's authorities; NULL: the system's */
    int connect_ms;     /**< limit for connecting, the TLS handshake included */
    int read_ms;        /**< limit for one read or write; -1: none */
    char display[4200]; /**< for messages: unix:/run/weir/admin.sock, https://host:9000 */
};

/** Takes a path. false: too long for a socket's address; `error` says so. */
bool endpoint_from_socket(struct endpoint *endpoint, const char *path, char *error, size_t size);

/** Takes http://HOST[:PORT][/PREFIX], https://..., or unix:PATH. false: `error` says what is wrong. */
bool endpoint_from_url(struct endpoint *endpoint, const char *url, char *error, size_t size);

void endpoint_clear(struct endpoint *endpoint);

struct stream;

/** Connects. NULL: `error` says why, in the words of an operator. Owner of the stream: the caller. */
struct stream *stream_open(const struct endpoint *endpoint, char *error, size_t size);

/** Sends all. false: `error` says why. */
bool stream_write(struct stream *stream, const void *data, size_t len, char *error, size_t size);

/** Reads what is there, waiting for at least a byte. 0: the peer ended; -1: `error` says why. */
ssize_t stream_read(struct stream *stream, void *data, size_t len, char *error, size_t size);

/** Changes the limit for one read. -1: none. */
void stream_set_read_ms(struct stream *stream, int read_ms);

/** Closes. Sets *stream to NULL; NULL is let be. */
void stream_close(struct stream **stream);

#endif
