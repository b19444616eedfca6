/* SPDX-License-Identifier: MIT */
/*
 * TLS on a connection: OpenSSL behind a BIO of our own, which all connections of a loop share:
 * during a call of OpenSSL it belongs to that connection (enter), so an idle one has no BIO.
 *
 * Reading, the BIO receives as much as OpenSSL's read-ahead buffer takes, and after a short read it
 * says "retry" without a system call. Writing never blocks: records go into the loop's staging
 * memory, are sent together when OpenSSL returns, and what the socket refuses waits in conn->out,
 * encrypted already. So OpenSSL never has to be called again with the same bytes, and conn->out is
 * sent the same way for plain and TLS.
 *
 * OpenSSL's buffers (16 KiB and more, each way) stay while requests follow each other, on
 * TLS_WARM_MAX connections a loop; others give them back after each call, and quiet ones within a
 * second, with what they keep of the handshake.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>

#include "net/conn_pool.h"
#include "net/tls_context.h"

struct conn_tls {
    SSL *ssl;
    const char *error_words; /* OpenSSL's, static text */
    SSL_SESSION *session;    /* newest one for resumption; owned */
    enum conn_result end;    /* CONN_EOF or CONN_ERROR, found behind data; else CONN_DATA */
    bool client;
    bool socket_readable; /* the socket may have bytes */
    bool socket_eof;      /* FIN was read */
    bool blocked;         /* the BIO had nothing to read in this call */
    bool direct;          /* one record is written: it need not be staged */
    bool broken;          /* OpenSSL gave up on this connection */
    bool warm;            /* counted in pool->warm */
    bool forgotten;       /* see forget_handshake */
};

/* ---- the BIO ---- */

static BIO_METHOD *bio_method;
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static void staging_flush(struct conn *conn)
{
    struct conn_pool *pool = conn_pool_of(conn->loop);

    if (pool->staged > 0) {
        conn_send_raw(conn, pool->staging, pool->staged);
        pool->staged = 0;
    }
}

/* Always takes all; a broken connection shows as write_failed. */
static int bio_write(BIO *bio, const char *data, size_t len, size_t *written)
{
    struct conn_pool *pool = BIO_get_data(bio);
    struct conn *conn = pool->tls_conn;

    *written = len;
    if (conn->tls->direct || len > TLS_STAGING_SIZE) {
        staging_flush(conn);
        conn_send_raw(conn, data, len);
        return 1;
    }
    if (TLS_STAGING_SIZE - pool->staged < len) {
        staging_flush(conn);
    }
    memcpy(pool->staging + pool->staged, data, len);
    pool->staged += len;
    return 1;
}

static int bio_read(BIO *bio, char *out, size_t room, size_t *got)
{
    const struct conn_pool *pool = BIO_get_data(bio);
    struct conn *conn = pool->tls_conn;
    struct conn_tls *tls = conn->tls;
    ssize_t n;

    BIO_clear_retry_flags(bio);
    if (tls->socket_readable) {
        do {
            n = recv(conn->fd, out, room, 0);
        } while (unlikely(n < 0 && errno == EINTR));
        if (likely(n > 0)) {
            if (likely((size_t)n < room && !conn->eof_hint)) {
                tls->socket_readable = false;
                conn_doubt(conn);
            }
            *got = (size_t)n;
            return 1;
        }
        tls->socket_readable = false;
        if (n == 0) {
            tls->socket_eof = true;
        } else if (conn_would_block(errno)) {
            conn->eof_hint = false;
        } else {
            conn->error = conn_error_from_errno(errno);
            conn->write_failed = true;
        }
    }
    /* The owner hears of an end; OpenSSL does not, since it could not write any more. */
    tls->blocked = true;
    BIO_set_retry_read(bio);
    *got = 0;
    return -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

/* Lives as long as the process. */
static void bio_method_make(void)
{
    int type = BIO_get_new_index();

    if (type == -1) {
        return;
    }
    bio_method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "weir connection");
    if (bio_method != NULL) {
        BIO_meth_set_write_ex(bio_method, bio_write);
        BIO_meth_set_read_ex(bio_method, bio_read);
        BIO_meth_set_ctrl(bio_method, bio_ctrl);
    }
}

