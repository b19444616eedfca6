/* SPDX-License-Identifier: MIT */
/*
 * Answers: the fields that every one has, problem documents, redirects.
 */
#ifndef ADMIN_REPLY_H
#define ADMIN_REPLY_H

#include <weir/http.h>

#include "text.h"

#define REPLY_FIELDS_MAX 24

/* An answer being put together. What fields point to has to live until the answer is sent. */
struct reply {
    struct weir_request *req;
    size_t count;
    struct weir_field fields[REPLY_FIELDS_MAX];
};

/* With the fields that protect a browser. */
void reply_begin(struct reply *reply, struct weir_request *req);
void reply_add(struct reply *reply, const char *name, struct weir_str value);
/* Sends it whole; without `body` for HEAD. */
void reply_send(struct reply *reply, uint32_t status, struct weir_str body);
/* Begins an answer of unknown length. */
bool reply_stream(struct reply *reply, uint32_t status);

/* A problem document (RFC 9457); a short page where a browser asked for a page. Cached by
 * nobody. */
void reply_problem(struct weir_request *req, uint32_t status, const char *format, ...)
    WEIR_PRINTF(3, 4);
/* The same with one more field. */
void reply_problem_with(struct weir_request *req, uint32_t status, const char *field,
                        const char *value, const char *format, ...) WEIR_PRINTF(5, 6);
void reply_redirect(struct weir_request *req, const char *location);
/* 405 */
void reply_method(struct weir_request *req, const char *allowed);

/* The standard words for a status. */
const char *reply_title(uint32_t status);

#endif
