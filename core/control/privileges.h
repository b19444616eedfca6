/* SPDX-License-Identifier: MIT */
/*
 * Giving up root. The first configuration is built, its keys read and its sockets bound, with the rights that
 * the process has ever after: so what a reload could not do, the start refuses, with the same words.
 * CAP_NET_BIND_SERVICE stays, so that a reload may name a port below 1024. Before there are threads that
 * need rights; not thread-safe.
 */
#ifndef CONTROL_PRIVILEGES_H
#define CONTROL_PRIVILEGES_H

#include "proxy/plan/settings.h"

/* Folders that Weir makes where they are missing, absolute paths. */
struct privileges_folders {
    const char **paths;
    size_t count;
};

/* Takes the rights of `user` and `group` on, in a way that privileges_drop can look behind; nothing where
 * the process is not root's or no user is set, or there is none of that name, which the check of the
 * configuration tells. Before that, `folders` that are missing, or root's and empty, are given to the user;
 * `try` true: only looked at. Those that are the user's then stay in the list, others leave it. false:
 * `error` says why. */
bool privileges_assume(const struct global_settings *global, struct privileges_folders *folders,
                       bool try, char *error, size_t error_size);

/* Writes pid_file as who started the process, becomes `user` for good, and sees to it that no core dump
 * holds keys. `*from_root` says whether root was given up. false: `error` says what went wrong. */
bool privileges_drop(const struct global_settings *global, bool *from_root, char *error,
                     size_t error_size);

#endif
