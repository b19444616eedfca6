/* SPDX-License-Identifier: MIT */
/*
 * Sends chunks and trailers. See h1_send.h.
 */
#include "http/h1_send.h"

#include "http/h1_write.h"

void h1_send_chunk(struct batch *batch, struct conn *conn, const char *data, size_t len)
{
    char *line = batch_reserve(batch, conn, H1_CHUNK_LINE_SIZE);

    batch_commit(batch, h1_write_chunk_line(line, len));
    batch_add(batch, conn, data, len);
    batch_add(batch, conn, "\r\n", 2);
}

static void send_last_chunk(struct batch *batch, struct conn *conn, bool *last_sent)
{
    if (!*last_sent) {
        *last_sent = true;
        batch_add(batch, conn, "0\r\n", 3);
    }
}

void h1_send_trailer(struct batch *batch, struct conn *conn, struct arena *arena, bool *last_sent,
                     struct weir_str name, struct weir_str value)
{
    size_t size = name.len + value.len + 4;

    send_last_chunk(batch, conn, last_sent);
    char *out = batch_room(batch, conn, arena, size);
    if (out == NULL) {
        return;
    }
    memcpy(out, name.ptr, name.len);
    memcpy(out + name.len, ": ", 2);
    if (value.len > 0) {
        memcpy(out + name.len + 2, value.ptr, value.len);
    }
    memcpy(out + size - 2, "\r\n", 2);
    batch_put(batch, conn, out, size);
}

void h1_send_end(struct batch *batch, struct conn *conn, bool *last_sent)
{
    send_last_chunk(batch, conn, last_sent);
    batch_add(batch, conn, "\r\n", 2);
}
