/* SPDX-License-Identifier: MIT */
/*
 * One HTTP request to Weir's admin listener and its answer, by libcurl: over a Unix socket, TCP or
 * TLS. Blocking, with a limit on connecting and on each silence.
 */
#ifndef WEIRCTL_HTTP_H
#define WEIRCTL_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "util.h"

/** Where Weir is asked. Strings are owned by the endpoint; endpoint_clear frees them. */
struct endpoint {
    char *socket_path;  /**< of a Unix socket; NULL: host and port of the URL are used */
    char *host;         /**< of the URL, without brackets; NULL: a Unix socket */
    char *url;          /**< what a request's path is appended to */
    const char *ca;     /**< a PEM file instead of the system's authorities; NULL: the system's */
    int connect_ms;     /**< limit for connecting, the TLS handshake included */
    int read_ms;        /**< limit for a silence of the peer's */
    char display[4200]; /**< for messages: unix:/run/weir/admin.sock, https://host:9000 */
};

/** Takes a path. false: too long for a socket's address; `error` says so. */
bool endpoint_from_socket(struct endpoint *endpoint, const char *path, char *error, size_t size);

/** Takes http://HOST[:PORT][/PREFIX], https://..., or unix:PATH. false: `error` says what is
 * wrong. */
bool endpoint_from_url(struct endpoint *endpoint, const char *url, char *error, size_t size);

void endpoint_clear(struct endpoint *endpoint);

/** What is asked. */
struct http_request {
    const char *method;
    const char *path;   /**< with its query, encoded */
    const char *fields; /**< more field lines, each ended by LF; NULL: none */
    const char *body;   /**< JSON; NULL: none */
    /** Takes a piece of a successful answer's body as it comes, and says whether to go on. NULL:
     * the body is collected in the answer. */
    bool (*take)(void *arg, const char *bytes, size_t len);
    void *arg;
    int stream_ms; /**< limit for a silence once such a body has begun */
};

struct http_answer {
    int status;
    char journal[64]; /**< the field Weir-Journal; empty: there is none */
    struct text body; /**< text_clear frees it */
};

/** Asks. false: `error` says why there is no whole answer. The end that `take` asked for is
 * none. */
bool http_ask(const struct endpoint *endpoint, const struct http_request *request,
              struct http_answer *answer, char *error, size_t size);

#endif
