/* SPDX-License-Identifier: MIT */
/*
 * The control thread: starts the program, changes its configuration, stops it.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <stdbool.h>

/* Checks `path` and says what is wrong with it on standard error. 0 or 1: the exit code. Binds nothing. */
int control_check(const char *path);

/* Runs the program in the foreground until it is told to stop. The exit code. */
int control_run(const char *path);

/* Prints the options of the core (name NULL) or of a module; `path` tells module_dir. The exit code. */
int control_print_options(const char *path, const char *name);

#endif
