/* SPDX-License-Identifier: MIT */
/*
 * Everything that changes what runs goes through here, one thing after the other: writing operations,
 * reloads, what DNS brings, and what parts begin by themselves. Control thread.
 *
 * What there is to change comes in parts (servers, the journal, reloads, users): each brings its commands, what
 * it keeps in the store, and how entries of the journal about it are taken back. This room calls no part by name.
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

/* Static; what is NULL is not there. */
struct change_part {
    const struct command *commands;
    /* What it keeps in the store: the name of its space, and who takes an entry at the start. */
    const char *space;
    void (*load)(struct changes *changes, const char *key, const char *value);
    /* Begins a change of its own, if one is due: nothing else goes on. Once a second, and after each such change.
     * true: it has begun. */
    bool (*upkeep)(struct changes *changes);
    /* The journal's entries up to `last` go, with the keeping of `entry`: what they alone refer to goes too.
     * With a batch: what of it is to be kept. NULL: it is kept. */
    void (*forget)(struct changes *changes, uint64_t last, const cJSON *entry,
                   struct store_batch *batch);
    /* The member by which the journal's entries about it are known; those have the next two. */
    const char *mark;
    /* Why an entry cannot be taken back; NULL: it can. */
    const char *(*refusal)(const struct changes *changes, const cJSON *entry);
    /* Makes the change one that takes the entry back: what was before it, `undo_of` apart. */
    void (*take_back)(struct change *change, const cJSON *entry);
};

/* Who brings generations into force. What is asked for ends later, never before the call returns, but where it
 * says so. */
struct changes_owner {
    /* The server has changed: loops build their candidates anew. */
    void (*refresh)(void *arg, struct server *server);
    /* The running configuration with what is changed at run time now; NULL: mistakes were added. */
    struct generation *(*derive)(void *arg, struct mistakes *mistakes);
    /* Takes a generation into force. `gate` is called when all loops have prepared it, and answers by `pass`;
     * `done` when it is in force (error NULL) or given up. */
    void (*apply)(void *arg, struct generation *generation, void (*gate)(void *gate_arg),
                  void (*done)(void *gate_arg, const char *error), void *gate_arg);
    /* The gate's answer. error NULL: commit. */
    void (*pass)(void *arg, const char *error);
    /* Derives the running generation anew and takes it into force, where it would be another one: names have
     * other servers, or (`overlay`) the overlay has. Ends with changes_rebuilt, perhaps at once. */
    void (*rebuild)(void *arg, bool overlay);
    /* Reads the files again. `operation` NULL: on a signal. Ends with changes_reloaded, perhaps at once. */
    void (*reload)(void *arg, struct operation *operation);
    void *arg;
};

#define CHANGE_PARTS_MAX 8u

struct changes {
    struct plane plane;
    struct changes_owner owner;
    const struct change_part *parts[CHANGE_PARTS_MAX];
    size_t part_count;
    struct overlay *overlay;
    struct journal *journal;
    struct store *store;       /* NULL: not started */
    struct list writes;        /* struct operation.link: those that wait, in order */
    struct operation *writing; /* NULL: none runs */
    bool busy;                 /* a change runs that no operation asked for, or the start does */
    bool continuing;           /* changes_continue runs */
    bool reload_wanted;        /* by a signal */
    bool rebuild_wanted;       /* by DNS, or since the overlay came late */
    bool overlay_late;         /* from the store: not in force yet */
    cJSON *last_reload;        /* as the status shows it; NULL: there was none */
};

/* The operation's, or the plane's. */
static inline struct changes *changes_of(const struct operation *operation)
{
    return container_of(operation->plane, struct changes, plane);
}

/* Before the first generation is built. */
void changes_init(struct changes *changes, struct runtime *runtime, const char *path);
void changes_add_part(struct changes *changes, const struct change_part *part);
/* With the control loop, when all parts are there. Nothing begins before changes_rebuilt. */
void changes_start(struct changes *changes, struct worker *self, const struct changes_owner *owner);
/* The store is opened, what is kept is read. true: there are runtime changes to lay over the files. Before the
 * loop runs. */
bool changes_restore(struct changes *changes, const struct generation *generation);
/* A generation is in force. */
void changes_adopt(struct changes *changes, const struct generation *generation);
/* The loops end: nothing begins any more. Who waits is told; what runs is ended by its change. */
void changes_stop(struct changes *changes);
void changes_end(struct changes *changes);

/* A write has ended: its answer goes out, it is freed, the next one begins. Not from within the write's own
 * function: that says WRITE_ANSWERED. `operation` NULL: what nobody asked for has ended. */
void changes_finish(struct changes *changes, struct operation *operation);
/* Lets parts begin what is due, if nothing else goes on. */
void changes_upkeep(struct changes *changes);

/* Reads the files again, once no write runs. */
void changes_reload(struct changes *changes);
/* Builds the running generation again, once no write runs. */
void changes_rebuild(struct changes *changes);
/* That has ended; or the start has, before which nothing begins. */
void changes_rebuilt(struct changes *changes);

/* ---- the parts of this room ---- */

extern const struct change_part server_part, journal_part, reload_part, export_part;
extern const struct change_part user_part, admin_token_part;

#endif
