/* SPDX-License-Identifier: MIT */
/*
 * Properties of the parsers and writers for any input. Each function checks its properties on one
 * input and aborts with the name of one that fails. The fuzz targets and the unit tests' mutation
 * loops call them.
 */
#ifndef WEIR_TESTS_FUZZ_PROPERTY_H
#define WEIR_TESTS_FUZZ_PROPERTY_H

#include <stddef.h>
#include <stdint.h>

#include "http/h1_parse.h"

/* Parsed at once and byte by byte, with the same result and never a byte too many; slices lie
 * where they may; what is written parses to the same again, and holds no byte that would end a
 * line early. */
void property_request(const uint8_t *data, size_t len);
/* The first byte chooses the request's method and the shape towards the client. */
void property_response(const uint8_t *data, size_t len);
/* Decoded at once, byte by byte and in odd pieces: the same body, trailers and verdict; what is
 * encoded from it decodes to the same. */
void property_chunk(const uint8_t *data, size_t len);
/* A field section: hop-by-hop fields and what Connection names are gone, the others are not. */
void property_fields(const uint8_t *data, size_t len);
/* The first byte chooses path, query or authority. A path's normal form equals that of a slow and
 * simple reference, and is its own normal form. */
void property_uri(const uint8_t *data, size_t len);
/* A header of the PROXY protocol: decided once, in pieces too; its addresses are written and read
 * alike. */
void property_proxy(const uint8_t *data, size_t len);
/* Forwarded: elements alone and together, addresses and hosts written and read alike. */
void property_forwarded(const uint8_t *data, size_t len);
/* A configuration: mistakes have their place, what is taken is in its range. */
void property_conf(const uint8_t *data, size_t len);
/* Cookie fields, one a line; '@' stands for a value that Weir has made: nothing else leads to a
 * server. */
void property_cookie(const uint8_t *data, size_t len);
/* Accept-Encoding, as compress reads it. */
void property_accept(const uint8_t *data, size_t len);
/* Three lines: a redirect's template, a value's, and a request's target with a field behind a
 * blank. What is taken as configuration gives whole fields, and addresses that lead to no other
 * site. */
void property_template(const uint8_t *data, size_t len);

/* What a client of HTTP/2 sends, and what streams do meanwhile: see property_h2.c. Each exchange
 * begins and ends once, in the order that codec.h says, and nothing is left. */
void property_h2_down(const uint8_t *data, size_t len);
/* The same of servers. */
void property_h2_up(const uint8_t *data, size_t len);
/* Lines `name=value`: a head that is taken is the same head again when it has gone through HTTP/1,
 * and through HTTP/2. The first byte: whether a body follows. */
void property_h2_fields(const uint8_t *data, size_t len);
/* A request told in HTTP/1 and in HTTP/2 is the same, or refused by both; so is a response. */
void property_down_codecs(const uint8_t *data, size_t len);
void property_up_codecs(const uint8_t *data, size_t len);

#define HOLDS(condition)                                     \
    do {                                                     \
        if (!(condition))                                    \
            property_broken(#condition, __FILE__, __LINE__); \
    } while (0)

_Noreturn void property_broken(const char *condition, const char *file, int line);

/* A copy of exactly `len` bytes, so that a sanitizer sees each byte that is read beyond. */
char *property_copy(const void *data, size_t len);

#endif
