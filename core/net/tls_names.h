/* SPDX-License-Identifier: MIT */
/*
 * Which certificate serves which name. Built once, read by all workers. Private to core/net.
 */
#ifndef NET_TLS_NAMES_H
#define NET_TLS_NAMES_H

#include <openssl/x509.h>

#include "base/base.h"

struct tls_name {
    char *text; /* lower case; "*.example.com" as it stands */
    size_t len;
    unsigned certificate;
};

struct tls_names {
    struct tls_name *names;
    size_t count;
};

/* Adds the names of a certificate: its DNS alternative names, or its common name where there is
 * none. */
void tls_names_add(struct tls_names *names, X509 *certificate, unsigned index);
/* To be called once after all were added. Of equal names the first certificate's stays. */
void tls_names_sort(struct tls_names *names);
/* The certificate for a lower-case name: exact, then with "*" for its first label; -1: none. */
int tls_names_find(const struct tls_names *names, struct weir_str name);
void tls_names_free(struct tls_names *names);

/* Names and addresses of a certificate for people, separated by ", ". From malloc. */
char *tls_names_text(X509 *certificate);

#endif
