/* SPDX-License-Identifier: MIT */
/* Keys of buckets. See key.h. */
#include "key.h"

#include <arpa/inet.h>

/* Clears all but the first `bits` of `len` bytes. */
static void keep_bits(uint8_t *bytes, size_t len, unsigned bits)
{
    for (size_t i = 0; i < len; i++) {
        unsigned kept = bits > i * 8 ? bits - (unsigned)(i * 8) : 0;
        bytes[i] = kept >= 8 ? bytes[i] : (uint8_t)(bytes[i] & (0xff00u >> kept));
    }
}

size_t key_of_address(struct weir_str address, unsigned ipv4_bits, unsigned ipv6_bits,
                      uint8_t out[KEY_ADDRESS_MAX])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char text[INET6_ADDRSTRLEN];

    out[0] = 0;
    if (address.len >= sizeof(text)) {
        return 1;
    }
    memcpy(text, address.ptr, address.len);
    text[address.len] = '\0';
    if (inet_pton(AF_INET, text, out + 1) == 1) {
        out[0] = 4;
        keep_bits(out + 1, 4, ipv4_bits);
        return 5;
    }
    if (inet_pton(AF_INET6, text, out + 1) != 1) {
        return 1;
    }
    if (memcmp(out + 1, mapped, sizeof(mapped)) == 0) { /* one client, one bucket */
        memmove(out + 1, out + 13, 4);
        out[0] = 4;
        keep_bits(out + 1, 4, ipv4_bits);
        return 5;
    }
    out[0] = 6;
    keep_bits(out + 1, 16, ipv6_bits);
    return 17;
}

static bool read_bits(struct weir_str text, unsigned most, unsigned *bits)
{
    *bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!weir_is_digit(text.ptr[i]) || i == 3) {
            return false;
        }
        *bits = *bits * 10 + (unsigned)(text.ptr[i] - '0');
    }
    return text.len > 0 && *bits <= most;
}

bool network_parse(struct weir_str text, struct network *out)
{
    const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    struct weir_str address = {text.ptr, slash != NULL ? (size_t)(slash - text.ptr) : text.len};
    uint8_t cut[KEY_ADDRESS_MAX];

    out->len = key_of_address(address, 32, 128, out->address);
    if (out->len == 1) {
        out->bits = 0;
        return weir_str_is(text, "unix");
    }
    unsigned most = out->address[0] == 4 ? 32 : 128;
    out->bits = most;
    if (slash != NULL &&
        !read_bits((struct weir_str){slash + 1, text.len - address.len - 1}, most, &out->bits)) {
        return false;
    }
    memcpy(cut, out->address, out->len);
    keep_bits(cut + 1, out->len - 1, out->bits);
    return memcmp(cut, out->address, out->len) == 0;
}

bool network_has(const struct network *network, const uint8_t *key, size_t len)
{
    uint8_t cut[KEY_ADDRESS_MAX];

    if (len != network->len || key[0] != network->address[0]) {
        return false;
    }
    memcpy(cut, key, len);
    keep_bits(cut + 1, len - 1, network->bits);
    return memcmp(cut, network->address, len) == 0;
}
