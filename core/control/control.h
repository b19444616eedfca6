/* SPDX-License-Identifier: MIT */
/*
 * The control thread: starts the program, changes its configuration, stops it.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <stdbool.h>

/* Checks `path` and prints mistakes to standard error. Binds nothing. The exit code, 0 or 1. */
int control_check(const char *path);

/* Runs the program in the foreground until it is told to stop. The exit code. */
int control_run(const char *path);

/* Prints the options of the core (`name` NULL) or of a module from the module_dir of `path`. The
 * exit code. */
int control_print_options(const char *path, const char *name);

/* Ends a module's quarantine in the state_dir of `path`, for a Weir that does not run. The exit
 * code. */
int control_release_module(const char *path, const char *name);

#endif
