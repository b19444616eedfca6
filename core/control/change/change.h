/* SPDX-License-Identifier: MIT */
/*
 * One runtime change: planned, made durable, in force, announced. Nothing changes until the store
 * has kept it; a change of members also waits until every loop has prepared the new generation.
 * Control thread.
 */
#ifndef CONTROL_CHANGE_CHANGE_H
#define CONTROL_CHANGE_CHANGE_H

#include "control/change/changes.h"

struct change {
    struct changes *changes;
    struct operation *operation; /* NULL: begun by a part */
    char *key;                   /* of the overlay; NULL: none */
    cJSON *entry;                /* its new entry in the overlay; NULL: removed */
    cJSON *journal;              /* the new entry; NULL: none */
    cJSON *older;                /* a journal entry that changes with it; NULL: none */
    const char *older_state;     /* its new state */
    char *confirmed_by;          /* likewise; NULL: not confirmed */
    cJSON *older_shown;          /* a copy for the answer, since the journal may drop it */
    cJSON *settled;           /* overlay entries, by key, that the files now contain; NULL: none */
    struct store_batch batch; /* more to keep */
    /* The change is durable: applies what is not the overlay's, before events. Optional. */
    void (*enforce)(struct change *change);
    /* In force, or (error) not: sets the answer. Optional; `operation` may be NULL. */
    void (*done)(struct change *change, const char *error);
    void *arg;
    void (*arg_free)(void *arg); /* frees `arg`; NULL: not needed */
    struct plan_swap swap;       /* of a module's copy, where `swaps` */
    bool swaps;
    bool members;           /* it changes members or a copy, and needs a generation */
    struct message message; /* posted when it fails early; `failed` says why */
    char *failed;
    bool refused; /* what was asked for is wrong */
    bool unkept;  /* nothing is wrong but that the store has not taken it */
};

/* For the operation (NULL: none), which the change answers. */
struct change *change_new(struct changes *changes, struct operation *operation);

/* Adds a journal entry; takes ownership of `before` and `after`. */
void change_note(struct change *change, const char *command, const char *target, cJSON *before,
                 cJSON *after);

/* Frees a change that has not begun; its operation is still to be answered. */
void change_drop(struct change *change);

/* Begins the change and takes ownership of it and its operation: both are answered and freed on
 * a later turn, also if it fails at once. */
void change_begin(struct change *change);

#endif
