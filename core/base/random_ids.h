/* SPDX-License-Identifier: MIT */
/*
 * Identifiers that nobody can guess: 128 bits from the system's generator, as text. A supply is
 * filled by one system call for many of them, so that one costs some tens of nanoseconds.
 */
#ifndef BASE_RANDOM_IDS_H
#define BASE_RANDOM_IDS_H

#include "base/base.h"

#define RANDOM_ID_SIZE 32u /* hexadecimal digits, no NUL */

/* Zeroed is empty. Owner: one thread. */
struct random_ids {
    uint32_t left; /* bytes at the end of `bytes` that are not used yet */
    uint8_t bytes[2048];
};

void random_ids_next(struct random_ids *ids, char out[RANDOM_ID_SIZE]);

#endif
