/* SPDX-License-Identifier: MIT */
/*
 * TLS contexts towards servers: trusted authorities and the client certificate.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_open.h"
#include "net/conn_pool.h"
#include "net/tls_context.h"

#define CONTEXTS (WEIR_CONTEXT_POOL | WEIR_CONTEXT_SERVER)

static const struct weir_option rows[] = {
    WEIR_OPTION(struct tls_server_conf, verify, BOOLEAN, "on", CONTEXTS, WEIR_OPTION_RELOADABLE,
                "Whether the server's certificate is checked: its issuers, its time and its name."),
    WEIR_OPTION(struct tls_server_conf, ca, STRING, NULL, CONTEXTS,
                WEIR_OPTION_PATH | WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                "PEM file with the authorities that are trusted. Without it: the system's."),
    WEIR_OPTION(struct tls_server_conf, name, STRING, NULL, CONTEXTS,
                WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                "The name to ask for (SNI) and to find in the certificate. Without it: the host of "
                "the server's URL."),
    WEIR_OPTION(struct tls_server_conf, certificate, STRING, NULL, CONTEXTS,
                WEIR_OPTION_PATH | WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                "PEM file with our own certificate, for servers that ask for one; then its "
                "issuers."),
    WEIR_OPTION(struct tls_server_conf, key, STRING, NULL, CONTEXTS,
                WEIR_OPTION_PATH | WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                "PEM file with the private key of `certificate`."),
};

const struct weir_options tls_server_options = WEIR_OPTIONS(struct tls_server_conf, rows);

/* OpenSSL parses a certificate's extensions on first use, behind a lock; do it now, since the
 * workers share these certificates. */
static void read_extensions(SSL_CTX *ctx)
{
    const STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        if (certificate != NULL) {
            X509_check_purpose(certificate, -1, 0);
        }
    }
    ERR_clear_error(); /* a bad one is told when a server shows what it signed */
}

static bool load_trust(SSL_CTX *ctx, const struct tls_server_conf *conf,
                       const struct tls_report *report)
{
    if (!conf->verify) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
        return true;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (conf->ca.len == 0) {
        SSL_CTX_set_default_verify_paths(ctx);
        ERR_clear_error();
        return true;
    }
    /* OpenSSL does not say why it could not open it, and would wait for a FIFO. */
    const char *why;
    int fd = file_open(conf->ca.ptr, &why);
    if (fd == -1) {
        tls_report_mistake(report, &conf->ca, "cannot read the authorities %s: %s", conf->ca.ptr,
                           why);
        return false;
    }
    close(fd);
    if (SSL_CTX_load_verify_file(ctx, conf->ca.ptr) != 1) {
        tls_report_mistake(report, &conf->ca,
                           "%s has no certificate that can be read; PEM is expected: -----BEGIN "
                           "CERTIFICATE-----",
                           conf->ca.ptr);
        return false;
    }
    read_extensions(ctx);
    return true;
}

static bool load_own(SSL_CTX *ctx, const struct tls_server_conf *conf,
                     const struct tls_report *report)
{
    if (conf->certificate.len == 0 && conf->key.len == 0) {
        return true;
    }
    if (conf->key.len == 0) {
        tls_report_mistake(report, &conf->certificate,
                           "`certificate` stands without `key`; a client certificate needs both");
        return false;
    }
    if (conf->certificate.len == 0) {
        tls_report_mistake(report, &conf->key,
                           "`key` stands without `certificate`; a client certificate needs both");
        return false;
    }
    return tls_context_load_pair(ctx, &conf->certificate, &conf->key, report);
}

/* ---- what a context was made from, as a text that hangs on it ---- */

static void free_identity(void *parent, void *text, CRYPTO_EX_DATA *data, int index, long argl,
                          void *argp)
{
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    free(text);
}

static int identity_index(void)
{
    static int index = -1; /* control thread */
    if (index == -1) {
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_identity);
    }
    return index;
}

static char *add_file(char *text, struct weir_str path)
{
    struct stat status = {0};
    if (path.len > 0) {
        stat(path.ptr, &status); /* it could be read a moment ago; if not, the two differ */
    }
    char *longer =
        base_printf("%s %.*s:%llu:%llu:%lld.%ld", text, STR_ARGS(path),
                    (unsigned long long)status.st_ino, (unsigned long long)status.st_size,
                    (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    free(text);
    return longer;
}

/* `alpn` ends with a NUL. */
static void set_identity(SSL_CTX *ctx, const struct tls_server_conf *conf,
                         const unsigned char *alpn)
{
    char *text = base_printf("%d %s %.*s", conf->verify, (const char *)alpn, STR_ARGS(conf->name));
    text = add_file(text, conf->ca);
    text = add_file(text, conf->certificate);
    text = add_file(text, conf->key);
    if (SSL_CTX_set_ex_data(ctx, identity_index(), text) != 1) {
        free(text);
    }
}

bool tls_server_ctx_equal(const SSL_CTX *a, const SSL_CTX *b)
{
    const char *x = a != NULL ? SSL_CTX_get_ex_data(a, identity_index()) : NULL;
    const char *y = b != NULL ? SSL_CTX_get_ex_data(b, identity_index()) : NULL;
    return x != NULL && y != NULL && strcmp(x, y) == 0;
}

SSL_CTX *tls_server_ctx_new(const struct tls_server_conf *conf, const struct weir_list *alpn,
                            tls_place_fn place, void *arg, struct mistakes *mistakes)
{
    struct tls_report report = {.place = place, .arg = arg, .mistakes = mistakes};
    SSL_CTX *ctx = tls_context_new(TLS_client_method(), &report);

    if (ctx == NULL) {
        return NULL;
    }
    /* Both, so that one run tells the mistakes of both. */
    bool trust = load_trust(ctx, conf, &report);
    bool own = load_own(ctx, conf, &report);
    if (!trust || !own) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    unsigned wire_len = 0;
    unsigned char *wire = tls_alpn_wire(alpn, &wire_len);
    SSL_CTX_set_alpn_protos(ctx, wire, wire_len);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, conn_tls_new_session);
    set_identity(ctx, conf, wire);
    free(wire);
    return ctx;
}
