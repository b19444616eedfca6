/* SPDX-License-Identifier: MIT */
/*
 * Redirect targets: a URL with {host}, {path}, {rest} and {query} in it. Parsed once, filled in for
 * each request.
 */
#ifndef ROUTE_PATH_REDIRECT_H
#define ROUTE_PATH_REDIRECT_H

#include <weir/http.h>

#define REDIRECT_MAX_PIECES 16

enum redirect_piece_kind {
    REDIRECT_TEXT,
    REDIRECT_HOST,  /* of the request, without port */
    REDIRECT_PATH,  /* its whole path */
    REDIRECT_REST,  /* what follows the rule's own path: "/more", or nothing */
    REDIRECT_QUERY, /* "?" and its query, or nothing */
};

struct redirect_piece {
    enum redirect_piece_kind kind;
    struct weir_str text; /* of TEXT, in the configuration's memory */
};

struct redirect {
    size_t count;
    struct redirect_piece pieces[REDIRECT_MAX_PIECES];
};

/* Reads `text`, which must live as long as the result. NULL: done; else what is wrong, in words. */
const char *redirect_parse(struct weir_str text, struct redirect *out);

/*
 * The target for a request, in its memory. `segments`: how many the rule's own path has.
 * WEIR_INVALID: the request has no host, and the target needs one. WEIR_NO_MEMORY.
 */
enum weir_status redirect_fill(const struct redirect *redirect, struct weir_request *req,
                               size_t segments, struct weir_str *out);

#endif
