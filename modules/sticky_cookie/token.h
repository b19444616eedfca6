/* SPDX-License-Identifier: MIT */
/*
 * The value of the session cookie: a server's id, an expiry and the session's number, sealed so
 * that only who holds the keys can read it or make one.
 */
#ifndef STICKY_COOKIE_TOKEN_H
#define STICKY_COOKIE_TOKEN_H

#include <weir/host.h>

/* Its length in characters; all are of A-Z a-z 0-9 - _. */
#define TOKEN_LEN 48

/* One pool's keys: what one pool has sealed, no other opens. */
struct token_keys {
    uint8_t seal[32];
    uint8_t mask[32];
};

struct token {
    weir_server_id server;
    uint64_t expires_s; /* wall-clock seconds since 1970, below 2^40; 0: never */
    uint64_t session;   /* below 2^48, random: the same in all values that renew it */
};

/* The keys for `pool`, from the secret that all of this installation's pools share. */
void token_derive_keys(struct weir_context *ctx, const uint8_t secret[32], struct weir_str pool,
                       struct token_keys *out);

void token_seal(struct weir_context *ctx, const struct token_keys *keys, const struct token *token,
                char out[TOKEN_LEN]);

/* false: it was not sealed with these keys, or was changed since. Takes as long for every wrong
 * one. */
bool token_open(struct weir_context *ctx, const struct token_keys *keys, const char text[TOKEN_LEN],
                struct token *out);

#endif
