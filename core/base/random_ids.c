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

/* A byte eight times. */
#define EACH UINT64_C(0x0101010101010101)

/* Eight numbers below 16, one a byte, as digits. */
static uint64_t digits_of(uint64_t numbers)
{
    uint64_t letters = ((numbers + EACH * (0x80 - 10)) & EACH * 0x80) >> 7;

    return numbers + EACH * '0' + letters * ('a' - '0' - 10);
}

/* The digits of random bytes, in any order. `len` is a multiple of 8. */
static void put_hex(const uint8_t *from, size_t len, char *out)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t bytes = 0;
        memcpy(&bytes, from + i, sizeof(bytes));
        uint64_t low = digits_of(bytes & EACH * 15);
        uint64_t high = digits_of(bytes >> 4 & EACH * 15);
        memcpy(out + 2 * i, &low, sizeof(low));
        memcpy(out + 2 * i + 8, &high, sizeof(high));
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
