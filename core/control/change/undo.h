/* SPDX-License-Identifier: MIT */
/*
 * Changes that wait for their confirmation in vain are taken back; and changes of users are. Control thread.
 */
#ifndef CONTROL_CHANGE_UNDO_H
#define CONTROL_CHANGE_UNDO_H

#include "control/plane.h"

/* Once a second. */
void undo_tick(struct plane *plane);

struct change;

/* Answers the operation of an undo that is done: its entry, what it took back, and what it passed by. */
void undo_answer(struct change *change);

/* Why an entry about a user (one with `user_key`) cannot be taken back; NULL: it can. */
const char *user_undo_refusal(const struct plane *plane, const cJSON *entry);
/* Takes it back for the operation (NULL: nobody asked for it); the entry's state becomes `state`. */
void user_undo_begin(struct plane *plane, struct operation *operation, cJSON *entry,
                     const char *state);

#endif
