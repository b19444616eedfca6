/* SPDX-License-Identifier: MIT */
/*
 * What contexts for clients and for servers have in common. Private to core/net; control thread.
 */
#ifndef NET_TLS_CONTEXT_H
#define NET_TLS_CONTEXT_H

#include "net/tls.h"

/* Where mistakes go, and their places. */
struct tls_report {
    tls_place_fn place; /* NULL: nowhere in particular */
    void *arg;
    struct mistakes *mistakes;
};

/* Tells a mistake about `field`. Empties OpenSSL's error queue. */
void tls_report_mistake(const struct tls_report *report, const void *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* OpenSSL's latest words on what went wrong. Static text. */
const char *tls_openssl_words(void);

/* A context with what all have: versions, modes, read-ahead. NULL: no memory, told. */
SSL_CTX *tls_context_new(const SSL_METHOD *method, const struct tls_report *report);

/* ALPN names (weir_str) as TLS has them (RFC 7301 section 3.1), and a NUL; freed by the caller. */
unsigned char *tls_alpn_wire(const struct weir_list *names, unsigned *len);

/* Loads a chain (leaf first) and its key into the context, and checks that they belong together.
 * The paths are fields of the configuration, so that mistakes have places. */
bool tls_context_load_pair(SSL_CTX *ctx, const struct weir_str *chain, const struct weir_str *key,
                           const struct tls_report *report);

/* ---- tls_ticket.c ---- */

/* Makes the context seal and open session tickets with the process's keys. */
void tls_tickets_use(SSL_CTX *ctx);

#endif
