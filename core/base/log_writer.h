/* SPDX-License-Identifier: MIT */
/*
 * A log on its way out: what threads put in (lanes.h), a thread of its own that writes it
 * (log_target.h), and what is said when that does not go well. Nobody waits for a writer but who
 * ends it, and then for a bounded time. What finds no room is dropped, counted, and told when it is
 * over.
 */
#ifndef BASE_LOG_WRITER_H
#define BASE_LOG_WRITER_H

#include <weir/host.h>

#include "base/log_target.h"

struct log_writer;

/* Bytes that may wait in one writer, beyond a chunk a thread. */
#define LOG_WRITER_WAITING_MAX ((size_t)4 << 20)

/* What a rendered line may have beyond its record. */
#define LOG_WRITER_RENDER_MAX ((size_t)128)

struct log_writer_kind {
    /* Writes the line of a record to `out`, which has room for LOG_WRITER_RENDER_MAX bytes more
     * than `len`. Returns its length. NULL: the record is the line. */
    size_t (*render)(enum log_style style, const char *record, size_t len, char *out);
    uint64_t gather_ns; /* lines wait this long for company, unless many do */
    bool own_log;       /* the program's own: what is to be said of it is said in it */
    /* Says in the program's log what becomes of this one: log_write. */
    void (*say)(enum weir_log_level level, const char *component, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
};

/* Takes `target`, also when it fails. NULL: `error` says why. */
struct log_writer *log_writer_new(struct log_target *target, const struct log_writer_kind *kind,
                                  char *error, size_t error_size);

/* Any thread; never waits. false: dropped. */
bool log_writer_put(struct log_writer *writer, const void *record, size_t len);

/* What was put before goes to the old place (or, where that takes nothing, to the new one). By the
 * writer's thread, soon. The second takes `target`. */
void log_writer_reopen(struct log_writer *writer);
void log_writer_change(struct log_writer *writer, struct log_target *target);

/* Waits until all that was put before is out, for `patience_ns` at most. */
bool log_writer_flush(struct log_writer *writer, uint64_t patience_ns);

/* What the thread needs to end once its patience is over, unless it stands in a write to a disk. */
#define LOG_WRITER_GRACE_NS (NS_PER_SECOND / 2)

/* Its thread writes what waits, for `patience_ns` at most, closes the target and ends. May be
 * called again, for less patience. */
void log_writer_end(struct log_writer *writer, uint64_t patience_ns);
/* Takes that back. false: too late. */
bool log_writer_go_on(struct log_writer *writer);
/* Whether the thread has ended, waiting for `patience_ns` at most: log_writer_free is right only
 * then. */
bool log_writer_wait(struct log_writer *writer, uint64_t patience_ns);
/* At the end of the program: as log_writer_wait, and the thread is joined, or, where it stands,
 * left to the end of the process. What is put from here on is lost; log_writer_free is not called
 * any more. */
void log_writer_leave(struct log_writer *writer, uint64_t patience_ns);
void log_writer_free(struct log_writer **writer);

/* Any thread. */
struct log_health {
    uint64_t dropped; /* lines */
    size_t waiting;   /* bytes, about */
    bool stuck;       /* it takes nothing now */
};
struct log_health log_writer_state(struct log_writer *writer);

#endif
