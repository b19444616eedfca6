/* SPDX-License-Identifier: MIT */
/*
 * Keys: whose bucket a request takes from. Pure; any thread.
 */
#ifndef RATE_LIMIT_KEY_H
#define RATE_LIMIT_KEY_H

#include <weir/http.h>

/* A byte for the family, and an address of IPv6. */
#define KEY_ADDRESS_MAX 17

/* A client's address in bytes, the bits behind the prefix taken away; a Unix socket's and what
 * cannot be read are one. Says how many bytes of `out` it takes. */
size_t key_of_address(struct weir_str address, unsigned ipv4_bits, unsigned ipv6_bits,
                      uint8_t out[KEY_ADDRESS_MAX]);

/* Addresses that begin alike. */
struct network {
    uint8_t address[KEY_ADDRESS_MAX]; /* as key_of_address makes it */
    size_t len;
    unsigned bits;
};

/* "10.0.0.0/8", "2001:db8::1" or "unix". false: it is none of these, or has bits behind its
 * prefix. */
bool network_parse(struct weir_str text, struct network *out);
/* `key`: of key_of_address with all bits. */
bool network_has(const struct network *network, const uint8_t *key, size_t len);

#endif
