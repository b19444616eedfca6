/* SPDX-License-Identifier: MIT */
/*
 * Shared by the codecs of connections to servers: the end of a connection. See up_conn.h.
 */
#include "http/up_conn.h"

#include <stdlib.h>

static void up_conn_free(struct freed *freed)
{
    free(container_of(freed, struct up_conn, freed));
}

void up_conn_end(struct up_conn *c, enum codec_end how)
{
    struct loop *loop = c->conn->loop;

    batch_forget(c->batch, c->conn);
    if (how == END_LINGER) {
        conn_close_lingering(&c->conn);
    } else {
        conn_close(&c->conn, how == END_RESET);
    }
    c->room = 0;
    c->owner->on_closed(c);
    loop_free_later(loop, &c->freed, up_conn_free);
}
