/* SPDX-License-Identifier: MIT */
/*
 * Shared by the parsers of HTTP/1 requests, responses and trailers: field lines, the search for the
 * end of a head that arrives in pieces, and the fields that frame a message and control its
 * connection.
 */
#ifndef HTTP_H1_FIELDS_H
#define HTTP_H1_FIELDS_H

#include "http/h1_parse.h"

/* One line of a field section. */
enum h1_line {
    H1_LINE_FIELD, /* `*field` is set, `*pos` is behind the line */
    H1_LINE_EMPTY, /* the end of the section, `*pos` is behind it */
    H1_LINE_INCOMPLETE,
    H1_LINE_ERROR,
};

enum h1_line h1_parse_line(const char **pos, const char *end, struct http_field *field,
                           struct http_error *error);

/* Parses lines up to and including the empty one. `*repeated` has the bits of known fields that
 * occur more than once. */
enum h1_status h1_parse_section(const char **pos, const char *end, uint32_t count_limit,
                                struct arena *arena, struct http_fields *fields, uint64_t *repeated,
                                struct http_error *error);

/* Content-Length, Transfer-Encoding and Connection, combined over all their fields. */
struct h1_framing {
    bool has_length, has_coding; /* the fields are there */
    uint64_t length;
    bool close, keep_alive, upgrade; /* Connection has this option */
};

/* false: malformed. A coding is `chunked`, once and alone, or an error. */
bool h1_read_framing(const struct http_fields *fields, struct h1_framing *framing,
                     struct http_error *error);

/* Splits `path?query` and normalises the path; "/" if it is empty. */
bool request_judge_path(struct weir_str text, struct arena *arena, struct http_request_head *head,
                        struct http_error *error);
/* RFC 9110 section 10.1.1: Expect is ignored from HTTP/1.0 and without a body, and not passed on
 * then. */
bool request_judge_expect(struct http_request_head *head, struct http_error *error);

/* Expects CR LF at `pos` and sets *pos after it. */
enum h1_status h1_parse_crlf(const char **pos, const char *end, struct http_error *error);

/* `HTTP/1.x` at *pos; RFC 9112 section 2.3. 1.x above 1.1 is 1.1. */
enum h1_status h1_parse_version(const char **pos, const char *end, enum http_version *version,
                                struct http_error *error);

/* Whether to parse again a head that was incomplete at data[0..scan->scanned): its first line or
 * all of it has arrived, or it is certainly malformed. */
bool h1_worth_parsing(const char *data, size_t len, struct h1_scan *scan);

static inline enum h1_status h1_refuse(struct http_error *error, uint16_t status,
                                       const char *reason)
{
    *error = (struct http_error){status, reason};
    return H1_ERROR;
}

#endif
