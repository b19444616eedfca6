/* SPDX-License-Identifier: MIT */
/*
 * One runtime change on its way: worked out, made durable, in force, told. Nothing has changed until the
 * store has it; what changes a pool's members also waits until every loop is ready for it. Control thread.
 */
#ifndef CONTROL_CHANGE_CHANGE_H
#define CONTROL_CHANGE_CHANGE_H

#include "control/change/changes.h"

struct change {
    struct changes *changes;
    struct operation *operation; /* NULL: nobody asked for it */
    char *key;                   /* of the overlay; NULL: it does not concern it */
    cJSON *entry;                /* the overlay's new entry there; NULL: none */
    cJSON *journal;              /* NULL: is not written down */
    cJSON *older;                /* an entry of the journal that changes with it; NULL: none */
    const char *older_state;     /* its new state */
    char *confirmed_by;          /* likewise; NULL: nobody has */
    cJSON *older_shown; /* a copy for the answer, once it is kept: the journal may have let it go */
    cJSON *settled;     /* entries of the overlay, by key, that the files have now; NULL: none */
    struct store_batch batch; /* more to be kept */
    /* It is kept: brings into force what is not the overlay's, before anybody is told. Optional. */
    void (*enforce)(struct change *change);
    /* In force, or (error) not: makes the answer. Optional; `operation` may be NULL. */
    void (*done)(struct change *change, const char *error);
    void *arg;
    void (*arg_free)(void *arg); /* with the change; NULL: not to be freed */
    bool members;                /* it changes a pool's: there is a generation for it */
    struct message message;      /* that it cannot be; `failed` says why */
    char *failed;
};

/* For the operation (NULL: none), which the change finishes. */
struct change *change_new(struct changes *changes, struct operation *operation);

/* A new journal entry: `before` and `after` are taken over. */
void change_note(struct change *change, const char *command, const char *target, cJSON *before,
                 cJSON *after);

/* Makes it so. From here on the change and its operation are its own: both are answered and freed on a later
 * turn, never before this returns, be it that nothing can come of it. */
void change_begin(struct change *change);

#endif
