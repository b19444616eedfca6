/* SPDX-License-Identifier: MIT */
/*
 * One HTTP/1.1 request and its response on a stream, with the body as it comes.
 */
#ifndef WEIRCTL_HTTP_H
#define WEIRCTL_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream.h"
#include "util.h"

enum http_framing { HTTP_LENGTH, HTTP_CHUNKED, HTTP_UNTIL_END };

/** Begin with a zeroed one that has its stream. Bytes begin .. end of the buffer are read and not yet
 * taken: 0 <= begin <= end <= sizeof(buffer). */
struct http {
    struct stream *stream;
    int status;
    struct text head; /**< the final response's field lines, each ended by LF */
    enum http_framing framing;
    uint64_t left; /**< of the body or of the chunk */
    bool in_chunk; /**< a chunk's data or the CRLF behind it comes next */
    bool done;     /**< the body has ended */
    size_t begin;
    size_t end;
    char buffer[16384];
};

/** What is asked. `fields`: more field lines, each ended by CRLF; may be "". `body` NULL: none. */
struct http_request {
    const char *method;
    const char *path; /**< with its query, encoded */
    const char *fields;
    const char *body;
    size_t body_len;
};

/** Sends a request. false: `error` says why. */
bool http_send(struct http *http, const struct endpoint *endpoint,
               const struct http_request *request, char *error, size_t size);

/** Reads the final response's head. false: `error` says why. */
bool http_read_head(struct http *http, char *error, size_t size);

/** Copies a field's value into `out`, cut to its size; false: there is none. */
bool http_field(const struct http *http, const char *name, char *out, size_t size);

/** Bytes of the body, at least one; 0: it has ended; -1: it was cut or is malformed, `error` says. */
ssize_t http_read(struct http *http, void *out, size_t len, char *error, size_t size);

/** Frees the head; the stream stays the caller's. */
void http_clear(struct http *http);

#endif
