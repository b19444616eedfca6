/* SPDX-License-Identifier: MIT */
/*
 * A connection: one stream socket, plain or TLS, on one loop. It is registered once,
 * edge-triggered, for reading and writing. Output that the socket does not take is buffered; input
 * that the owner cannot use yet is kept on request (conn_keep). An idle connection holds no buffer.
 *
 * Reading: on_readable is called when there may be something to read; the owner calls conn_read
 * until it says CONN_AGAIN, or stops earlier and calls conn_resume_read when it wants to go on
 * (edge-triggered: nothing reminds it otherwise). on_readable may come without need.
 *
 * A short read means that the socket is empty, and no second call is made to hear so. Two things
 * break this. A FIN that came with the data: EPOLLRDHUP has told of it (eof_hint), and reading goes
 * on to the end. A RST (or urgent data) that came with the data: libevent does not tell of it and
 * no edge comes again; such a connection is in doubt, and half a second after its last edge it is
 * read once more.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <event2/event_struct.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "net/loop.h"

#define CONN_MAGIC 0xc07u

enum conn_result {
    CONN_DATA,  /* bytes were received */
    CONN_AGAIN, /* none now; on_readable will say */
    CONN_EOF,   /* the peer ended its side (TLS: with close_notify) */
    CONN_ERROR, /* reset, or TLS cut off without close_notify or broken; conn->error says */
};

struct conn;

/* The owner's callbacks, all on the loop. The owner may close the connection inside any of them. */
struct conn_ops {
    /* There may be something to read. */
    void (*on_readable)(struct conn *conn);
    /* The pending output was written: conn_waiting is 0 again. */
    void (*on_drained)(struct conn *conn);
    /* connect and TLS handshake are done (`ok`), or failed: conn->error says why; close it. */
    void (*on_open)(struct conn *conn, bool ok);
    /* Nothing has come for half a second or longer; once after each time that something has. Memory
     * may be given back, nothing else be done. NULL: nobody asks. */
    void (*on_quiet)(struct conn *conn);
};

/* Why a connection failed, for reasons and counters. */
enum conn_error {
    CONN_OK = 0,
    CONN_REFUSED,
    CONN_RESET,
    CONN_TIMED_OUT,
    CONN_UNREACHABLE,
    CONN_NO_MEMORY,  /* also the kernel's, for sockets */
    CONN_TLS,        /* handshake or record failure; conn_tls_error has OpenSSL's words */
    CONN_TLS_VERIFY, /* the peer's certificate */
    CONN_ALPN,       /* the peer speaks none of the protocols that we offer */
    CONN_TRUNCATED,  /* TLS ended without close_notify */
    CONN_NO_PORT,    /* no local port is free towards this address */
    CONN_NO_DESCRIPTOR,
    CONN_BACKLOG, /* a Unix socket whose owner accepts too slowly */
    CONN_OTHER,
};

/* Bytes that wait, in a block with room for `size`. Invariant: 0 <= head < tail <= size. */
struct conn_buffer {
    size_t head, tail, size;
    char data[];
};

/* There may be tens of thousands of idle ones: rarely needed state is behind a pointer, and half of
 * the rest is libevent's. */
struct conn {
    uint32_t magic : 12;
    uint32_t error : 4;           /* enum conn_error */
    uint32_t opening : 1;         /* connect or handshake under way */
    uint32_t connecting : 1;      /* of the two, connect */
    uint32_t readable : 1;        /* there may be bytes: 0 after a short read */
    uint32_t writable : 1;        /* 0 after a refused write */
    uint32_t write_failed : 1;    /* nothing more can be sent */
    uint32_t eof_seen : 1;        /* the peer's end was read */
    uint32_t fin_first : 1;       /* a reset came behind the peer's end */
    uint32_t eof_hint : 1;        /* the kernel has said that an end is there (EPOLLRDHUP) */
    uint32_t shutdown_sent : 1;   /* our side has ended */
    uint32_t shutdown_wanted : 1; /* after the pending output */
    uint32_t ending : 1;          /* our FIN follows what is written now */
    uint32_t offer_kept : 1; /* the next conn_read returns the kept bytes without a system call */
    uint32_t edge_seen : 1;  /* since the last sweep over the doubtful */
    uint32_t torn : 1;       /* some input was lost: what comes behind it is not read */
    int fd;                  /* -1: closed */
    struct loop *loop;
    const struct conn_ops *ops;
    void *owner;
    struct conn_tls *tls; /* NULL: plain; conn_tls.c's */
    struct event event;
    struct conn_buffer *in;  /* kept by conn_keep; NULL: nothing */
    struct conn_buffer *out; /* pending output; NULL: none */
    union {
        struct task resume; /* conn_resume_read */
        struct freed freed; /* closed: do not resume */
    };
    struct list doubt;       /* in the pool's doubts, or among those to close */
    uint64_t received, sent; /* bytes of the stream; with TLS: of its content */
    uint64_t taken;          /* bytes that the kernel took; with TLS: of its records */
};

