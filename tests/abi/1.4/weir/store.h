/* SPDX-License-Identifier: MIT */
/*
 * Store: keeps operators' run-time changes and their journal across crashes. Small values, each
 * under a space and a key, all text; within a space ordered by the bytes of the key.
 *
 * Enabled by its module block (`module "store_sqlite" { path = ... }`), at most one in a
 * configuration. An instance lives on the core's store thread, alone: all its hooks run there, one
 * at a time, and MAY block on the disk. It has no loop: timers and weir_post are not for it;
 * weir_log is. Since ABI 1.2.
 */
#ifndef WEIR_STORE_H
#define WEIR_STORE_H

#include <weir/host.h>
#include <weir/option.h>

WEIR_BEGIN_DECLS

/** One change of a commit. In an array the stride is the first one's `size`: see
 * weir_store_change_at. */
struct weir_store_change {
    uint32_t size;
    bool remove; /**< the key goes (if it is there); `value` means nothing */
    struct weir_str space;
    struct weir_str key;
    struct weir_str value; /**< UTF-8 text, as long as it likes */
};

static inline const struct weir_store_change *weir_store_change_at(
    const struct weir_store_change *changes, size_t index)
{
    return (const struct weir_store_change *)(const void *)((const char *)changes +
                                                            index * changes->size);
}

/** Gets one entry of a scan; both strings are valid for the call. false: enough. */
typedef bool (*weir_store_visit_fn)(void *arg, struct weir_str key, struct weir_str value);

struct weir_store {
    uint32_t size;

    /** Makes the instance; touches no file yet. Optional: the instance is then `prepared`. Not
     * WEIR_OK: the program goes on without a store, and says so. */
    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);

    /** Closes what is open. The last call. Optional. */
    void (*destroy)(struct weir_context *ctx, void *instance);

    /**
     * Opens the store: checks its integrity and updates an older layout. A damaged store is set
     * aside under another name, never deleted, and a new one starts empty. Called once before the
     * others, and again (every few seconds) after a failure, until it is WEIR_OK. WEIR_OK: open; a
     * note for the operator may be in `text` (damaged and set aside: where), else it is empty.
     * WEIR_DECLINED: open for reading alone, `text` says why. Else: not open, `text` says why.
     * `text` is ended by NUL and empty at first.
     */
    enum weir_status (*open)(struct weir_context *ctx, void *instance, char *text,
                             size_t text_size);

    /** Makes all changes or none, in their order (a later one of the same key wins). WEIR_OK:
     * they are durable, on the disk and past its caches as far as the system can tell. Else
     * nothing changed, and `error` (ended by NUL) says why and what would help. Mandatory. */
    enum weir_status (*commit)(struct weir_context *ctx, void *instance,
                               const struct weir_store_change *changes, size_t count, char *error,
                               size_t error_size);

    /** Visits entries of a space in the order of their keys, from `from` on, itself included
     * where it is there; empty: from the first (reverse: from the last). `reverse`: descending.
     * At most `limit` entries; 0: all. WEIR_ERROR: it could not be read to the end; logged.
     * Mandatory. */
    enum weir_status (*scan)(struct weir_context *ctx, void *instance, struct weir_str space,
                             struct weir_str from, bool reverse, size_t limit,
                             weir_store_visit_fn visit, void *arg);
};

WEIR_END_DECLS

#endif