/* ---- opening ---- */

static bool pool_prepare(struct conn_pool *pool)
{
    if (pool->staging == NULL) {
        pool->staging = malloc(TLS_STAGING_SIZE);
    }
    if (pool->gather == NULL) {
        pool->gather = malloc(TLS_RECORD_MAX);
    }
    if (pool->bio == NULL && bio_method != NULL && (pool->bio = BIO_new(bio_method)) != NULL) {
        BIO_set_data(pool->bio, pool);
        BIO_set_init(pool->bio, 1);
    }
    return pool->staging != NULL && pool->gather != NULL && pool->bio != NULL;
}

/* Before each call that may read or write. */
static SSL *enter(struct conn *conn)
{
    conn_pool_of(conn->loop)->tls_conn = conn;
    return conn->tls->ssl;
}

/* conn->tls; what was made before a failure goes with conn_tls_free. */
static bool tls_new(struct conn *conn, SSL_CTX *ctx, bool client)
{
    struct conn_pool *pool = conn_pool_of(conn->loop);

    pthread_once(&bio_once, bio_method_make);
    if (!pool_prepare(pool)) {
        return false;
    }
    conn->tls = calloc(1, sizeof(*conn->tls));
    if (conn->tls == NULL) {
        return false;
    }
    conn->tls->client = client;
    conn->tls->error_words = "";
    conn->tls->end = CONN_DATA;
    conn->tls->ssl = SSL_new(ctx);
    if (conn->tls->ssl == NULL || BIO_up_ref(pool->bio) != 1) {
        ERR_clear_error();
        return false;
    }
    SSL_set_bio(conn->tls->ssl, pool->bio, pool->bio);
    return true;
}

bool conn_tls_accept(struct conn *conn, SSL_CTX *ctx)
{
    if (!tls_new(conn, ctx, false)) {
        return false;
    }
    SSL_set_accept_state(conn->tls->ssl);
    return true;
}

bool conn_tls_connect(struct conn *conn, const struct conn_tls_client *client)
{
    if (!tls_new(conn, client->ctx, true)) {
        return false;
    }
    SSL *ssl = conn->tls->ssl;
    SSL_set_connect_state(ssl);
    bool ok = true;
    if (client->name != NULL) {
        X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
        /* Names stand in subjectAltName alone (RFC 9525 section 2). */
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        /* An address is no SNI (RFC 6066 section 3), and stands in a certificate as such. */
        if (X509_VERIFY_PARAM_set1_ip_asc(param, client->name) != 1) {
            ok = X509_VERIFY_PARAM_set1_host(param, client->name, 0) == 1 &&
                 SSL_set_tlsext_host_name(ssl, client->name) == 1;
        }
    }
    if (client->session != NULL) {
        SSL_set_session(ssl, client->session);
    }
    if (client->alpn != NULL) {
        unsigned len = 0;
        unsigned char *wire = tls_alpn_wire(client->alpn, &len);
        ok = ok && SSL_set_alpn_protos(ssl, wire, len) == 0;
        free(wire);
    }
    ERR_clear_error();
    return ok;
}

SSL *conn_ssl(const struct conn *conn)
{
    return conn->tls != NULL ? conn->tls->ssl : NULL;
}

bool conn_is_shaking_hands(const struct conn *conn)
{
    char byte;

    return conn->opening && conn->tls != NULL &&
           (SSL_in_before(conn->tls->ssl) == 0 || recv(conn->fd, &byte, 1, MSG_PEEK) > 0);
}

const char *conn_tls_error(const struct conn *conn)
{
    return conn->tls != NULL ? conn->tls->error_words : "";
}

void conn_tls_edge(struct conn *conn)
{
    conn->tls->socket_readable = true;
}

/* ---- after each call of OpenSSL ---- */

