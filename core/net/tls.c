/* SPDX-License-Identifier: MIT */
/*
 * TLS for listeners: a context for each certificate. Connections begin with the first, and change
 * to another one when the client has named it (SNI).
 *
 * What the callbacks of a handshake need (names, contexts, protocols) belongs to the first context
 * and goes with it: a connection may still be in its handshake when the generation that it came
 * with is gone.
 */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <weir/text.h>

#include "net/tls_context.h"
#include "net/tls_names.h"

#define CONTEXTS WEIR_CONTEXT_LISTENER

/* TLS 1.2: forward secrecy and authenticated encryption alone. */
#define DEFAULT_CIPHERS                                          \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
/* As OpenSSL's own, but the cheaper AES-128 first. */
#define DEFAULT_CIPHERSUITES \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519:P-256:P-384"

/* ---- options ---- */

static const struct weir_option certificate_rows[] = {
    WEIR_OPTION(struct tls_certificate_conf, chain, STRING, NULL, CONTEXTS,
                WEIR_OPTION_REQUIRED | WEIR_OPTION_PATH | WEIR_OPTION_RELOADABLE,
                "PEM file: the server's certificate first, then its issuers."),
    WEIR_OPTION(struct tls_certificate_conf, key, STRING, NULL, CONTEXTS,
                WEIR_OPTION_REQUIRED | WEIR_OPTION_PATH | WEIR_OPTION_RELOADABLE,
                "PEM file with the certificate's private key, not encrypted."),
};

static const struct weir_options certificate_options =
    WEIR_OPTIONS_TITLED(struct tls_certificate_conf, certificate_rows, name);

static const char *const versions[] = {"1.2", "1.3", NULL};

static const struct weir_option rows[] = {
    WEIR_OPTION_BLOCK(struct tls_listener_conf, certificates, "certificate", &certificate_options,
                      CONTEXTS, WEIR_OPTION_RELOADABLE,
                      "A certificate and its key. Of several the client's server name (SNI) "
                      "chooses; the first one serves all names that are in none."),
    WEIR_OPTION_ENUM(struct tls_listener_conf, minimum_version, versions, "1.2", CONTEXTS,
                     WEIR_OPTION_RELOADABLE, "The oldest supported version of TLS."),
    WEIR_OPTION(struct tls_listener_conf, ciphers, STRING, NULL, CONTEXTS,
                WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                "Cipher suites of TLS 1.2 in OpenSSL's notation, best first. Without it: ECDHE "
                "with AES-GCM or ChaCha20-Poly1305."),
    WEIR_OPTION(struct tls_listener_conf, ciphersuites, STRING, NULL, CONTEXTS,
                WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                "Cipher suites of TLS 1.3, separated by colons, best first. Without it: all three "
                "common ones, AES-128 first."),
    WEIR_OPTION_LIST(struct tls_listener_conf, alpn, STRING, "{\"h2\", \"http/1.1\", \"http/1.0\"}",
                     CONTEXTS, WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                     "Protocols offered to the client (ALPN), best first. A client that wants none "
                     "of them is refused."),
    WEIR_OPTION(struct tls_listener_conf, session_tickets, BOOLEAN, "on", CONTEXTS,
                WEIR_OPTION_RELOADABLE,
                "Whether clients may resume sessions, which saves most of a handshake's cost. The "
                "keys change every 12 hours and are never stored."),
    WEIR_OPTION_RANGE(struct tls_listener_conf, session_timeout, DURATION, "2h", "1s", "1d",
                      CONTEXTS, WEIR_OPTION_RELOADABLE, "How long a session can be resumed."),
    WEIR_OPTION_RANGE(struct tls_listener_conf, handshake_timeout, DURATION, "10s", "100ms", "10m",
                      CONTEXTS, WEIR_OPTION_RELOADABLE,
                      "Time for the whole handshake; then the connection is closed."),
};

const struct weir_options tls_listener_options = WEIR_OPTIONS(struct tls_listener_conf, rows);

/* ---- what handshakes read ---- */

