/* SPDX-License-Identifier: MIT */
/*
 * A connection to a server, whatever its protocol: its room for exchanges and its life between
 * them. ALPN selects the codec (the table in codecs.c). HTTP/1 has room for one exchange while
 * idle; others may have room for many.
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
    /* The connection is open; `took_ns`: how long that took. */
    void (*on_open)(struct up_conn *c, uint64_t took_ns);
    /* An exchange was released, or the peer allows more or fewer of them than before. If there is
     * room, keep the connection (up_conn_use later); if it is idle, keep or close it
     * (up_conn_close); without room nobody may use it. */
    void (*on_room)(struct up_conn *c);
    /* The server has done something odd, of so many points. `ends`: that was too much, and what it
     * was; no exchange begins here any more. NULL: nobody counts. */
    void (*on_odd)(struct up_conn *c, unsigned points, const char *ends);
    /* The connection has ended (idle, or as an exchange ended or failed); the last call. */
    void (*on_closed)(struct up_conn *c);
};

/* A protocol towards servers. */
struct up_codec {
    enum http_version version; /* that it speaks */
    size_t size;               /* of its connection, which begins with a struct up_conn */
    uint32_t room;             /* exchanges that a new connection is expected to have room for */
    /* The connection is open: the codec owns its events from now on, and sets `room`. false: out of
     * memory. */
    bool (*begin)(struct up_conn *c, const struct http_limits *limits);
    bool (*use)(struct up_conn *c, struct exchange *exchange, bool probe);
    void (*close)(struct up_conn *c);
};

/* The owner reads the fields; up_conn.c and the codec write them, except the owner's own. */
struct up_conn {
    const struct up_codec *codec;
    const struct up_owner *owner;
    struct conn *conn; /* NULL: closed; the object lives to the turn's end */
    struct batch *batch;
    uint32_t room;          /* exchanges that it takes besides the running ones */
    uint32_t running;       /* exchanges */
    uint64_t served;        /* exchanges begun */
    uint32_t most;          /* exchanges at once, as the peer has said; 0: it has not */
    uint64_t idle_since_ns; /* when the last exchange ended, or it was opened */
    struct freed freed;

    /* the owner's */
    void *user;             /* the server's local state */
    struct pin *pin;        /* the client it is pinned to; NULL: none */
    uint32_t address_epoch; /* of the server's address when connecting */
    uint8_t jitter;         /* of its age */
    uint32_t counted;       /* of `running`: those in the server's statistics */
    uint64_t opened_ns;
    uint32_t terms;        /* of the pool when connecting */
    uint32_t expected;     /* exchanges at once, until the peer says; 0: the codec's number */
    struct spares *spares; /* the list that `link` is in; NULL: none */
    struct list link;
    bool spare_idle; /* counted as idle there */
};

/* Takes over an open connection. `codec` NULL: by ALPN. NULL: out of memory; the connection is
 * closed. */
struct up_conn *up_conn_open(const struct up_codec *codec, struct conn *conn, struct batch *batch,
                             const struct http_limits *limits, const struct up_owner *owner,
                             void *user);

/* Begins an exchange where there is room; ops->head follows. false: none begins here any more. The
 * connection was closed or had unsolicited bytes, and is gone (on_closed was called), or it ends
 * when its other exchanges have. The loop's knowledge is always checked; `probe`: asks the kernel
 * too, for requests that cannot be sent twice. */
static inline bool up_conn_use(struct up_conn *c, struct exchange *exchange, bool probe)
{
    return c->codec->use(c, exchange, probe);
}

/* Closes a connection on which no exchange runs. */
static inline void up_conn_close(struct up_conn *c)
{
    c->codec->close(c);
}

/* What is spoken to servers. */
enum up_protocol {
    UP_HTTP_1,
    UP_HTTP_2, /* also on plain connections, by prior knowledge */
    UP_AUTO,   /* what ALPN says; HTTP/1 on plain connections */
};

/* The names to offer by ALPN, best first (weir_str). */
const struct weir_list *up_protocol_names(enum up_protocol protocol);
/* The codec of a new connection; NULL: ALPN selects it. */
const struct up_codec *up_protocol_codec(enum up_protocol protocol, bool tls);
/* Whether an open connection is one: not if HTTP/2 is wanted and ALPN has said something else. */
bool up_protocol_agreed(enum up_protocol protocol, const struct conn *conn);
/* Whether HTTP/2 is spoken on an open connection. */
bool up_protocol_is_2(enum up_protocol protocol, const struct conn *conn);
/* Exchanges that a new connection is expected to have room for: as many requests may wait while it
 * is established. */
uint32_t up_protocol_room(enum up_protocol protocol, bool tls);

/* ---- for codecs ---- */

/* Ends the connection: the only place that closes it. No exchange runs. */
void up_conn_end(struct up_conn *c, enum codec_end how);

#endif
