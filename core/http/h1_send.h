/* SPDX-License-Identifier: MIT */
/*
 * Sending the chunked coding (RFC 9112 section 7.1), for both sides.
 */
#ifndef HTTP_H1_SEND_H
#define HTTP_H1_SEND_H

#include "http/batch.h"

/* One chunk; `len` is not 0, which would be the last one. */
void h1_send_chunk(struct batch *batch, struct conn *conn, const char *data, size_t len);

/* A trailer; the last chunk goes out first unless `*last_sent`. Dropped when out of memory, as
 * trailers may be (RFC 9110 section 6.5.1). */
void h1_send_trailer(struct batch *batch, struct conn *conn, struct arena *arena, bool *last_sent,
                     struct weir_str name, struct weir_str value);

/* The body's end. */
void h1_send_end(struct batch *batch, struct conn *conn, bool *last_sent);

#endif
