/* SPDX-License-Identifier: MIT */
/*
 * Giving up root. The first configuration is built, keys read and sockets bound with the rights
 * that the process keeps, so that the start refuses whatever a reload could not do.
 * CAP_NET_BIND_SERVICE stays, so that a reload may bind ports below 1024. Call before other threads
 * need rights; not thread-safe.
 */
#ifndef CONTROL_PRIVILEGES_H
#define CONTROL_PRIVILEGES_H

#include "proxy/plan/settings.h"

/* Folders that Weir creates if they are missing, as absolute paths. */
struct privileges_folders {
    const char **paths;
    size_t count;
};

/* Takes the effective ids of `user` and `group`; privileges_drop can still undo that. Does
 * nothing if the process is not root's, no user is set, or the user does not exist (which the
 * configuration check reports). First gives the user those `folders` that are missing, or empty
 * and root's; with `try` it only looks. Folders that are not the user's then are dropped from
 * the list. false: see `error`. */
bool privileges_assume(const struct global_settings *global, struct privileges_folders *folders,
                       bool try, char *error, size_t error_size);

/* Writes pid_file with the original rights, becomes `user` for good, and disables core dumps,
 * which would hold keys. `*from_root`: whether root was given up. false: see `error`. */
bool privileges_drop(const struct global_settings *global, bool *from_root, char *error,
                     size_t error_size);

#endif
