/* SPDX-License-Identifier: MIT */
/*
 * Between codecs and streams. A codec turns a connection's bytes into events of an exchange (one
 * request and its response) and back; the stream that embeds the exchange joins a client's half
 * (`down`) and a server's half (`up`) and knows no protocol. Everything runs on one loop.
 *
 * Flow: both halves deliver slices that are valid for the call. The receiver takes each slice
 * whole, but may pause the half; the codec then keeps what it has read already (bounded by one
 * read) and reads no more until resumed.
 */
#ifndef HTTP_CODEC_H
#define HTTP_CODEC_H

#include "http/batch.h"
#include "http/message.h"

struct exchange;
struct down_conn;
struct up_conn;

/*
 * How much is read at once. What the other side's socket does not take must be kept, so reads are
 * small while the receiver is slow or not known to be fast: what one exchange holds then fits a 64
 * KiB buffer, with TLS and chunk framing. Large reads, which cost least, begin once the receiver
 * has taken more than any socket buffer holds without blocking.
 */
#define PACE_SMALL (60u * 1024)
#define PACE_TRUST (8u * 1024 * 1024)
/* While the receiver is known to take less than that: what is kept fits a 16 KiB buffer. */
#define PACE_NARROW (14u * 1024)

struct pace {
    uint32_t max;    /* size of the next read; 0: all of scratch */
    uint64_t passed; /* since the last refusal */
};

/* A new exchange, or the other side has blocked. */
static inline void pace_begin(struct pace *pace)
{
    pace->max = PACE_SMALL;
    pace->passed = 0;
}

static inline void pace_passed(struct pace *pace, size_t len)
{
    pace->passed += len;
    if (unlikely(pace->passed > PACE_TRUST)) {
        pace->max = 0;
    }
}

/* How to close a connection. */
enum codec_end {
    END_CLOSE,
    END_LINGER, /* pending output goes out and the peer gets time to read it */
    END_RESET,  /* a truncated message never passes for a whole one */
};

/* ---- the client's half ---- */

struct down;

/* A stream's operations on its client's half. After `end` or `reset` the codec closes the exchange
 * by events->on_close: at the end of the turn, or once the client has taken what waits. No event
 * comes from inside an operation, except on_gone from `look`. */
struct down_ops {
    /* A 1xx response; not for HTTP/1.0 clients (dropped). */
    void (*interim)(struct down *down, const struct http_response_head *head);
    /* The final response's head. The codec chooses the framing by head->body. `tunnel`: a 101 that
     * both sides agreed on; from here raw data passes both ways. */
    void (*head)(struct down *down, const struct http_response_head *head, bool tunnel);
    void (*data)(struct down *down, const char *data, size_t len);
    void (*trailer)(struct down *down, struct weir_str name, struct weir_str value);
    /* The response is complete. In a tunnel: the server has ended its side; the second call: it
     * takes no more. */
    void (*end)(struct down *down);
    /* Aborts the response visibly: RST, or a close without the last chunk. */
    void (*reset)(struct down *down);
    /* Pauses and resumes the request's body. */
    void (*pause)(struct down *down);
    void (*resume)(struct down *down);
    /* Asks the kernel whether the client is still there. false: on_gone has been called; other
     * exchanges of its connection hear of it later. */
    bool (*look)(struct down *down);
    /* Bytes of the response that wait for the client. What `data` was given is the caller's again:
     * it has been sent or copied. */
    size_t (*waiting)(struct down *down);
    /* Whether less than PACE_NARROW of the response could go out now. NULL: that is not known. */
    bool (*is_narrow)(struct down *down);
};

struct down {
    const struct down_ops *ops;
    struct exchange *exchange; /* NULL: between requests */
};

enum down_gone {
    DOWN_GONE_CLOSED,   /* the client reset its connection, or it broke */
    DOWN_GONE_TIMEOUT,  /* it did not send its body, or did not read, in time */
    DOWN_GONE_PROTOCOL, /* the body's framing is broken; exchange->error says how */
};

