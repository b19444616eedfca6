/* SPDX-License-Identifier: MIT */
/*
 * A client's connection, whatever protocol it speaks. A connection begins in its TLS handshake;
 * when that is over, the codec that ALPN named takes it (the table in codecs.c). What stands above
 * calls the codec's functions by down_conn_drain and its kin, and hears of exchanges by events
 * (codec.h).
 *
 * Everything runs on the connection's loop.
 */
#ifndef HTTP_DOWN_CONN_H
#define HTTP_DOWN_CONN_H

#include <weir/option.h>

#include "http/codec.h"

/* What a listener sets for its connections. Shared by them, may be replaced between two
 * requests. */
struct down_conf {
    struct http_limits limits;
    uint64_t header_timeout_ns; /* from a request's first byte to its head's end */
    uint64_t body_timeout_ns;   /* between two reads of a body */
    uint64_t body_rate;         /* bytes a second over body_rate_period_ns, at least; 0: any */
    uint64_t body_rate_period_ns;
    uint64_t idle_timeout_ns; /* between two requests; also for a client that does not read */
    uint64_t lame_duck_ns;    /* instead of idle_timeout once it drains */
    uint64_t handshake_timeout_ns;
    uint64_t body_limit; /* bytes; 0: none */
    bool abort_on_close; /* the end of a client's side is its end, before a response has begun */
};

/* The connection's owner, in whose memory it lies. */
struct down_owner {
    const struct down_events *events;
    /* The settings for the next request; NULL: the listener is gone, close when idle. */
    const struct down_conf *(*conf)(struct down_conn *c);
    /* The last call about the connection. */
    void (*on_closed)(struct down_conn *c);
    /* The end of that turn: nothing refers to the object any more. */
    void (*on_free)(struct down_conn *c);
};

/* A protocol towards clients. */
struct down_codec {
    /* The connection is open: the codec owns its events from now on. */
    void (*begin)(struct down_conn *c, const struct down_conf *conf);
    void (*drain)(struct down_conn *c);
    void (*abort)(struct down_conn *c);
    bool (*is_last)(const struct down_conn *c);
    bool (*idle)(const struct down_conn *c);
};

/* Fields are read by the owner, written by down_conn.c and the codec. */
struct down_conn {
    const struct down_codec *codec;
    const struct down_owner *owner;
    struct conn *conn; /* NULL: closed */
    struct batch *batch;
    struct timer timer; /* the codec's */
    union {
        struct task task; /* the codec's */
        struct freed freed;
    };
    bool draining; /* one request more */
    bool hurried;  /* the timer has less time left, by down_conn_hurry */
};

/* Memory for a connection, with the codec's own behind struct down_conn; each codec asserts that it
 * fits. An idle connection is that large, so what belongs to a request lies in its exchange, and
 * what is large (a session of HTTP/2) behind a pointer. */
union down_place {
    struct down_conn c;
    char room[sizeof(struct down_conn) + 24];
};

/* Takes over an accepted connection (TLS handshake possibly under way); `c` is zeroed memory, a
 * down_place of the owner's, who must have settings. */
void down_conn_begin(struct down_conn *c, struct conn *conn, struct batch *batch,
                     const struct down_owner *owner);

/* Once: the next answer says that the connection ends, unless more requests are known to be here.
 * Who is idle has lame_duck for one more request, who is new (in a handshake, too) at least
 * DOWN_CONN_FIRST_GRACE_NS for the first. Before the connection closes it is read once more. */
#define DOWN_CONN_FIRST_GRACE_NS NS_PER_SECOND
static inline void down_conn_drain(struct down_conn *c)
{
    c->codec->drain(c);
}

/* Closes now, whatever runs. */
static inline void down_conn_abort(struct down_conn *c)
{
    c->codec->abort(c);
}

/* No request will come behind those that run. */
static inline bool down_conn_is_last(const struct down_conn *c)
{
    return c->codec->is_last(c);
}

/* No exchange runs. */
static inline bool down_conn_idle(const struct down_conn *c)
{
    return c->codec->idle(c);
}

/* The time that a new client of a listener that goes has for its first byte. */
static inline uint64_t down_conn_first_grace_ns(const struct down_conf *conf)
{
    return conf->lame_duck_ns > DOWN_CONN_FIRST_GRACE_NS ? conf->lame_duck_ns
                                                         : DOWN_CONN_FIRST_GRACE_NS;
}

/* ALPN names of the protocols that there are codecs for, best first (weir_str). */
extern const struct weir_list down_protocols;

/* ---- for codecs ---- */

/* The connection's end: the one place where it is closed. No exchange runs. */
void down_conn_close(struct down_conn *c, enum codec_end how);
/* Makes the timer fire in `delay_ns`, unless it does so earlier. */
void down_conn_hurry(struct down_conn *c, uint64_t delay_ns);

static inline struct loop *down_conn_loop(const struct down_conn *c)
{
    return c->conn->loop;
}

#endif