/* Takes OpenSSL's error into conn->error and empties its queue. */
static void note_error(struct conn *conn)
{
    unsigned long code = ERR_peek_last_error();
    long verdict = SSL_get_verify_result(conn->tls->ssl);

    conn->tls->broken = true;
    if (conn->error == CONN_OK) {
        bool verify = conn->tls->client && verdict != X509_V_OK &&
                      ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED;
        bool alpn = ERR_GET_REASON(code) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL;
        conn->error = verify ? CONN_TLS_VERIFY : alpn ? CONN_ALPN : CONN_TLS;
        const char *words =
            verify ? X509_verify_cert_error_string(verdict) : ERR_reason_error_string(code);
        conn->tls->error_words = words != NULL ? words : "unknown error";
    }
    ERR_clear_error();
}

static void after_call(struct conn *conn)
{
    struct conn_pool *pool = conn_pool_of(conn->loop);

    staging_flush(conn);
    if (likely(conn->tls->warm)) {
        return;
    }
    if (pool->warm < TLS_WARM_MAX) {
        conn->tls->warm = true;
        pool->warm++;
        conn_doubt(conn); /* so that the sweep finds it when it is quiet */
    } else {
        SSL_free_buffers(conn->tls->ssl);
    }
}

/* Gives back what OpenSSL keeps of a finished handshake and never looks at again, as far as public
 * functions do so: both sides' ephemeral keys, of which ours is wiped, and the certificate chain.
 * Half a KiB. */
static void forget_handshake(struct conn_tls *tls)
{
    EVP_PKEY *keys[2] = {NULL, NULL};

    (void)SSL_get_tmp_key(tls->ssl, &keys[0]);
    (void)SSL_get_peer_tmp_key(tls->ssl, &keys[1]);
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        if (keys[i] != NULL) {
            EVP_PKEY_set_type(keys[i], EVP_PKEY_get_id(keys[i])); /* clears the key's data */
            EVP_PKEY_free(keys[i]);
        }
    }
    SSL_certs_clear(tls->ssl);
    ERR_clear_error();
    tls->forgotten = true;
}

void conn_tls_quiet(struct conn *conn)
{
    SSL_free_buffers(conn->tls->ssl);
    if (!conn->tls->forgotten && !conn->opening && !conn->tls->broken) {
        forget_handshake(conn->tls);
    }
    if (conn->tls->warm) {
        conn->tls->warm = false;
        conn_pool_of(conn->loop)->warm--;
    }
}

/* ---- handshake ---- */

void conn_tls_handshake(struct conn *conn)
{
    struct conn_tls *tls = conn->tls;

    tls->blocked = false;
    bool done = SSL_do_handshake(enter(conn)) == 1;
    if (!done && !tls->blocked) {
        note_error(conn);
    } else if (!done && tls->socket_eof && conn->error == CONN_OK) {
        conn->error = CONN_TLS;
        conn->tls->error_words = "the peer closed the connection during the handshake";
    }
    /* An alert goes out here, too. */
    after_call(conn);
    if (conn->error != CONN_OK) {
        conn->write_failed = true;
        conn_opened(conn, false);
    } else if (done) {
        conn->readable = tls->socket_readable || SSL_has_pending(conn->tls->ssl) == 1;
        conn_opened(conn, true);
    }
}

/* ---- reading ---- */

/* Why SSL_read returned nothing. */
static enum conn_result read_end(struct conn *conn)
{
    struct conn_tls *tls = conn->tls;

    if (!tls->blocked) {
        if ((SSL_get_shutdown(conn->tls->ssl) & SSL_RECEIVED_SHUTDOWN) != 0) {
            ERR_clear_error();
            return CONN_EOF;
        }
        note_error(conn);
        conn->write_failed = true;
        return CONN_ERROR;
    }
    if (conn->error != CONN_OK) {
        return CONN_ERROR;
    }
    if (tls->socket_eof) {
        conn->error = CONN_TRUNCATED;
        return CONN_ERROR;
    }
    return CONN_AGAIN;
}

enum conn_result conn_tls_read(struct conn *conn, char *out, size_t room, size_t *got)
{
    struct conn_tls *tls = conn->tls;
    size_t total = 0;
    enum conn_result result = tls->end;

