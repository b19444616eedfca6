/* SPDX-License-Identifier: MIT */
/*
 * HMAC-SHA-256 on OpenSSL's own SHA-256 functions. Those are deprecated, but their replacement
 * allocates for each digest, even on a reused context.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "module/hmac.h"

#include <openssl/sha.h>

#define BLOCK_LEN 64u

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                 uint8_t out[HMAC_LEN])
{
    uint8_t pad[BLOCK_LEN] = {0};
    SHA256_CTX digest;

    if (key_len > BLOCK_LEN) {
        SHA256(key, key_len, pad);
    } else if (key_len > 0) {
        memcpy(pad, key, key_len);
    }
    for (size_t i = 0; i < BLOCK_LEN; i++) {
        pad[i] ^= 0x36;
    }
    SHA256_Init(&digest);
    SHA256_Update(&digest, pad, BLOCK_LEN);
    SHA256_Update(&digest, data, len);
    SHA256_Final(out, &digest);
    for (size_t i = 0; i < BLOCK_LEN; i++) {
        pad[i] ^= 0x36 ^ 0x5c;
    }
    SHA256_Init(&digest);
    SHA256_Update(&digest, pad, BLOCK_LEN);
    SHA256_Update(&digest, out, HMAC_LEN);
    SHA256_Final(out, &digest);
    explicit_bzero(pad, sizeof(pad));
    explicit_bzero(&digest, sizeof(digest));
}
