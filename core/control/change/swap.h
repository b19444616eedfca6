/* SPDX-License-Identifier: MIT */
/*
 * Swaps while Weir runs: another copy of a module, or another balancer of a pool, takes the place
 * of the one in force, at once or after a trial, and the one before comes back when that is asked
 * for, or when the trial shows that it is better. Control thread.
 *
 * What is swapped is the swap's *subject*. What is kept of a subject's last swap is its *record*,
 * in the store's space "swaps": what was swapped for what, and which of the two is in force. Both
 * copies' files are kept beside it, so that a start has what the record says, whatever became of
 * the module's own file; a pool's balancer is kept where all that were set at run time are.
 */
#ifndef CONTROL_CHANGE_SWAP_H
#define CONTROL_CHANGE_SWAP_H

#include "control/change/change.h"
#include "proxy/plan/trial.h"

struct swap;

/* What modules' copies and pools' balancers differ in. Static. */
struct swap_subject {
    const char *word;               /* the member that names it in events */
    const char *noun;               /* of messages: "another copy of", then its name */
    const char *prefix;             /* of its keys in the store; of one subject it is empty */
    const char *promote, *rollback; /* commands in the journal */
    /* Whether a record names both sides. */
    bool (*reads)(const cJSON *record);
    /* Fills in how that side comes into force, in the arena: TAKE, or DROP where it is. false: it
     * cannot be had; mistakes may say why. */
    bool (*put)(struct changes *changes, struct swap *swap, enum trial_arm side,
                struct arena *arena, struct plan_swap *how, struct mistakes *mistakes);
    /* What runs, as the journal shows it; NULL: nothing. */
    cJSON *(*running)(const struct changes *changes, const struct swap *swap);
    /* Why what was before the promoted one cannot come back, since something else has changed;
     * NULL: it can. */
    const char *(*changed)(const struct changes *changes, const struct swap *swap);
    /* An operation has succeeded. */
    void (*answer)(struct operation *operation, const char *name);
    /* Optional. A change will put that side in force: what else is to be kept; the swap's record is
     * still the one before. */
    void (*keep)(struct change *change, const struct swap *swap, enum trial_arm side);
    /* Optional. A new swap of that name has come to nothing. */
    void (*dropped)(const struct changes *changes, const char *name);
    /* Optional. A step is in force. */
    void (*enforced)(struct change *change, const struct swap *swap);
};

struct swap {
    struct list link; /* in swaps.all */
    const struct swap_subject *subject;
    char *key;        /* of the store */
    const char *name; /* within it */
    cJSON *record;    /* see swap_record.c */
    /* Copies of a module, referenced while one of them is tried, and while a step puts one in
     * force; else NULL: what runs is the plan's, and what does not goes with its last request. */
    struct module *old, *now;
    uint64_t until_ns; /* end of the trial; 0: none was begun since the start */
    uint64_t strikes;  /* of what was in force, before the trial */
    char *verdict;     /* why it goes back; NULL: nothing speaks against it */
    uint64_t again_ns; /* a step that was refused is not taken again before */
};

#define SWAP_SUBJECTS 2u

struct swaps {
    struct list all;
    const struct swap_subject *subjects[SWAP_SUBJECTS];
    struct timer judge; /* set while something is tried */
    unsigned looks;     /* at it */
    uint64_t mishaps;   /* of it, at the last one: errors and strikes */
    struct changes *changes;
};

/* ---- steps (swap.c) ---- */

/* false: 409 is the answer, since another than `own` (NULL: none) is tried. */
bool swap_may_begin(struct operation *operation, const struct swap *own);
/* Begins a new swap, which it takes over with its record: at once, or with that share of the picks
 * (0 to 1) at first. */
enum written swap_begin(struct operation *operation, struct swap *swap, double share);
/* Ends it by an operator's wish; `swap` NULL: there was none, 409 is the answer. */
enum written swap_promote(struct operation *operation, const struct swap_subject *subject,
                          struct swap *swap);
enum written swap_rollback(struct operation *operation, const struct swap_subject *subject,
                           struct swap *swap);
/* The record of it once that side is in force. `reason` NULL: an operator's wish. */
cJSON *swap_next_record(const struct swap *swap, enum trial_arm side, const char *author,
                        const char *reason);
/* As the API shows it; `swap` NULL: NULL. */
cJSON *swap_show(const struct changes *changes, const struct swap *swap);