    while (result == CONN_DATA && total < room) {
        size_t n;
        /* Nothing is buffered and the socket is empty: no need to ask OpenSSL. */
        if (total > 0 && !tls->socket_readable && SSL_has_pending(conn->tls->ssl) == 0) {
            break;
        }
        tls->blocked = false;
        if (SSL_read_ex(enter(conn), out + total, room - total, &n) == 1) {
            total += n;
        } else {
            result = read_end(conn);
        }
    }
    after_call(conn);
    if (result == CONN_EOF || result == CONN_ERROR) {
        tls->end = result;
    }
    if (total > 0) {
        *got = total;
        conn->readable = result != CONN_AGAIN && (result != CONN_DATA || tls->socket_readable ||
                                                  SSL_has_pending(conn->tls->ssl) == 1);
        return CONN_DATA;
    }
    conn->readable = false;
    conn->eof_seen = result == CONN_EOF;
    return result;
}

/* ---- writing ---- */

/* Fills one record from several pieces; `*index` and `*offset` move on. */
static size_t gather(struct conn_pool *pool, const struct iovec *iov, int count, int *index,
                     size_t *offset)
{
    size_t len = 0;

    while (*index < count && len < TLS_RECORD_MAX) {
        size_t left = iov[*index].iov_len - *offset;
        size_t take = left < TLS_RECORD_MAX - len ? left : TLS_RECORD_MAX - len;
        if (take > 0) {
            memcpy(pool->gather + len, (const char *)iov[*index].iov_base + *offset, take);
        }
        len += take;
        *offset += take;
        if (*offset == iov[*index].iov_len) {
            (*index)++;
            *offset = 0;
        }
    }
    return len;
}

/* Head and the body's first bytes share a record; long pieces are encrypted where they are. */
bool conn_tls_write(struct conn *conn, const struct iovec *iov, int count, size_t total)
{
    struct conn_tls *tls = conn->tls;
    struct conn_pool *pool = conn_pool_of(conn->loop);
    int index = 0;
    size_t offset = 0;
    bool ok = !tls->broken;

    tls->direct = total <= TLS_RECORD_MAX;
    while (ok && total > 0) {
        size_t left = iov[index].iov_len - offset;
        const char *data = (const char *)iov[index].iov_base + offset;
        size_t len = left, written;
        if (left == total || left >= TLS_RECORD_MAX) {
            index++;
            offset = 0;
        } else {
            len = gather(pool, iov, count, &index, &offset);
            data = pool->gather;
        }
        total -= len;
        ok = SSL_write_ex(enter(conn), data, len, &written) == 1;
    }
    tls->direct = false;
    if (!ok) {
        note_error(conn);
        conn_fail_write(conn, CONN_TLS);
    }
    after_call(conn);
    return !conn->write_failed;
}

void conn_tls_shutdown(struct conn *conn)
{
    if (conn->tls->broken || !SSL_is_init_finished(conn->tls->ssl)) {
        return;
    }
    conn->tls->direct = true;
    if (SSL_shutdown(enter(conn)) < 0) {
        ERR_clear_error();
    }
    conn->tls->direct = false;
}

/* ---- the end ---- */

void conn_tls_free(struct conn *conn)
{
    struct conn_tls *tls = conn->tls;

    if (tls->ssl != NULL) {
        if (!tls->broken && SSL_is_init_finished(tls->ssl)) {
            /* OpenSSL discards a session whose connection ended without close_notify. */
            SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        }
        SSL_free(tls->ssl);
    }
    if (tls->warm) {
        conn_pool_of(conn->loop)->warm--;
    }
    SSL_SESSION_free(tls->session);
    free(tls);
    conn->tls = NULL;
}

int conn_tls_new_session(SSL *ssl, SSL_SESSION *session)
{
    const struct conn_pool *pool = BIO_get_data(SSL_get_rbio(ssl));
    struct conn *conn = pool->tls_conn;

    SSL_SESSION_free(conn->tls->session);
    conn->tls->session = session;
    return 1;
}

SSL_SESSION *conn_tls_session(struct conn *conn)
{
    SSL_SESSION *session = NULL;

    if (conn->tls != NULL) {
        session = conn->tls->session;
        conn->tls->session = NULL;
    }
    return session;
}
