/* SPDX-License-Identifier: MIT */
/*
 * Encoders: a body in pieces to gzip (zlib) or brotli, and what their memory may be in all.
 *
 * Thread: an encoder and the memory behind it belong to their worker; a budget is counted by all of
 * them.
 */
#ifndef COMPRESS_ENCODER_H
#define COMPRESS_ENCODER_H

#include <stdatomic.h>

#include <weir/http.h>

enum encoding {
    ENCODING_GZIP,
    ENCODING_BROTLI,
    ENCODING_COUNT,
    ENCODING_NONE = ENCODING_COUNT,
};

/* The content coding's name (RFC 9110 section 8.4.1). */
struct weir_str encoding_name(enum encoding encoding);

/* What all encoders of one use of the module take together. */
struct budget {
    atomic_size_t used;
    size_t limit; /* above it no new encoder is made; running ones continue */
};

struct piece;

/* Where the encoders of one worker have their memory from: large pieces that are given back are
 * kept for the next one, since asking the system for them anew costs as much as a short body.
 * Outlives its encoders. */
struct memory {
    struct budget *budget;
    struct piece *kept;
    size_t kept_size;
};

/* Frees what is kept. */
void memory_clear(struct memory *memory);

struct encoder;

/* An encoder for a body of `length` bytes (-1: not known; a short one takes less memory). NULL:
 * the budget is spent, or there is no memory. Owner: the caller. */
struct encoder *encoder_new(enum encoding encoding, int level, int64_t length,
                            struct memory *memory);
/* NULL is legal. */
void encoder_free(struct encoder **encoder);

/* Encodes a piece and writes what comes of it, which is `*written` bytes. false: the library
 * failed, or has no memory. */
bool encoder_feed(struct encoder *encoder, struct weir_transform *transform, const void *data,
                  size_t len, enum weir_flow flow, size_t *written);

#endif
