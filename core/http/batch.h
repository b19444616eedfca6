/* SPDX-License-Identifier: MIT */
/*
 * A batch: what goes out on one connection during one callback, gathered so that a head, chunk
 * lines and body slices leave in one system call. One a loop: adding to another connection sends
 * the first one's.
 *
 * Slices handed in stay valid until the running read callback ends, which flushes. Thread: the
 * loop's.
 */
#ifndef HTTP_BATCH_H
#define HTTP_BATCH_H

#include "net/conn.h"

#define BATCH_SLICES 32

/* Invariant: count > 0 implies conn != NULL; used <= LOOP_OUTPUT_SIZE. */
struct batch {
    struct conn *conn;
    size_t used; /* of loop->output */
    int count;
    struct iovec slices[BATCH_SLICES];
};

/* Adds a slice without copying. */
void batch_add(struct batch *batch, struct conn *conn, const void *data, size_t len);

/* `len` bytes of the loop's output memory to write a head or chunk line into, then batch_commit
 * with the length written. NULL: `len` is above LOOP_OUTPUT_SIZE. */
char *batch_reserve(struct batch *batch, struct conn *conn, size_t len);
void batch_commit(struct batch *batch, size_t len);

/* The same where `len` may be larger: then it is the arena's, and what is written there is valid as
 * long as that. NULL: no memory. batch_put with what batch_room gave; `len` 0: nothing was
 * written. */
char *batch_room(struct batch *batch, struct conn *conn, struct arena *arena, size_t len);
void batch_put(struct batch *batch, struct conn *conn, const char *out, size_t len);

/* Sends what is gathered. false: that connection is broken (its readable event tells as well). */
bool batch_flush(struct batch *batch);

/* The connection is about to be closed: drops what was gathered for it. */
void batch_forget(struct batch *batch, const struct conn *conn);

#endif
