/* SPDX-License-Identifier: MIT */
/*
 * Reads as much of an HTTP/1 response as a probe has to: status, framing, body.
 */
#ifndef HEALTH_HTTP_RESPONSE_H
#define HEALTH_HTTP_RESPONSE_H

#include <weir/health.h>

/* What the host reads of a response at most. */
#define RESPONSE_MAX ((size_t)16 * 1024)

enum response_state {
    RESPONSE_MORE,      /* the head is not there yet */
    RESPONSE_HEAD,      /* the head is whole; the body may not be */
    RESPONSE_BODY,      /* all is there */
    RESPONSE_MALFORMED, /* see `wrong` */
};

struct response {
    enum response_state state;
    uint32_t status;
    size_t body_len;   /* what there is of the body, without its framing */
    bool until_eof;    /* the body ends with the connection */
    const char *wrong; /* in words */
    bool trailers;     /* those of a chunked body are all there */
    int grpc_status;   /* of head or trailers; -1: none came (yet) */
    struct weir_str grpc_message;
    char body[RESPONSE_MAX];
};

/* Reads `len` bytes, all that have come so far. `head_only`: no body follows, or it is
 * of no interest. */
void response_read(struct response *out, const char *data, size_t len, bool head_only);

#endif
