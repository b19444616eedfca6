/* SPDX-License-Identifier: MIT */
/*
 * Seals server ids. The construction is that of a synthetic nonce (as in SIV, RFC 5297), with
 * HMAC-SHA-256 for both parts:
 *
 *     tag   = first 16 bytes of HMAC(seal key, version | server | expiry | session)
 *     text  = (server | expiry | session) xor HMAC(mask key, tag)
 *     value = base64url(version | tag | text)         1 + 16 + 19 bytes, 48 characters, no padding
 *
 * The tag is a nonce that depends on all that is sealed; so one mask covers two texts only where
 * they are the same.
 */
#include "token.h"

#include <weir/text.h>

#define VERSION  2
#define TAG_SIZE 16
#define TEXT_SIZE \
    19 /* 8 of the id, 5 of the expiry, 6 of the session, most significant byte first */
#define SIZE (1 + TAG_SIZE + TEXT_SIZE)

_Static_assert(SIZE % 3 == 0 && SIZE / 3 * 4 == TOKEN_LEN, "base64 without padding or spare bits");

static void derive_key(struct weir_context *ctx, const uint8_t secret[32], const char *purpose,
                       struct weir_str pool, uint8_t out[32])
{
    uint8_t middle[32];
    weir_hmac_sha256(ctx, secret, 32, purpose, strlen(purpose), middle);
    weir_hmac_sha256(ctx, middle, sizeof(middle), pool.ptr != NULL ? pool.ptr : "", pool.len, out);
}

void token_derive_keys(struct weir_context *ctx, const uint8_t secret[32], struct weir_str pool,
                       struct token_keys *out)
{
    derive_key(ctx, secret, "seal", pool, out->seal);
    derive_key(ctx, secret, "mask", pool, out->mask);
}

static void compute_tag(struct weir_context *ctx, const struct token_keys *keys,
                        const uint8_t text[TEXT_SIZE], uint8_t tag[32])
{
    uint8_t sealed[1 + TEXT_SIZE];
    sealed[0] = VERSION;
    memcpy(sealed + 1, text, TEXT_SIZE);
    weir_hmac_sha256(ctx, keys->seal, sizeof(keys->seal), sealed, sizeof(sealed), tag);
}

/* Masks or unmasks the text. */
static void apply_mask(struct weir_context *ctx, const struct token_keys *keys,
                       const uint8_t tag[TAG_SIZE], uint8_t text[TEXT_SIZE])
{
    uint8_t mask[32];
    weir_hmac_sha256(ctx, keys->mask, sizeof(keys->mask), tag, TAG_SIZE, mask);
    for (size_t i = 0; i < TEXT_SIZE; i++) {
        text[i] ^= mask[i];
    }
}

static void put_number(uint8_t *out, uint64_t number, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; number >>= 8) {
        out[i] = (uint8_t)number;
    }
}

static uint64_t get_number(const uint8_t *in, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++) {
        number = number << 8 | in[i];
    }
    return number;
}

void token_seal(struct weir_context *ctx, const struct token_keys *keys, const struct token *token,
                char out[TOKEN_LEN])
{
    uint8_t raw[SIZE];
    uint8_t tag[32];
    uint8_t *text = raw + 1 + TAG_SIZE;
    char value[TOKEN_LEN + 1];

    put_number(text, token->server, 8);
    put_number(text + 8, token->expires_s, 5);
    put_number(text + 13, token->session, 6);
    compute_tag(ctx, keys, text, tag);
    raw[0] = VERSION;
    memcpy(raw + 1, tag, TAG_SIZE);
    apply_mask(ctx, keys, tag, text);
    weir_base64_encode(raw, SIZE, value);
    memcpy(out, value, TOKEN_LEN);
}

bool token_open(struct weir_context *ctx, const struct token_keys *keys, const char text[TOKEN_LEN],
                struct token *out)
{
    uint8_t raw[SIZE];
    uint8_t tag[32];

    if (weir_base64_decode((struct weir_str){text, TOKEN_LEN}, raw) != SIZE || raw[0] != VERSION) {
        return false;
    }
    apply_mask(ctx, keys, raw + 1, raw + 1 + TAG_SIZE);
    compute_tag(ctx, keys, raw + 1 + TAG_SIZE, tag);
    if (!weir_bytes_equal_secret(tag, raw + 1, TAG_SIZE)) {
        return false;
    }
    out->server = get_number(raw + 1 + TAG_SIZE, 8);
    out->expires_s = get_number(raw + 1 + TAG_SIZE + 8, 5);
    out->session = get_number(raw + 1 + TAG_SIZE + 13, 6);
    return out->server != WEIR_NO_SERVER;
}
