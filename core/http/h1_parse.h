/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 parsing (RFC 9112), strict: what two parsers could read differently is refused. Pure
 * functions over memory; no I/O, no state except the arguments.
 */
#ifndef HTTP_H1_PARSE_H
#define HTTP_H1_PARSE_H

#include "http/message.h"

enum h1_status {
    H1_DONE,       /* parsed: `used` bytes */
    H1_INCOMPLETE, /* more bytes are needed */
    H1_ERROR,      /* refused: error->status and error->reason */
};

/* Where the search for the head's end stopped, so that a head that arrives in pieces is not scanned
 * from its start each time. Zeroed for a new message; only valid while the message starts at the
 * same byte. */
struct h1_scan {
    uint32_t scanned;
};

/*
 * Parses a request head at data[0..len). Empty lines before the request line are skipped (at most
 * one CRLF, RFC 9112 section 2.2). Slices of `head` point into `data`, except a normalised path and
 * a lower-cased host, which are in the arena. Checks everything that the head alone decides:
 * syntax, target form, Host, version, framing, Expect.
 */
enum h1_status h1_parse_request(const char *data, size_t len, const struct http_limits *limits,
                                struct h1_scan *scan, struct arena *arena,
                                struct http_request_head *head, size_t *used,
                                struct http_error *error);

/* The same for a response to a request of `method`; error->status is always 502. HTTP/0.9, status
 * codes outside 100-599, both lengths and a 101 to anything but a GET are errors. Interim responses
 * (1xx) parse like others, with BODY_NONE; a 101 has BODY_TUNNEL; the caller checks that it was
 * requested. */
enum h1_status h1_parse_response(const char *data, size_t len, const struct http_limits *limits,
                                 struct h1_scan *scan, struct arena *arena, enum http_method method,
                                 struct http_response_head *head, size_t *used,
                                 struct http_error *error);

/* ---- bodies ---- */

/* A chunked decoder's state. Zeroed: before the first chunk. */
struct h1_chunked {
    uint8_t state;
    uint64_t left; /* of the running chunk */
    uint32_t line; /* bytes of the running size line or trailer section, for limits */
    uint32_t trailer_lines;
    uint32_t overhead; /* accumulated excess of size lines */
};

enum h1_chunk_event {
    H1_CHUNK_MORE,    /* all bytes are used (except an incomplete trailer line) */
    H1_CHUNK_DATA,    /* *out, *out_len: body bytes, a slice of data */
    H1_CHUNK_TRAILER, /* *field: one trailer field, slices of data */
    H1_CHUNK_END,     /* the body is over */
    H1_CHUNK_ERROR,
};

/*
 * Takes the next event from data[0..len); `*used` bytes are done with. Chunk extensions are
 * skipped, and limited; sizes that overflow, bare LF, white space where none may be, and trailers
 * that are not allowed to be trailers (framing, routing, Host, ...: RFC 9110 section 6.5.1) are
 * errors, or for the last are dropped silently. limits->head bounds the trailer section,
 * limits->fields their number.
 */
enum h1_chunk_event h1_chunk_next(struct h1_chunked *state, const char *data, size_t len,
                                  const struct http_limits *limits, size_t *used, const char **out,
                                  size_t *out_len, struct http_field *field,
                                  struct http_error *error);

#endif
