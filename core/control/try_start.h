/* SPDX-License-Identifier: MIT */
/*
 * A start that is only tried, by a process of its own: with rights that this one has not, or has too many to
 * know. Control thread; it waits for the process, which is rare (another `user` in the files of a running root).
 */
#ifndef CONTROL_TRY_START_H
#define CONTROL_TRY_START_H

#include "base/mistakes.h"

/* Runs this program's `-t` on the file, and adds what it refuses and the mistakes do not tell yet. false:
 * `error` says why that is not known. */
bool try_start(const char *path, struct mistakes *mistakes, char *error, size_t error_size);

#endif