/* Takes over an accepted socket (non-blocking). With `ctx` a TLS handshake begins, and on_open
 * reports its end; else the connection is open. No callback inside this call. NULL: out of memory,
 * the socket was closed. */
struct conn *conn_accept(struct loop *loop, int fd, SSL_CTX *ctx, const struct conn_ops *ops,
                         void *owner);

/* Descriptors from this number on are not for conn_connect on this loop. false: out of memory. */
bool conn_set_reserve(struct loop *loop, int from);

/* TLS towards a server. */
struct conn_tls_client {
    SSL_CTX *ctx;
    const char *name;     /* SNI and host to check; NULL: neither */
    SSL_SESSION *session; /* to resume; may be NULL; stays the caller's */
    /* Names to offer by ALPN (weir_str), whatever the context does; NULL: as the context does. */
    const struct weir_list *alpn;
};

/* Begins to connect; on_open reports the end, never inside this call. Nothing may be written
 * before. NULL: a failure of our own (conn_error_is_own) in *error. Timeouts are the owner's. */
struct conn *conn_connect(struct loop *loop, const struct sockaddr *address, socklen_t address_len,
                          const struct conn_tls_client *tls, const struct conn_ops *ops,
                          void *owner, enum conn_error *error);

/* Bytes to send before everything else, even TLS, once connected: a PROXY header. Only right after
 * conn_connect. false: out of memory. */
bool conn_preface(struct conn *conn, const char *data, size_t len);

/* Hands the connection to another owner. */
void conn_set_owner(struct conn *conn, const struct conn_ops *ops, void *owner);

/*
 * Receives into the loop's scratch, behind what was kept. On CONN_DATA `*data`, `*len` is all of
 * it, valid until the next conn_read on this loop and no longer than on_readable runs; the owner
 * uses what it can and calls conn_keep with the rest (also with the whole, to wait for more). On
 * CONN_EOF and CONN_ERROR `*len` is 0 and what was kept stays kept. Reads at most `max` bytes (0:
 * LOOP_READ_MOST).
 *
 * What is kept alone is given again only once after each conn_resume_read; otherwise only together
 * with something new. CONN_EOF and CONN_ERROR repeat.
 */
enum conn_result conn_read(struct conn *conn, char **data, size_t *len, size_t max);

/* Keeps the unused tail of what conn_read gave. Copies. `len` 0 frees the buffer. Above
 * LOOP_READ_MOST it is a programming error. Out of memory conn_read tells an error from then on. */
void conn_keep(struct conn *conn, const char *data, size_t len);

/* Kept bytes. */
static inline size_t conn_kept(const struct conn *conn)
{
    return conn->in != NULL ? conn->in->tail - conn->in->head : 0;
}

/* The first of them; valid until conn_read or conn_keep. NULL: nothing is kept. */
static inline const char *conn_kept_data(const struct conn *conn)
{
    return conn->in != NULL ? conn->in->data + conn->in->head : NULL;
}

/* Calls on_readable at the end of the turn if there may be something: kept bytes, a socket not
 * known to be empty, an end or an error. */
void conn_resume_read(struct conn *conn);

/* Writes what the socket takes, after pending output, and buffers a copy of the rest. Errors show
 * as conn->error and on_readable at the end of the turn (what the peer had sent can still be read);
 * false: the connection is broken, nothing more will be sent. Not before the connection is open,
 * nor after conn_shutdown. */
bool conn_write(struct conn *conn, const struct iovec *iov, int count);

/* Bytes of pending output (TLS: of its records). */
static inline size_t conn_waiting(const struct conn *conn)
{
    return conn->out != NULL ? conn->out->tail - conn->out->head : 0;
}

/* What is written from now on is the last: the kernel may hold the last packet until our FIN, which
 * then shares it. conn_shutdown, conn_close or conn_close_lingering follows as soon as all is
 * written. */
void conn_write_last(struct conn *conn);

