/* SPDX-License-Identifier: MIT */
/*
 * Keys of WebSockets. See websocket.h.
 */
#include "http/websocket.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#define KEY_BYTES  16
#define SHA1_BYTES 20
/* Bytes in base64, with the NUL that OpenSSL writes. */
#define BASE64_SIZE(bytes) (((bytes) + 2) / 3 * 4 + 1)

static struct weir_str base64(const unsigned char *bytes, int len, struct arena *arena)
{
    char *out = arena_bytes(arena, BASE64_SIZE((size_t)len));

    if (out == NULL) {
        return (struct weir_str){NULL, 0};
    }
    return (struct weir_str){out, (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, len)};
}

struct weir_str websocket_key(struct arena *arena)
{
    unsigned char bytes[KEY_BYTES];

    return RAND_bytes(bytes, sizeof(bytes)) == 1 ? base64(bytes, sizeof(bytes), arena)
                                                 : (struct weir_str){NULL, 0};
}

struct weir_str websocket_accept(struct weir_str key, struct arena *arena)
{
    struct weir_str text =
        arena_printf(arena, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", STR_ARGS(key));
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (text.ptr == NULL || EVP_Digest(text.ptr, text.len, digest, &len, EVP_sha1(), NULL) != 1 ||
        len != SHA1_BYTES) {
        return (struct weir_str){NULL, 0};
    }
    return base64(digest, SHA1_BYTES, arena);
}
