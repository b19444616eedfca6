/* SPDX-License-Identifier: MIT */
/*
 * A client's connection, whatever protocol it speaks. A connection begins in its TLS handshake;
 * when that is over, the codec that ALPN named takes it (the table in codecs.c). The layer above
 * calls the codec through down_conn_drain and the like, and gets exchanges as events (codec.h).
 *
 * Everything runs on the connection's loop.
 */
#ifndef HTTP_DOWN_CONN_H
#define HTTP_DOWN_CONN_H

#include <weir/option.h>

#include "http/codec.h"

/* A listener's settings for its connections. Shared by them; may be replaced between two
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
    uint64_t body_limit;  /* bytes; 0: none */
    uint32_t h2_streams;  /* HTTP/2: at once on a connection */
    uint32_t h2_window;   /* HTTP/2: bytes of a request's body that may be on their way */
    uint32_t abuse_limit; /* HTTP/2: points of oddities; 0: none */
    bool h2c;             /* plain connections may begin with HTTP/2's preface */
    bool abort_on_close;  /* a client's FIN before the response begins ends the exchange */
};

/* The connection's owner, which embeds it. */
struct down_owner {
    const struct down_events *events;
    /* The settings for the next request; NULL: the listener was removed, close when idle. */
    const struct down_conf *(*conf)(struct down_conn *c);
    /* What the client speaks has turned out: c->codec->version. Told before its first request; not
     * of plain connections that cannot but speak HTTP/1. NULL: not of interest. */
    void (*on_protocol)(struct down_conn *c);
    /* The client has done something odd, of so many points. `ends`: that was too much, and what it
     * was; the connection ends. Told once. NULL: it goes on. */
    void (*on_odd)(struct down_conn *c, unsigned points, const char *ends);
    /* The last call about the connection. */
    void (*on_closed)(struct down_conn *c);
    /* The end of that turn: nothing refers to the object. */
    void (*on_free)(struct down_conn *c);
};

/* A protocol towards clients. */
struct down_codec {
    enum http_version version; /* the highest that it speaks; NONE: not known yet */
    /* The connection is open: the codec owns its events from now on. Out of memory: closes it. */
    void (*begin)(struct down_conn *c, const struct down_conf *conf);
    void (*drain)(struct down_conn *c);
    void (*abort)(struct down_conn *c);
    bool (*is_last)(const struct down_conn *c);
    bool (*idle)(const struct down_conn *c);
};

/* The owner reads the fields; down_conn.c and the codec write them. */
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
    bool draining; /* it is to end: see down_conn_drain */
    bool hurried;  /* down_conn_hurry has shortened the timer */
};

/* Memory for a connection, with the codec's part after struct down_conn; each codec asserts that it
 * fits. This is the size of an idle connection, so a request's state is in its exchange, and
 * anything large (an HTTP/2 session) behind a pointer. */
union down_place {
    struct down_conn c;
    char room[sizeof(struct down_conn) + 24];
};

/* Takes over an accepted connection (TLS handshake possibly under way); `c` is a zeroed down_place
 * of the owner, which must have settings. It may be closed (c->conn NULL) when this returns. */
void down_conn_begin(struct down_conn *c, struct conn *conn, struct batch *batch,
                     const struct down_owner *owner);

/* Called once: the next answer announces the close, unless more requests are known to have arrived.
 * An idle client has lame_duck for one more request, a new one (even in a handshake) at least
 * DOWN_CONN_FIRST_GRACE_NS for its first. The connection is read once more before it closes. */
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

/* No request will follow the running ones. */
static inline bool down_conn_is_last(const struct down_conn *c)
{
    return c->codec->is_last(c);
}

/* No exchange runs. */
static inline bool down_conn_idle(const struct down_conn *c)
{
    return c->codec->idle(c);
}

/* How long a new client of a leaving listener has for its first byte. */
static inline uint64_t down_conn_first_grace_ns(const struct down_conf *conf)
{
    return conf->lame_duck_ns > DOWN_CONN_FIRST_GRACE_NS ? conf->lame_duck_ns
                                                         : DOWN_CONN_FIRST_GRACE_NS;
}

/* ALPN names of the supported protocols, best first (weir_str). */
extern const struct weir_list down_protocols;

/* ---- for codecs ---- */

/* Ends the connection: the only place that closes it. No exchange runs: each has had its
 * on_close. */
void down_conn_close(struct down_conn *c, enum codec_end how);
/* Makes the timer fire in `delay_ns`, unless it does so earlier. */
void down_conn_hurry(struct down_conn *c, uint64_t delay_ns);

static inline struct loop *down_conn_loop(const struct down_conn *c)
{
    return c->conn->loop;
}

#endif
