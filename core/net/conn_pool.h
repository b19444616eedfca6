/* SPDX-License-Identifier: MIT */
/*
 * What the connections of one loop share, and what the files conn*.c tell each other. Private to
 * core/net; everything belongs to the loop's thread.
 */
#ifndef NET_CONN_POOL_H
#define NET_CONN_POOL_H

#include <errno.h>

#include "net/conn.h"

/* Buffers' blocks come in these sizes: 1 KiB, 4, 16, 64, 256; larger ones from malloc. */
#define BUFFER_CLASSES    5u
#define BUFFER_CLASS_MIN  1024u
#define BUFFER_CLASS_KEPT (1024u * 1024) /* bytes of free ones, a class */
#define CONNS_KEPT        1024u          /* free struct conns */

/* TLS connections whose OpenSSL buffers stay between requests; see conn_tls_quiet. */
#define TLS_WARM_MAX 256u

/* Plain text of one record at most, and room for four whole ones on their way out: one send for
 * four costs 15 % less for large bodies than one for each; more gain nothing. */
#define TLS_RECORD_MAX   16384u
#define TLS_STAGING_SIZE (4u * (TLS_RECORD_MAX + 256))

/* Sockets that a loop closes in one turn: each costs some 10 us, and a server that goes may leave
 * thousands; the others have their turn between. One with much unread costs some 50 us, and counts
 * as several. */
#define CLOSES_A_TURN 16u
#define CLOSE_UNREAD  4u

/* How long after its last edge a connection in doubt is read once more. */
#define DOUBT_NS (NS_PER_SECOND / 2)

struct conn_pool {
    struct loop_part part;
    struct loop *loop;
    int connect_reserve; /* descriptors from this number on are not for conn_connect; 0: all are */
    struct list free_conns; /* by conn->doubt */
    size_t free_conn_count;
    struct conn_buffer *buffers[BUFFER_CLASSES]; /* free ones, each with the next in its data */
    size_t buffer_count[BUFFER_CLASSES];
    struct timer buffers_timer; /* while there are large ones above those that are kept */
    bool ending;                /* no timer is set any more */
    struct list doubts;         /* by conn->doubt */
    struct timer doubt_timer;
    struct list closing; /* by conn->doubt: closed for their owners, and not yet for their peers */
    struct task close_task;
    uint64_t closes_turn; /* loop->turn that `closes` counts for */
    unsigned closes;
    struct list lingering; /* oldest first */
    size_t lingering_count, lingering_most;
    uint64_t linger_most_ns; /* CONN_LINGER_MOST_NS; tests are less patient */
    /* TLS, made at first use: records on their way out of the connection that is being written, and
     * pieces on their way into one record. Invariant: staged is 0 outside conn_tls.c. */
    char *staging;
    char *gather;
    BIO *bio;              /* of all connections */
    struct conn *tls_conn; /* whose it is during a call of OpenSSL */
    size_t staged;
    size_t warm; /* connections with tls->warm */
    struct freed freed;
};

/* The loop's pool; NULL: no connection has been made there yet. It ends with the loop, and closes
 * then what lingers; all other connections must have been closed by their owners. */
static inline struct conn_pool *conn_pool_of(const struct loop *loop)
{
    return loop->parts[LOOP_PART_NET] != NULL
               ? container_of(loop->parts[LOOP_PART_NET], struct conn_pool, part)
               : NULL;
}

/* The same; made where there is none. NULL: no memory. */
struct conn_pool *conn_pool_get(struct loop *loop);
void conn_pool_close_lingering(struct conn_pool *pool);

/* A zeroed struct; NULL: no memory. */
struct conn *conn_pool_take(struct loop *loop);
void conn_pool_give(struct conn_pool *pool, struct conn *conn);

/* ---- conn_close.c ---- */

/* The end of a turn: closes those that had to wait, oldest first. */
void conn_close_some(struct task *task);

/* ---- conn_buffer.c ---- */

/* Appends, at least a byte; false: no memory, nothing was changed. */
bool buffer_append(struct conn_pool *pool, struct conn_buffer **buffer, const char *data,
                   size_t len);
/* Drops all, and gives the memory back. */
void buffer_release(struct conn_pool *pool, struct conn_buffer **buffer);
/* A step of giving back large ones. */
void buffers_step(struct timer *timer);
/* Frees the blocks that are kept. */
void buffers_free(struct conn_pool *pool);

/* ---- conn.c ---- */

/* Marks as broken for writing, and has on_readable called. */
void conn_fail_write(struct conn *conn, enum conn_error error);
enum conn_error conn_error_from_errno(int error);
/* Sends or keeps bytes as they are, behind what waits. Marks failures; false: broken. */
bool conn_send_raw(struct conn *conn, const char *data, size_t len);
/* The socket may have bytes, an end or an error. */
void conn_mark_readable(struct conn *conn);
/* Calls on_readable. The one place that does. */
void conn_tell_readable(struct conn *conn);
/* The socket was read short: it is empty, unless proved otherwise. */
void conn_doubt(struct conn *conn);
/* The end of opening, for good or ill: calls on_open, and on_readable where there may be bytes. */
void conn_opened(struct conn *conn, bool ok);

/* ---- conn_look.c ---- */

/* The socket's pending error (errno), which the kernel reports once; 0: none. */
int conn_socket_error(const struct conn *conn);

static inline bool conn_would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK;
}

/* ---- conn_tls.c ---- */

/* Begins as server. false: no memory. */
bool conn_tls_accept(struct conn *conn, SSL_CTX *ctx);
/* Prepares the client's side; the handshake begins with conn_tls_handshake. false: no memory. */
bool conn_tls_connect(struct conn *conn, const struct conn_tls_client *client);
/* Goes on with the handshake; ends in conn_opened. */
void conn_tls_handshake(struct conn *conn);
/* CONN_DATA: *got bytes. */
enum conn_result conn_tls_read(struct conn *conn, char *out, size_t room, size_t *got);
bool conn_tls_write(struct conn *conn, const struct iovec *iov, int count, size_t total);
/* Sends close_notify, or keeps it behind what waits. */
void conn_tls_shutdown(struct conn *conn);
/* The socket may have bytes. */
void conn_tls_edge(struct conn *conn);
/* Nothing came for a while: gives OpenSSL's buffers back. */
void conn_tls_quiet(struct conn *conn);
void conn_tls_free(struct conn *conn);
/* SSL_CTX_sess_set_new_cb of contexts towards servers: keeps it for conn_tls_session. */
int conn_tls_new_session(SSL *ssl, SSL_SESSION *session);

#endif
