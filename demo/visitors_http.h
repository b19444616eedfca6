/* SPDX-License-Identifier: MIT */
/* Reads one HTTP/1.1 response at a time, strictly: what a lenient client would let pass is a fault
 * of the proxy here. */
#ifndef WEIR_DEMO_VISITORS_HTTP_H
#define WEIR_DEMO_VISITORS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEAD_LIMIT = 16 * 1024, HEADER_COUNT_LIMIT = 64, BODY_LIMIT = 1024 * 1024, LINE_LIMIT = 64 };

enum parse_result { PARSE_MORE, PARSE_DONE, PARSE_BAD };

enum parse_state {
    IN_HEAD,
    IN_BODY,       /* `left` bytes to go */
    IN_CHUNK_SIZE, /* a line that begins with the size */
    IN_CHUNK,      /* `left` bytes to go */
    IN_CHUNK_END,  /* the line end after a chunk */
    IN_TRAILER,
    IN_REST, /* until the connection closes */
    AT_END,
};

/* All of it stays valid until the next response_begin(). */
struct response {
    int status;
    size_t header_count;
    struct {
        const char *name;
        const char *value;
    } headers[HEADER_COUNT_LIMIT];
    char *body; /* body_len bytes and a NUL; NULL when there is none */
    size_t body_len;
    bool keep_alive;     /* the connection may be used again */
    const char *problem; /* after PARSE_BAD: what is wrong */

    enum parse_state state;
    bool to_head; /* answers a HEAD request */
    size_t body_room;
    uint64_t left;
    size_t head_len;
    size_t line_len;
    char line[LINE_LIMIT];
    char head[HEAD_LIMIT + 1];
};

/* `response` was zeroed once before its first use. */
void response_begin(struct response *response, bool to_head);
void response_free(struct response *response);
/* Takes up to `len` bytes; *used tells how many, fewer only when the response is done or bad. */
enum parse_result response_feed(struct response *response, const char *data, size_t len,
                                size_t *used);
/* The server has closed; `clean` when nothing can be missing from what it sent. */
enum parse_result response_closed(struct response *response, bool clean);
/* NULL when it is not there; the first when there are several. */
const char *response_header(const struct response *response, const char *name);

#endif
