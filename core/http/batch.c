/* SPDX-License-Identifier: MIT */
/*
 * Gathering output of one callback. See batch.h.
 */
#include "http/batch.h"

/* Empties the batch; sanitizer builds catch later reads of its output memory. */
static void batch_empty(struct batch *batch)
{
    if (batch->used > 0) {
        POISON(batch->conn->loop->output, LOOP_OUTPUT_SIZE);
    }
    batch->count = 0;
    batch->used = 0;
    batch->conn = NULL;
}

static void batch_turn_to(struct batch *batch, struct conn *conn)
{
    if (batch->conn != conn) {
        if (batch->count > 0) {
            batch_flush(batch);
        }
        batch->conn = conn;
    }
}

void batch_add(struct batch *batch, struct conn *conn, const void *data, size_t len)
{
    if (len == 0) {
        return;
    }
    batch_turn_to(batch, conn);
    if (batch->count == BATCH_SLICES) {
        batch_flush(batch);
        batch->conn = conn;
    }
    struct iovec *last = batch->count > 0 ? &batch->slices[batch->count - 1] : NULL;
    if (last != NULL && (char *)last->iov_base + last->iov_len == (const char *)data) {
        last->iov_len += len; /* such as a chunk line after a head */
        return;
    }
    batch->slices[batch->count++] = (struct iovec){(void *)(uintptr_t)data, len};
}

char *batch_reserve(struct batch *batch, struct conn *conn, size_t len)
{
    if (len > LOOP_OUTPUT_SIZE) {
        return NULL;
    }
    batch_turn_to(batch, conn);
    if (LOOP_OUTPUT_SIZE - batch->used < len || batch->count == BATCH_SLICES) {
        batch_flush(batch);
        batch->conn = conn;
    }
    UNPOISON(conn->loop->output + batch->used, len);
    return conn->loop->output + batch->used;
}

void batch_commit(struct batch *batch, size_t len)
{
    struct conn *conn = batch->conn;
    ASSERT(conn != NULL && LOOP_OUTPUT_SIZE - batch->used >= len);
    ASSERT(batch->count < BATCH_SLICES);
    const char *at = conn->loop->output + batch->used;
    batch->used += len;
    batch_add(batch, conn, at, len);
}

char *batch_room(struct batch *batch, struct conn *conn, struct arena *arena, size_t len)
{
    return likely(len <= LOOP_OUTPUT_SIZE) ? batch_reserve(batch, conn, len)
                                           : arena_bytes(arena, len);
}

void batch_put(struct batch *batch, struct conn *conn, const char *out, size_t len)
{
    if (likely(out == conn->loop->output + batch->used)) {
        batch_commit(batch, len);
    } else {
        batch_add(batch, conn, out, len);
    }
}

bool batch_flush(struct batch *batch)
{
    bool ok = batch->count == 0 || conn_write(batch->conn, batch->slices, batch->count);
    batch_empty(batch);
    return ok;
}

void batch_forget(struct batch *batch, const struct conn *conn)
{
    if (batch->conn == conn) {
        batch_empty(batch);
    }
}