/* Events of the client's half. */
struct down_events {
    /* The first bytes of a request: creates an exchange, zeroed except its arena; the codec sets
     * exchange->down. NULL: out of memory. */
    struct exchange *(*on_open)(struct down_conn *c);
    /* exchange->request is complete (its body may follow). */
    void (*on_request)(struct exchange *exchange);
    /* The head was refused: exchange->error; the stream answers by ops->head. */
    void (*on_refused)(struct exchange *exchange);
    void (*on_data)(struct exchange *exchange, const char *data, size_t len);
    void (*on_trailer)(struct exchange *exchange, struct weir_str name, struct weir_str value);
    /* The request is complete. In a tunnel: the client has ended its side. */
    void (*on_request_end)(struct exchange *exchange);
    /* The data of one read was passed on and sent as far as the socket took it: the time to check
     * whether the other side keeps up. */
    void (*on_flushed)(struct exchange *exchange);
    /* The client's socket has taken what waited. */
    void (*on_drained)(struct exchange *exchange);
    /* No more from this client. The stream may still call ops->head..end when no head has gone out
     * (for 400 and 408; `why` PROTOCOL or TIMEOUT); with CLOSED only on_close follows. */
    void (*on_gone)(struct exchange *exchange, enum down_gone why);
    /* The last event: the exchange may be freed. `complete`: the whole response was handed to the
     * socket. */
    void (*on_close)(struct exchange *exchange, bool complete);
};

/* ---- the server's half ---- */

struct up;

/* A stream's operations on its server's half. No event comes from inside an operation. */
struct up_ops {
    /* Sends the request's head (exchange->request and the extras). false: out of memory, or it must
     * not go out; nothing was sent, and the stream releases the exchange. */
    bool (*head)(struct up *up, const struct http_extra *extra, size_t extra_count);
    void (*data)(struct up *up, const char *data, size_t len);
    void (*trailer)(struct up *up, struct weir_str name, struct weir_str value);
    void (*end)(struct up *up);
    void (*pause)(struct up *up);
    void (*resume)(struct up *up);
    size_t (*waiting)(struct up *up);
    /* Changes whenever the server has taken sent bytes; for occasional calls. */
    uint64_t (*taken_mark)(struct up *up);
    /* Releases the exchange: no more events. Other exchanges on the connection go on; without any
     * it is kept for the next request if its state allows, else closed. */
    void (*release)(struct up *up);
};

struct up {
    const struct up_ops *ops;
    struct exchange *exchange; /* NULL: idle */
    struct up_conn *connection;
};

enum up_failure {
    UP_RESET,     /* reset or closed without an answer */
    UP_STALE,     /* the same, on a connection that was used before */
    UP_MALFORMED, /* malformed: exchange->error */
    UP_TRUNCATED, /* truncated after the response began */
    UP_UNREAD,    /* as UP_RESET, and the server cannot have read a byte of the request */
    UP_REFUSED,   /* the server says that it has not looked at it */
    /* likewise, as the connection ends, or takes fewer at once than expected; others are served */
    UP_LEFT,
    UP_FOREIGN, /* the server speaks another protocol, and has not understood it */
    /* malformed answer on a connection that was used before: exchange->error */
    UP_STRAY,
    UP_OVERLONG, /* as UP_RESET, after a request head that is too long for many servers */
    UP_OVER,     /* a tunnel's server that had ended its side takes nothing any more */
};

struct up_events {
    void (*on_interim)(struct exchange *exchange, struct http_response_head *head);
    /* exchange->response is complete (its body may follow). */
    void (*on_response)(struct exchange *exchange);
    void (*on_data)(struct exchange *exchange, const char *data, size_t len);
    void (*on_trailer)(struct exchange *exchange, struct weir_str name, struct weir_str value);
    /* The response is complete. In a tunnel: the server has ended its side. */
    void (*on_response_end)(struct exchange *exchange);
    /* As down_events.on_flushed. */
    void (*on_flushed)(struct exchange *exchange);
    void (*on_drained)(struct exchange *exchange);
    /* The exchange has failed, and exchange->up is NULL. If its connection has failed, no exchange
     * can begin there any more: the stream may look for another connection at once. Exchanges that
     * have not had their event yet keep their `up`: they may be released meanwhile. */
    void (*on_failed)(struct exchange *exchange, enum up_failure why);
};

/* ---- shared by both ---- */

struct exchange {
    struct arena arena;
    struct http_request_head request;
    struct http_response_head response;
    struct http_error error;
    struct down *down; /* NULL after on_close */
    struct up *up;     /* NULL: none (yet, or any more) */
    void *serving;     /* private state of the client's codec, in the arena */

    /* counted by the client's codec, complete at on_close */
    uint64_t request_bytes; /* on the wire, heads and framing included */
    uint64_t response_bytes;
    uint64_t response_body_bytes;

    bool request_whole;  /* the request has been delivered completely */
    bool response_begun; /* ops->head was called */
    bool response_whole; /* ops->end was called */
};

#endif