/* A value that changes whenever the peer has taken (on TCP: acknowledged) sent bytes: the kernel
 * buffers megabytes for a slow peer and reports room only when a third is free. A system call; for
 * occasional use. */
uint64_t conn_taken_mark(const struct conn *conn);

/* Ends our side after pending output is sent (TLS: close_notify; then FIN). Reading goes on. */
void conn_shutdown(struct conn *conn);

/* Closes and drops pending output. `*conn` becomes NULL, no callback follows, memory is freed at
 * the end of a turn. With `reset` the peer gets RST, so that a truncated body never passes for a
 * complete one; without, TLS sends close_notify if everything was sent. If many close in one turn,
 * some sockets are closed in one of the next turns. */
void conn_close(struct conn **conn, bool reset);
/* Closes one of those sockets for its descriptor. false: there is none. */
bool conn_close_waiting(struct loop *loop);

/* Hands over the connection to close gracefully (RFC 9112 section 9.6): pending output is sent,
 * then FIN; further input is read and dropped, so that no RST destroys the last answer before the
 * peer has read it. Closed at the peer's FIN, after CONN_LINGER_NS without input, after
 * CONN_LINGER_MOST_NS, or when too many linger (conn_linger_most). No callback follows. */
#define CONN_LINGER_NS      (2 * NS_PER_SECOND)
#define CONN_LINGER_MOST_NS (30 * NS_PER_SECOND)
void conn_close_lingering(struct conn **conn);
/* Whether conn_close does as well, towards a peer that has promised to send nothing more: all was
 * sent, and nothing has come that was not read, so the kernel sends FIN behind the last answer, and
 * no RST. A byte that comes later would break the promise; the peer's FIN alone brings no RST.
 * Never with TLS, where the peer's close_notify is still to come. No system call. */
bool conn_closes_cleanly(struct conn *conn);
/* The most lingering connections per loop: a share of the descriptors. */
size_t conn_linger_most(void);
/* Lingering connections of the loop. */
size_t conn_lingering(const struct loop *loop);

/* Calls on_readable, where conn_read asks the socket: it may have something of which no event has
 * told yet. */
void conn_look_again(struct conn *conn);

/* Whether a TLS handshake is under way of which the peer has sent something. May ask the kernel. */
bool conn_is_shaking_hands(const struct conn *conn);

/* Asks the kernel for what it may not have reported yet: a reset (write_failed), or the peer's FIN
 * (eof_hint). */
void conn_look_at_peer(struct conn *conn);

/* Whether the peer has reset the connection (or it broke otherwise), without reading: for an owner
 * that must not read now. A system call. */
bool conn_is_broken(struct conn *conn);

/* Whether there is no unread input. What the loop has found in this turn counts, even before
 * on_readable, and costs nothing; with `ask`, asks the kernel too. TLS's own records are read on
 * the way. false: close it. */
bool conn_is_quiet(struct conn *conn, bool ask);

/* True when nothing is amiss: open, nothing kept or waiting, nothing to read, no end seen. For idle
 * upstream ones. */
bool conn_is_idle_clean(const struct conn *conn);

/* Whether the peer cannot have read a byte of what the kernel took since `since` (a value of
 * conn->taken), now that the connection has ended: none was taken, or the peer had ended its side
 * before its kernel got any. The latter is known of TCP where the end came as a FIN (also one with
 * a RST behind it): its acknowledgement tells what had arrived. A RST alone tells nothing. Asks the
 * kernel. */
bool conn_unread(const struct conn *conn, uint64_t since);

/* OpenSSL's connection, for queries; NULL: plain. */
SSL *conn_ssl(const struct conn *conn);

/* OpenSSL's error text, static; "": none, or plain. */
const char *conn_tls_error(const struct conn *conn);

/* The newest session that the server has given for resumption, since the last call; the caller
 * frees it (SSL_SESSION_free). NULL: none, or plain. TLS 1.3 servers send it behind the handshake:
 * ask when the connection is done with. Each is for one connection: OpenSSL does not resume it
 * again (TLS 1.3). */
SSL_SESSION *conn_tls_session(struct conn *conn);

const char *conn_error_word(enum conn_error error); /* "refused", "reset", ... */

/* It failed for lack of our own resources, which says nothing about the peer. */
bool conn_error_is_own(enum conn_error error);
/* The remedy for an error of our own, to append: "; raise the limit ..."; else "". */
const char *conn_error_advice(enum conn_error error);

#endif
