/* SPDX-License-Identifier: MIT */
/*
 * Keys and certificates made while the tests run, in a folder of their own.
 */
#ifndef TESTS_UNIT_NET_TLS_HELP_H
#define TESTS_UNIT_NET_TLS_HELP_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "net/tls.h"

/* Makes the folder, removes it with all that is in it. */
void tls_folder_make(void);
void tls_folder_remove(void);
/* The path of a file in it, ended by NUL; lives until tls_folder_remove. */
struct weir_str tls_path(const char *name);
void tls_write_text(const char *name, const char *text);

/*
 * Writes NAME.crt and NAME.key: a P-256 certificate for `names` ("DNS:a.example,IP:127.0.0.1";
 * NULL: the common name alone, which is NAME), signed by itself or by `issuer` (a NAME made
 * before), valid from now for `days` (negative: it has expired).
 */
void tls_make(const char *name, const char *names, const char *issuer, int days);
/* NAME.key again, encrypted, as NAME.enc. */
void tls_encrypt_key(const char *name);
/* Appends the certificate of `from` to `to`.crt. */
void tls_append(const char *to, const char *from);

/* A certificate block of these files. */
struct tls_certificate_conf tls_pair(const char *chain, const char *key);
/* tls { } with the defaults and these certificates. */
struct tls_listener_conf tls_conf(const struct tls_certificate_conf *certificates, size_t count);

#endif
