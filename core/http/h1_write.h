/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 writing: heads and chunk framing from parsed form into memory of the caller's. Never
 * passes raw bytes of a head on.
 */
#ifndef HTTP_H1_WRITE_H
#define HTTP_H1_WRITE_H

#include "http/message.h"

/* Writes a request head: `METHOD path?query HTTP/1.1`, Host first (made from head->authority), the
 * fields that are not dropped, the framing fields from head->body, then `extra`, `Connection:
 * Upgrade` and `Upgrade: websocket` where `upgrade`, else `TE: trailers`, named in Connection,
 * where the client takes trailers, and the empty line. Connection is left out otherwise (keep-alive
 * is 1.1's default). Returns the length; 0: `size` is too small. */
size_t h1_write_request(char *out, size_t size, const struct http_request_head *head,
                        const struct http_extra *extra, size_t extra_count, bool upgrade);

/* How a response goes to a client. */
struct h1_response_shape {
    enum http_version client_version; /* below 1.1: no chunked, no 1xx */
    bool close;                       /* say Connection: close */
    bool keep_alive_said;             /* an HTTP/1.0 client asked for keep-alive and gets it */
    bool chunked;                     /* the body goes out chunked */
    bool upgrade;                     /* 101 to WebSocket */
};

/* Writes a response head: `HTTP/1.1 status reason` (the standard phrase where none came), the
 * fields, the framing fields that `shape` and head->body ask for (for HEAD and 304 what the
 * server said of the length). As h1_write_request. */
size_t h1_write_response(char *out, size_t size, const struct http_response_head *head,
                         const struct h1_response_shape *shape);

/* Upper bounds of the two, to size the memory. */
size_t h1_request_size(const struct http_request_head *head, const struct http_extra *extra,
                       size_t extra_count);
size_t h1_response_size(const struct http_response_head *head);

/* Longest chunk size line, CRLF included. */
#define H1_CHUNK_LINE_SIZE 18
/* Writes `SIZE CRLF` and returns the length. Chunk data is followed by CRLF. */
size_t h1_write_chunk_line(char out[H1_CHUNK_LINE_SIZE], uint64_t len);

#endif
