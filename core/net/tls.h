/* SPDX-License-Identifier: MIT */
/*
 * TLS contexts: for listeners (certificates by SNI, ALPN, tickets shared by all workers and kept
 * over reloads) and for servers (verification, SNI). Built by the control thread, immutable
 * afterwards, used by all workers.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <openssl/ssl.h>

#include <weir/option.h>

#include "base/mistakes.h"

/* One certificate of a listener; filled by its option table. */
struct tls_certificate_conf {
    struct weir_str name;  /* the block's title */
    struct weir_str chain; /* PEM: leaf first */
    struct weir_str key;   /* PEM */
};

/* tls { } of a listener. */
struct tls_listener_conf {
    struct weir_list certificates; /* struct tls_certificate_conf; the first is the default one */
    int32_t minimum_version;       /* 0: 1.2, 1: 1.3 */
    struct weir_str ciphers;       /* TLS 1.2, OpenSSL's syntax; empty: a modern list */
    struct weir_str ciphersuites;  /* TLS 1.3; empty: the usual, AES-128 first */
    struct weir_list alpn;         /* weir_str: protocols offered, in order of preference */
    bool session_tickets;
    uint64_t session_timeout;   /* ns */
    uint64_t handshake_timeout; /* ns */
};
extern const struct weir_options tls_listener_options;

/* What the control plane shows of a certificate. */
struct tls_certificate_info {
    const char *name;
    const char *subject;
    const char *issuer;
    const char *serial;
    const char *names;             /* DNS names and addresses, separated by ", " */
    int64_t not_before, not_after; /* seconds since 1970 */
};

struct tls_listener;

/* Places of fields, for mistakes: the caller's conf_place_of. */
typedef struct place (*tls_place_fn)(void *arg, const void *field);

/* `known`: the ALPN names (weir_str) that there are codecs for. Loads certificates and keys; every
 * mistake (file absent or unreadable, not PEM, key does not match, expired: a warning) is told.
 * NULL: mistakes were added. */
struct tls_listener *tls_listener_new(const struct tls_listener_conf *conf,
                                      const struct weir_list *known, tls_place_fn place, void *arg,
                                      struct mistakes *mistakes);
void tls_listener_free(struct tls_listener **listener);
/* The context that new connections begin with. */
SSL_CTX *tls_listener_ctx(struct tls_listener *listener);
size_t tls_listener_certificates(const struct tls_listener *listener,
                                 const struct tls_certificate_info **infos);
/* Index of the certificate that serves `name` (in any case); exact, then wildcard; -1: none
 * matches. For 421: two names are interchangeable when they have the same one. */
int tls_listener_certificate_for(const struct tls_listener *listener, struct weir_str name);

/* tls { } of a pool or server, for https:// servers. */
struct tls_server_conf {
    bool verify;
    struct weir_str ca;          /* PEM file; empty: the system's */
    struct weir_str name;        /* SNI and host check; empty: the URL's host */
    struct weir_str certificate; /* client certificate, PEM; empty: none */
    struct weir_str key;
};
extern const struct weir_options tls_server_options;

/* `alpn`: the protocols to offer (weir_str), best first. */
SSL_CTX *tls_server_ctx_new(const struct tls_server_conf *conf, const struct weir_list *alpn,
                            tls_place_fn place, void *arg, struct mistakes *mistakes);

/* Whether connections made with one may serve where the other is asked for: the same settings, and
 * files that have not changed since. */
bool tls_server_ctx_equal(const SSL_CTX *a, const SSL_CTX *b);

/* A new key seals session tickets from now on (the first is made at first use); the last two are
 * still taken. The caller has the clock. Thread-safe. */
void tls_tickets_rotate(void);

#endif
