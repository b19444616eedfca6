/* SPDX-License-Identifier: MIT */
/*
 * What came of a start or reload: told to who asked, who listens, the status, the metrics and the journal.
 * Control thread.
 */
#ifndef CONTROL_CHANGE_RELOAD_H
#define CONTROL_CHANGE_RELOAD_H

#include "control/change/changes.h"

/* The first generation is in force: what the files have by now need not be kept beside them. */
void changes_started(struct changes *changes);

/* A reload has ended: mistakes (NULL or none: it is in force), or an error of a loop (NULL: none).
 * `operation` NULL: nobody waits for its answer. */
void changes_reloaded(struct changes *changes, struct operation *operation,
                      const struct mistakes *mistakes, const char *error);

#endif
