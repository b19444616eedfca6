/* SPDX-License-Identifier: MIT */
/*
 * A probe's request as an exchange of HTTP/2. Health modules write and read HTTP/1.1: the text of a
 * request becomes the exchange's head and content, and the answer is told as such text again.
 *
 * Owner: the attempt. Thread: the loop.
 */
#ifndef PROXY_UPSTREAM_PROBE_HTTP_H
#define PROXY_UPSTREAM_PROBE_HTTP_H

#include "http/up_conn.h"

/* Limits of what a module sends and gets to judge. */
#define PROBE_REQUEST_MAX 8192u
#define PROBE_ANSWER_MAX  16384u
/* Of a server that does not speak the HTTP/2 that its pool wants. */
#define PROBE_NOT_HTTP2 "not_http2: the server speaks HTTP/1"

/* What has come so far; full at PROBE_ANSWER_MAX, and no more is kept then. */
struct probe_answer {
    size_t len;
    char text[PROBE_ANSWER_MAX];
};

struct probe_http;

/* The owner may end it in any of these calls, and does in on_failed. */
struct probe_http_events {
    /* The answer has grown; `whole`: this was its end. */
    void (*on_answer)(void *arg, bool whole);
    /* It has failed. `conn`: where that may be told of; NULL: it is closed already. */
    void (*on_failed)(void *arg, const struct conn *conn, const char *why);
};

/* Sends the request on an open connection, which it takes over. NULL: that failed, and the
 * connection is closed; *why says for what mistake of the request, NULL: out of memory. No event
 * inside this call. */
struct probe_http *probe_http_begin(struct conn *conn, struct batch *batch,
                                    const struct http_limits *limits, struct weir_str request,
                                    struct probe_answer *answer,
                                    const struct probe_http_events *events, void *arg,
                                    const char **why);

/* Ends it at any time: no more events, and the connection closes. */
void probe_http_end(struct probe_http **http);

#endif
