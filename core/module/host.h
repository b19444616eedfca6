/* SPDX-License-Identifier: MIT */
/*
 * The instance half of the host's table: log, time, timers, posts, files, secrets, checking. The
 * half about requests is filled by who carries them.
 */
#ifndef MODULE_HOST_H
#define MODULE_HOST_H

#include <weir/host.h>

/* Sets size, ABI and all services of an instance and of checking; leaves the others alone. */
void module_host_fill(struct weir_host *host);

/* Where the file `secret` is kept, from which modules' secrets are derived. NULL (also the
 * beginning): nowhere, secrets last as long as the process. `look`: it is not made where it is
 * missing, only whether it could be: right for a mere check, which must leave no trace. Control
 * thread. */
void module_host_set_state_dir(const char *state_dir, bool look);

/* Where the next start keeps it: a secret is had only if it could be had from there too, which
 * is looked for and never made. NULL (also the beginning): where it is kept now. Control thread. */
void module_host_set_next_state_dir(const char *state_dir);

#endif
