/* SPDX-License-Identifier: MIT */
/*
 * Swaps of modules' copies while Weir runs: another copy takes the place of the one in force,
 * at once or after a trial, and the one before comes back when that is asked for, or when the trial
 * shows that it is better. Control thread.
 *
 * What is kept of a module's last swap is its *record*, in the store's space "swaps": what
 * was swapped for what, and which of the two is in force. Both copies' files are kept beside it
 * (copies.h), so that a start has what the record says, whatever became of the module's own file.
 */
#ifndef CONTROL_CHANGE_SWAP_H
#define CONTROL_CHANGE_SWAP_H

#include "control/change/change.h"
#include "proxy/plan/trial.h"

struct swap {
    struct list link; /* in swaps.all */
    char *module;
    cJSON *record;            /* see swap_record.c */
    struct module *old, *now; /* referenced; NULL: not loaded, as after a start */
    uint64_t until_ns;        /* end of the trial */
    uint64_t strikes[TRIAL_ARMS], calls[TRIAL_ARMS]; /* before it */
    char *verdict; /* why it goes back; NULL: nothing speaks against it */
};

struct swaps {
    struct list all;
    struct timer judge; /* set while a copy is tried */
    struct changes *changes;
};

/* ---- records (swap_record.c) ---- */

/* Whether a copy is tried. */
bool swap_runs(const struct changes *changes);
/* "trying", "promoted", "rolled_back" */
const char *swap_state(const struct swap *swap);
bool swap_is(const struct swap *swap, const char *state);
/* The module's last one; NULL: there is none. */
struct swap *swap_find(const struct changes *changes, const char *module);
void swap_add(struct changes *changes, struct swap *swap);
void swap_free(struct swap **swap);
void swap_load(struct changes *changes, const char *key, const char *value);
/* {"version", "path", "identity"} of a copy. */
cJSON *swap_copy_json(const struct module *module);
/* The identity of the module's own file, as text; empty: it has none. The caller frees it. */
char *swap_own_file(const struct changes *changes, const char *module);
/* Keeps the copy's file with the state. NULL: done; else why not, which the caller frees. */
char *swap_keep_file(const struct changes *changes, const struct module *module);
/* Removes files that no record names. */
void swap_drop_files(const struct changes *changes, const char *module);
/* The copy that the record's member ("old", "new") names, from the kept file, with a reference.
 * NULL: mistakes were added. */
struct module *swap_load_copy(const struct changes *changes, const struct swap *swap,
                              const char *member, struct mistakes *mistakes);

/* ---- what is asked for (swap_ask.c) ---- */

/* Loads and keeps the copy that takes the place of `old`, with a reference; NULL: the operation has
 * its answer. */
struct module *swap_ask_copy(struct operation *operation, struct module *old);
/* What runs now, and what is to run; completes `how`. NULL: the operation has its answer. */
cJSON *swap_ask_record(struct operation *operation, const struct module *old,
                       const struct module *copy, struct plan_swap *how);

/* ---- trials (swap_trial.c) ---- */

void swap_try(struct swap *swap, struct changes *changes);
/* What both copies have done, by pool and class of servers: members of `to`. */
void swap_show_trial(const struct changes *changes, const struct swap *swap, cJSON *to);
/* The trial gets no more picks, from now on. */
void swap_stop_picks(const struct changes *changes);

/* ---- at the start (swap.c) ---- */

/* The module blocks of `generation` whose copy is another than a record says, one after the other:
 * fills in how it is swapped. false: there is none (any more). */
bool swap_restore(struct changes *changes, const struct generation *generation,
                  struct plan_swap *out);

#endif
