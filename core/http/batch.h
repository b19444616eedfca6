/* SPDX-License-Identifier: MIT */
/*
 * A batch: one connection's output during one callback, gathered so that a head, chunk lines and
 * body slices go out in one system call. One per loop: adding output for another connection sends
 * the first one's.
 *
 * Slices must stay valid until the running read callback ends, which flushes. Thread: the loop's.
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

/* `len` bytes of the loop's output memory for a head or chunk line; then batch_commit with the
 * length written. NULL: `len` is above LOOP_OUTPUT_SIZE. */
char *batch_reserve(struct batch *batch, struct conn *conn, size_t len);
void batch_commit(struct batch *batch, size_t len);

/* The same for any `len`: a larger one comes from the arena and lives as long. NULL: out of memory.
 * Then batch_put with what batch_room gave; `len` 0: nothing was written. */
char *batch_room(struct batch *batch, struct conn *conn, struct arena *arena, size_t len);
void batch_put(struct batch *batch, struct conn *conn, const char *out, size_t len);

/* Sends the batch. false: the connection is broken (its readable event reports it too). */
bool batch_flush(struct batch *batch);

/* The connection is about to close: drops its output. */
void batch_forget(struct batch *batch, const struct conn *conn);

#endif
