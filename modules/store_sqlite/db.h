/* SPDX-License-Identifier: MIT */
/*
 * The database: values by space and key in one SQLite file, changed in transactions that are on
 * disk once they are committed. It knows nothing of Weir.
 *
 * Thread: one at a time.
 */
#ifndef STORE_SQLITE_DB_H
#define STORE_SQLITE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The schema's version that this program writes. */
#define DB_VERSION 1

enum db_status {
    DB_OK = 0,
    DB_FULL,      /**< no space left; it may work again later */
    DB_LOCKED,    /**< another process has it open */
    DB_READ_ONLY, /**< the file or its folder cannot be written */
    DB_NEWER,     /**< written by a newer Weir; left as it is */
    DB_DAMAGED,
    DB_FAILED, /**< anything else */
};

struct db;

/** What opening found. */
struct db_report {
    char error[512];     /**< why it failed, or can only be read; empty: neither */
    bool reading_alone;  /**< open, but nothing can be written */
    char damage[256];    /**< what was wrong with the file that was set aside; empty: nothing was */
    char set_aside[512]; /**< where it is now */
    int migrated_from;   /**< the version that the file had; -1: it was made, or is up to date */
};

/** Opens the file, or makes it (mode 0600). A damaged one is set aside as PATH.damaged-TIME, with
 * its log, and a fresh one is begun. NULL: `*status` and `report->error` say why. Owner: the
 * caller. */
struct db *db_open(const char *path, enum db_status *status, struct db_report *report);

/** Closes; what is not committed is lost. Sets *db to NULL; *db may be NULL. */
void db_close(struct db **db);

/** Transactions. Any failure of a step is kept: db_commit then takes all back, and says it. */
void db_begin(struct db *db);
void db_put(struct db *db, const char *space, const void *key, size_t key_len, const void *value,
            size_t value_len);
void db_remove(struct db *db, const char *space, const void *key, size_t key_len);
enum db_status db_commit(struct db *db);
void db_rollback(struct db *db);

/** One value; valid for the call. false ends the walk. */
typedef bool (*db_each_fn)(void *arg, const void *key, size_t key_len, const void *value,
                           size_t value_len);

/** Walks over a space in the order of keys (bytes). `descending`: from the last one. Those before
 * `from` (behind it, where descending) are left out; NULL: none is. */
enum db_status db_each(struct db *db, const char *space, const void *from, size_t from_len,
                       bool descending, db_each_fn fn, void *arg);

/** The last failure in words. Valid until the next call. */
const char *db_error(const struct db *db);

#endif