struct choice {
    struct tls_names names;
    SSL_CTX **others; /* [0] is not owned: it owns us */
    size_t count;
    unsigned char *protocols; /* ALPN: length byte, name, ... */
    unsigned protocols_len;
    unsigned char certificates[SHA256_DIGEST_LENGTH]; /* a digest of them all */
};

struct tls_listener {
    SSL_CTX *ctx; /* the first certificate's; it owns `choice` */
    struct choice *choice;
    struct tls_certificate_info *infos;
    size_t count;
};

static int choice_index = -1;
static pthread_once_t choice_once = PTHREAD_ONCE_INIT;

static void choice_free(struct choice *choice)
{
    if (choice == NULL) {
        return;
    }
    for (size_t i = 1; i < choice->count; i++) {
        SSL_CTX_free(choice->others[i]);
    }
    free(choice->others);
    free(choice->protocols);
    tls_names_free(&choice->names);
    free(choice);
}

static void on_ctx_free(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number,
                        void *arg)
{
    (void)parent, (void)data, (void)index, (void)number, (void)arg;
    choice_free(pointer);
}

static void choice_index_make(void)
{
    choice_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_ctx_free);
}

/* The name in a ClientHello's server_name extension (RFC 6066 section 3); .len 0: there is none.
 * OpenSSL refuses what is malformed when it comes to it. */
static struct weir_str hello_name(SSL *ssl)
{
    const unsigned char *data = NULL;
    size_t len = 0;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &len) != 1 || len < 5 ||
        data[2] != TLSEXT_NAMETYPE_host_name) {
        return (struct weir_str){NULL, 0};
    }
    size_t name_len = (size_t)data[3] << 8 | data[4];
    return (struct weir_str){(const char *)data + 5, name_len <= len - 5 ? name_len : 0};
}

/*
 * Ties the session to what it may be resumed for: the same certificates, and the same server name.
 * In TLS 1.2 a session carries its name on, so resuming it for another one must not happen (RFC
 * 6066 section 3); OpenSSL compares the two only to tell the client. The connection's session
 * context is set before OpenSSL looks for a session, and a session of another context makes a whole
 * handshake.
 */
