/* SPDX-License-Identifier: MIT */
/*
 * Which certificate serves which name. Built once, read by all workers. Private to core/net.
 */
#ifndef NET_TLS_NAMES_H
#define NET_TLS_NAMES_H

#include <openssl/x509.h>

#include "base/table.h"

struct tls_names {
    struct table table;
    struct list all;
};

void tls_names_init(struct tls_names *names);
/* Adds the names of a certificate: its DNS alternative names, or its common name where there is
 * none. Of equal names the first certificate's stays. */
void tls_names_add(struct tls_names *names, X509 *certificate, unsigned index);
/* The certificate for a name in any case: exact, then with "*" for its first label; -1: none. */
int tls_names_find(const struct tls_names *names, struct weir_str name);
void tls_names_free(struct tls_names *names);

/* Names and addresses of a certificate for people, separated by ", ". From malloc. */
char *tls_names_text(X509 *certificate);

#endif
