/* SPDX-License-Identifier: MIT */
/*
 * The store thread: owns the instance of the store module, which may block on the disk. Jobs go in, what
 * came out is posted to the control thread. Also the place of other work that takes long (passwords), on a
 * second thread.
 *
 * Thread: the control thread calls; the module's hooks run on the store thread.
 */
#ifndef CONTROL_CHANGE_STORE_H
#define CONTROL_CHANGE_STORE_H

#include <cjson/cJSON.h>

#include "proxy/runtime.h"

struct store;

/* Changes that are made together. Zeroed is empty. */
struct store_batch {
    struct store_item {
        char *space, *key, *value; /* value NULL: the key goes */
    } * items;
    size_t count;
};

/* Copies. `value` NULL: removes. */
void store_put(struct store_batch *batch, const char *space, const char *key, const char *value);
void store_put_json(struct store_batch *batch, const char *space, const char *key,
                    const cJSON *value);
void store_batch_free(struct store_batch *batch);

/* Ends its threads, after what waits; what comes of that is told on the next turn of the loop. No commit is
 * taken from then on, and no work. */
void store_stop(struct store *store);

struct store *store_new(struct loop *loop);
/* Ends the threads, after what waits. */
void store_free(struct store **store);

/* Gets one entry that is kept. */
typedef void (*store_load_fn)(void *arg, const char *space, const char *key, const char *value);

/* What is kept in that space is to be read: with the rest, when the store is opened; or now, where it was: then
 * true, and `read` (with the `arg` of store_open) follows `load`. */
bool store_add_space(struct store *store, const char *space,
                     void (*read)(void *arg, const char *space));

/* At the start: opens the generation's store, if it has one, and waits for it. What is kept goes to `load`
 * (now, or later, when the store could not be opened at first). false: there is a store that failed. */
bool store_open(struct store *store, const struct generation *generation, store_load_fn load,
                void (*late)(void *arg), void *arg);

/* A new generation is in force: another store, or other options of it, take the place of the old one. */
void store_adopt(struct store *store, const struct generation *generation);

/* Makes the changes durable; takes the batch over. `fn` later on the control thread: error NULL: they are.
 * Without a store they are not kept, and that is no error. */
typedef void (*store_done_fn)(void *arg, const char *error);
void store_commit(struct store *store, struct store_batch *batch, store_done_fn fn, void *arg);

/* Once a second: a store that failed is tried again now and then. */
void store_tick(struct store *store);

bool store_is_well(const struct store *store); /* also without any */
cJSON *store_json(const struct store *store);

/* Runs `work` on the second thread, then `done` on the control thread, which frees `arg`. false: too many
 * wait already, or the store has stopped. */
bool store_work(struct store *store, void (*work)(void *arg), void (*done)(void *arg), void *arg);

#endif
