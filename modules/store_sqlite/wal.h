/* SPDX-License-Identifier: MIT */
/*
 * Looks at a write-ahead log before SQLite does. SQLite takes a log up to its first bad frame,
 * which is right after a power cut, and drops what follows without a word; here, changes that were
 * acknowledged and cannot be read are told from a tail that was never finished.
 */
#ifndef STORE_SQLITE_WAL_H
#define STORE_SQLITE_WAL_H

#include <stdbool.h>
#include <stddef.h>

/** Whether the log at `path` has lost transactions: `why` (cut to `size`) then says what was
 * found. A log that is missing, empty, whole, or ends in an unfinished transaction has not.
 * Reads only. */
bool wal_is_damaged(const char *path, char *why, size_t size);

#endif
