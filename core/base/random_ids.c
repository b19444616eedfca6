/* SPDX-License-Identifier: MIT */
/*
 * Random identifiers. See random_ids.h.
 */
#include "base/random_ids.h"

#include <errno.h>
#include <sys/random.h>

static void random_bytes(uint8_t *out, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = getrandom(out + done, len - done, 0);
        ASSERT(n > 0 || errno == EINTR); /* it cannot fail otherwise (getrandom(2)) */
        done += n > 0 ? (size_t)n : 0;
    }
}

static void put_hex(const uint8_t *from, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[from[i] >> 4];
        out[2 * i + 1] = digits[from[i] & 15];
    }
}

void random_ids_next(struct random_ids *ids, char out[RANDOM_ID_SIZE])
{
    if (unlikely(ids->left < RANDOM_ID_SIZE / 2)) {
        random_bytes(ids->bytes, sizeof(ids->bytes));
        ids->left = sizeof(ids->bytes);
    }
    put_hex(ids->bytes + sizeof(ids->bytes) - ids->left, RANDOM_ID_SIZE / 2, out);
    ids->left -= RANDOM_ID_SIZE / 2;
}

void random_hex(char *out, size_t digits)
{
    uint8_t bytes[64];

    ASSERT(digits <= 2 * sizeof(bytes) && digits % 2 == 0);
    random_bytes(bytes, digits / 2);
    put_hex(bytes, digits / 2, out);
    out[digits] = '\0';
    explicit_bzero(bytes, sizeof(bytes));
}
