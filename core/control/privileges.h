/* SPDX-License-Identifier: MIT */
/*
 * Giving up root once all sockets are bound.
 */
#ifndef CONTROL_PRIVILEGES_H
#define CONTROL_PRIVILEGES_H

#include "proxy/settings.h"

/* Writes pid_file, becomes `user` and `group` when root, and sees to it that no core dump
 * holds keys. false: `error` says what went wrong. */
bool privileges_drop(const struct global_settings *global, char *error, size_t error_size);

#endif