static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    const struct choice *choice = arg;
    unsigned char input[SHA256_DIGEST_LENGTH + 256], context[EVP_MAX_MD_SIZE];
    struct weir_str name = hello_name(ssl);
    size_t input_len = SHA256_DIGEST_LENGTH;
    unsigned len = 0;

    memcpy(input, choice->certificates, SHA256_DIGEST_LENGTH);
    for (size_t i = 0; name.len < 256 && i < name.len; i++) {
        input[input_len++] = (unsigned char)weir_lower(name.ptr[i]);
    }
    if (EVP_Digest(input, input_len, context, &len, EVP_sha256(), NULL) != 1 ||
        SSL_set_session_id_context(ssl, context, SSL_MAX_SID_CTX_LENGTH) != 1) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* A name without a certificate gets the first one: the client decides, and requests get 421. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const struct choice *choice = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    int index = name != NULL ? tls_names_find(&choice->names, str_from(name)) : -1;
    (void)alert;

    if (index > 0 && SSL_set_SSL_CTX(ssl, choice->others[index]) == NULL) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    return index >= 0 ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* RFC 7301 section 3.2: no common protocol is the end of the connection. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    const struct choice *choice = arg;
    unsigned char *selected;
    (void)ssl;

    if (SSL_select_next_proto(&selected, out_len, choice->protocols, choice->protocols_len, in,
                              in_len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = selected;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- building ---- */

static bool set_protocols(struct choice *choice, const struct tls_listener_conf *conf,
                          const struct weir_list *known, const struct tls_report *report)
{
    const struct weir_str *names = conf->alpn.items;
    const struct weir_str *words = known->items;

    for (size_t i = 0; i < conf->alpn.count; i++) {
        char list[128] = "";
        bool found = false;
        for (size_t k = 0; k < known->count; k++) {
            size_t at = strlen(list);
            snprintf(list + at, sizeof(list) - at, "%s%.*s", k > 0 ? ", " : "", STR_ARGS(words[k]));
            found = found || str_equal(names[i], words[k]);
        }
        for (size_t k = 0; k < i; k++) {
            if (str_equal(names[i], names[k])) {
                tls_report_mistake(report, &conf->alpn,
                                   "`alpn` has `%.*s` twice; take one of them away",
                                   STR_ARGS(names[i]));
                return false;
            }
        }
        if (!found) {
            tls_report_mistake(report, &conf->alpn,
                               "the protocol `%.*s` is unsupported; `alpn` takes %s",
                               STR_ARGS(names[i]), list);
            return false;
        }
    }
    choice->protocols = tls_alpn_wire(&conf->alpn, &choice->protocols_len);
    return true;
}

/* What is the same for all certificates of the listener. Mistakes are told once, for the first. */
static bool set_common(SSL_CTX *ctx, struct choice *choice, const struct tls_listener_conf *conf,
                       const struct tls_report *report, bool first)
{
    const char *ciphers = conf->ciphers.len > 0 ? conf->ciphers.ptr : DEFAULT_CIPHERS;
    const char *suites = conf->ciphersuites.len > 0 ? conf->ciphersuites.ptr : DEFAULT_CIPHERSUITES;
    bool ok = true;

    SSL_CTX_set_min_proto_version(ctx,
                                  conf->minimum_version == 1 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set1_groups_list(ctx, GROUPS);
    if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1) {
        ok = false;
        if (first) {
            tls_report_mistake(report, &conf->ciphers,
                               "`%s` names no cipher suite of TLS 1.2 (`openssl ciphers -v` lists "
                               "them)",
                               ciphers);
        }
    }
    if (SSL_CTX_set_ciphersuites(ctx, suites) != 1) {
        ok = false;
        if (first) {
            tls_report_mistake(report, &conf->ciphersuites,
                               "`%s` is not a list of cipher suites of TLS 1.3, such as %s", suites,
                               DEFAULT_CIPHERSUITES);
        }
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, (long)(conf->session_timeout / NS_PER_SECOND));
    if (conf->session_tickets) {
        /* A client keeps one connection: one ticket is what it needs. */
        SSL_CTX_set_num_tickets(ctx, 1);
        tls_tickets_use(ctx);
    } else {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
    }
    if (choice->protocols_len > 0) {
        SSL_CTX_set_alpn_select_cb(ctx, on_alpn, choice);
    }
    return ok;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm = {0};
    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static char *name_text(X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL, *text;

    if (bio == NULL) {
        return base_strdup("");
    }
    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    long len = BIO_get_mem_data(bio, &data);
    text = base_strndup(len > 0 ? data : "", len > 0 ? (size_t)len : 0);
    BIO_free(bio);
    return text;
}

static char *serial_text(X509 *certificate)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *hex = number != NULL ? BN_bn2hex(number) : NULL;
    char *text = base_strdup(hex != NULL ? hex : "");

    OPENSSL_free(hex);
    BN_free(number);
    return text;
}

static void fill_info(struct tls_certificate_info *info, const struct tls_certificate_conf *conf,
                      X509 *certificate)
{
    info->name = base_strndup(conf->name.len > 0 ? conf->name.ptr : "", conf->name.len);
    info->subject = name_text(X509_get_subject_name(certificate));
    info->issuer = name_text(X509_get_issuer_name(certificate));
    info->serial = serial_text(certificate);
    info->names = tls_names_text(certificate);
    info->not_before = seconds_of(X509_get0_notBefore(certificate));
    info->not_after = seconds_of(X509_get0_notAfter(certificate));
}

/* Sessions are bound to all certificates that the client could have seen, and to the name. */
static bool digest_certificates(const struct tls_listener *listener)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    unsigned char one[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    bool ok = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; ok && i < listener->count; i++) {
        const X509 *certificate = SSL_CTX_get0_certificate(listener->choice->others[i]);
        ok = X509_digest(certificate, EVP_sha256(), one, &len) == 1 &&
             EVP_DigestUpdate(digest, one, len) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(digest, listener->choice->certificates, &len) == 1;
    EVP_MD_CTX_free(digest);
    return ok;
}

/* The context of certificate `index`, in its place. */
static bool add_certificate(struct tls_listener *listener, const struct tls_listener_conf *conf,
                            unsigned index, const struct tls_report *report)
{
    const struct tls_certificate_conf *items = conf->certificates.items;
    struct choice *choice = listener->choice;
    SSL_CTX *ctx = tls_context_new(TLS_server_method(), report);

    if (ctx == NULL) {
        return false;
    }
    choice->others[index] = ctx;
    bool common = set_common(ctx, choice, conf, report, index == 0);
    if (!tls_context_load_pair(ctx, &items[index].chain, &items[index].key, report)) {
        return false;
    }
    X509 *certificate = SSL_CTX_get0_certificate(ctx);
    tls_names_add(&choice->names, certificate, index);
    fill_info(&listener->infos[index], &items[index], certificate);
    return common;
}

struct tls_listener *tls_listener_new(const struct tls_listener_conf *conf,
                                      const struct weir_list *known, tls_place_fn place, void *arg,
                                      struct mistakes *mistakes)
{
    struct tls_report report = {.place = place, .arg = arg, .mistakes = mistakes};
    size_t count = conf->certificates.count;

    pthread_once(&choice_once, choice_index_make);
    if (count == 0) {
        tls_report_mistake(&report, &conf->certificates,
                           "tls { } has no certificate; write certificate \"default\" { chain = "
                           "\"FILE\"  key = \"FILE\" }");
        return NULL;
    }
    struct tls_listener *listener = base_zalloc(sizeof(*listener));
    struct choice *choice = base_zalloc(sizeof(*choice));
    listener->choice = choice;
    listener->infos = base_zalloc(count * sizeof(*listener->infos));
    listener->count = count;
    choice->others = base_zalloc(count * sizeof(SSL_CTX *));
    choice->count = count;
    tls_names_init(&choice->names);
    bool ok = set_protocols(choice, conf, known, &report);
    for (size_t i = 0; i < count; i++) {
        ok = add_certificate(listener, conf, (unsigned)i, &report) && ok;
    }
    listener->ctx = choice->others[0];
    if (listener->ctx == NULL || SSL_CTX_set_ex_data(listener->ctx, choice_index, choice) != 1) {
        choice_free(choice);
        ok = false;
    }
    if (ok && !digest_certificates(listener)) {
        tls_report_mistake(&report, NULL, "cannot digest the certificates: %s",
                           tls_openssl_words());
        ok = false;
    }
    if (!ok) {
        tls_listener_free(&listener);
        return NULL;
    }
    SSL_CTX_set_client_hello_cb(listener->ctx, on_client_hello, choice);
    SSL_CTX_set_tlsext_servername_callback(listener->ctx, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(listener->ctx, choice);
    return listener;
}

void tls_listener_free(struct tls_listener **listener)
{
    struct tls_listener *l = *listener;

    if (l == NULL) {
        return;
    }
    *listener = NULL;
    for (size_t i = 0; i < l->count; i++) {
        const struct tls_certificate_info *info = &l->infos[i];
        const char *texts[] = {info->name, info->subject, info->issuer, info->serial, info->names};
        for (size_t k = 0; k < ARRAY_COUNT(texts); k++) {
            free((void *)(uintptr_t)texts[k]);
        }
    }
    free(l->infos);
    SSL_CTX_free(l->ctx);
    free(l);
}

SSL_CTX *tls_listener_ctx(struct tls_listener *listener)
{
    return listener->ctx;
}

size_t tls_listener_certificates(const struct tls_listener *listener,
                                 const struct tls_certificate_info **infos)
{
    *infos = listener->infos;
    return listener->count;
}

int tls_listener_certificate_for(const struct tls_listener *listener, struct weir_str name)
{
    return tls_names_find(&listener->choice->names, name);
}
