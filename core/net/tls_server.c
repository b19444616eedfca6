/* SPDX-License-Identifier: MIT */
/*
 * TLS contexts towards servers: whom we trust, what we show of ourselves.
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

#include "net/conn_pool.h"
#include "net/tls_context.h"

#define CONTEXTS (WEIR_CONTEXT_POOL | WEIR_CONTEXT_SERVER)

static const struct weir_option rows[] = {
    WEIR_OPTION(struct tls_server_conf, verify, BOOLEAN, "on", CONTEXTS, WEIR_OPTION_RELOADABLE,
                "Whether the server's certificate is checked: its issuers, its time and its name."),
    WEIR_OPTION(struct tls_server_conf, ca, STRING, NULL, CONTEXTS,
                WEIR_OPTION_PATH | WEIR_OPTION_RELOADABLE,
                "PEM file with the authorities that are trusted. Without it: the system's."),
    WEIR_OPTION(struct tls_server_conf, name, STRING, NULL, CONTEXTS, WEIR_OPTION_RELOADABLE,
                "The name to ask for (SNI) and to find in the certificate. Without it: the host of "
                "the server's URL."),
    WEIR_OPTION(struct tls_server_conf, certificate, STRING, NULL, CONTEXTS,
                WEIR_OPTION_PATH | WEIR_OPTION_RELOADABLE,
                "PEM file with our own certificate, for servers that ask for one; then its "
                "issuers."),
    WEIR_OPTION(struct tls_server_conf, key, STRING, NULL, CONTEXTS,
                WEIR_OPTION_PATH | WEIR_OPTION_RELOADABLE,
                "PEM file with the private key of `certificate`."),
};

const struct weir_options tls_server_options = WEIR_OPTIONS(struct tls_server_conf, rows);

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
    /* OpenSSL does not say why it could not open it. */
    FILE *file = fopen(conf->ca.ptr, "re");
    if (file == NULL) {
        tls_report_mistake(report, &conf->ca, "cannot read the authorities %s: %s", conf->ca.ptr,
                           strerror(errno));
        return false;
    }
    fclose(file);
    if (SSL_CTX_load_verify_file(ctx, conf->ca.ptr) != 1) {
        tls_report_mistake(report, &conf->ca,
                           "%s has no certificate that can be read; PEM is expected: -----BEGIN "
                           "CERTIFICATE-----",
                           conf->ca.ptr);
        return false;
    }
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

SSL_CTX *tls_server_ctx_new(const struct tls_server_conf *conf, tls_place_fn place, void *arg,
                            struct mistakes *mistakes)
{
    static const unsigned char protocols[] = "\x08http/1.1";
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
    SSL_CTX_set_alpn_protos(ctx, protocols, sizeof(protocols) - 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, conn_tls_new_session);
    return ctx;
}
