/* SPDX-License-Identifier: MIT */
/*
 * Seals server ids. The construction is that of a synthetic nonce (as in SIV, RFC 5297), with
 * HMAC-SHA-256 for both parts:
 *
 *     tag   = first 16 bytes of HMAC(seal key, version | server | expiry | session)
 *     text  = (server | expiry | session) xor HMAC(mask key, tag)
 *     value = base64url(version | tag | text)         1 + 16 + 19 bytes, 48 characters, no padding
 *
 * The tag is a nonce that depends on all that is sealed; so one mask covers two texts only where they are the
 * same.
 */
#include "token.h"

#include <string.h>

#define VERSION  2
#define TAG_SIZE 16
#define TEXT_SIZE \
    19 /* 8 of the id, 5 of the expiry, 6 of the session, most significant byte first */
#define SIZE (1 + TAG_SIZE + TEXT_SIZE)

_Static_assert(SIZE % 3 == 0 && SIZE / 3 * 4 == TOKEN_LEN, "base64 without padding or spare bits");

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool token_equal(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *left = a;
    const volatile uint8_t *right = b;
    uint8_t differ = 0;
    for (size_t i = 0; i < len; i++) {
        differ = (uint8_t)(differ | (left[i] ^ right[i]));
    }
    return differ == 0;
}

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

/* Covers or uncovers the text. */
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

    put_number(text, token->server, 8);
    put_number(text + 8, token->expires_s, 5);
    put_number(text + 13, token->session, 6);
    compute_tag(ctx, keys, text, tag);
    raw[0] = VERSION;
    memcpy(raw + 1, tag, TAG_SIZE);
    apply_mask(ctx, keys, tag, text);
    for (size_t i = 0; i < SIZE; i += 3) {
        uint32_t bits = (uint32_t)get_number(raw + i, 3);
        for (int shift = 18; shift >= 0; shift -= 6) {
            *out++ = alphabet[bits >> shift & 63];
        }
    }
}

static int digit_value(char digit)
{
    if (digit >= 'A' && digit <= 'Z') {
        return digit - 'A';
    }
    if (digit >= 'a' && digit <= 'z') {
        return digit - 'a' + 26;
    }
    if (digit >= '0' && digit <= '9') {
        return digit - '0' + 52;
    }
    return digit == '-' ? 62 : digit == '_' ? 63 : -1;
}

static bool decode(const char text[TOKEN_LEN], uint8_t raw[SIZE])
{
    for (size_t i = 0; i < TOKEN_LEN; i += 4) {
        uint32_t bits = 0;
        for (size_t j = 0; j < 4; j++) {
            int value = digit_value(text[i + j]);
            if (value < 0) {
                return false;
            }
            bits = bits << 6 | (uint32_t)value;
        }
        put_number(raw + i / 4 * 3, bits, 3);
    }
    return true;
}

bool token_open(struct weir_context *ctx, const struct token_keys *keys, const char text[TOKEN_LEN],
                struct token *out)
{
    uint8_t raw[SIZE];
    uint8_t tag[32];

    if (!decode(text, raw) || raw[0] != VERSION) {
        return false;
    }
    apply_mask(ctx, keys, raw + 1, raw + 1 + TAG_SIZE);
    compute_tag(ctx, keys, raw + 1 + TAG_SIZE, tag);
    if (!token_equal(tag, raw + 1, TAG_SIZE)) {
        return false;
    }
    out->server = get_number(raw + 1 + TAG_SIZE, 8);
    out->expires_s = get_number(raw + 1 + TAG_SIZE + 8, 5);
    out->session = get_number(raw + 1 + TAG_SIZE + 13, 6);
    return out->server != WEIR_NO_SERVER;
}
