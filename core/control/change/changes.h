/* SPDX-License-Identifier: MIT */
/*
 * Everything that changes what runs goes through one queue: writing operations, reloads, DNS
 * updates, and what parts begin themselves. Control thread. What can be changed comes in parts
 * (servers, the journal, reloads, modules): each brings its commands, what it keeps in the store,
 * and how journal entries about it are taken back. This room calls no part by name.
 */
#ifndef CONTROL_CHANGE_CHANGES_H
#define CONTROL_CHANGE_CHANGES_H

#include "base/mistakes.h"
#include "control/api/plane.h"
#include "control/change/journal.h"
#include "control/change/overlay.h"
#include "control/change/store.h"

struct change;
struct changes;
struct swaps;

/* Static. Every member may be NULL. */
struct change_part {
    const struct command *commands;
    /* What it has beside its entries: when the part is added, and at the end. */
    void (*begin)(struct changes *changes);
    void (*end)(struct changes *changes);
    /* Its space in the store, and the function that loads an entry of it at the start. */
    const char *space;
    void (*load)(struct changes *changes, const char *key, const char *value);
    /* Begins a change that is due. Called when nothing else runs: once a second, and after each
     * such change. true: one has begun. */
    bool (*upkeep)(struct changes *changes);
    /* The member that marks journal entries of this part; with it, `take_back` is required. */
    const char *mark;
    /* Fills in a change that takes the entry back, all but `undo_of`. Not NULL: why it cannot be
     * taken back; the change is dropped. */
    const char *(*take_back)(struct change *change, const cJSON *entry);
    /* Whether nobody can take the entry back now, but somebody may later: an unconfirmed change
     * waits for that. */
    bool (*waits)(const struct changes *changes, const cJSON *entry);
    /* Whether nothing is left of it that could be taken back: it has ended by itself. */
    bool (*is_over)(const struct changes *changes, const cJSON *entry);
};

/* Who brings generations into force. Callbacks come on a later turn, unless noted. */
struct changes_owner {
    /* The server has changed: loops rebuild their candidates. */
    void (*refresh)(void *arg, struct server *server);
    /* Loops rebuild the pool's candidates. */
    void (*refresh_pool)(void *arg, struct pool *pool);
    /* The running configuration with the present overlay, and another copy of a module (NULL:
     * none). NULL: mistakes were added. */
    struct generation *(*derive)(void *arg, const struct plan_swap *swap,
                                 struct mistakes *mistakes);
    /* Brings a generation into force. Calls `gate` when all loops have prepared it, which
     * answers with `pass`; then `done` when it is in force (error NULL) or abandoned. */
    void (*apply)(void *arg, struct generation *generation, void (*gate)(void *gate_arg),
                  void (*done)(void *gate_arg, const char *error), void *gate_arg);
    /* The gate's answer. error NULL: commit. */
    void (*pass)(void *arg, const char *error);
    /* Derives the running generation again and brings it into force, if DNS or (`overlay`) the
     * overlay has changed. Ends with changes_rebuilt, perhaps before it returns. */
    void (*rebuild)(void *arg, bool overlay);
    /* Reads the files again. `operation` NULL: by a signal. Ends with changes_reloaded, perhaps
     * before it returns. */
    void (*reload)(void *arg, struct operation *operation);
    void *arg;
};

#define CHANGE_PARTS_MAX 16u

struct changes {
    struct plane plane;
    struct changes_owner owner;
    const struct change_part *parts[CHANGE_PARTS_MAX];
    size_t part_count;
    struct overlay *overlay;
    struct journal *journal;
    struct store *store;       /* NULL: not started */
    struct list writes;        /* struct operation.link, waiting in order */
    struct operation *writing; /* the one that runs; NULL: none */
    unsigned writing_s;        /* for how many ticks */
    bool busy;                 /* the start, or a change without operation, runs */
    bool continuing;           /* go_on runs */
    bool reload_wanted;        /* by a signal */
    bool rebuild_wanted;       /* by DNS or a late overlay */
    bool overlay_late;         /* loaded from the store, not in force yet */
    struct swaps *swaps;       /* of its part; see swap.h */
    cJSON *pools;              /* balancers of pools that were set; see write_pool.c */
    cJSON *last_reload;        /* for the status; NULL: none */
};

/* The changes of the operation's plane. */
static inline struct changes *changes_of(const struct operation *operation)
{
    return container_of(operation->plane, struct changes, plane);
}

/* Before the first generation is built. */
void changes_init(struct changes *changes, struct runtime *runtime, const char *path);
void changes_add_part(struct changes *changes, const struct change_part *part);
/* After all parts have been added. Nothing begins before changes_rebuilt. */
void changes_start(struct changes *changes, struct worker *self, const struct changes_owner *owner);
/* Opens the store and loads what it keeps. Before the loop runs. true: there are runtime
 * changes. */
bool changes_restore(struct changes *changes, const struct generation *generation);
/* A generation is in force. */
void changes_adopt(struct changes *changes, const struct generation *generation);
/* Nothing begins any more. Waiting operations are answered; a running change still ends. */
void changes_stop(struct changes *changes);
void changes_end(struct changes *changes);

/* A write has ended: sends its answer, frees it and begins the next. Not from the write's own
 * function, which returns WRITE_ANSWERED. `operation` NULL: a change without operation has
 * ended. */
void changes_finish(struct changes *changes, struct operation *operation);
/* Lets parts begin what is due, if nothing runs. */
void changes_upkeep(struct changes *changes);

/* Queues a reload by a signal. */
void changes_reload(struct changes *changes);
/* Queues a rebuild of the running generation. */
void changes_rebuild(struct changes *changes);
/* A rebuild, or the start, has ended. */
void changes_rebuilt(struct changes *changes);

/* ---- the parts of this room ---- */

extern const struct change_part server_part, journal_part, reload_part, export_part, retry_part,
    release_part, swap_part, swap_module_part, pool_part;

#endif
