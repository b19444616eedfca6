/* SPDX-License-Identifier: MIT */
/*
 * TLS contexts in general: their common settings, and certificates and keys from PEM files.
 */
#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file_open.h"
#include "base/log.h"

/* What one recv may bring: several records of a large upload. Only touched as far as it is
 * filled. */
#define READ_BUFFER_LEN (size_t)(4 * (16384 + 256) + 8)

void tls_report_mistake(const struct tls_report *report, const void *field, const char *format, ...)
{
    struct place place = {0};
    va_list args;

    if (report->place != NULL) {
        place = report->place(report->arg, field);
    }
    va_start(args, format);
    mistakes_vadd(report->mistakes, place, format, args);
    va_end(args);
    ERR_clear_error();
}

const char *tls_openssl_words(void)
{
    const char *words = ERR_reason_error_string(ERR_peek_last_error());
    return words != NULL ? words : "unknown error";
}

SSL_CTX *tls_context_new(const SSL_METHOD *method, const struct tls_report *report)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    if (ctx == NULL) {
        tls_report_mistake(report, NULL, "cannot make a TLS context: %s", tls_openssl_words());
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* No SSL_MODE_RELEASE_BUFFERS: conn_tls.c releases them when a connection is quiet, not between
     * the requests of a busy one. */
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, READ_BUFFER_LEN);
    return ctx;
}

static BIO *open_file(const struct weir_str *path, const char *what,
                      const struct tls_report *report)
{
    const char *why;
    int fd = file_open(path->ptr, &why);
    FILE *file = fd != -1 ? fdopen(fd, "r") : NULL;
    BIO *bio = file != NULL ? BIO_new_fp(file, BIO_CLOSE) : NULL;

    if (bio == NULL) {
        if (file != NULL) {
            fclose(file);
        } else if (fd != -1) {
            close(fd);
        }
        tls_report_mistake(report, path, "cannot read %s %s: %s", what, path->ptr,
                           fd == -1 ? why : "there is no memory left");
    }
    return bio;
}

static bool at_end_of_pem(void)
{
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

/* The certificates of a file, the leaf first. NULL: told. */
static STACK_OF(X509) * load_chain(const struct weir_str *path, const struct tls_report *report)
{
    BIO *bio = open_file(path, "certificate", report);
    STACK_OF(X509) *chain = bio != NULL ? sk_X509_new_null() : NULL;
    X509 *certificate;

    if (chain == NULL) {
        BIO_free(bio);
        return NULL;
    }
    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(chain, certificate) == 0) {
            X509_free(certificate);
            break;
        }
    }
    BIO_free(bio);
    bool whole = at_end_of_pem();
    if (whole && sk_X509_num(chain) > 0) {
        ERR_clear_error();
        return chain;
    }
    if (whole) {
        tls_report_mistake(report, path,
                           "%s has no certificate; PEM is expected: -----BEGIN CERTIFICATE-----",
                           path->ptr);
    } else {
        tls_report_mistake(report, path, "certificate %d of %s is broken: %s",
                           sk_X509_num(chain) + 1, path->ptr, tls_openssl_words());
    }
    sk_X509_pop_free(chain, X509_free);
    return NULL;
}

/* OpenSSL asks for a passphrase, which nobody can enter. */
static int on_passphrase(char *out, int size, int writing, void *encrypted)
{
    (void)out;
    (void)size;
    (void)writing;
    *(bool *)encrypted = true;
    return -1;
}

/* OpenSSL reports a missing key and an unreadable one the same way. */
static bool names_a_key(BIO *bio)
{
    char line[128];
    bool found = false;

    if (BIO_seek(bio, 0) < 0) {
        return false;
    }
    while (!found && BIO_gets(bio, line, sizeof(line)) > 0) {
        found = strncmp(line, "-----BEGIN ", 11) == 0 && strstr(line, "PRIVATE KEY") != NULL;
    }
    return found;
}

