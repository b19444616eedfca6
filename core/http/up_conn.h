/* SPDX-License-Identifier: MIT */
/*
 * A connection to a server, whatever protocol it speaks: how many exchanges it has room for, and
 * what becomes of it between them. The codec is the one that ALPN named (the table in codecs.c).
 * HTTP/1 has room for one exchange while none runs; others may have room for many.
 *
 * Everything runs on the connection's loop.
 */
#ifndef HTTP_UP_CONN_H
#define HTTP_UP_CONN_H

#include <weir/option.h>

#include "base/list.h"
#include "http/codec.h"

struct pin;
struct spares;

struct up_owner {
    const struct up_events *events;
    /* The connection is open; `took_ns`: since it was begun. */
    void (*on_open)(struct up_conn *c, uint64_t took_ns);
    /* An exchange has let go: there is room for another one. Keep the connection (up_conn_use
     * later) or, where none runs, close it (up_conn_close). */
    void (*on_room)(struct up_conn *c);
    /* The connection has ended (while idle, or when an exchange ended or failed); the last call. */
    void (*on_closed)(struct up_conn *c);
};

/* A protocol towards servers. */
struct up_codec {
    size_t size;   /* of its connection, which begins with a struct up_conn */
    uint32_t room; /* exchanges that a new connection can be expected to have room for */
    /* The connection is open: the codec owns its events from now on, and sets `room`. */
    void (*begin)(struct up_conn *c, const struct http_limits *limits);
    bool (*use)(struct up_conn *c, struct exchange *exchange, bool probe);
    void (*close)(struct up_conn *c);
};

/* Fields are read by the owner, written by up_conn.c and the codec, but for the owner's. */
struct up_conn {
    const struct up_codec *codec;
    const struct up_owner *owner;
    struct conn *conn; /* NULL: closed; the object lives to the turn's end */
    struct batch *batch;
    uint32_t room;    /* exchanges that it takes besides those that run */
    uint32_t running; /* exchanges */
    uint64_t served;  /* exchanges begun */
    uint64_t idle_since_ns;
    struct freed freed;

    /* the owner's */
    void *user;             /* the server's local state */
    struct pin *pin;        /* whom alone the connection is for; NULL: anybody */
    uint32_t address_epoch; /* of the server's address that it was made to */
    struct spares *spares;  /* among which it stands, by `link`; NULL: nowhere */
    struct list link;
    bool spare_idle; /* counted as idle there */
};

/* Takes over a connection that is open. `codec` NULL: by ALPN. NULL: no memory; the connection is
 * closed. */
struct up_conn *up_conn_open(const struct up_codec *codec, struct conn *conn, struct batch *batch,
                             const struct http_limits *limits, const struct up_owner *owner,
                             void *user);

/* Begins an exchange where there is room; ops->head follows. false: the connection turned out to be
 * closed, or to have bytes that nobody asked for (it is gone now; on_closed was called). What the
 * loop knows of it is looked at always; `probe`: ask the kernel, too, for requests that cannot be
 * sent twice. */
static inline bool up_conn_use(struct up_conn *c, struct exchange *exchange, bool probe)
{
    return c->codec->use(c, exchange, probe);
}

/* Closes a connection on which no exchange runs. */
static inline void up_conn_close(struct up_conn *c)
{
    c->codec->close(c);
}

/* ALPN names of the protocols that there are codecs for, best first (weir_str). */
extern const struct weir_list up_protocols;

/* Exchanges that a new connection to a server that is offered these can be expected to have room
 * for: so many requests wait for one connection that is being made. */
uint32_t up_conn_expected_room(const struct weir_list *protocols);

/* ---- for codecs ---- */

/* The connection's end: the one place where it is closed. No exchange runs. */
void up_conn_end(struct up_conn *c, enum codec_end how);

#endif