/* ---- records (swap_record.c) ---- */

/* A subject, when its part begins. */
void swap_add_subject(struct changes *changes, const struct swap_subject *subject);
struct swap *swap_new(const struct swap_subject *subject, const char *name);
/* "trying", "promoted", "rolled_back" */
const char *swap_state(const struct swap *swap);
bool swap_is(const struct swap *swap, const char *state);
/* The last one of a key, which is the name of a module, or with the prefix that of a pool; NULL:
 * there is none. */
struct swap *swap_find(const struct changes *changes, const char *key);
/* The one that is tried; NULL: none. */
struct swap *swap_tried(const struct changes *changes);
void swap_add(struct changes *changes, struct swap *swap);
void swap_free(struct swap **swap);
void swap_release_copies(struct swap *swap);
void swap_load(struct changes *changes, const char *key, const char *value);

/* ---- what is asked for (swap_ask.c) ---- */

/* Whether it is to be tried first. */
bool swap_wants_trial(const cJSON *body);
/* What each record has, and what it has of a trial where one is wanted; fills in its share of the
 * picks, 0 where none is. false: 422 is the answer. */
bool swap_ask(struct operation *operation, cJSON *record, double *share);
/* Rows about a trial in a body's table. */
#define SWAP_TRIAL_ARGUMENTS                                                                      \
    {"canary",                                                                                    \
     WEIR_ARGUMENT_STRING,                                                                        \
     false,                                                                                       \
     1,                                                                                           \
     20,                                                                                          \
     NULL,                                                                                        \
     "Try it first with that share of the picks, 0.1% to 90% (5%, where only one of the next is " \
     "given). Without any of them it is in force at once."},                                      \
        {"for",                                                                                   \
         WEIR_ARGUMENT_DURATION,                                                                  \
         false,                                                                                   \
         1,                                                                                       \
         604800,                                                                                  \
         NULL,                                                                                    \
         "How long it is tried; 60s by default. Then it is promoted."},                           \
        {"max_error_ratio",                                                                       \
         WEIR_ARGUMENT_NUMBER,                                                                    \
         false,                                                                                   \
         0,                                                                                       \
         1000,                                                                                    \
         NULL,                                                                                    \
         "How many times as many of its requests may fail as of the other's; 2 by default. 0: "   \
         "any."},                                                                                 \
    {                                                                                             \
        "max_latency_ratio", WEIR_ARGUMENT_NUMBER, false, 0, 1000, NULL,                          \
            "How many times as long p50 and p99 to the first byte may be; 1.5 by default. 0: "    \
            "any."                                                                                \
    }

/* ---- trials (swap_trial.c) ---- */

void swap_try(struct swap *swap, struct changes *changes);
/* What both have done, by pool and class of servers: members of `to`. */
void swap_show_trial(const struct changes *changes, const struct swap *swap, cJSON *to);
/* The trial gets no more picks, from now on. */
void swap_stop_picks(const struct changes *changes);
/* It gets them again, as what should have ended it has come to nothing; but for a verdict. */
void swap_give_picks(const struct changes *changes, const struct swap *swap);

/* ---- modules' copies (swap_module.c, swap_files.c) ---- */

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
/* Whether a record names both copies. */
bool swap_names_copies(const cJSON *record);
/* What is kept comes into force: the module blocks of `generation`, from number `*at` on, whose
 * copy is another than a record says, one after the other: fills in how it is swapped; the caller
 * gives the copy's reference back. false: no more. */
bool swap_restore(struct changes *changes, const struct generation *generation, size_t *at,
                  struct plan_swap *out);

/* ---- pools' balancers (swap_pool.c) ---- */

/* What `PATCH` of the pool with a trial, and the operations about it, begin. */
enum written swap_try_pool(struct operation *operation, const struct pool_plan *plan);
enum written swap_promote_pool(struct operation *operation);
enum written swap_rollback_pool(struct operation *operation);
/* A change without a trial will give the pool that entry (NULL: the files' block): keeps, and
 * returns, the record of its last swap where that is one of the two sides again, as by an undo.
 * NULL: there is nothing to say. */
cJSON *swap_pool_follow(struct change *change, const char *pool, const cJSON *entry);
/* It has; takes over the record (NULL: none). */
void swap_pool_followed(const struct changes *changes, const char *pool, cJSON *record);
/* When the part of pools begins. */
void swap_pool_begin(struct changes *changes);

#endif