static EVP_PKEY *load_key(const struct weir_str *path, const struct tls_report *report)
{
    bool encrypted = false;
    BIO *bio = open_file(path, "key", report);

    if (bio == NULL) {
        return NULL;
    }
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &encrypted);
    if (key == NULL && encrypted) {
        tls_report_mistake(report, path,
                           "key %s is encrypted; store it decrypted (`openssl pkey -in %s`), "
                           "readable for this program alone",
                           path->ptr, path->ptr);
    } else if (key == NULL && !names_a_key(bio)) {
        tls_report_mistake(report, path,
                           "%s has no private key; PEM is expected: -----BEGIN PRIVATE KEY-----",
                           path->ptr);
    } else if (key == NULL) {
        tls_report_mistake(report, path, "key %s is broken: %s", path->ptr, tls_openssl_words());
    }
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

static bool check_pair(STACK_OF(X509) * chain, EVP_PKEY *pkey, const struct weir_str *chain_path,
                       const struct weir_str *key_path, const struct tls_report *report)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (X509_check_private_key(sk_X509_value(chain, i), pkey) != 1) {
            continue;
        }
        ERR_clear_error();
        if (i == 0) {
            return true;
        }
        tls_report_mistake(report, chain_path,
                           "%s has the certificate of key %s in place %d; it must come first, then "
                           "its issuers",
                           chain_path->ptr, key_path->ptr, i + 1);
        return false;
    }
    tls_report_mistake(report, key_path, "key %s does not belong to certificate %s", key_path->ptr,
                       chain_path->ptr);
    return false;
}

/* An expired certificate still serves: clocks differ, and a renewal may be under way. */
static void warn_of_time(const X509 *leaf, const struct weir_str *path,
                         const struct tls_report *report)
{
    struct place place =
        report->place != NULL ? report->place(report->arg, path) : (struct place){0};
    const char *file = place.file != NULL ? place.file : "configuration";

    if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0) {
        log_write(WEIR_LOG_WARNING, "tls", "%s:%u: certificate %s has expired", file, place.line,
                  path->ptr);
    } else if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0) {
        log_write(WEIR_LOG_WARNING, "tls", "%s:%u: certificate %s is not valid yet", file,
                  place.line, path->ptr);
    }
}

bool tls_context_load_pair(SSL_CTX *ctx, const struct weir_str *chain_path,
                           const struct weir_str *key_path, const struct tls_report *report)
{
    if (chain_path->len == 0 || key_path->len == 0) {
        return false; /* its value could not be read, which has been told */
    }
    STACK_OF(X509) *chain = load_chain(chain_path, report);
    EVP_PKEY *key = load_key(key_path, report);
    bool ok = chain != NULL && key != NULL && check_pair(chain, key, chain_path, key_path, report);

    if (ok) {
        X509 *leaf = sk_X509_shift(chain);
        warn_of_time(leaf, chain_path, report);
        ok = SSL_CTX_use_cert_and_key(ctx, leaf, key, chain, 1) == 1;
        if (!ok) {
            tls_report_mistake(report, chain_path, "certificate %s cannot be used: %s",
                               chain_path->ptr, tls_openssl_words());
        }
        X509_free(leaf);
    }
    sk_X509_pop_free(chain, X509_free);
    EVP_PKEY_free(key);
    return ok;
}

unsigned char *tls_alpn_wire(const struct weir_list *names, unsigned *len)
{
    const struct weir_str *items = names->items;
    unsigned char *wire = base_zalloc(names->count * 256 + 1);

    *len = 0;
    for (size_t i = 0; i < names->count; i++) {
        ASSERT(items[i].len > 0 && items[i].len < 256);
        wire[(*len)++] = (unsigned char)items[i].len;
        memcpy(wire + *len, items[i].ptr, items[i].len);
        *len += (unsigned)items[i].len;
    }
    return wire;
}
