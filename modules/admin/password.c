/* SPDX-License-Identifier: MIT */
/*
 * Passwords: scrypt (RFC 7914) by OpenSSL, with N = 2^15, r = 8, p = 1, which takes 32 MiB.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "text.h"
#include "users.h"

#define SALT_LEN 16u
#define HASH_LEN 32u
#define COST_N   UINT64_C(32768)
#define COST_R   8u
#define COST_P   1u
#define MEMORY   (UINT64_C(64) << 20)

static bool derive(const char *password, const uint8_t *salt, size_t salt_len, uint64_t n,
                   uint32_t r, uint32_t p, uint8_t out[HASH_LEN])
{
    uint64_t memory = MEMORY;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)(uintptr_t)password,
                                          strlen(password)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, salt_len),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
    EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    bool good = ctx != NULL && EVP_KDF_derive(ctx, out, HASH_LEN, params) > 0;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return good;
}

static bool from_hex(const char *text, size_t len, uint8_t *out)
{
    for (size_t i = 0; i < len; i++) {
        unsigned value = 0;
        if (sscanf(text + 2 * i, "%2x", &value) != 1) {
            return false;
        }
        out[i] = (uint8_t)value;
    }
    return true;
}

bool password_hash(const char *password, char out[PASSWORD_HASH_SIZE])
{
    uint8_t salt[SALT_LEN], hash[HASH_LEN];
    char salt_text[2 * SALT_LEN + 1], hash_text[2 * HASH_LEN + 1];

    if (RAND_bytes(salt, sizeof(salt)) != 1 ||
        !derive(password, salt, sizeof(salt), COST_N, COST_R, COST_P, hash)) {
        return false;
    }
    text_hex(salt, sizeof(salt), salt_text);
    text_hex(hash, sizeof(hash), hash_text);
    snprintf(out, PASSWORD_HASH_SIZE, "scrypt$%llu$%u$%u$%s$%s", (unsigned long long)COST_N, COST_R,
             COST_P, salt_text, hash_text);
    return true;
}

bool password_verify(const char *password, const char *hash)
{
    uint8_t salt[SALT_LEN] = {0}, wanted[HASH_LEN] = {0}, got[HASH_LEN];
    unsigned long long n = COST_N;
    unsigned r = COST_R, p = COST_P;
    char salt_text[2 * SALT_LEN + 1] = "", hash_text[2 * HASH_LEN + 1] = "";

    bool known = hash != NULL &&
                 sscanf(hash, "scrypt$%llu$%u$%u$%32[0-9a-f]$%64[0-9a-f]", &n, &r, &p, salt_text,
                        hash_text) == 5 &&
                 strlen(salt_text) == 2 * SALT_LEN && strlen(hash_text) == 2 * HASH_LEN &&
                 from_hex(salt_text, SALT_LEN, salt) && from_hex(hash_text, HASH_LEN, wanted);
    if (!known) {
        n = COST_N;
        r = COST_R;
        p = COST_P;
    }
    bool derived = derive(password, salt, sizeof(salt), n, r, p, got);
    return derived && CRYPTO_memcmp(got, wanted, sizeof(got)) == 0 && known;
}
