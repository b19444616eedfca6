/* SPDX-License-Identifier: MIT */
/* Keys and certificates made while the tests run. */
#include "tls_help.h"

#include <check.h>
#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATHS 64u

static char folder[64];
static char *paths[PATHS];
static size_t path_count;

void tls_folder_make(void)
{
    snprintf(folder, sizeof(folder), "/tmp/weir-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

void tls_folder_remove(void)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            ck_assert_int_eq(unlinkat(dirfd(dir), entry->d_name, 0), 0);
        }
    }
    closedir(dir);
    rmdir(folder);
    while (path_count > 0) {
        free(paths[--path_count]);
    }
}

struct weir_str tls_path(const char *name)
{
    char *path = base_printf("%s/%s", folder, name);

    for (size_t i = 0; i < path_count; i++) {
        if (strcmp(paths[i], path) == 0) {
            free(path);
            return str_from(paths[i]);
        }
    }
    ck_assert_uint_lt(path_count, PATHS);
    paths[path_count++] = path;
    return str_from(path);
}

static FILE *open_file(const char *name, const char *end, const char *mode)
{
    char full[64];

    snprintf(full, sizeof(full), "%s%s", name, end);
    FILE *file = fopen(tls_path(full).ptr, mode);
    ck_assert_ptr_nonnull(file);
    return file;
}

void tls_write_text(const char *name, const char *text)
{
    FILE *file = open_file(name, "", "w");
    ck_assert_int_ge(fputs(text, file), 0);
    fclose(file);
}

static EVP_PKEY *read_key(const char *name)
{
    FILE *file = open_file(name, ".key", "r");
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    ck_assert_ptr_nonnull(key);
    fclose(file);
    return key;
}

static X509 *read_certificate(const char *name)
{
    FILE *file = open_file(name, ".crt", "r");
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    ck_assert_ptr_nonnull(certificate);
    fclose(file);
    return certificate;
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ck_assert_ptr_nonnull(extension);
    ck_assert_int_eq(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void sign(X509 *certificate, const char *issuer, EVP_PKEY *own_key)
{
    EVP_PKEY *key = own_key;

    if (issuer != NULL) {
        X509 *other = read_certificate(issuer);
        key = read_key(issuer);
        X509_set_issuer_name(certificate, X509_get_subject_name(other));
        X509_free(other);
    } else {
        X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
        add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    }
    ck_assert_int_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    if (issuer != NULL) {
        EVP_PKEY_free(key);
    }
}

void tls_make(const char *name, const char *names, const char *issuer, int days)
{
    static long serial = 1000;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();

    ck_assert(key != NULL && certificate != NULL);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), days < 0 ? 2L * days * 86400 : -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), (long)days * 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    if (names != NULL) {
        add_extension(certificate, NID_subject_alt_name, names);
    }
    sign(certificate, issuer, key);
    FILE *file = open_file(name, ".crt", "w");
    ck_assert_int_eq(PEM_write_X509(file, certificate), 1);
    fclose(file);
    file = open_file(name, ".key", "w");
    ck_assert_int_eq(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void tls_encrypt_key(const char *name)
{
    char secret[] = "secret";
    EVP_PKEY *key = read_key(name);
    FILE *file = open_file(name, ".enc", "w");

    ck_assert_int_eq(PEM_write_PKCS8PrivateKey(file, key, EVP_aes_128_cbc(), secret, 6, NULL, NULL),
                     1);
    fclose(file);
    EVP_PKEY_free(key);
}

void tls_append(const char *to, const char *from)
{
    X509 *certificate = read_certificate(from);
    FILE *file = open_file(to, ".crt", "a");

    ck_assert_int_eq(PEM_write_X509(file, certificate), 1);
    fclose(file);
    X509_free(certificate);
}

struct tls_certificate_conf tls_pair(const char *chain, const char *key)
{
    return (struct tls_certificate_conf){
        .name = str_from(chain),
        .chain = tls_path(chain),
        .key = tls_path(key),
    };
}

struct tls_listener_conf tls_conf(const struct tls_certificate_conf *certificates, size_t count)
{
    static const struct weir_str protocols[] = {WEIR_STR_INIT("http/1.1")};

    return (struct tls_listener_conf){
        .certificates = {certificates, count},
        .alpn = {protocols, 1},
        .session_tickets = true,
        .session_timeout = 3600 * NS_PER_SECOND,
        .handshake_timeout = 10 * NS_PER_SECOND,
    };
}
