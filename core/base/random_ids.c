/* SPDX-License-Identifier: MIT */
/*
 * Random identifiers. See random_ids.h.
 */
#include "base/random_ids.h"

#include <errno.h>
#include <sys/random.h>

static void fill(struct random_ids *ids)
{
    size_t done = 0;

    while (done < sizeof(ids->bytes)) {
        ssize_t n = getrandom(ids->bytes + done, sizeof(ids->bytes) - done, 0);
        ASSERT(n > 0 || errno == EINTR); /* it cannot fail otherwise (getrandom(2)) */
        done += n > 0 ? (size_t)n : 0;
    }
    ids->left = sizeof(ids->bytes);
}

void random_ids_next(struct random_ids *ids, char out[RANDOM_ID_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    if (unlikely(ids->left < RANDOM_ID_SIZE / 2)) {
        fill(ids);
    }
    const uint8_t *from = ids->bytes + sizeof(ids->bytes) - ids->left;
    ids->left -= RANDOM_ID_SIZE / 2;
    for (size_t i = 0; i < RANDOM_ID_SIZE / 2; i++) {
        out[2 * i] = digits[from[i] >> 4];
        out[2 * i + 1] = digits[from[i] & 15];
    }
}
