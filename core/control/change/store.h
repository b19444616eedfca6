/* SPDX-License-Identifier: MIT */
/*
 * The store thread, which owns the instance of the store module and may block on the disk. Jobs go
 * in, results are posted to the control thread. Thread: the control thread calls; the module's
 * hooks run on the store thread.
 */
#ifndef CONTROL_CHANGE_STORE_H
#define CONTROL_CHANGE_STORE_H

#include <cjson/cJSON.h>

#include "proxy/runtime.h"

struct store;

/* Changes made together. Zeroed is empty. */
struct store_batch {
    struct store_item {
        char *space, *key, *value; /* value NULL: removes the key */
    } * items;
    size_t count;
};

/* Copies. `value` NULL: removes. */
void store_put(struct store_batch *batch, const char *space, const char *key, const char *value);
void store_put_json(struct store_batch *batch, const char *space, const char *key,
                    const cJSON *value);
void store_batch_free(struct store_batch *batch);

/* Finishes queued jobs and ends the thread; results follow on the next turn of the loop. Takes no
 * more commits. */
void store_stop(struct store *store);

struct store *store_new(struct loop *loop);
/* Stops and frees it. */
void store_free(struct store **store);

/* Gets one stored entry. */
typedef void (*store_load_fn)(void *arg, const char *space, const char *key, const char *value);

/* Reads that space too: when the store is opened, or now if it is open. Then true, and `read`
 * (with the `arg` of store_open) follows `load`. */
bool store_add_space(struct store *store, const char *space,
                     void (*read)(void *arg, const char *space));

/* At the start: opens the generation's store, if any, and waits for it. Entries go to `load`:
 * now, or later if the store could not be opened at first, followed by `late`. false: the store
 * failed. */
bool store_open(struct store *store, const struct generation *generation, store_load_fn load,
                void (*late)(void *arg), void *arg);

/* A generation is in force: replaces the store if its module or options have changed. */
void store_adopt(struct store *store, const struct generation *generation);

/* Makes the changes durable; empties the batch. Calls `fn` later on the control thread, error
 * NULL: done. Without a store nothing is kept, which is no error. */
typedef void (*store_done_fn)(void *arg, const char *error);
void store_commit(struct store *store, struct store_batch *batch, store_done_fn fn, void *arg);

/* Once a second: retries a store that failed. */
void store_tick(struct store *store);

/* Whether what is kept has been read; true without a store. */
bool store_is_loaded(const struct store *store);
bool store_is_well(const struct store *store); /* true without a store */
cJSON *store_json(const struct store *store);

#endif
