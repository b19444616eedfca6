/* SPDX-License-Identifier: MIT */
/*
 * Tries a start in a process of its own, which has rights that this one lacks or cannot test.
 * Control thread; it waits for the process. Rare: only when the files of a running root name
 * another `user`.
 */
#ifndef CONTROL_TRY_START_H
#define CONTROL_TRY_START_H

#include "base/mistakes.h"

/* Runs `weir -t` on the file and adds its mistakes, without repeating any. false: it could not
 * be run, see `error`. */
bool try_start(const char *path, struct mistakes *mistakes, char *error, size_t error_size);

#endif
