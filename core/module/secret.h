/* SPDX-License-Identifier: MIT */
/*
 * The installation's secret: 32 random bytes in a file of the state folder, made when first
 * asked for. Private to core/module. Control thread.
 */
#ifndef MODULE_SECRET_H
#define MODULE_SECRET_H

#include "base/base.h"

#define SECRET_LEN 32u

/* Reads the secret from `folder`/secret, or makes folder and file. The file comes into being
 * whole and durable or not at all, with mode 0600 and the folder's owner. `look`: nothing is
 * made; where the secret could be, `out` is a random one. false: `error` says why. */
bool secret_read(const char *folder, bool look, uint8_t out[SECRET_LEN], char *error,
                 size_t error_size);

/* Fills `len` bytes from the system's generator. Never fails. */
void secret_random(void *out, size_t len);

#endif
