/* SPDX-License-Identifier: MIT */
/*
 * HMAC-SHA-256 (RFC 2104) that does not allocate: a cookie is checked on each request. Private to
 * core/module. Any thread.
 */
#ifndef MODULE_HMAC_H
#define MODULE_HMAC_H

#include "base/base.h"

#define HMAC_LEN 32u

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                 uint8_t out[HMAC_LEN]);

#endif
