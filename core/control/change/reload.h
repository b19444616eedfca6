/* SPDX-License-Identifier: MIT */
/*
 * The outcome of a start or reload, reported to the caller, events, status, metrics and the
 * journal. Control thread.
 */
#ifndef CONTROL_CHANGE_RELOAD_H
#define CONTROL_CHANGE_RELOAD_H

#include "control/change/changes.h"

/* The first generation is in force: drops runtime changes that the files now contain. */
void changes_started(struct changes *changes);

/* A reload has ended. It is in force if there are no mistakes and no error of a loop.
 * `operation` NULL: by a signal. */
void changes_reloaded(struct changes *changes, struct operation *operation,
                      const struct mistakes *mistakes, const char *error);

#endif
