/* SPDX-License-Identifier: MIT */
/*
 * Templates: text with variables of the request, compiled once a configuration, filled in for each
 * request. Compiled ones are immutable; any thread.
 */
#ifndef HEADERS_TEMPLATE_H
#define HEADERS_TEMPLATE_H

#include <weir/http.h>

enum template_use {
    TEMPLATE_REQUEST,  /* the value of a request's field */
    TEMPLATE_RESPONSE, /* of a response's: {status} is known */
    TEMPLATE_REDIRECT, /* an address: only what cannot lead to a stranger's site */
};

struct template_piece;

struct compiled {
    struct template_piece *pieces; /* owned */
    size_t count;
    bool has_variables;
};

/* What a template is filled in from. */
struct template_source {
    struct weir_request *req;
    const struct weir_response *resp; /* NULL: none yet */
    struct weir_str rest;             /* of the path, below the prefix that matched */
};

/* Compiles; the text must live as long as the template. NULL: done; else what is wrong, static
 * text or `error`, which holds `size` bytes. */
const char *template_compile(struct compiled *out, struct weir_str text, enum template_use use,
                             char *error, size_t size);
void template_free(struct compiled *text);

/* Fills in: from the request's memory, or the configuration's where there are no variables. */
enum weir_status template_fill(const struct compiled *text, const struct template_source *source,
                               struct weir_str *out);

#endif
