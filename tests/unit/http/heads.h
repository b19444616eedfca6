/* SPDX-License-Identifier: MIT */
/*
 * Tables of raw messages and what is to become of them. A case is parsed from memory of exactly its
 * length, as a whole and grown byte by byte; `expected` is the head in words (see heads.c), or the
 * refusal: `400 bad_host`.
 */
#ifndef WEIR_TESTS_UNIT_HTTP_HEADS_H
#define WEIR_TESTS_UNIT_HTTP_HEADS_H

#include "http/h1_parse.h"

struct head_case {
    const char *rule; /* what it is about, with the RFC's section */
    const char *raw;
    size_t len; /* 0: strlen(raw) */
    const char *expected;
    enum http_method method; /* that a response answers; 0: GET */
};

/* A literal that may hold NULs. */
#define RAW(literal) (literal), sizeof(literal) - 1

void check_request_case(const struct head_case *it);
void check_response_case(const struct head_case *it);

/* The limits of both. */
extern const struct http_limits heads_limits;

#endif
